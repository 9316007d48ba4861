"""Sorting, choosing and indexing."""

import numpy as np

from tests.checking.right.table import right
from tinygrad_mnist import op
from tinygrad_mnist.tensor import raw

LABELS = np.array([0, 2, 1])


@right(shapes="(n)")
def sorted_and_weighted(x):
    return np.sort(x) * np.arange(1.0, x.shape[0] + 1)


@right(shapes="(n)")
@op(shapes="(n)")
def sort_with_rule(x):
    return np.sort(x)


sort_with_rule.defvjp(
    x=lambda g, x: g[np.argsort(np.argsort(raw(x), kind="stable"), kind="stable")]
)


@right(shapes="(n)")
def trimmed_mean(x):
    return np.mean(np.sort(x)[1:]) if x.shape[0] > 1 else np.mean(x)


@right(shapes="(n)")
def top_two(x):
    return x[np.argsort(raw(x))[-2:]]


@right(shapes="(n)")
def median_deviation(x):
    return np.median(np.abs(x - np.median(x)))


@right(shapes="(m,n)")
def picked(x):
    return x[:, 0] * x[:, -1]


@right(shapes="(4,n)")
def repeated_rows(table):
    return table[np.array([0, 2, 2, 3, 0])] ** 2


@right(shapes="(n)")
def shifted(x):
    return np.concatenate([x[:1] * 2, x, x[-1:] ** 2])


@right(shapes="(n)")
def prefix_products(x):
    return np.cumprod(1 + x / (1 + np.abs(x)))


@right(shapes="(m,n)")
def flipped_and_rolled(x):
    return np.roll(np.flip(x, 0), 1, axis=1) * x


@right(shapes="(3,n)")
def hinge(scores):
    right = scores[LABELS[:, None] * 0 + np.arange(3)[:, None], 0]
    return np.maximum(0, 1 + scores - right)
