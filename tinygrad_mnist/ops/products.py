"""Sums of products: matrix products, and einsum for all others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.operation import op

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array


def _matmul_left(g: Any, x2: Any, x1_shape: tuple[int, ...]) -> Any:
    """Return the gradient of ``x1`` in ``x1 @ x2``."""
    if x2.ndim == 1:
        return g[..., None] * x2
    if len(x1_shape) == 1:
        return (x2 @ g[..., None])[..., 0]
    return g @ np.swapaxes(x2, -1, -2)


def _matmul_right(g: Any, x1: Any, x2_shape: tuple[int, ...]) -> Any:
    """Return the gradient of ``x2`` in ``x1 @ x2``."""
    if x1.ndim == 1:
        return g[..., None] * x1 if len(x2_shape) == 1 else x1[:, None] * g[..., None, :]
    if len(x2_shape) <= 2:  # one product for the whole batch
        rows = math.prod(x1.shape[:-1])
        flat = np.reshape(x1, (rows, x1.shape[-1])).T
        return flat @ np.reshape(g, (rows, *x2_shape[1:]))
    return np.swapaxes(x1, -1, -2) @ g


@op(
    cases=(
        {"shapes": "(m,k),(k,n)"},
        {"shapes": "(…,m,k),(…,k,n)"},
        {"shapes": "(…,m,k),(k,n)"},
        {"shapes": "(m,k),(…,k,n)"},
        {"shapes": "(k),(…,k,n)"},
        {"shapes": "(…,m,k),(k)"},
        {"shapes": "(k),(k)"},
    ),
    implements=(np.matmul,),
)
def matmul(x1: Array, x2: Array) -> Array:
    """Return the matrix product: over the last axis of `x1` and the second last of `x2`."""
    return np.matmul(x1, x2)


matmul.defvjp(x1=_matmul_left, x2=_matmul_right)
