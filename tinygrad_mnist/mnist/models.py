"""The networks that can be trained, built from a Config."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinygrad_mnist import nn

if TYPE_CHECKING:
    import numpy as np

    from tinygrad_mnist.mnist.config import Config

PIXELS = 28 * 28


def build_model(config: Config, rng: np.random.Generator | None = None) -> nn.Module:
    """Return a new network that maps rows ``(N, 784)`` to logits ``(N, classes)``.

    Parameters
    ----------
    config : Config
        What it is like.
    rng : Generator, optional
        What its first weights and its masks of dropout come from.
    """
    return nn.MLP(
        sizes(config),
        activation=config.activation,
        dropout=config.dropout,
        bias=config.bias,
        init=config.init,
        rng=rng,
    )


def sizes(config: Config) -> tuple[int, ...]:
    """Return how many numbers go in, the size of each hidden layer, and how many come out."""
    return (PIXELS, *config.hidden, len(config.class_names))
