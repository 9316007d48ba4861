"""Many entries become one: sums, means, variances, extremes, products."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.operation import op

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array

    Axes = int | tuple[int, ...] | None

_CASES: tuple[dict[str, Any], ...] = (
    {"shapes": "(…)"},
    {"axis": 0, "shapes": "(n,…)"},
    {"axis": -1, "keepdims": True, "shapes": "(…,n)"},
    {"axis": (0, -1), "shapes": "(a,b,c)"},
    {"axis": (), "shapes": "(…)"},
    {"where": [True, False, True], "shapes": "(…,3)"},
)


_add_up: Any = np.add.reduce  # np.sum takes twice the time


def spread(g: Any, axis: Axes, keepdims: bool) -> Any:
    """Return `g`, a reduction's result, with the reduced axes back at length 1."""
    return g if keepdims or axis is None else np.expand_dims(g, axis)


def _count(g: Any, a_shape: tuple[int, ...], axis: Axes, keepdims: bool, where: Any) -> Any:
    """Return how many entries each result was made of."""
    if where is True:
        return math.prod(a_shape) // (g.size or 1)  # g has the result's shape
    return np.sum(np.broadcast_to(where, a_shape), axis=axis, keepdims=keepdims)


def _shared_out(g: Any, a_shape: tuple[int, ...], axis: Axes, keepdims: bool, where: Any) -> Any:
    """Return `g` for each entry that went into it."""
    g = np.broadcast_to(spread(g, axis, keepdims), a_shape)
    return g if where is True else np.where(where, g, 0)


@op(cases=_CASES, implements=(np.sum,))
def sum(
    a: Array,
    axis: Axes = None,
    dtype: Any = None,
    *,
    keepdims: bool = False,
    initial: float = 0,
    where: Any = True,
) -> Array:
    """Add up entries, over all axes or those named."""
    if where is True and initial == 0:
        return _add_up(a, axis, dtype, None, keepdims)
    return np.sum(a, axis, dtype, keepdims=keepdims, initial=initial, where=where)


sum.defvjp(a=_shared_out)


def _mean_rule(g: Any, a_shape: tuple[int, ...], axis: Axes, keepdims: bool, where: Any) -> Any:
    n = np.maximum(_count(g, a_shape, axis, keepdims, where), 1)
    return _shared_out(g / n, a_shape, axis, keepdims, where)


@op(cases=_CASES, implements=(np.mean,))
def mean(
    a: Array, axis: Axes = None, dtype: Any = None, *, keepdims: bool = False, where: Any = True
) -> Array:
    """Return the arithmetic mean over all axes or those named."""
    return np.mean(a, axis, dtype, keepdims=keepdims, where=where)


mean.defvjp(a=_mean_rule)
