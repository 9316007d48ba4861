"""Many entries become one: sums, means, variances, extremes, products."""

from __future__ import annotations

import math
from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_mnist.operation import op
from tinygrad_mnist.protocols import implements

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array

    Axes = int | tuple[int, ...] | None

SUMS: tuple[dict[str, Any], ...] = (
    {"shapes": "(…)"},
    {"axis": 0, "shapes": "(n,…)"},
    {"axis": -1, "keepdims": True, "shapes": "(…,n)"},
    {"axis": (0, -1), "shapes": "(a,b,c)"},
    {"axis": (), "shapes": "(…)"},
    {"axis": -1, "where": [True, False, True], "shapes": "(…,3)"},
)
_add_up: Any = np.add.reduce  # np.sum takes twice the time


def given(where: Any, **options: Any) -> dict[str, Any]:
    """Return the options that say something; other libraries do not know them all."""
    options = {name: value for name, value in options.items() if value is not None}
    return options if where is True else {"where": where, **options}


def spread(g: Any, axis: Axes, keepdims: bool) -> Any:
    """Return `g`, of a reduction's shape, with the reduced axes back at length 1."""
    return g if keepdims or axis is None else np.expand_dims(g, axis)


def _front(ndim: int, axis: Axes) -> tuple[tuple[int, ...], int]:
    """Return all axes, those that are reduced first, and how many of them there are."""
    axis = axis if ndim else None  # NumPy takes a number to have an axis 0, too
    axes = normalize_axis_tuple(range(ndim) if axis is None else axis, ndim)
    return (*axes, *(k for k in range(ndim) if k not in axes)), len(axes)


def lined_up(a: Any, axis: Axes) -> Any:
    """Return `a` with the axes that are reduced in front, as one."""
    front, n = _front(a.ndim, axis)
    shape = [a.shape[k] for k in front]
    return np.reshape(np.transpose(a, front), (math.prod(shape[:n]), *shape[n:]))


def put_back(rows: Any, a_shape: tuple[int, ...], axis: Axes) -> Any:
    """Return what `lined_up` made of an array of a shape with its axes in their places."""
    front, _ = _front(len(a_shape), axis)
    return np.transpose(np.reshape(rows, [a_shape[k] for k in front]), np.argsort(front))


def shared_out(g: Any, a_shape: tuple[int, ...], axis: Axes, keepdims: bool, where: Any) -> Any:
    """Return `g` for each entry that went into it."""
    g = np.broadcast_to(spread(g, axis if a_shape else None, keepdims), a_shape)
    return g if where is True else np.where(where, g, 0)


def _count(g: Any, a_shape: tuple[int, ...], axis: Axes, keepdims: bool, where: Any) -> Any:
    """Return how many entries each result was made of, and 1 for none."""
    if where is True:
        return math.prod(a_shape) // (g.size or 1) or 1  # g has the result's shape
    counted = np.broadcast_to(where, a_shape)
    return np.maximum(np.sum(counted, axis=axis, dtype=g.dtype, keepdims=keepdims), 1)


# Sums and means ---------------------------------------------------------------------------------


@op(cases=SUMS, implements=(np.sum,))
def sum(
    a: Array,
    axis: Axes = None,
    dtype: Any = None,
    *,
    keepdims: bool = False,
    initial: float | None = None,
    where: Any = True,
) -> Array:
    """Add up the entries, over all axes or those named."""
    if where is True and initial is None:
        return _add_up(a, axis, dtype, None, keepdims)
    return np.sum(a, axis, dtype, keepdims=keepdims, **given(where, initial=initial))


sum.defvjp(a=shared_out)


def mean_rule(g: Any, a_shape: tuple[int, ...], axis: Axes, keepdims: bool, where: Any) -> Any:
    """Return `g` in equal parts for each entry that went into it."""
    g = g / _count(g, a_shape, axis, keepdims, where)
    return shared_out(g, a_shape, axis, keepdims, where)


@op(cases=SUMS, implements=(np.mean,))
def mean(
    a: Array, axis: Axes = None, dtype: Any = None, *, keepdims: bool = False, where: Any = True
) -> Array:
    """Return the arithmetic mean, over all axes or those named."""
    return np.mean(a, axis, dtype, keepdims=keepdims, **given(where))


mean.defvjp(a=mean_rule)

# Variances --------------------------------------------------------------------------------------

VARIANCES = (
    *SUMS,
    {"axis": 0, "ddof": 1, "shapes": "(3,…)"},
    {"axis": -1, "correction": 1.5, "shapes": "(…,2)"},
    {
        "axis": -1,
        "keepdims": True,
        "shapes": "(n,3),(n,1)",
        "domain": {"a": (1, math.inf), "mean": (-math.inf, 0)},
    },
)


def delta(ddof: float, correction: float | None) -> float:
    """Return what is taken off the number of entries; NumPy has two names for it."""
    if correction is None:
        return ddof
    if ddof:
        raise ValueError(f"ddof={ddof} and correction={correction} mean the same: give one")
    return correction


def _deviation(a: Any, axis: Axes, where: Any, mean: Any) -> Any:
    """Return how far each entry is from the mean, and 0 for those that do not count."""
    if where is True:
        return a - (np.mean(a, axis=axis, keepdims=True) if mean is None else mean)
    if mean is None:
        count = _count(a, a.shape, axis, True, where)
        mean = np.sum(a, axis=axis, keepdims=True, where=where) / count
    return np.where(where, a - mean, 0)


def var_rule(
    g: Any,
    a: Any,
    axis: Axes,
    ddof: float,
    keepdims: bool,
    where: Any,
    mean: Any,
    correction: float | None,
) -> Any:
    """Return `g` times twice the deviation of each entry, over what the variance divides by."""
    n = _count(g, a.shape, axis, keepdims, where) - delta(ddof, correction)
    n = np.maximum(n, 0, dtype=g.dtype)
    return spread(2 * g / n, axis, keepdims) * _deviation(a, axis, where, mean).conj()


def std_rule(
    g: Any,
    a: Any,
    out: Any,
    axis: Axes,
    ddof: float,
    keepdims: bool,
    where: Any,
    mean: Any,
    correction: float | None,
) -> Any:
    """Return the gradient through the variance; 0 where all entries are equal (docs/kinks.md)."""
    equal = np.equal(out, 0)
    g = np.where(equal, 0, g / (2 * np.where(equal, 1, out)))
    a = _deviation(a, axis, where, mean)  # the mean of 0.1, 0.1 and 0.1 is not quite 0.1
    mean = mean if mean is None else 0
    return var_rule(g, a, axis, ddof, keepdims, where, mean, correction)


def negated(rule: Any) -> Any:
    """Return a rule's gradient with the other sign: that of the mean, for one of the entries."""

    @wraps(rule)
    def negative(*saved: Any) -> Any:
        return -rule(*saved)

    return negative


@op(cases=VARIANCES, implements=(np.var,))
def var(
    a: Array,
    axis: Axes = None,
    dtype: Any = None,
    *,
    ddof: float = 0,
    keepdims: bool = False,
    where: Any = True,
    mean: Array | None = None,
    correction: float | None = None,
) -> Array:
    """Return the variance: squared deviations summed, over n - ddof (or n - correction)."""
    ddof = delta(ddof, correction)
    return np.var(a, axis, dtype, ddof=ddof, keepdims=keepdims, **given(where, mean=mean))


var.defvjp(a=var_rule, mean=negated(var_rule))


@op(cases=VARIANCES, implements=(np.std,))
def std(
    a: Array,
    axis: Axes = None,
    dtype: Any = None,
    *,
    ddof: float = 0,
    keepdims: bool = False,
    where: Any = True,
    mean: Array | None = None,
    correction: float | None = None,
) -> Array:
    """Return the standard deviation, the square root of `var`."""
    ddof = delta(ddof, correction)
    return np.std(a, axis, dtype, ddof=ddof, keepdims=keepdims, **given(where, mean=mean))


std.defvjp(a=std_rule, mean=negated(std_rule))

# Extremes: ties share equally (docs/kinks.md) -----------------------------------------------------

EXTREMES: tuple[dict[str, Any], ...] = (
    {"shapes": "(3,…)"},
    {"axis": 0, "shapes": "(2,…)"},
    {"axis": -1, "keepdims": True, "shapes": "(…,3)"},
    {"axis": (0, -1), "shapes": "(2,n,3)"},
    {"axis": (), "shapes": "(…)"},
    {"initial": 0.0, "shapes": "(…)"},
    {"axis": -1, "where": [True, False, True], "initial": 0.0, "shapes": "(…,3)"},
)


def extreme_rule(g: Any, a: Any, out: Any, axis: Axes, keepdims: bool, where: Any) -> Any:
    """Return `g`, in equal parts, for the entries that are the extreme; a NaN is one."""
    extreme = np.equal(a, spread(out, axis, keepdims)) | np.isnan(a)
    if where is not True:
        extreme = extreme & where
    ties = np.sum(extreme, axis=axis, dtype=g.dtype, keepdims=keepdims)
    return np.where(extreme, spread(g / np.maximum(ties, 1), axis, keepdims), 0)


@op(cases=EXTREMES, implements=(np.max, np.amax))
def max(
    a: Array, axis: Axes = None, *, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Array:
    """Return the largest entry, over all axes or those named."""
    return np.max(a, axis, keepdims=keepdims, **given(where, initial=initial))


max.defvjp(a=extreme_rule)
amax = max


@op(cases=EXTREMES, implements=(np.min, np.amin))
def min(
    a: Array, axis: Axes = None, *, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Array:
    """Return the smallest entry, over all axes or those named."""
    return np.min(a, axis, keepdims=keepdims, **given(where, initial=initial))


min.defvjp(a=extreme_rule)
amin = min


@implements(np.ptp)
def ptp(a: Any, axis: Axes = None, *, keepdims: bool = False) -> Any:
    """Return how far the largest entry is from the smallest, over all axes or those named."""
    return np.max(a, axis, keepdims=keepdims) - np.min(a, axis, keepdims=keepdims)


# Products ---------------------------------------------------------------------------------------


def _tree(a: Any) -> list[Any]:
    """Return the levels of pairwise products along the first axis: `a` itself, ..., the product."""
    levels = [a]
    while len(a) > 1:
        half = len(a) // 2
        a = np.concatenate([a[:half] * a[half : 2 * half], a[2 * half :]])
        levels.append(a)
    return levels


def prod_rule(g: Any, a: Any, axis: Axes, initial: float | None, where: Any) -> Any:
    """Return `g` times the product of all other entries, by no division: zeros are no exception.

    It goes down the tree of pairwise products, where each of a pair gets what came times the other.
    """
    if not a.size:
        return np.zeros_like(a)
    entries = a if where is True else np.where(where, a, 1)
    *levels, top = _tree(lined_up(entries, axis))
    g = np.reshape(g if initial is None else g * initial, top.shape)
    for level in reversed(levels):
        half = len(level) // 2
        left, right = level[:half], level[half : 2 * half]
        g = np.concatenate([g[:half] * right, g[:half] * left, g[half:]])
    g = put_back(g, a.shape, axis)
    return g if where is True else np.where(where, g, 0)


@op(cases=SUMS, implements=(np.prod,))
def prod(
    a: Array,
    axis: Axes = None,
    dtype: Any = None,
    *,
    keepdims: bool = False,
    initial: float | None = None,
    where: Any = True,
) -> Array:
    """Multiply the entries, over all axes or those named."""
    return np.prod(a, axis, dtype, keepdims=keepdims, **given(where, initial=initial))


prod.defvjp(a=prod_rule)
