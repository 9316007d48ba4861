"""Gradient clipping, by the norm of all or by each entry."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_mnist.optim.arguments import number, with_gradients

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array
    from tinygrad_mnist.optim.arguments import Parameters
    from tinygrad_mnist.tensor import Tensor


def clip_grad_norm(params: Parameters, max_norm: float) -> float:
    """Scale all gradients down together, if need be, to an L2 norm of at most `max_norm` [1]_.

    Parameters
    ----------
    params : iterable of Tensor, or nested dicts, lists and tuples of them
        Those without a gradient are skipped.
    max_norm : float

    Returns
    -------
    float
        The norm of all gradients, as one vector, before.

    Raises
    ------
    FloatingPointError
        If a gradient is not finite: nothing that is scaled from it would be.

    References
    ----------
    .. [1] R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural
       networks", 2013, algorithm 1.
    """
    most = number("max_norm", max_norm)
    tracked = with_gradients(params, "clip_grad_norm")
    norm = math.hypot(*(_norm(parameter.grad) for parameter in tracked))
    if not math.isfinite(norm):
        raise FloatingPointError(
            f"the gradients' norm is {norm}: run the step inside detect_anomaly() to see where "
            "the first value that is not finite was made"
        )
    if norm > most:
        for parameter in tracked:
            _apply(parameter, np.multiply, most / norm)
    return norm


def clip_grad_value(params: Parameters, clip_value: float) -> None:
    """Cut every entry of every gradient to lie from ``-clip_value`` to ``clip_value``.

    Parameters
    ----------
    params : iterable of Tensor, or nested dicts, lists and tuples of them
        Those without a gradient are skipped.
    clip_value : float
    """
    most = number("clip_value", clip_value)
    for parameter in with_gradients(params, "clip_grad_value"):
        _apply(parameter, np.maximum, -most)
        _apply(parameter, np.minimum, most)


def _norm(grad: Array) -> float:
    norm = math.sqrt(np.vdot(grad, grad))
    if math.isfinite(norm):
        return norm
    largest = float(np.max(np.abs(grad)))  # squares overflow before their root does
    if not math.isfinite(largest):
        return largest
    scaled = grad / largest
    return largest * math.sqrt(np.vdot(scaled, scaled))


def _apply(parameter: Tensor, ufunc: np.ufunc, number: float) -> None:
    """Change a gradient in place, unless it is read-only or a NumPy scalar."""
    grad = parameter.grad
    if getattr(grad.flags, "writeable", True):  # type: ignore[union-attr]
        ufunc(grad, number, out=grad)
    else:
        parameter.grad = ufunc(grad, number)
