"""Medians, percentiles and quantiles: a mix of two entries that are neighbours in order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_mnist.graph import unboxed
from tinygrad_mnist.operation import op
from tinygrad_mnist.ops.composing import arrayed
from tinygrad_mnist.ops.indexing import scatter, scatter_along
from tinygrad_mnist.ops.reductions import lined_up, put_back

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinygrad_mnist.graph import Array
    from tinygrad_mnist.operation import Op
    from tinygrad_mnist.ops.reductions import Axes

# Where an entry stands ----------------------------------------------------------------------------

# With q the rank among n entries grows by n + 1 - alpha - beta, in these methods, and jumps in all
# others: Hyndman and Fan (1996), Sample Quantiles in Statistical Packages.
_ALPHA_BETA = {
    "linear": (1, 1),
    "interpolated_inverted_cdf": (0, 1),
    "hazen": (1 / 2, 1 / 2),
    "weibull": (0, 0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}


class _Ranks(NamedTuple):
    """Which entries of an array the quantiles along an axis read."""

    order: Any  # places that put the lined up entries in order, (n, ...)
    rank: Any  # what each quantile reads, (number of q, ...): 1.25 is 3/4 of 1 and 1/4 of 2
    count: Any  # how many entries there are to read, (...)
    read: Any  # whether a quantile is of anything, (...)


def _ranks(
    function: Callable[..., Any], a: Any, q: Any, axis: Axes, weights: Any, **method: Any
) -> _Ranks:
    """Return what a quantile reads of each row, asked of NumPy: the quantile of 0, 1, 2, ..."""
    rows = lined_up(unboxed(a), axis)
    order = np.argsort(rows, 0, kind="stable")
    missing = np.take_along_axis(np.isnan(rows), order, 0)
    every = np.arange(len(rows), dtype=np.float64).reshape(-1, *[1] * (rows.ndim - 1))
    if function in _PASS_OVER_NAN:
        count = np.sum(~missing, 0)
        read = count > 0
        ranks = np.where(missing & read, np.nan, every)
    else:
        count, read, ranks = len(rows), True, np.where(missing, np.nan, every)
    if weights is not None:
        weights = arrayed(unboxed(weights))
        if weights.shape != np.shape(a):
            weights = _across(weights, np.ndim(a), axis)
        weights = lined_up(np.broadcast_to(weights, np.shape(a)), axis)
        method["weights"] = np.take_along_axis(weights, order, 0)
    rank = function(ranks, *([] if q is None else [unboxed(q)]), axis=0, **method)
    rank = np.reshape(rank, (math.prod(np.shape(q)), *rows.shape[1:]))
    return _Ranks(order, np.where(np.isnan(rank), len(rows) - 1, rank), count, read)


def _across(weights: Any, ndim: int, axis: Any) -> Any:
    """Return weights of one axis, or of several, with the others at length 1."""
    axes = [k % ndim for k in (axis if isinstance(axis, tuple) else (axis,))]
    weights = np.transpose(weights, np.argsort(axes))
    sizes = iter(weights.shape)
    return np.reshape(weights, [next(sizes) if k in axes else 1 for k in range(ndim)])


_PASS_OVER_NAN = {np.nanmedian, np.nanpercentile, np.nanquantile}


def _growth(found: _Ranks, q: Any, method: str, scale: float) -> Any:
    """Return how fast the ranks grow with q, 0 where they stand still."""
    if method not in _ALPHA_BETA:
        return 0 * found.rank
    alpha, beta = _ALPHA_BETA[method]
    speed = found.count + 1 - alpha - beta
    q = np.reshape(unboxed(q), (-1, *[1] * (found.rank.ndim - 1))) * scale
    exact = q * speed + alpha - 1
    return np.where((exact >= 0) & (exact <= found.count - 1), speed * scale, 0)


# Gradients ----------------------------------------------------------------------------------------


def _entries_rule(
    function: Callable[..., Any],
    g: Any,
    a: Any,
    q: Any,
    axis: Axes,
    weights: Any = None,
    *,
    scale: float = 1.0,
    **method: Any,
) -> Any:
    """Return `g` for the two entries that each quantile is mixed of, by their parts."""
    if not a.size:
        return np.zeros_like(a)
    found = _ranks(function, a, q, axis, weights, **method)
    low = np.floor(found.rank).astype(np.intp)
    part = found.rank - low
    if q is not unboxed(q):  # the parts depend on it
        growth = _growth(found, q, method["method"], scale)
        moved = np.reshape(q - unboxed(q), (-1, *[1] * (part.ndim - 1)))
        part = part + growth * moved
    g = np.where(found.read, np.reshape(g, found.rank.shape), 0)
    ranks = np.concatenate([low, np.ceil(found.rank).astype(np.intp)])
    mixed = np.concatenate([g * (1 - part), g * part])
    g = scatter_along(mixed, ranks, 0, found.order.shape)
    if weights is None:  # which else decide between equal entries
        g = _shared_by_ties(g, np.take_along_axis(lined_up(unboxed(a), axis), found.order, 0))
    return put_back(np.take_along_axis(g, np.argsort(found.order, 0), 0), a.shape, axis)


def _shared_by_ties(g: Any, ordered: Any) -> Any:
    """Return `g` with equal parts for entries in a row, of ordered columns, that are equal."""
    news = np.ones_like(ordered, dtype=bool)
    news[1:] = ordered[1:] != ordered[:-1]
    if news.all():
        return g
    number = np.cumsum(news.T).reshape(news.T.shape).T - 1  # of each entry's group
    sizes = np.bincount(number.ravel())
    return (scatter(g, number, sizes.shape) / sizes)[number]


def _q_rule(
    function: Callable[..., Any],
    g: Any,
    a: Any,
    q: Any,
    axis: Axes,
    weights: Any,
    method: str,
    scale: float = 1.0,
) -> Any:
    """Return the slope between the two entries beside each quantile."""
    rows = lined_up(a, axis)
    if len(rows) < 2:
        return np.zeros_like(g, shape=np.shape(q))
    found = _ranks(function, a, q, axis, weights, method=method)
    low = np.clip(np.floor(found.rank), 0, np.maximum(found.count - 2, 0)).astype(np.intp)
    after, before = (
        np.take_along_axis(rows, np.take_along_axis(found.order, k, 0), 0) for k in (low + 1, low)
    )
    growth = np.where(found.read & (found.count > 1), _growth(found, q, method, scale), 0)
    slope = np.where(growth == 0, 0, after - before) * growth
    total = np.reshape(g, found.rank.shape) * slope
    return np.reshape(np.sum(total, tuple(range(1, total.ndim))), np.shape(q))


# Medians ------------------------------------------------------------------------------------------


def _median(numpys: Callable[..., Any], doc: str, **options: Any) -> Op:
    """Return an op of NumPy's function."""

    def forward(
        a: Array,
        axis: Axes = None,
        *,
        overwrite_input: bool = False,  # noqa: ARG001 - never
        keepdims: bool = False,
    ) -> Array:
        return numpys(a, axis, keepdims=keepdims)

    def entries(g: Any, a: Any, axis: Axes) -> Any:
        return _entries_rule(numpys, g, a, None, axis)

    forward.__name__, forward.__doc__ = numpys.__name__, doc
    return op(forward, implements=(numpys,), **options).defvjp(a=entries)


_MEDIANS: tuple[dict[str, Any], ...] = (
    {"shapes": "(…)"},
    {"axis": 0, "shapes": "(n,…)"},
    {"axis": (0, -1), "keepdims": True, "shapes": "(2,n,3)"},
)

median = _median(
    np.median,
    "Return the middle entry in order, or the mean of the two in the middle.",
    cases=_MEDIANS,
)
nanmedian = _median(
    np.nanmedian,
    "Return the middle of the entries that are not NaN, or the mean of the two in the middle.",
    cases=_MEDIANS[1:2],
    selects=True,
)

# Quantiles ----------------------------------------------------------------------------------------


def _quantile(numpys: Callable[..., Any], doc: str, scale: float = 1.0, **options: Any) -> Op:
    """Return an op of NumPy's function, where `q` of all entries is 1 / `scale`."""

    def forward(
        a: Array,
        q: Array,
        axis: Axes = None,
        *,
        overwrite_input: bool = False,  # noqa: ARG001 - never
        method: Any = "linear",
        keepdims: bool = False,
        weights: Array | None = None,
    ) -> Array:
        return numpys(a, q, axis, method=method, keepdims=keepdims, weights=weights)

    def entries(g: Any, a: Any, q: Any, axis: Axes, method: str, weights: Any) -> Any:
        return _entries_rule(numpys, g, a, q, axis, weights, method=method, scale=scale)

    def places(g: Any, a: Any, q: Any, axis: Axes, method: str, weights: Any) -> Any:
        return _q_rule(numpys, g, a, q, axis, weights, method, scale)

    forward.__name__, forward.__doc__ = numpys.__name__, doc
    made = op(forward, implements=(numpys,), **options)
    return made.defvjp(a=entries, q=places, weights=None)


_QUANTILES: tuple[dict[str, Any], ...] = (
    {"q": 0.3, "shapes": "(…)"},
    {"q": [0.25, 0.9], "axis": 0, "shapes": "(n,…)"},
    {"q": 0.6, "axis": (0, -1), "keepdims": True, "method": "hazen", "shapes": "(2,n,3)"},
    {"domain": {"a": (-10, 10), "q": (0.1, 0.4)}, "axis": -1, "shapes": "(…,3),(2)"},
    {"q": 0.6, "method": "inverted_cdf", "weights": [1.0, 2.0, 1.5], "axis": -1, "shapes": "(…,3)"},
)
_PERCENTILES: tuple[dict[str, Any], ...] = (
    {"q": 30, "axis": -1, "shapes": "(…,n)"},
    {"domain": {"a": (-10, 10), "q": (45, 55)}, "method": "weibull", "shapes": "(4),()"},
)

quantile = _quantile(
    np.quantile,
    "Return the value that a part `q` of the entries, between 0 and 1, lies below.",
    cases=_QUANTILES,
)
percentile = _quantile(
    np.percentile,
    "Return the value that `q` percent of the entries lie below.",
    scale=0.01,
    cases=_PERCENTILES,
)
nanquantile = _quantile(
    np.nanquantile,
    "Return the quantiles of the entries that are not NaN.",
    cases=_QUANTILES[1:4:2],
    selects=True,
)
nanpercentile = _quantile(
    np.nanpercentile,
    "Return the percentiles of the entries that are not NaN.",
    scale=0.01,
    cases=_PERCENTILES[1:],
    selects=True,
)
