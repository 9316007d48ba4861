"""Diagonals and triangles of matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_mnist.operation import op
from tinygrad_mnist.ops.indexing import scatter
from tinygrad_mnist.protocols import implements

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array


def _on_diagonal(g: Any, a_shape: tuple[int, ...], offset: int, axis1: int, axis2: int) -> Any:
    """Return zeros with `g` on the diagonal that was read."""
    axes = normalize_axis_tuple((axis1, axis2), len(a_shape))
    rows = np.arange(g.shape[-1]) + max(-offset, 0)
    batch = tuple(n for k, n in enumerate(a_shape) if k not in axes)
    matrices = scatter(
        g,
        (..., rows, rows + offset),
        (*batch, a_shape[axes[0]], a_shape[axes[1]]),
    )
    return np.moveaxis(matrices, (-2, -1), axes)


@op(
    cases=(
        {"shapes": "(n,m)"},
        {"offset": 1, "shapes": "(n,3,…)"},
        {"offset": -1, "axis1": -1, "axis2": 0, "shapes": "(3,n,2)"},
    ),
    implements=(np.diagonal,),
)
def diagonal(a: Array, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """Return a diagonal of each matrix that two axes span, along a new last axis."""
    return np.diagonal(a, offset, axis1, axis2)


diagonal.defvjp(a=_on_diagonal)


@op(cases=({"shapes": "(n)"}, {"k": -2, "shapes": "(n)"}), implements=(np.diagflat,))
def diagflat(v: Array, k: int = 0) -> Array:
    """Return a square matrix with all entries of `v` on a diagonal."""
    return np.diagflat(v, k)


diagflat.defvjp(v=lambda g, v_shape, k: np.reshape(np.diagonal(g, k), v_shape))


@implements(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    """Return a vector as the diagonal of a matrix, or the diagonal of a matrix as a vector."""
    if v.ndim not in {1, 2}:
        raise ValueError(f"diag takes a vector or a matrix; got shape {v.shape}")
    return diagflat(v, k) if v.ndim == 1 else diagonal(v, k)


@implements(np.linalg.diagonal)
def matrix_diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """Return a diagonal of each matrix in the last two axes."""
    return diagonal(x, offset, -2, -1)


@implements(np.trace)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Any:
    """Return the sum of a diagonal of each matrix that two axes span."""
    return np.sum(diagonal(a, offset, axis1, axis2), -1, dtype)


@implements(np.linalg.trace)
def matrix_trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """Return the sum of a diagonal of each matrix in the last two axes."""
    return trace(x, offset, -2, -1, dtype)


def _below(m: Any, k: int) -> Any:
    """Return which entries of each matrix are on a diagonal or below it."""
    return np.tri(m.shape[-2:][0], m.shape[-1], k, bool)


@implements(np.tril)
def tril(m: Any, k: int = 0) -> Any:
    """Return the lower triangle of each matrix, up to a diagonal, and 0 above it."""
    return np.where(_below(m, k), m, np.zeros(1, m.dtype))


@implements(np.triu)
def triu(m: Any, k: int = 0) -> Any:
    """Return the upper triangle of each matrix, from a diagonal on, and 0 below it."""
    return np.where(_below(m, k - 1), np.zeros(1, m.dtype), m)
