"""Several arrays become one, and one becomes several: joining, stacking, splitting."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.operation import op
from tinygrad_mnist.ops.indexing import along, scatter
from tinygrad_mnist.protocols import implements, newer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinygrad_mnist.graph import Array

# Joining ----------------------------------------------------------------------------------------


def _piece(g: Any, i: int | None, arrays_shape: Any, axis: int | None) -> Any:
    """Return the part of the cotangent that belongs to member `i`, or to an array of members."""
    if i is None:  # the list was itself one array, whose first axis counts the members
        if axis is None:
            return np.reshape(g, arrays_shape)
        return np.stack(np.split(g, arrays_shape[0], axis))
    sizes = [math.prod(shape) if axis is None else shape[axis] for shape in arrays_shape]
    start = sum(sizes[:i])
    piece = g[along(axis or 0, g.ndim, slice(start, start + sizes[i]))]
    return piece.reshape(arrays_shape[i])


@op(
    shapes="(…),(…)",
    cases=(
        {"axis": None},
        {"shapes": "(a,n),(b,n)"},
        {"axis": -1, "shapes": "(n,a),(n,b),(n,1)"},
    ),
    implements=(np.concatenate,),
)
def concatenate(
    arrays: Sequence[Array],
    axis: int | None = 0,
    dtype: Any = None,
    casting: Any = "same_kind",
) -> Array:
    """Join arrays along an axis that they have; with ``axis=None``, all their entries."""
    return np.concatenate(arrays, axis, dtype=dtype, casting=casting)


concatenate.defvjp(arrays=_piece)


def _layer(g: Any, i: int | None, axis: int) -> Any:
    if i is None:
        return np.moveaxis(g, axis, 0)
    return g[along(axis, g.ndim, i)]


@op(
    cases=(
        {"shapes": "(n,m),(n,m)"},
        {"axis": -1, "shapes": "(n,m),(n,m),(n,m)"},
        {"axis": 1, "shapes": "(n),(n)"},
        {"shapes": "(),()"},
    ),
    implements=(np.stack,),
)
def stack(
    arrays: Sequence[Array], axis: int = 0, dtype: Any = None, casting: Any = "same_kind"
) -> Array:
    """Join arrays of one shape along a new axis."""
    return np.stack(arrays, axis, dtype=dtype, casting=casting)


stack.defvjp(arrays=_layer)


@implements(np.vstack, getattr(np, "row_stack", np.vstack))  # NumPy 2.5 has one name for it
def vstack(tup: Any, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    """Join arrays along the first axis; a vector is a row."""
    return concatenate([np.atleast_2d(a) for a in tup], 0, dtype, casting)


@implements(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    """Join arrays along the second axis, vectors along their only one."""
    arrays = [np.atleast_1d(a) for a in tup]
    return concatenate(arrays, 0 if arrays[0].ndim == 1 else 1, dtype, casting)


@implements(np.dstack)
def dstack(tup: Any) -> Any:
    """Join arrays along the third axis."""
    return concatenate([np.atleast_3d(a) for a in tup], 2)


@implements(np.column_stack)
def column_stack(tup: Any) -> Any:
    """Join arrays along the second axis; a vector is a column."""
    return concatenate([a if np.ndim(a) > 1 else np.atleast_2d(a).T for a in tup], 1)


@implements(np.append)
def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """Join two arrays along an axis, or all their entries."""
    return concatenate(
        [np.ravel(arr), np.ravel(values)] if axis is None else [arr, values], axis or 0
    )


@implements(np.block)
def block(arrays: Any) -> Any:
    """Join nested lists of arrays: the innermost along the last axis, the next before it, ..."""
    depth = _depth(arrays)
    ndim = max(depth, *map(np.ndim, _leaves(arrays)))
    return np.copy(_joined_blocks(arrays, ndim, ndim - depth))


def _leaves(nested: Any) -> list[Any]:
    return [v for part in nested for v in _leaves(part)] if isinstance(nested, list) else [nested]


def _depth(nested: Any) -> int:
    """Return how deep lists are nested, the same everywhere."""
    if isinstance(nested, tuple):
        raise TypeError("block takes nested lists of arrays; got a tuple: make it a list")
    if not isinstance(nested, list):
        return 0
    depths = {_depth(part) for part in nested}
    if len(depths) != 1:
        raise ValueError("block needs lists that are nested equally deep, and none of them empty")
    return 1 + depths.pop()


def _joined_blocks(nested: Any, ndim: int, axis: int) -> Any:
    if not isinstance(nested, list):
        return np.reshape(nested, (*[1] * (ndim - np.ndim(nested)), *np.shape(nested)))
    return concatenate([_joined_blocks(part, ndim, axis + 1) for part in nested], axis)


# Splitting --------------------------------------------------------------------------------------


def _joined(g: Any, ary_shape: tuple[int, ...], indices_or_sections: Any, axis: int) -> Any:
    """Return the pieces' cotangents in the pieces' places; a piece without one counts as zeros."""
    axis %= len(ary_shape)
    before, after = ary_shape[:axis], ary_shape[axis + 1 :]
    places = np.array_split(np.arange(ary_shape[axis]), indices_or_sections)
    some = next(piece for piece in g if piece is not None)
    pieces = [
        np.zeros_like(some, shape=(*before, len(place), *after)) if piece is None else piece
        for piece, place in zip(g, places, strict=True)
    ]
    joined = np.concatenate(pieces, axis)
    if joined.shape == ary_shape:
        return joined
    # indices that go backwards cut overlapping pieces
    return scatter(joined, along(axis, joined.ndim, np.concatenate(places)), ary_shape)


@op(
    cases=(
        {"indices_or_sections": 3, "shapes": "(5,…)"},
        {"indices_or_sections": [1, 3], "axis": -1, "shapes": "(…,4)"},
        {"indices_or_sections": [2, 9], "axis": 1, "shapes": "(n,3)"},
        {"indices_or_sections": [2, 1], "shapes": "(3)"},
    ),
    implements=(np.array_split,),
)
def array_split(ary: Array, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Array]:
    """Cut an array along an axis: into about equal sections, or before the given indices."""
    return np.array_split(ary, indices_or_sections, axis)


array_split.defvjp(ary=_joined, indices_or_sections=None)


@implements(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    """Cut an array along an axis: into equal sections, or before the given indices."""
    n = np.shape(ary)[axis]
    if not np.ndim(indices_or_sections) and n % indices_or_sections:
        raise ValueError(
            f"split into {indices_or_sections} equal sections needs an axis of a multiple of that; "
            f"got {n} entries: use array_split"
        )
    return array_split(ary, indices_or_sections, axis)


@implements(np.vsplit)
def vsplit(ary: Any, indices_or_sections: Any) -> Any:
    """Cut an array along its first axis."""
    return _split_along(0, 2, ary, indices_or_sections)


@implements(np.hsplit)
def hsplit(ary: Any, indices_or_sections: Any) -> Any:
    """Cut an array along its second axis, a vector along its only one."""
    return _split_along(min(1, ary.ndim - 1), 1, ary, indices_or_sections)


@implements(np.dsplit)
def dsplit(ary: Any, indices_or_sections: Any) -> Any:
    """Cut an array along its third axis."""
    return _split_along(2, 3, ary, indices_or_sections)


def _split_along(axis: int, least: int, ary: Any, indices_or_sections: Any) -> Any:
    if ary.ndim < least:
        raise ValueError(f"this split needs an array of {least} axes or more; got {ary.ndim}")
    return split(ary, indices_or_sections, axis)


@implements(*newer("unstack"))
def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """Cut an array into all its slices along an axis."""
    if not x.ndim:
        raise ValueError("unstack needs at least one axis; got a 0-d array")
    n = x.shape[axis]
    return tuple(np.squeeze(piece, axis) for piece in array_split(x, n, axis)) if n else ()
