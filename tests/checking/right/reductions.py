"""Norms, statistics and normalisations."""

import numpy as np

from tests.checking.right.table import right
from tinygrad_mnist import op
from tinygrad_mnist.tensor import raw


@right(shapes="(n)")
def euclidean(x):
    return np.linalg.norm(x)


@right(shapes="(n)")
@op(shapes="(n)")
def euclidean_with_rule(x):
    return np.sqrt(np.sum(x * x))


euclidean_with_rule.defvjp(x=lambda g, x, out: g * x / np.where(np.equal(raw(out), 0), 1.0, out))


@right(shapes="(m,n)")
def unit_rows(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


@right(shapes="(n),(n)")
def cosine_similarity(a, b):
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-8)


@right(shapes="(m,n),(n),(n)")
def layer_norm(x, gain, bias):
    mean = np.mean(x, axis=-1, keepdims=True)
    var = np.mean((x - mean) ** 2, axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(var + 1e-5) * gain + bias


@right(shapes="(m,n),(n),(n)")
@op(shapes="(m,n),(n),(n)")
def batch_norm_with_rule(x, gain, bias):
    spread = np.sqrt(np.mean((x - np.mean(x, 0)) ** 2, 0) + 1e-3)
    return (x - np.mean(x, 0)) / spread * gain + bias


def _batch_norm_rule(g, x, gain):
    spread = np.sqrt(np.mean((x - np.mean(x, 0)) ** 2, 0) + 1e-3)
    unit = (x - np.mean(x, 0)) / spread
    g = g * gain
    return (g - np.mean(g, 0) - unit * np.mean(g * unit, 0)) / spread


batch_norm_with_rule.defvjp(
    x=_batch_norm_rule,
    gain=lambda g, x: np.sum(
        g * (x - np.mean(x, 0)) / np.sqrt(np.mean((x - np.mean(x, 0)) ** 2, 0) + 1e-3), 0
    ),
    bias=lambda g: np.sum(g, 0),
)


@right(shapes="(m,n)")
@op(shapes="(m,n)")
def softmax_with_rule(x):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


softmax_with_rule.defvjp(x=lambda g, out: out * (g - np.sum(g * out, axis=-1, keepdims=True)))


@right(shapes="(m,n)")
def log_sum_exp_by_hand(x):
    top = np.max(x, axis=1, keepdims=True)
    return np.log(np.sum(np.exp(x - top), axis=1)) + top[:, 0]


@right(shapes="(n)")
def geometric_mean(x):
    return np.exp(np.mean(np.log(x * x + 1)))


@right(shapes="(n)")
def coefficient_of_variation(x):
    return np.std(x) / (1 + np.mean(x) ** 2)


@right(shapes="(n)")
def skewness(x):
    centred = x - np.mean(x)
    return np.mean(centred**3) / (np.mean(centred**2) + 0.1) ** 1.5


@right(shapes="(m,n)")
def range_of_rows(x):
    return np.max(x, axis=1) - np.min(x, axis=1)


@right(shapes="(n)")
def total_variation(x):
    return np.sum(np.abs(x[1:] - x[:-1]))


@right(shapes="(n)")
def mean_with_keyword(x, axis=None):
    return np.mean(x * x, axis=axis)
