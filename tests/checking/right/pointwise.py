"""Functions of each entry by itself: stable forms, guards, kinks."""

import numpy as np

from tests.checking.right.table import right
from tinygrad_mnist import op


@right()
def softplus_by_logaddexp(x):
    return np.logaddexp(0.0, x)


@right()
@op
def silu_with_rule(x):
    return x / (1 + np.exp(-x))


silu_with_rule.defvjp(x=lambda g, x, out: g * (out + (1 - out) / (1 + np.exp(-x))))


@right()
def guarded_root(x):
    return np.where(x > 0, np.sqrt(np.where(x > 0, x, 1.0)), 0.0)


@right()
def guarded_root_bare(x):
    return np.where(x > 0, np.sqrt(x), 0)


@right(domain=(0, np.inf))
def entropy(p):
    return np.where(p > 0, -p * np.log(p), 0.0)


@right()
def huber(x):
    return np.where(np.abs(x) < 1, x * x / 2, np.abs(x) - 0.5)


@right()
def smooth_step(x):
    t = np.clip(x, 0.0, 1.0)
    return t * t * (3 - 2 * t)


@right()
def sinc_by_where(x):
    near = np.abs(x) < 1e-3
    safe = np.where(near, 1.0, x)
    return np.where(near, 1 - x * x / 6, np.sin(safe) / safe)


@right()
def expm1_over_x(x):
    near = np.abs(x) < 1e-5
    safe = np.where(near, 1.0, x)
    return np.where(near, 1 + x / 2 + x * x / 6, np.expm1(safe) / safe)


@right()
def log_cosh(x):
    return np.logaddexp(x, -x) - np.log(2)


@right()
@op(pointwise=True)
def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


elu.defvjp(x=lambda g, x, alpha: g * np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0))))


@right()
@op(pointwise=True)
def gelu_by_tanh(x):
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))


def _gelu_rule(g, x):
    t = np.tanh(0.7978845608 * (x + 0.044715 * x**3))
    inner = 0.7978845608 * (1 + 3 * 0.044715 * x * x)
    return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner)


gelu_by_tanh.defvjp(x=_gelu_rule)


@right()
def hard_swish(x):
    return x * np.clip(x + 3, 0, 6) / 6


@right()
def triangle_wave(x):
    return np.abs(x - 2 * np.floor(x / 2 + 0.5))


@right()
def cube_root_of_absolute(x):
    return np.cbrt(x * x + 1e-3)


@right(domain=(0, np.inf))
def power_of_itself(x):
    return x**x


@right()
@op(pointwise=True, domain={"p": (0, 1)})
def logit(p):
    return np.log(p) - np.log1p(-p)


logit.defvjp(p=lambda g, p: g / (p * (1 - p)))


@right()
def soft_threshold(x):
    return np.sign(x) * np.maximum(np.abs(x) - 0.5, 0)


@right()
def leaky_with_keyword(x, slope=0.2):
    return np.where(x > 0, x, slope * x)
