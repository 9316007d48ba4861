"""Reading and replacing entries by their place; each reading's adjoint is a scatter."""

from __future__ import annotations

from types import EllipsisType
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.operation import op

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array

_BASIC = (int, slice, type(None), EllipsisType, np.integer)


def _repeats_nothing(index: Any) -> bool:
    """Return whether an index is made of integers, slices and masks: no entry twice."""
    entries = index if isinstance(index, tuple) else (index,)
    return all(
        isinstance(e, _BASIC) or getattr(getattr(e, "dtype", None), "kind", "") == "b"
        for e in entries
    )


_INDICES = (
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
)


@op(selects=True, cases=_INDICES)
def getitem(x: Array, index: Any) -> Array:
    """Return ``x[index]``, for every index that NumPy knows."""
    return x[index]


@op
def scatter(values: Array, index: Any, shape: tuple[int, ...]) -> Array:
    """Return zeros of a shape with `values` added at `index`; repeated places add up."""
    total = np.zeros_like(values, shape=shape)
    if _repeats_nothing(index):
        total[index] = values
    else:
        np.add.at(total, index, values)
    return total


getitem.defvjp(x=lambda g, index, x_shape: scatter(g, index, x_shape), index=None)
scatter.defvjp(values=lambda g, index: g[index], index=None, shape=None)
