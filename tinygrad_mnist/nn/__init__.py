"""Neural networks: modules with parameters, the layers to make them of, tables and a diagnosis."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tinygrad_mnist.nn.layers import (
    MLP,
    Dropout,
    Flatten,
    Identity,
    LeakyReLU,
    Linear,
    LogSoftmax,
    ReLU,
    Sigmoid,
    Softmax,
    Softplus,
    Tanh,
)
from tinygrad_mnist.nn.losses import CrossEntropyLoss, MSELoss
from tinygrad_mnist.nn.module import Module, Sequential

if TYPE_CHECKING:
    from tinygrad_mnist.nn.diagnosis import diagnose
    from tinygrad_mnist.nn.tables import summary

__all__ = [
    "MLP",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "Identity",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "Module",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "diagnose",
    "summary",
]


_LATER = {"diagnose": "diagnosis", "summary": "tables"}  # imported when first asked for


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
