"""Data and networks for diagnoses: healthy ones, and ways to break them."""

import numpy as np

from tinygrad_mnist import mnist, nn, ops
from tinygrad_mnist.mnist.images import as_rows


def digits(count=64, seed=0):
    """Return some images of MNIST as rows from 0 to 1, and their labels."""
    (images, labels), _ = mnist.load()
    chosen = np.random.default_rng(seed).choice(len(images), count, replace=False)
    return as_rows(images[chosen]), labels[chosen].astype(int)


def network(*hidden, **choices):
    """Return a small network for them."""
    return nn.MLP((784, *(hidden or (32, 16)), 10), **{"rng": 0} | choices)


def with_weights(model, change):
    """Return a model with every weight, but no bias, changed."""
    for p in model.parameters():
        if p.ndim == 2:
            p.data = change(p.data).astype(p.dtype)
    return model


def with_bias(model, layer, value):
    """Return a model with all biases of a layer at a value."""
    model.layers[layer].bias.data = np.full_like(model.layers[layer].bias.data, value)
    return model


def trained(model, optimizer, steps=150, seed=0):
    """Train as everybody does, on other images than `digits` gives by default."""
    x, labels = digits(2000, seed + 1000)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        rows = rng.integers(0, len(x), 32)
        loss = ops.cross_entropy(model(x[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model
