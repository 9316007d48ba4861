"""Autograd in plain NumPy: define a model by its forward pass, and get its gradients.

Not related to the project called tinygrad.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tinygrad_mnist import nn, ops, optim
from tinygrad_mnist.autograd import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from tinygrad_mnist.editing import checkpoint, map_gradient
from tinygrad_mnist.operation import op
from tinygrad_mnist.switches import detect_anomaly, no_grad
from tinygrad_mnist.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_mnist.checking import gradcheck, grade, rounding
    from tinygrad_mnist.drawing import draw, draw_diff, draw_steps

__all__ = [
    "Tensor",
    "checkpoint",
    "detect_anomaly",
    "draw",
    "draw_diff",
    "draw_steps",
    "grad",
    "gradcheck",
    "grade",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "map_gradient",
    "nn",
    "no_grad",
    "op",
    "ops",
    "optim",
    "rounding",
    "value_and_grad",
    "vjp",
]

_LATER = {  # imported when first asked for
    "draw": "drawing",
    "draw_diff": "drawing",
    "draw_steps": "drawing",
    "grade": "checking",
    "gradcheck": "checking",
    "rounding": "checking",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
