"""Initialisers: the random weights that a layer starts from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    Floats = np.ndarray[Any, np.dtype[np.float64]]


def he(fan_in: int, fan_out: int, rng: np.random.Generator) -> Floats:
    """Return weights for layers followed by ReLU: normal, of variance ``2 / fan_in`` [1]_.

    Parameters
    ----------
    fan_in, fan_out : int
        How many numbers go into the layer, and come out.
    rng : Generator

    Returns
    -------
    ndarray of float64, of shape (fan_in, fan_out)

    References
    ----------
    .. [1] K. He et al., "Delving deep into rectifiers", 2015, equation 10.
    """
    return rng.standard_normal((fan_in, fan_out)) * math.sqrt(2 / fan_in)


def glorot(fan_in: int, fan_out: int, rng: np.random.Generator) -> Floats:
    """Return weights for tanh and sigmoid: uniform, of variance ``2 / (fan_in + fan_out)`` [1]_.

    Parameters and result are those of `he`.

    References
    ----------
    .. [1] X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward
       neural networks", 2010, equation 16.
    """
    bound = math.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-bound, bound, (fan_in, fan_out))


def xavier(fan_in: int, fan_out: int, rng: np.random.Generator) -> Floats:
    """Return standard normal weights divided by the square root of the size of the layer before.

    So the paper that this package reproduces words "Xavier initialization"; the size of a layer is
    the number of its neurons, which is the number of weights that lead to each neuron of the next.
    Parameters and result are those of `he`.
    """
    return rng.standard_normal((fan_in, fan_out)) / math.sqrt(fan_in)


INITIALISERS: dict[str, Callable[[int, int, np.random.Generator], Floats]] = {
    "he": he,
    "glorot": glorot,
    "xavier": xavier,
}
