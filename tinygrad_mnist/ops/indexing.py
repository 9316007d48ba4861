"""Reading and replacing entries by their place; the adjoint of each reading is a scatter."""

from __future__ import annotations

import math
from types import EllipsisType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_mnist.graph import unboxed
from tinygrad_mnist.operation import op
from tinygrad_mnist.protocols import implements

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinygrad_mnist.graph import Array

_BASIC = (int, np.integer, slice, EllipsisType, type(None))


def _repeats_nothing(index: Any) -> bool:
    """Return whether an index is made of integers, slices and masks, so names no entry twice."""
    entries = index if isinstance(index, tuple) else (index,)
    return all(isinstance(e, _BASIC) or _is_mask(e) for e in entries)


def _is_mask(entry: Any) -> bool:
    return hasattr(entry, "dtype") and entry.dtype.kind == "b"


def along(axis: int, ndim: int, entry: Any) -> tuple[Any, ...]:
    """Return the index that is `entry` along one axis and all of the others."""
    return (slice(None),) * (axis % ndim) + (entry,)


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


def scatter_along(g: Any, indices: Any, axis: int | None, arr_shape: tuple[int, ...]) -> Any:
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


take_along_axis.defvjp(arr=scatter_along, indices=None)


def _flat(a: Any, axis: int | None) -> tuple[Any, int]:
    """Return an array and its axis; without an axis, all entries along one."""
    return (a, axis % np.ndim(a)) if axis is not None else (np.ravel(a), 0)


_TURNED: dict[str, Callable[..., Any]] = {  # how `take` reads indices that are out of bounds
    "raise": lambda indices, _: indices,
    "wrap": np.remainder,
    "clip": lambda indices, n: np.clip(indices, 0, n - 1),
}


@implements(np.take)
def take(a: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
    """Return entries, or slices along an axis, by their place."""
    if mode not in _TURNED:
        raise ValueError(f"take got mode={mode!r}; it must be one of {', '.join(_TURNED)}")
    a, axis = _flat(a, axis)
    places = _TURNED[mode](np.asarray(indices), a.shape[axis])
    return a[along(axis, a.ndim, places)]


@implements(np.compress)
def compress(condition: Any, a: Any, axis: int | None = None) -> Any:
    """Return the slices along an axis for which a condition holds."""
    return take(a, np.flatnonzero(condition), axis)


@implements(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    """Return the entries for which a condition holds."""
    return take(arr, np.flatnonzero(condition))


@implements(np.delete)
def delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    """Return all slices along an axis but some."""
    arr, axis = _flat(arr, axis)
    stays = np.zeros(arr.shape[axis], dtype=bool)
    stays[np.delete(np.arange(stays.size), unboxed(obj))] = True
    return arr[along(axis, arr.ndim, stays)]


@implements(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    """Return an array with values put in before the given places along an axis."""
    arr, axis = _flat(arr, axis)
    n = arr.shape[axis]
    places = np.arange(n)[obj] if isinstance(obj, slice) else np.asarray(obj)
    if places.dtype == bool:
        places = np.flatnonzero(places)
    if not places.size:
        places = places.astype(np.intp)
    if not hasattr(values, "dtype"):
        values = np.asarray(values)
    values = np.reshape(values, (*[1] * (arr.ndim - values.ndim), *values.shape))
    if not places.ndim:
        values = np.moveaxis(values, 0, axis)
    count = values.shape[axis] if places.size == 1 else places.size
    shape = (*arr.shape[:axis], count, *arr.shape[axis + 1 :])
    values = np.broadcast_to(values, shape).astype(arr.dtype)
    # where each slice of the result comes from: the array, or the values behind it
    order = np.insert(np.arange(n), places, n + np.arange(count))
    return np.concatenate([arr, values], axis)[along(axis, arr.ndim, order)]


@implements(np.trim_zeros)
def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """Return an array without the zeros at the front and the back of its axes."""
    if sorted(trim.lower()) not in (["b", "f"], ["b"], ["f"]):
        raise ValueError(f"trim is {trim!r}; it must be 'f', 'b' or 'fb'")
    axes = range(filt.ndim) if axis is None else normalize_axis_tuple(axis, filt.ndim)
    index: list[slice] = [slice(None)] * filt.ndim
    for k, places in enumerate(np.argwhere(unboxed(filt)).T):
        if k in axes:
            some = bool(places.size)  # else all are zeros, and nothing is left
            start = places.min() if some and "f" in trim.lower() else None
            stop = places.max() + 1 if some and "b" in trim.lower() else None
            index[k] = slice(start, stop) if some else slice(0)
    return filt[tuple(index)]


def _unwindowed(g: Any, x_shape: tuple[int, ...], window: Any, axis: Any) -> Any:
    """Return the sum of what reached each entry in all windows that it is in."""
    places = np.arange(math.prod(x_shape)).reshape(x_shape)
    places = np.lib.stride_tricks.sliding_window_view(places, window, axis)
    return np.reshape(scatter(g, places, (math.prod(x_shape),)), x_shape)


@op(
    cases=(
        {"window": 2, "shapes": "(5)"},
        {"window": (2, 1), "shapes": "(3,2)"},
        {"window": 3, "axis": -1, "shapes": "(n,4)"},
    ),
)
def sliding_window_view(
    x: Array, window: int | tuple[int, ...], axis: int | tuple[int, ...] | None = None
) -> Array:
    """Return all windows of a shape into an array, which overlap, as a view."""
    return np.lib.stride_tricks.sliding_window_view(x, window, axis)


sliding_window_view.defvjp(x=_unwindowed, window=None)


@implements(np.lib.stride_tricks.sliding_window_view)
def windows(x: Any, window_shape: Any, axis: Any = None, **_: bool) -> Any:
    """Call `sliding_window_view` with NumPy's names; a Tensor's array has no subclass to keep."""
    return sliding_window_view(x, window_shape, axis)


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
