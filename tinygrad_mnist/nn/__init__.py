"""Neural networks: modules with parameters, the layers to make them of, tables and a diagnosis."""

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
from tinygrad_mnist.nn.tables import summary

if TYPE_CHECKING:
    from tinygrad_mnist.nn.diagnosis import diagnose

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


def __getattr__(name: str) -> Any:
    if name != "diagnose":  # imported when first asked for
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tinygrad_mnist.nn.diagnosis import diagnose

    globals()[name] = diagnose
    return diagnose


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
