"""Neural networks: modules with parameters, the layers to make them of, tables and a diagnosis."""

from tinygrad_mnist.nn.diagnosis import diagnose
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
