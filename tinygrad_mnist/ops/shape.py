"""The same numbers in another shape, order or type: reshaping, axes, joining, splitting."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tinygrad_mnist.operation import op
from tinygrad_mnist.ops.indexing import scatter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinygrad_mnist.graph import Array

    Axes = int | tuple[int, ...] | None
    Order = Literal["C", "F"]


def _in_c_or_fortran_order(order: Order) -> Order:
    if order not in {"C", "F"}:
        raise ValueError(f"order is {order!r}; it must be 'C' or 'F', for others depend on memory")
    return order


def _along(axis: int, ndim: int, entry: Any) -> tuple[Any, ...]:
    """Return the index that is `entry` along one axis and all of the others."""
    return (slice(None),) * (axis % ndim) + (entry,)


# Reshaping --------------------------------------------------------------------------------------


@op(
    shapes="(…)",
    cases=({"dtype": np.float64},),
    implements=(np.astype,) if hasattr(np, "astype") else (),  # new in NumPy 2.1
)
def astype(x: Array, dtype: Any, copy: bool = True) -> Array:
    """Return `x` with another dtype; integers and booleans have no gradient."""
    return x.astype(dtype, copy=copy)


astype.defvjp(x=lambda g: g, dtype=None)


@op(
    shapes="(…)",
    cases=(
        {"shape": (2, 4, 3), "shapes": "(3)"},
        {"shape": (2, 3), "shapes": "(1,3)"},
        {"shape": (3,), "shapes": "()"},
        {"shape": (0, 2), "shapes": "(2)"},
    ),
    implements=(np.broadcast_to,),
)
def broadcast_to(array: Array, shape: int | tuple[int, ...]) -> Array:
    """Repeat `array` along new axes and those of length 1, to the given shape, without a copy."""
    return np.broadcast_to(array, shape)


broadcast_to.defvjp(array=lambda g: g, shape=None)


@op(shapes="(…)", implements=(np.copy,))
def copy(a: Array, order: Literal["K", "A", "C", "F"] = "K") -> Array:
    """Return a copy."""
    return np.copy(a, order)


copy.defvjp(a=lambda g: g)


@op(
    cases=(
        {"axis": 0, "shapes": "(…)"},
        {"axis": -1, "shapes": "(…)"},
        {"axis": (0, 2), "shapes": "(n,…)"},
    ),
    implements=(np.expand_dims,),
)
def expand_dims(a: Array, axis: int | tuple[int, ...]) -> Array:
    """Insert axes of length 1, which then stand at `axis`."""
    return np.expand_dims(a, axis)


expand_dims.defvjp(a=lambda g, a_shape: g.reshape(a_shape), axis=None)


@op(cases=({"a": np.zeros((2, 3)), "shapes": "()"},), implements=(np.full_like,))
def full_like(
    a: Array, fill_value: Array, dtype: Any = None, *, shape: int | tuple[int, ...] | None = None
) -> Array:
    """Return `fill_value`, repeated to the shape of `a` (or `shape`), with the dtype of `a`."""
    return np.full_like(a, fill_value, dtype, shape=shape)


full_like.defvjp(a=None, fill_value=lambda g: g)


@op(shapes="(…)", cases=({}, {"order": "F"}), implements=(np.ravel,))
def ravel(a: Array, order: Order = "C") -> Array:
    """Return all entries along one axis."""
    return np.ravel(a, _in_c_or_fortran_order(order))


ravel.defvjp(a=lambda g, a_shape, order: g.reshape(a_shape, order=order))


@op(
    cases=(
        {"shape": -1, "shapes": "(…)"},
        {"shape": (3, -1), "shapes": "(2,3)"},
        {"shape": (2, 6), "shapes": "(3,4)", "order": "F"},
        {"shape": (), "shapes": "(1,1)"},
        {"shape": (2, 0), "shapes": "(0,3)"},
    ),
    implements=(np.reshape,),
)
def reshape(a: Array, shape: int | tuple[int, ...], order: Order = "C") -> Array:
    """Return the entries of `a`, in order, with another shape."""
    return np.reshape(a, shape, order=_in_c_or_fortran_order(order))


reshape.defvjp(a=lambda g, a_shape, order: g.reshape(a_shape, order=order), shape=None)


@op(
    cases=(
        {"shapes": "(…)"},
        {"axis": 0, "shapes": "(1,…)"},
        {"axis": (0, -1), "shapes": "(1,n,1)"},
    ),
    implements=(np.squeeze,),
)
def squeeze(a: Array, axis: Axes = None) -> Array:
    """Remove axes of length 1: all of them, or those named."""
    return np.squeeze(a, axis)


squeeze.defvjp(a=lambda g, a_shape: g.reshape(a_shape))

# Order of axes and entries ----------------------------------------------------------------------


@op(
    cases=(
        {"shapes": "(…)"},
        {"axis": 0, "shapes": "(n,…)"},
        {"axis": (0, -1), "shapes": "(a,b,c)"},
    ),
    implements=(np.flip,),
)
def flip(m: Array, axis: Axes = None) -> Array:
    """Reverse the order of entries along all axes, or those named."""
    return np.flip(m, axis)


flip.defvjp(m=lambda g, axis: np.flip(g, axis=axis))


@op(
    cases=(
        {"source": 0, "destination": -1, "shapes": "(n,…)"},
        {"source": (0, 1), "destination": (-1, 0), "shapes": "(a,b,c)"},
    ),
    implements=(np.moveaxis,),
)
def moveaxis(a: Array, source: int | tuple[int, ...], destination: int | tuple[int, ...]) -> Array:
    """Move axes to other places; the others keep their order."""
    return np.moveaxis(a, source, destination)


moveaxis.defvjp(
    a=lambda g, source, destination: np.moveaxis(g, destination, source),
    source=None,
    destination=None,
)


@op(
    cases=(
        {"axis1": 0, "axis2": -1, "shapes": "(n,…)"},
        {"axis1": 1, "axis2": 2, "shapes": "(a,b,c)"},
    ),
    implements=(np.swapaxes,),
)
def swapaxes(a: Array, axis1: int, axis2: int) -> Array:
    """Exchange two axes."""
    return np.swapaxes(a, axis1, axis2)


swapaxes.defvjp(a=lambda g, axis1, axis2: g.swapaxes(axis1, axis2), axis1=None, axis2=None)


def _transposed_back(g: Any, axes: tuple[int, ...] | None) -> Any:
    return np.transpose(g, None if axes is None else np.argsort([k % g.ndim for k in axes]))


@op(
    cases=(
        {"shapes": "(…)"},
        {"axes": (2, 0, 1), "shapes": "(a,b,c)"},
        {"axes": (0, -1, 1), "shapes": "(a,b,c)"},
    ),
    implements=(np.transpose,),
)
def transpose(a: Array, axes: Sequence[int] | None = None) -> Array:
    """Put axes in another order; without `axes`, in the reverse one."""
    return np.transpose(a, axes)


transpose.defvjp(a=_transposed_back)

# Joining and splitting --------------------------------------------------------------------------


def _piece(g: Any, i: int | None, arrays_shape: Any, axis: int | None) -> Any:
    """Return the part of the cotangent that belongs to member `i`, or to an array of members."""
    if i is None:  # the list was itself one array, whose first axis counts the members
        if axis is None:
            return np.reshape(g, arrays_shape)
        return np.stack(np.split(g, arrays_shape[0], axis))
    sizes = [math.prod(shape) if axis is None else shape[axis] for shape in arrays_shape]
    start = sum(sizes[:i])
    piece = g[_along(axis or 0, g.ndim, slice(start, start + sizes[i]))]
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
def concatenate(arrays: Sequence[Array], axis: int | None = 0, dtype: Any = None) -> Array:
    """Join arrays along an axis that they have; with ``axis=None``, all their entries."""
    return np.concatenate(arrays, axis, dtype=dtype)


concatenate.defvjp(arrays=_piece)


def _layer(g: Any, i: int | None, axis: int) -> Any:
    if i is None:
        return np.moveaxis(g, axis, 0)
    return g[_along(axis, g.ndim, i)]


@op(
    cases=(
        {"shapes": "(n,m),(n,m)"},
        {"axis": -1, "shapes": "(n,m),(n,m),(n,m)"},
        {"axis": 1, "shapes": "(n),(n)"},
        {"shapes": "(),()"},
    ),
    implements=(np.stack,),
)
def stack(arrays: Sequence[Array], axis: int = 0, dtype: Any = None) -> Array:
    """Join arrays of one shape along a new axis."""
    return np.stack(arrays, axis, dtype=dtype)


stack.defvjp(arrays=_layer)


def _joined(g: Any, ary_shape: tuple[int, ...], indices_or_sections: Any, axis: int) -> Any:
    """Return the pieces' cotangents in the pieces' places; a piece without one counts as zeros."""
    axis %= len(ary_shape)
    before, after = ary_shape[:axis], ary_shape[axis + 1 :]
    places = np.split(np.arange(ary_shape[axis]), indices_or_sections)
    some = next(piece for piece in g if piece is not None)
    pieces = [
        np.zeros_like(some, shape=(*before, len(place), *after)) if piece is None else piece
        for piece, place in zip(g, places, strict=True)
    ]
    joined = np.concatenate(pieces, axis)
    if joined.shape == ary_shape:
        return joined
    # indices that go backwards cut overlapping pieces
    return scatter(joined, _along(axis, joined.ndim, np.concatenate(places)), ary_shape)


@op(
    cases=(
        {"indices_or_sections": 2, "shapes": "(4,…)"},
        {"indices_or_sections": [1, 3], "axis": -1, "shapes": "(…,4)"},
        {"indices_or_sections": [2, 9], "axis": 1, "shapes": "(n,3)"},
        {"indices_or_sections": [2, 1], "shapes": "(3)"},
    ),
    implements=(np.split,),
)
def split(ary: Array, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Array]:
    """Cut an array along an axis: into equal sections, or before the given indices."""
    return np.split(ary, indices_or_sections, axis)


split.defvjp(ary=_joined, indices_or_sections=None)
