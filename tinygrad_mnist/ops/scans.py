"""Along an axis, from entry to entry: running sums and products, differences, slopes, areas."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_mnist.graph import unboxed
from tinygrad_mnist.operation import op
from tinygrad_mnist.ops.composing import arrayed, own_value
from tinygrad_mnist.ops.shape import astype
from tinygrad_mnist.ops.ufuncs import accumulate_rule
from tinygrad_mnist.protocols import implements, newer

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array

_CASES: tuple[dict[str, Any], ...] = (
    {"shapes": "(…)"},
    {"axis": 0, "shapes": "(n,…)"},
    {"axis": -1, "shapes": "(…,n)"},
)

# Running sums and products ------------------------------------------------------------------------


def _sums_back(g: Any, a_shape: tuple[int, ...], axis: int | None) -> Any:
    """Return for each entry the sum of `g` from its place on."""
    if axis is None:
        return np.reshape(_sums_back(g, g.shape, 0), a_shape)
    return np.flip(np.cumsum(np.flip(g, axis), axis), axis)


def _products_back(g: Any, a: Any, out: Any, axis: int | None) -> Any:
    if axis is None or not a.ndim:
        return np.reshape(accumulate_rule(g, np.multiply, np.ravel(a), out, 0), a.shape)
    return accumulate_rule(g, np.multiply, a, out, axis)


@op(cases=_CASES, implements=(np.cumsum,))
def cumsum(a: Array, axis: int | None = None, dtype: Any = None) -> Array:
    """Return the sums of the first entries along an axis: of one, of two, ..."""
    return np.cumsum(a, axis, dtype)


cumsum.defvjp(a=_sums_back)


@op(cases=_CASES, implements=(np.cumprod,))
def cumprod(a: Array, axis: int | None = None, dtype: Any = None) -> Array:
    """Return the products of the first entries along an axis: of one, of two, ..."""
    return np.cumprod(a, axis, dtype)


cumprod.defvjp(a=_products_back)


@op(selects=True, cases=_CASES, implements=(np.nancumsum,))
def nancumsum(a: Array, axis: int | None = None, dtype: Any = None) -> Array:
    """Return the sums of the first entries along an axis, where NaN counts as 0."""
    return np.nancumsum(a, axis, dtype)


nancumsum.defvjp(a=lambda g, a, axis: np.where(np.isnan(a), 0, _sums_back(g, a.shape, axis)))


@op(selects=True, cases=_CASES, implements=(np.nancumprod,))
def nancumprod(a: Array, axis: int | None = None, dtype: Any = None) -> Array:
    """Return the products of the first entries along an axis, where NaN counts as 1."""
    return np.nancumprod(a, axis, dtype)


def _nan_products_back(g: Any, a: Any, out: Any, axis: int | None) -> Any:
    missing = np.isnan(a)
    return np.where(missing, 0, _products_back(g, np.where(missing, 1, a), out, axis))


nancumprod.defvjp(a=_nan_products_back)


@implements(*newer("cumulative_sum"))
def cumulative_sum(
    x: Array, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Array:
    """Return the sums of the first entries along an axis, perhaps after that of none."""
    return _cumulative(cumsum, 0, x, axis, dtype, include_initial)


@implements(*newer("cumulative_prod"))
def cumulative_prod(
    x: Array, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Array:
    """Return the products of the first entries along an axis, perhaps after that of none."""
    return _cumulative(cumprod, 1, x, axis, dtype, include_initial)


def _cumulative(
    function: Any, neutral: int, x: Any, axis: int | None, dtype: Any, include_initial: bool
) -> Any:
    x = np.reshape(x, -1) if np.ndim(x) == 0 else arrayed(x)
    if axis is None and x.ndim > 1:
        raise ValueError("For arrays which have more than one dimension ``axis`` is required.")
    axis = axis or 0
    result = function(x, axis, dtype)
    if not include_initial:
        return result
    shape = [1 if k == axis % x.ndim else n for k, n in enumerate(x.shape)]
    return np.concatenate([np.full_like(unboxed(result), neutral, shape=shape), result], axis)


# Differences --------------------------------------------------------------------------------------


def _along(axis: int, ndim: int, start: int | None, stop: int | None) -> tuple[slice, ...]:
    return (*[slice(None)] * (axis % ndim), slice(start, stop))


@implements(np.diff)
def diff(
    a: Array, n: int = 1, axis: int = -1, prepend: Any = np._NoValue, append: Any = np._NoValue
) -> Array:
    """Return what each entry is more than the one before, `n` times over."""
    if n < 0:
        raise ValueError("order must be non-negative but got " + repr(n))
    if n == 0:
        return a
    a = arrayed(a)
    if a.ndim == 0:
        raise ValueError("diff requires input that is at least one dimensional")
    ends = [_end(one, a, axis) for one in (prepend, append)]
    if any(len(end) for end in ends):
        a = np.concatenate([*ends[0], a, *ends[1]], axis)
    difference = np.not_equal if a.dtype == bool else np.subtract
    for _ in range(n):
        a = difference(a[_along(axis, a.ndim, 1, None)], a[_along(axis, a.ndim, None, -1)])
    return a


def _end(value: Any, a: Any, axis: int) -> list[Any]:
    """Return what stands before or behind `a`, if anything: a number is repeated."""
    if value is np._NoValue:
        return []
    if np.ndim(value) == 0:
        shape = [1 if k == axis % a.ndim else n for k, n in enumerate(a.shape)]
        value = np.broadcast_to(value, shape)
    return [value]


@implements(np.ediff1d)
def ediff1d(ary: Array, to_end: Array | None = None, to_begin: Array | None = None) -> Array:
    """Return the differences between entries in a row, and what is put before and behind them."""
    ary = np.ravel(ary)
    pieces = [ary[1:] - ary[:-1]]
    for name, value in (("to_begin", to_begin), ("to_end", to_end)):
        if value is None:
            continue
        piece = np.ravel(value)
        if not np.can_cast(piece.dtype, ary.dtype, casting="same_kind"):
            raise TypeError(
                f"dtype of `{name}` must be compatible with input `ary` under the `same_kind` rule."
            )
        piece = astype(piece, ary.dtype)
        pieces = [piece, *pieces] if name == "to_begin" else [*pieces, piece]
    return np.concatenate(pieces)


# Slopes -------------------------------------------------------------------------------------------


def _spacing(distance: Any, length: int) -> Any:
    """Return a number, or the differences of coordinates along an axis."""
    distance = arrayed(distance) if np.ndim(distance) else distance
    if np.ndim(distance) == 0:
        return distance
    if np.ndim(distance) != 1:
        raise ValueError("distances must be either scalars or 1d")
    if len(distance) != length:
        raise ValueError("when 1d, distances must match the length of the corresponding dimension")
    return np.diff(distance if distance.dtype.kind in "fc" else astype(distance, np.float64))


def _slopes(f: Any, d: Any, edge_order: int) -> Any:
    """Return the slopes along the first axis, for an even spacing `d` or for spacings."""
    if np.ndim(d) == 0:
        inner = (f[2:] - f[:-2]) / (2.0 * d)
        first, last = (-1.5 / d, 2.0 / d, -0.5 / d), (0.5 / d, -2.0 / d, 1.5 / d)
        d_first, d_last = d, d
    else:
        d_first, d_last = d[0], d[-1]
        d = np.reshape(d, (-1, *[1] * (f.ndim - 1)))
        a, b = d[:-1], d[1:]
        inner = (
            -b / (a * (a + b)) * f[:-2] + (b - a) / (a * b) * f[1:-1] + a / (b * (a + b)) * f[2:]
        )
        a, b = (d[0], d[1]) if edge_order == 2 else (d[0], d[0])
        first = (-(2.0 * a + b) / (a * (a + b)), (a + b) / (a * b), -a / (b * (a + b)))
        a, b = (d[-2], d[-1]) if edge_order == 2 else (d[-1], d[-1])
        last = (b / (a * (a + b)), -(b + a) / (a * b), (2.0 * b + a) / (b * (a + b)))
    if edge_order == 1:
        ends = (f[1] - f[0]) / d_first, (f[-1] - f[-2]) / d_last
    else:
        ends = (
            first[0] * f[0] + first[1] * f[1] + first[2] * f[2],
            last[0] * f[-3] + last[1] * f[-2] + last[2] * f[-1],
        )
    return np.concatenate([ends[0][None], inner, ends[1][None]])


@implements(np.gradient)
def gradient(f: Array, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Return the slopes of `f` along an axis, or several: central differences, one-sided at ends.

    Spacings are numbers, one for all axes or one for each, or coordinates along an axis.
    """
    f = arrayed(f)
    axes = normalize_axis_tuple(range(f.ndim) if axis is None else axis, f.ndim)
    spacings = varargs or (1.0,)
    if len(spacings) == 1 and np.ndim(spacings[0]) == 0:
        spacings *= len(axes)
    if len(spacings) != len(axes):
        raise TypeError("invalid number of arguments")
    spacings = tuple(_spacing(d, f.shape[k]) for d, k in zip(spacings, axes, strict=True))
    if edge_order > 2:
        raise ValueError("'edge_order' greater than 2 not supported")
    if f.dtype.kind not in "fc":
        f = astype(f, np.float64)
    if any(f.shape[k] < edge_order + 1 for k in axes):
        raise ValueError(
            "Shape of array too small to calculate a numerical gradient, at least "
            "(edge_order + 1) elements are required."
        )
    results = tuple(_slopes_along(f, d, k, edge_order) for d, k in zip(spacings, axes, strict=True))
    return results[0] if len(axes) == 1 else results


def _slopes_along(f: Any, d: Any, axis: int, edge_order: int) -> Any:
    f = np.moveaxis(f, axis, 0)
    slopes = _slopes(f, d, edge_order)
    plain = unboxed(d)
    if np.ndim(plain) and np.all(plain == plain[0]):  # NumPy then takes the shorter formula, which
        short = _slopes(unboxed(f), plain[0], edge_order)  # does not know of all coordinates
        slopes = own_value(slopes, short)
    dtype = f.dtype
    return np.moveaxis(slopes if slopes.dtype == dtype else astype(slopes, dtype), 0, axis)


@implements(np.trapezoid)
def trapezoid(y: Array, x: Array | None = None, dx: Array = 1.0, axis: int = -1) -> Array:
    """Return the area below `y` between points in a row, at `x` or `dx` apart: of trapezoids."""
    y = arrayed(y)
    d = dx
    if x is not None:
        x = arrayed(x)
        d = np.diff(x, axis=-1 if x.ndim == 1 else axis)
        if x.ndim == 1:
            d = np.reshape(d, [-1 if k == axis % y.ndim else 1 for k in range(y.ndim)])
    after, before = (y[_along(axis, y.ndim, *ends)] for ends in ((1, None), (None, -1)))
    return np.sum(d * (after + before) / 2.0, axis)


# Jumps --------------------------------------------------------------------------------------------


@op(
    cases=({"axis": 0, "shapes": "(n,…)"}, {"period": 2.5, "shapes": "(…,n)"}),
    implements=(np.unwrap,),
)
def unwrap(
    p: Array, discont: float | None = None, axis: int = -1, *, period: float = math.tau
) -> Array:
    """Take out jumps of half a period and more, by adding multiples of it, which are constants."""
    return np.unwrap(p, discont, axis, period=period)


unwrap.defvjp(p=lambda g: g)
