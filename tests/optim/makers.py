"""Parameters, gradients, and one of each optimizer."""

import numpy as np
import pytest

from tinygrad_mnist import Tensor, optim

ALL = {
    "sgd": lambda ps, **kw: optim.SGD(ps, 0.1, **kw),
    "momentum": lambda ps, **kw: optim.SGD(ps, 0.1, 0.9, weight_decay=1e-4, **kw),
    "nesterov": lambda ps, **kw: optim.SGD(ps, 0.1, 0.9, nesterov=True, weight_decay=1e-4, **kw),
    "adam": lambda ps, **kw: optim.Adam(ps, 0.05, weight_decay=1e-4, **kw),
    "adamw": lambda ps, **kw: optim.AdamW(ps, 0.05, **kw),
    "rmsprop": lambda ps, **kw: optim.RMSprop(ps, 0.01, weight_decay=1e-4, **kw),
    "centered": lambda ps, **kw: optim.RMSprop(ps, 0.01, momentum=0.5, centered=True, **kw),
}


def leaf(value=(1.0, -2.0, 3.0), dtype=np.float64):
    return Tensor(np.array(value, dtype), requires_grad=True)


def give(parameter, grad):
    parameter.grad = np.array(grad, parameter.dtype)


every = pytest.mark.parametrize("make", ALL.values(), ids=ALL)
