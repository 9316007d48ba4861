"""Precision, nested inputs, closures, keywords, generators, several results."""

import numpy as np

from tests.checking.right.table import right
from tinygrad_mnist import Tensor, grad, nn, op, ops

RANDOM = np.random.default_rng(0)
WEIGHTS = np.random.default_rng(0).normal(size=(4, 3))
KERNEL = np.array([0.25, 0.5, 0.25])
MODEL = nn.MLP((4, 3, 2), rng=0)


@right()
def single_throughout(x):
    return np.tanh(x) * np.float32(2)


@right(RANDOM.normal(size=(3, 4)).astype(np.float32))
def single_in_and_out(x):
    return np.exp(x.astype(np.float32) * np.float32(0.5))


@right()
@op(pointwise=True)
def computed_in_single(x):
    return np.asarray(np.tanh(np.asarray(x, np.float32)), np.float64)


computed_in_single.defvjp(x=lambda g, x: g * (1 - np.tanh(x) ** 2))


@right([RANDOM.normal(size=3), RANDOM.normal(size=(2, 3))])
def of_a_list(arrays):
    return sum(np.sum(np.sin(a)) for a in arrays)


@right({"w": RANDOM.normal(size=(3, 2)), "b": RANDOM.normal(size=2)}, RANDOM.normal(size=(4, 3)))
def of_a_dict(params, x):
    return {"out": np.tanh(x @ params["w"] + params["b"]), "size": 3}


@right()
def of_several(*arrays):
    return arrays[0] * np.tanh(arrays[1])


@right(shapes="(m,4)")
def closure(x):
    return np.maximum(x @ WEIGHTS, 0)


@right()
def doubled(x):
    return x + x


@right(shapes="(n)")
@op(shapes="(n)", cases=({}, {"power": 3}, {"power": 2, "mean": True}))
def moment(x, power=2, mean=False):
    total = np.sum(x**power)
    return total / x.size if mean else total


moment.defvjp(x=lambda g, x, power, mean: g * power * x ** (power - 1) / (x.size if mean else 1))


@right()
@op
def noisy_by_generator(x, rng=0):
    return x * np.random.default_rng(rng).uniform(0.5, 1.5, np.shape(x))


noisy_by_generator.defvjp(
    x=lambda g, x_shape, rng: g * np.random.default_rng(rng).uniform(0.5, 1.5, x_shape)
)


@right()
def dropout_with_generator(x):
    return ops.dropout(x, p=0.5, rng=0)


@right(shapes="(n)")
def smoothed(x):
    return np.convolve(x, KERNEL)


@right(shapes="(n)")
def straight_through_gradient_of_a_sum(x):
    return grad(lambda y: np.sum(np.sin(y) * y))(x)


@right(RANDOM.normal(size=(5, 4)))
def module_inside(x):
    return MODEL(x)


@right(shapes="(n)")
@op(shapes="(n)")
def split_in_two(x):
    return np.sin(x), np.cos(x)


def _split_rule(g, x):
    one = 0 if g[0] is None else g[0] * np.cos(x)
    other = 0 if g[1] is None else -g[1] * np.sin(x)
    return one + other


split_in_two.defvjp(x=_split_rule)


@right()
@op(hidden=1)
def masked(x):
    mask = np.sin(1e3 * np.arange(np.size(x)).reshape(np.shape(x))) > 0
    return x * mask, mask


masked.defvjp(x=lambda g, out: g[0] * out[1])


@right(shapes="(a,b,6,6),(c,b,3,3)")
def convolution_by_windows(x, w):
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
    return np.einsum("abijkl,cbkl->acij", windows, w)


@right(shapes="(a,b,6,6)")
def pooled(x):
    a, b, h, w = x.shape
    return np.max(np.max(x.reshape(a, b, h // 2, 2, w // 2, 2), axis=5), axis=3)


@right(Tensor(RANDOM.normal(size=3)))
def of_a_tensor(x):
    return x.exp() if hasattr(x, "exp") else np.exp(x)


@right(shapes="(n)")
def polynomial(x):
    return np.polyval([0.5, -1.0, 2.0, 3.0], np.tanh(x))


@right(shapes="(m,n)")
def nan_ignored(x):
    return np.nansum(np.where(np.abs(x) > 1e3, np.nan, x * x), axis=0)


@right(shapes="(n)")
def interpolated(x):
    return np.interp(np.tanh(x), [-1.0, -0.3, 0.4, 1.0], [0.0, 2.0, 1.0, 3.0])


@right(shapes="(m,n)")
def quantiles(x):
    return np.quantile(x, 0.3, axis=0)


@right(shapes="(n,3),(n,3)")
def angular_momentum(r, v):
    return np.sum(np.cross(r, v), axis=0)


@right(shapes="(3)")
def rotation(angles):
    c, s = np.cos(angles), np.sin(angles)
    zero, one = np.zeros(()), np.ones(())
    rows = [[c[0], -s[0], zero], [s[0], c[0], zero], [zero, zero, one]]
    return np.stack([np.stack(row) for row in rows]) @ angles
