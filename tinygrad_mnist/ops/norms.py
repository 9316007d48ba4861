"""Norms of vectors and matrices, and the condition that they give."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_mnist.graph import unboxed
from tinygrad_mnist.operation import op
from tinygrad_mnist.ops.reductions import spread
from tinygrad_mnist.protocols import implements

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array

    Axes = int | tuple[int, ...] | None


def _norm_rule(g: Any, x: Any, out: Any, ord: float, axis: Axes, keepdims: bool) -> Any:  # noqa: A002
    """Return the gradient of a p-norm, 0 where the norm is 0 (docs/kinks.md)."""
    g, out = spread(g, axis, keepdims), spread(out, axis, keepdims)
    zero = np.equal(out, 0)
    out = np.where(zero, 1, out)
    g = np.where(zero, 0, g)
    if ord == 2:
        return g * (x.conj() / out)
    nothing = np.equal(x, 0)
    size = np.where(nothing, 1, np.abs(x))
    towards = np.where(nothing, 0, x.conj()) / size
    return g * (towards * (size / out) ** (ord - 1))


@op(
    cases=(
        {"shapes": "(…)"},
        {"axis": -1, "shapes": "(…,n)"},
        {"axis": (0, 2), "keepdims": True, "shapes": "(n,m,k)"},
        {"ord": 3, "axis": 0, "shapes": "(n,…)"},
        {
            "ord": 1.5,
            "axis": -1,
            "keepdims": True,
            "shapes": "(…,n)",
            "domain": {"x": (1, math.inf)},
        },
    )
)
def norm(x: Array, ord: float = 2, axis: Axes = None, keepdims: bool = False) -> Array:  # noqa: A002
    """Return the p-norm over one axis; the Euclidean one over any, or all."""
    many = axis is None or isinstance(axis, tuple)
    return np.linalg.norm(x, None if many and ord == 2 else ord, axis, keepdims)


norm.defvjp(x=_norm_rule)


def _matrix_norm(x: Any, kind: Any, axis: tuple[int, int], keepdims: bool) -> Any:
    """Return a norm of the matrices in two axes."""
    rows, columns = axis
    if kind in {2, -2, "nuc"}:
        s = np.linalg.svd(np.moveaxis(x, axis, (-2, -1)), compute_uv=False)
        if kind == 2:
            values = np.max(s, axis=-1, initial=0)
        else:
            values = np.min(s, axis=-1) if kind == -2 else np.sum(s, axis=-1)
        return np.expand_dims(values, axis) if keepdims else values
    if kind in {1, -1, math.inf, -math.inf}:
        inner, outer = axis if abs(kind) == 1 else (columns, rows)
        sums = np.sum(np.abs(x), axis=inner, keepdims=True)
        values = (
            np.max(sums, axis=outer, keepdims=True, initial=0)
            if kind > 0
            else np.min(sums, axis=outer, keepdims=True)
        )
        return values if keepdims else np.squeeze(values, axis)
    raise ValueError(f"linalg.norm of matrices knows no ord={kind!r}")


@implements(np.linalg.norm)
def norm_of_any_kind(
    x: Any,
    ord: Any = None,  # noqa: A002 - NumPy's name
    axis: Any = None,
    keepdims: bool = False,
) -> Any:
    """Return any of NumPy's norms of vectors, over one axis, or of matrices, over two."""
    if axis is None and (ord is None or (ord, x.ndim) in {("fro", 2), ("f", 2), (2, 1)}):
        return norm(x, 2, None, keepdims)
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    if len(axes) == 2:
        if ord in {None, "fro", "f"}:
            return norm(x, 2, axes, keepdims)
        return _matrix_norm(x, ord, (axes[0], axes[1]), keepdims)
    if len(axes) != 1:
        raise ValueError(f"linalg.norm is over one axis or two; got axis={axis} of {x.ndim}")
    if ord in {"fro", "f", "nuc"}:
        raise ValueError(f"linalg.norm of vectors knows no ord={ord!r}")
    if ord == 0:
        return np.linalg.norm(x.detach().data, 0, axes[0], keepdims)
    if ord == math.inf:
        return np.max(np.abs(x), axis=axes, keepdims=keepdims, initial=0)
    if ord == -math.inf:
        return np.min(np.abs(x), axis=axes, keepdims=keepdims)
    if ord == 1:
        return np.sum(np.abs(x), axis=axes, keepdims=keepdims)
    return norm(x, 2 if ord is None else ord, axes[0], keepdims)


@implements(np.linalg.vector_norm)
def vector_norm(
    x: Any,
    /,
    *,
    axis: Any = None,
    keepdims: bool = False,
    ord: Any = 2,  # noqa: A002
) -> Any:
    """Return the norm of all entries, or of those along axes, as a vector."""
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    if len(axes) == 1:
        return norm_of_any_kind(x, ord, axes[0], keepdims)
    rest = [k for k in range(x.ndim) if k not in axes]
    lengths = [x.shape[k] for k in rest]
    length = math.prod(x.shape[k] for k in axes)
    vectors = np.reshape(np.transpose(x, (*axes, *rest)), (length, *lengths))
    result = norm_of_any_kind(vectors, ord, 0)
    return np.expand_dims(result, axes) if keepdims else result


@implements(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:  # noqa: A002
    """Return the norm of each matrix in the last two axes."""
    return norm_of_any_kind(x, ord, (-2, -1), keepdims)


@implements(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    """Return how much a relative error may grow when each matrix is inverted."""
    infinite = np.isinf(np.linalg.cond(unboxed(x), p))
    if infinite.any():
        regular = np.where(infinite[..., None, None], np.eye(*x.shape[-2:], dtype=x.dtype), x)
        pole = np.exp(math.inf + 0 * np.sum(np.real(x), (-2, -1)))  # its slope: infinity times 0
        return np.where(infinite, pole, cond(regular, p))
    if p not in {None, 2, -2}:  # NumPy inverts in double precision
        inverse = np.linalg.inv(x.astype(np.result_type(x.dtype, np.float64)))
        product = norm_of_any_kind(x, p, (-2, -1)) * norm_of_any_kind(inverse, p, (-2, -1))
        return product.astype(x.real.dtype)
    s = np.linalg.svd(x, compute_uv=False)
    return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
