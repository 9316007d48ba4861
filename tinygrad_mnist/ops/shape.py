"""The same numbers in another shape, order or type: reshaping, axes, copies of entries."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tinygrad_mnist.graph import unboxed
from tinygrad_mnist.operation import op
from tinygrad_mnist.ops.indexing import along, scatter
from tinygrad_mnist.protocols import implements, newer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinygrad_mnist.graph import Array

    Axes = int | tuple[int, ...] | None
    Order = Literal["C", "F"]


# Reshaping --------------------------------------------------------------------------------------


@op(
    shapes="(…)",
    cases=({"dtype": np.float64},),
    implements=newer("astype"),
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


def _in_c_or_fortran_order(order: Order) -> Order:
    if order not in {"C", "F"}:
        raise ValueError(f"order is {order!r}; it must be 'C' or 'F', for others depend on memory")
    return order


def _is_fortran(a: Any) -> bool:
    """Return whether the first axis is the fastest in memory; not asked of other libraries."""
    flags = getattr(unboxed(a), "flags", None)
    return bool(getattr(flags, "fnc", False))


@op(shapes="(…)", cases=({}, {"order": "F"}))
def ravel(a: Array, order: Order = "C") -> Array:
    """Return all entries along one axis."""
    return np.ravel(a, _in_c_or_fortran_order(order))


ravel.defvjp(a=lambda g, a_shape, order: g.reshape(a_shape, order=order))


@implements(np.ravel)
def ravel_in_any_order(a: Any, order: str = "C") -> Any:
    """Ravel also in the order A or K, which depend on how the array lies in memory."""
    if order == "K" and not _is_fortran(a):
        strides = np.abs(unboxed(a).strides)
        a, order = transpose(a, tuple(np.argsort(-strides, kind="stable"))), "C"
    return ravel(a, "CF"[_is_fortran(a)] if order in {"A", "K"} else order)


@op(
    cases=(
        {"shape": -1, "shapes": "(…)"},
        {"shape": (3, -1), "shapes": "(2,3)"},
        {"shape": (2, 6), "shapes": "(3,4)", "order": "F"},
        {"shape": (), "shapes": "(1,1)"},
        {"shape": (2, 0), "shapes": "(0,3)"},
    ),
)
def reshape(
    a: Array, shape: int | tuple[int, ...], order: Order = "C", copy: bool | None = None
) -> Array:
    """Return the entries of `a`, in order, with another shape."""
    options = {} if copy is None else {"copy": copy}  # new in NumPy 2.1
    return np.reshape(a, shape, order=_in_c_or_fortran_order(order), **options)


reshape.defvjp(a=lambda g, a_shape, order: g.reshape(a_shape, order=order), shape=None)


@implements(np.reshape)
def reshape_in_any_order(
    a: Any, /, shape: Any, order: str = "C", *, copy: bool | None = None
) -> Any:
    """Reshape also in the order A, which depends on how the array lies in memory."""
    return reshape(a, shape, "CF"[_is_fortran(a)] if order == "A" else order, copy)


def _at_least(ndim: int, a: Any) -> Any:
    """Return `a` with new axes in front until it has so many."""
    return np.reshape(a, (*[1] * (ndim - np.ndim(a)), *np.shape(a)))


def _each(function: Any, arrays: Any) -> Any:
    """Return what a function makes of one array, or a tuple of what it makes of several."""
    results = tuple(map(function, arrays))
    return results[0] if len(results) == 1 else results


@implements(np.atleast_1d)
def atleast_1d(*arys: Any) -> Any:
    """Return arrays of at least one axis."""
    return _each(lambda a: _at_least(1, a), arys)


@implements(np.atleast_2d)
def atleast_2d(*arys: Any) -> Any:
    """Return arrays of at least two axes, new ones in front."""
    return _each(lambda a: _at_least(2, a), arys)


@implements(np.atleast_3d)
def atleast_3d(*arys: Any) -> Any:
    """Return arrays of at least three axes: a vector stands in the middle one."""
    return _each(lambda a: a if np.ndim(a) > 2 else _at_least(2, a)[..., None], arys)


@implements(np.broadcast_arrays)
def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:  # noqa: ARG001
    """Return all arrays with the shape that they broadcast to together."""
    shape = np.broadcast_shapes(*map(np.shape, args))
    return tuple(np.broadcast_to(a, shape) for a in args)


@implements(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    """Return the coordinates of every point of a grid, an array for each axis."""
    if indexing not in {"xy", "ij"}:
        raise ValueError(f"indexing is {indexing!r}; it must be 'xy' or 'ij'")
    places = list(range(len(xi)))
    if indexing == "xy":
        places[:2] = places[:2][::-1]
    axes = [
        np.reshape(x, [-1 if k == place else 1 for k in range(len(xi))])
        for x, place in zip(xi, places, strict=True)
    ]
    grid = axes if sparse else np.broadcast_arrays(*axes)
    return tuple(map(np.copy, grid)) if copy else grid


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


@implements(np.fliplr)
def fliplr(m: Any) -> Any:
    """Reverse the second axis."""
    return np.flip(m, 1)


@implements(np.flipud)
def flipud(m: Any) -> Any:
    """Reverse the first axis."""
    return np.flip(m, 0)


@implements(np.matrix_transpose, np.linalg.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    """Exchange the last two axes."""
    if x.ndim < 2:
        raise ValueError(f"matrix_transpose needs at least two axes; got shape {x.shape}")
    return np.swapaxes(x, -1, -2)


@implements(np.rollaxis)
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """Move an axis back until it stands before another one."""
    axis = normalize_axis_index(axis, a.ndim)
    start = normalize_axis_index(start, a.ndim + 1) if start >= 0 else start + a.ndim
    return np.moveaxis(a, axis, start - (axis < start))


@op(
    cases=(
        {"shift": 1, "shapes": "(…)"},
        {"shift": -2, "axis": -1, "shapes": "(…,n)"},
        {"shift": (1, 2), "axis": (0, -1), "shapes": "(n,m)"},
    ),
    implements=(np.roll,),
)
def roll(a: Array, shift: int | tuple[int, ...], axis: Axes = None) -> Array:
    """Push the entries along axes; those that fall off the end come in again in front."""
    return np.roll(a, shift, axis)


roll.defvjp(a=lambda g, shift, axis: np.roll(g, np.negative(shift), axis), shift=None)


@implements(np.rot90)
def rot90(m: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> Any:
    """Turn a plane by 90 degrees, `k` times, from the first of its axes towards the second."""
    if len(axes) != 2:
        raise ValueError(f"rot90 turns a plane, which two axes span; got axes={axes}")
    one, two = normalize_axis_tuple(axes, m.ndim)
    if k % 2 == 0:
        return np.flip(m, (one, two) if k % 4 else ())
    return np.swapaxes(np.flip(m, two if k % 4 == 1 else one), one, two)


# Entries several times --------------------------------------------------------------------------


def _repeated(g: Any, a_shape: tuple[int, ...], repeats: Any, axis: int | None) -> Any:
    """Return the sum of what reached each entry."""
    shape = a_shape if a_shape and axis is not None else (math.prod(a_shape),)
    axis = (axis or 0) % len(shape)
    n = shape[axis]
    if np.size(repeats) == 1:
        g = np.reshape(g, (*shape[: axis + 1], int(np.reshape(repeats, ())), *shape[axis + 1 :]))
        total = np.sum(g, axis + 1)
    else:
        total = scatter(g, along(axis, len(shape), np.repeat(np.arange(n), repeats)), shape)
    return np.reshape(total, a_shape)


@op(
    cases=(
        {"repeats": 2, "shapes": "(…)"},
        {"repeats": 3, "axis": -1, "shapes": "(…,n)"},
        {"repeats": [1, 0, 2], "axis": 0, "shapes": "(3,…)"},
    ),
    implements=(np.repeat,),
)
def repeat(a: Array, repeats: int | Sequence[int], axis: int | None = None) -> Array:
    """Repeat each entry, or each slice along an axis: all equally often, or by a list of counts."""
    return np.repeat(a, repeats, axis)


repeat.defvjp(a=_repeated, repeats=None)


@implements(np.tile)
def tile(A: Any, reps: Any) -> Any:
    """Return copies of the whole array side by side, so many along each axis."""
    counts = list(reps) if np.ndim(reps) else [reps]
    counts = [1] * (np.ndim(A) - len(counts)) + counts
    a = np.copy(_at_least(len(counts), A))
    for axis, (n, count) in enumerate(zip(a.shape, counts, strict=True)):
        if count != 1:
            before, after = a.shape[:axis], a.shape[axis + 1 :]
            blocks = np.repeat(np.reshape(a, (*before, 1, n, *after)), count, axis)
            a = np.reshape(blocks, (*before, count * n, *after))
    return a


@implements(np.resize)
def resize(a: Any, new_shape: Any) -> Any:
    """Return as many entries as a shape has, from the first on and over again."""
    shape = tuple(new_shape) if np.ndim(new_shape) else (new_shape,)
    if any(n < 0 for n in shape):
        raise ValueError(f"resize needs lengths of at least 0; got new_shape={new_shape}")
    places = np.arange(np.prod(shape, dtype=int))
    if not a.size or not places.size:
        return np.zeros_like(a, shape=shape)
    return np.reshape(np.ravel(a)[places % a.size], shape)
