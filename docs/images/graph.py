"""Draw the picture of the README: `python docs/images/graph.py`."""

from pathlib import Path

import numpy as np

from tinygrad_mnist import draw, nn, ops

model = nn.MLP((784, 64, 10), rng=0)
images, labels = np.zeros((32, 784), np.float32), np.zeros(32, int)


def loss(x, y):
    """Return the loss of a batch, the number that training makes small."""
    return ops.cross_entropy(model(x), y)


draw(loss, images, labels, file=Path(__file__).with_suffix(".svg"))
