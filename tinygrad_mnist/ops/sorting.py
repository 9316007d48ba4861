"""Order: sorted entries, medians and quantiles, distinct values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.graph import unboxed
from tinygrad_mnist.operation import op
from tinygrad_mnist.ops.indexing import getitem
from tinygrad_mnist.ops.shape import astype
from tinygrad_mnist.protocols import implements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinygrad_mnist.graph import Array

# Sorting: the gradient goes where the entry came from ---------------------------------------------


def _back_to_places(g: Any, a: Any, out: Any, axis: int | None) -> Any:
    """Return `g` where each entry of `out`, a permutation of `a` along an axis, came from."""
    if axis is None:
        return np.reshape(_back_to_places(g, np.ravel(a), out, 0), a.shape)
    to, at = (np.argsort(array, axis, kind="stable") for array in (a, out))
    g = np.take_along_axis(g, at, axis)
    return np.take_along_axis(g, np.argsort(to, axis), axis)


@op(
    cases=(
        {"shapes": "(…,n)"},
        {"axis": 0, "kind": "stable", "shapes": "(n,…)"},
        {"axis": None, "shapes": "(…)"},
    ),
    implements=(np.sort,),
)
def sort(
    a: Array,
    axis: int | None = -1,
    kind: Any = None,
    order: Any = None,
    *,
    stable: bool | None = None,
) -> Array:
    """Return the entries in order, the smallest first and NaN last."""
    return np.sort(a, axis, kind, order, stable=stable)


sort.defvjp(a=_back_to_places)


@op(
    cases=(
        {"kth": 1, "shapes": "(…,3)"},
        {"kth": [0, 2], "axis": 0, "shapes": "(4,…)"},
        {"kth": 2, "axis": None, "shapes": "(2,2)"},
    ),
    implements=(np.partition,),
)
def partition(
    a: Array,
    kth: int | Sequence[int],
    axis: int | None = -1,
    kind: Any = "introselect",
    order: Any = None,
) -> Array:
    """Return the entries so that the `kth` is where sorting puts it, smaller ones before it."""
    return np.partition(a, kth, axis, kind, order)


partition.defvjp(a=_back_to_places, kth=None)


@implements(np.sort_complex)
def sort_complex(a: Any) -> Any:
    """Return the entries as complex numbers, in the order of real parts, then of imaginary ones."""
    kind = np.sort_complex(np.zeros_like(unboxed(a), shape=(0,))).dtype
    a = np.sort(a)
    return a if a.dtype == kind else astype(a, kind)


# Distinct values: the gradient goes to the first entry that has the value -------------------------


def _first(pool: Any, values: Any) -> Any:
    """Return for each of `values` the place in `pool`, a vector, where it stands first."""
    order = np.argsort(pool, kind="stable")
    return order[np.searchsorted(pool[order], values)]


def _picked(pool: Any, values: Any) -> Any:
    """Return `values`, which are plain, as entries of `pool`."""
    return getitem(pool, _first(unboxed(pool), values))


def _pool(*arrays: Any) -> Any:
    """Return the entries of all arrays in a row."""
    return np.concatenate([np.ravel(array) for array in arrays])


@implements(np.unique)
def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    **options: Any,
) -> Any:
    """Return the distinct values in order, or the distinct rows along an axis.

    On request also, as plain arrays, where each stands first, which of them each entry is, and how
    often each occurs.
    """
    options |= {"return_index": True, "return_inverse": return_inverse}
    options |= {"return_counts": return_counts, "axis": axis}
    values, places, *more = np.unique(unboxed(ar), **options)
    values = _picked(np.ravel(ar), values) if axis is None else np.take(ar, places, axis)
    found = (values, *([places] if return_index else []), *more)
    return found if len(found) > 1 else values


def _with_values(found: Any, x: Any) -> Any:
    """Return NumPy's named results with the values as entries of `x`."""
    return found._replace(values=_picked(np.ravel(x), found.values))


@implements(np.unique_all)
def unique_all(x: Any) -> Any:
    """Return distinct values; places, which is which, and counts as plain arrays."""
    return _with_values(np.unique_all(unboxed(x)), x)


@implements(np.unique_counts)
def unique_counts(x: Any) -> Any:
    """Return distinct values, and how often each occurs as a plain array."""
    return _with_values(np.unique_counts(unboxed(x)), x)


@implements(np.unique_inverse)
def unique_inverse(x: Any) -> Any:
    """Return distinct values, and which of them each entry is as a plain array."""
    return _with_values(np.unique_inverse(unboxed(x)), x)


@implements(np.unique_values)
def unique_values(x: Any) -> Any:
    """Return distinct values."""
    return _picked(np.ravel(x), np.unique_values(unboxed(x)))


@implements(np.union1d)
def union1d(ar1: Any, ar2: Any) -> Any:
    """Return the distinct values of two arrays."""
    return _picked(_pool(ar1, ar2), np.union1d(unboxed(ar1), unboxed(ar2)))


@implements(np.intersect1d)
def intersect1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False
) -> Any:
    """Return the values that both arrays have; the gradient is the first array's."""
    options: Any = {"assume_unique": assume_unique, "return_indices": True}
    values, *places = np.intersect1d(unboxed(ar1), unboxed(ar2), **options)
    values = _picked(_pool(ar1, ar2), values)
    return (values, *places) if return_indices else values


@implements(np.setdiff1d)
def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """Return the values of the first array that the second has not."""
    return _picked(np.ravel(ar1), np.setdiff1d(unboxed(ar1), unboxed(ar2), assume_unique))


@implements(np.setxor1d)
def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """Return the values that one array has and the other has not."""
    return _picked(_pool(ar1, ar2), np.setxor1d(unboxed(ar1), unboxed(ar2), assume_unique))
