"""Draw the picture of the README: `python docs/images/graph.py`."""
# ruff: noqa: INP001 - a folder of pictures, not a package

from pathlib import Path

import numpy as np

from tinygrad_mnist import draw, nn, ops

model = nn.MLP((784, 64, 10), rng=0)
images, labels = np.zeros((32, 784), np.float32), np.zeros(32, int)
draw(
    lambda x, y: ops.cross_entropy(model(x), y),
    images,
    labels,
    file=Path(__file__).with_suffix(".svg"),
)
