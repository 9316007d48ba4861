"""Functions of several inputs that broadcast."""

import numpy as np

from tests.checking.right.table import right
from tinygrad_mnist import op


@right()
def affine(x, scale, shift):
    return x * scale + shift


@right()
@op
def gated(x, gate):
    return x * np.tanh(gate)


gated.defvjp(
    x=lambda g, gate: g * np.tanh(gate), gate=lambda g, x, gate: g * x * (1 - np.tanh(gate) ** 2)
)


@right()
def lerp(a, b, t):
    return a + t * (b - a)


@right()
def safe_divide(a, b):
    return a * b / (b * b + 1e-3)


@right()
def gaussian_density(x, mean, spread):
    width = 0.1 + spread * spread
    return -0.5 * (x - mean) ** 2 / width - 0.5 * np.log(width)


@right()
def kl_of_gaussians(m, s, n, t):
    s, t = np.exp(np.tanh(s)), np.exp(np.tanh(t))
    return np.log(t / s) + (s * s + (m - n) ** 2) / (2 * t * t) - 0.5


@right()
def maximum_of_three(a, b, c):
    return np.maximum(np.maximum(a, b), c)


@right()
def smooth_maximum(a, b):
    return (a + b + np.sqrt((a - b) ** 2 + 1e-2)) / 2


@right()
def polar(x, y):
    return np.hypot(x, y), np.arctan2(y, x)


@right(domain={"x": (0.0, np.inf)})
@op(domain={"base": (0, np.inf)})
def log_to_base(x, base):
    return np.log(x) / np.log(base + 1)


log_to_base.defvjp(
    x=lambda g, x, base: g / (x * np.log(base + 1)),
    base=lambda g, out, base: -g * out / ((base + 1) * np.log(base + 1)),
)
