"""Losses as modules: what `ops` computes, for those who keep a loss as an object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinygrad_mnist import ops
from tinygrad_mnist.nn.module import Module

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array


class CrossEntropyLoss(Module):
    """The mean of ``-log(softmax(logits)[label])`` over the batch; see `ops.cross_entropy`."""

    def forward(self, logits: Array, labels: Array) -> Array:
        """Return the loss of logits (N, C) against integer labels (N,)."""
        return ops.cross_entropy(logits, labels)


class MSELoss(Module):
    """The mean of squared differences; see `ops.mse_loss`."""

    def forward(self, prediction: Array, target: Array) -> Array:
        """Return the loss of two arrays of one shape."""
        return ops.mse_loss(prediction, target)
