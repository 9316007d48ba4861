"""Optimizers, learning-rate schedules and gradient clipping; formulas and names are PyTorch's."""

from tinygrad_mnist.optim.clipping import clip_grad_norm, clip_grad_value
from tinygrad_mnist.optim.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from tinygrad_mnist.optim.schedules import CosineLR, OneCycleLR, Schedule, StepLR, WarmUpLR

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "CosineLR",
    "OneCycleLR",
    "Optimizer",
    "RMSprop",
    "Schedule",
    "StepLR",
    "WarmUpLR",
    "clip_grad_norm",
    "clip_grad_value",
]
