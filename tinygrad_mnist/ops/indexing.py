"""Reading and replacing entries by their place; the adjoint of each reading is a scatter."""

from __future__ import annotations

import math
from types import EllipsisType
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.operation import op

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array

_BASIC = (int, np.integer, slice, EllipsisType, type(None))


def _repeats_nothing(index: Any) -> bool:
    """Return whether an index is made of integers, slices and masks, so names no entry twice."""
    entries = index if isinstance(index, tuple) else (index,)
    return all(isinstance(e, _BASIC) or _is_mask(e) for e in entries)


def _is_mask(entry: Any) -> bool:
    return hasattr(entry, "dtype") and entry.dtype.kind == "b"


# Any index --------------------------------------------------------------------------------------


@op(
    selects=True,
    cases=(
        {"index": 0, "shapes": "(3,…)"},
        {"index": (..., -1), "shapes": "(…,2)"},
        {"index": (slice(None, None, -2), None), "shapes": "(n,…)"},
        {"index": (slice(1, 3), 0), "shapes": "(4,2)"},
        {"index": [0, 2, 0, -1], "shapes": "(3,…)"},
        {"index": (np.array([[0, 1], [1, 1]]), slice(None), np.array([2, 0])), "shapes": "(2,n,3)"},
        {"index": np.array([[True, False], [True, True]]), "shapes": "(2,2,…)"},
        {"index": np.ix_([1, 0], [2, 2]), "shapes": "(2,3)"},
        {"index": (), "shapes": "(…)"},
        {"index": ..., "shapes": "(…)"},
    ),
)
def getitem(x: Array, index: Any) -> Array:
    """Return ``x[index]``, for every index that NumPy knows."""
    return x[index]


@op(
    cases=(
        {"index": (slice(None), 1), "shape": (2, 3), "shapes": "(2)"},
        {"index": np.array([1, 0, 1]), "shape": (2, 3), "shapes": "(3,3)"},
        {"index": np.array([True, False, True]), "shape": (3,), "shapes": "(2)"},
    )
)
def scatter(values: Array, index: Any, shape: tuple[int, ...]) -> Array:
    """Return zeros of a shape with `values` added at `index`, repeatedly where it says so."""
    total = np.zeros_like(values, shape=shape)
    if _repeats_nothing(index):
        total[index] = values
    else:
        np.add.at(total, index, values)
    return total


getitem.defvjp(x=lambda g, x_shape, index: scatter(g, index, x_shape), index=None)
scatter.defvjp(values=lambda g, index: g[index], index=None, shape=None)

# Along one axis ---------------------------------------------------------------------------------


def _scatter_along(g: Any, indices: Any, axis: int | None, arr_shape: tuple[int, ...]) -> Any:
    """Return zeros with `g` added at indices along an axis, all other axes walked in step."""
    if axis is None:
        return np.reshape(scatter(g, indices, (math.prod(arr_shape),)), arr_shape)
    places = list(np.ix_(*map(np.arange, arr_shape)))
    places[axis] = indices
    return scatter(g, tuple(places), arr_shape)


@op(
    selects=True,
    cases=(
        {"indices": np.array([[0, 2, 2], [1, 0, 1]]), "axis": 1, "shapes": "(2,3)"},
        {"indices": np.array([[1, -1]]), "axis": 0, "shapes": "(3,2)"},
        {"indices": np.array([3, 3, 0]), "axis": None, "shapes": "(2,2)"},
    ),
    implements=(np.take_along_axis,),
)
def take_along_axis(arr: Array, indices: Array, axis: int | None = -1) -> Array:
    """Return entries by their place along an axis: with `argsort`'s indices, a sorted array."""
    return np.take_along_axis(arr, indices, axis)


take_along_axis.defvjp(arr=_scatter_along, indices=None)

# Replacing --------------------------------------------------------------------------------------


def _stays(index: Any, shape: tuple[int, ...]) -> Any:
    """Return, for every place that `index` names, whether what is written there stays there."""
    places = np.arange(math.prod(shape)).reshape(shape)[index]
    last = np.zeros(math.prod(shape), dtype=np.intp)
    order = np.arange(places.size).reshape(places.shape)
    last[places] = order
    return last[places] == order


def _set_value(g: Any, index: Any, t_shape: tuple[int, ...]) -> Any:
    """Return the cotangent of what was written, 0 where it was written over."""
    if _repeats_nothing(index):
        return g[index]
    return np.where(_stays(index, t_shape), g[index], 0)


@op(
    selects=True,
    cases=(
        {"index": (..., 0), "shapes": "(n,2),(n)"},
        {"index": slice(1, None), "shapes": "(3,n),(n)"},
        {"index": np.array([0, 1, 0]), "shapes": "(2,n),(3,n)"},
        {"index": np.array([True, False]), "shapes": "(2),(1)"},
    ),
)
def set_at(t: Array, index: Any, value: Array) -> Array:
    """Return a copy of `t` with `value` at `index`: what ``t[index] = value`` would make of it.

    Where an index names an entry several times, the last value stays.
    """
    result = np.copy(t)
    result[index] = value
    return result


set_at.defvjp(t=lambda g, index: set_at(g, index, 0), index=None, value=_set_value)
