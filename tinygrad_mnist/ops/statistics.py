"""Averages, covariances, correlations and histograms."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_mnist.graph import unboxed
from tinygrad_mnist.operation import op
from tinygrad_mnist.ops.composing import arrayed, own_value
from tinygrad_mnist.ops.reductions import extreme_rule
from tinygrad_mnist.ops.shape import astype
from tinygrad_mnist.protocols import implements

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array
    from tinygrad_mnist.ops.reductions import Axes

# Averages -----------------------------------------------------------------------------------------


def _spread_weights(weights: Any, a: Any, axis: Axes) -> Any:
    """Return weights of one axis, or of several, with the others at length 1."""
    if weights.shape == a.shape:
        return weights
    if axis is None:
        raise TypeError("Axis must be specified when shapes of a and weights differ.")
    axes = normalize_axis_tuple(axis, a.ndim)
    if weights.shape != tuple(a.shape[k] for k in axes):
        raise ValueError(
            "Shape of weights must be consistent with shape of a along specified axis."
        )
    weights = np.transpose(weights, np.argsort(axes))
    return np.reshape(weights, tuple(n if k in axes else 1 for k, n in enumerate(a.shape)))


@implements(np.average)
def average(
    a: Any,
    axis: Axes = None,
    weights: Any = None,
    returned: bool = False,
    *,
    keepdims: bool = False,
) -> Any:
    """Return the mean, in which each entry has a weight; on request also the sum of weights."""
    a = arrayed(a)
    if weights is None:
        mean = np.mean(a, axis, keepdims=keepdims)
        total: Any = mean.dtype.type(a.size / mean.size)
    else:
        weights = _spread_weights(arrayed(weights), a, axis)
        whole = [np.float64] if a.dtype.kind in "biu" else []
        dtype = np.result_type(a.dtype, weights.dtype, *whole)
        total = np.sum(weights, axis, dtype, keepdims=keepdims)
        if np.any(np.equal(total, 0)):
            raise ZeroDivisionError("Weights sum to zero, can't be normalized")
        mean = np.sum(np.multiply(a, weights, dtype=dtype), axis, keepdims=keepdims) / total
    if not returned:
        return mean
    if np.shape(total) != mean.shape:
        total = np.copy(np.broadcast_to(total, mean.shape))
    return mean, total


# Covariances --------------------------------------------------------------------------------------


def _weights_of_observations(name: str, weights: Any, n: int) -> Any:
    weights = astype(arrayed(weights), np.float64)
    if weights.ndim > 1:
        raise RuntimeError(f"cannot handle multidimensional {name}")
    if len(weights) != n:
        raise RuntimeError(f"incompatible numbers of samples and {name}")
    if np.any(weights < 0):
        raise ValueError(f"{name} cannot be negative")
    return weights


@implements(np.cov)
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """Return the covariances of variables, each a row with all that was observed of it."""
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    arrays = [arrayed(array) for array in (m, y) if array is not None]
    for name, array in zip("my", arrays, strict=False):
        if array.ndim > 2:
            raise ValueError(f"{name} has more than 2 dimensions")
    kinds = [array.dtype for array in arrays]
    dtype = np.result_type(*kinds, np.float64) if dtype is None else np.dtype(dtype)
    rows = []
    for array in arrays:
        x = np.reshape(array, (1, -1)) if array.ndim < 2 else array
        x = np.copy(x) if x.dtype == dtype else astype(x, dtype)
        transposed = not rowvar and (array.ndim != 1 if array is arrays[0] else x.shape[0] != 1)
        rows.append(x.T if transposed else x)
    if rows[0].shape[0] == 0:
        return np.empty((0, 0))
    x = np.concatenate(rows) if len(rows) > 1 else rows[0]
    ddof = int(not bias) if ddof is None else ddof
    weights = None
    if fweights is not None:
        if np.any(unboxed(fweights) != np.around(unboxed(fweights))):
            raise TypeError("fweights must be integer")
        weights = _weights_of_observations("fweights", fweights, x.shape[1])
    if aweights is not None:
        aweights = _weights_of_observations("aweights", aweights, x.shape[1])
        weights = aweights if weights is None else weights * aweights
    mean, total = average(x, 1, weights, returned=True)
    factor: Any = x.shape[1] - ddof
    if weights is not None:
        factor = total[0]
        if ddof and aweights is None:
            factor = factor - ddof
        elif ddof:
            factor = factor - ddof * np.sum(weights * aweights) / factor
    if factor <= 0:
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=2)
        factor = 0.0
    x = x - mean[:, None]
    other = x.T if weights is None else (x * weights).T
    product = np.dot(x, other.conj() if dtype.kind == "c" else other)
    product = product * np.true_divide(1, factor)
    return np.squeeze(product if product.dtype == dtype else astype(product, dtype))


@implements(np.corrcoef)
def corrcoef(
    x: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: Any = None,  # noqa: ARG001 - without effect, as in NumPy
    ddof: Any = None,  # noqa: ARG001 - without effect, as in NumPy
    *,
    dtype: Any = None,
) -> Any:
    """Return the correlations of variables: covariances over both standard deviations."""
    c = cov(x, y, rowvar, dtype=dtype)
    if not c.ndim:
        return c / c
    deviations = np.sqrt(np.real(np.diagonal(c)))
    c = c / deviations[:, None] / deviations[None, :]
    if c.dtype.kind == "c":
        return np.clip(np.real(c), -1, 1) + 1j * np.clip(np.imag(c), -1, 1)
    return np.clip(c, -1, 1)


# Counting -----------------------------------------------------------------------------------------


@op(
    cases=(
        {"x": [0, 1, 1, 3], "shapes": "(4)"},
        {"x": [2, 0, 2], "minlength": 5, "shapes": "(3)"},
    ),
    implements=(np.bincount,),
)
def bincount(x: Any, weights: Array | None = None, minlength: int = 0) -> Array:
    """Return how often each integer occurs, or the sum of its weights."""
    return np.bincount(x, weights, minlength)


bincount.defvjp(x=None, weights=lambda g, x: g[arrayed(x)])


def _edges_rule(g: Any, a: Any, range: Any) -> Any:  # noqa: A002 - NumPy's name
    """Return the gradient of evenly spaced edges, which follow the smallest and largest entry."""
    if range is not None or not a.size:
        return np.zeros_like(a)
    part = np.arange(len(g)) / (len(g) - 1)
    low, high = np.sum(g * (1 - part)), np.sum(g * part)
    smallest = extreme_rule(low, a, np.min(a), None, False, True)
    return smallest + extreme_rule(high, a, np.max(a), None, False, True)


@op(real=True, cases=({"bins": 3, "shapes": "(4)"},))
def even_edges(
    a: Array,
    bins: int | str,
    range: Any = None,  # noqa: A002 - NumPy's name
    weights: Array | None = None,
) -> Array:
    """Return the edges of bins of one width, which hold all entries."""
    return np.histogram_bin_edges(a, bins, range, weights)


even_edges.defvjp(a=_edges_rule, bins=None, weights=None)


@implements(np.histogram_bin_edges)
def histogram_bin_edges(
    a: Any,
    bins: Any = 10,
    range: Any = None,  # noqa: A002 - NumPy's name
    weights: Any = None,
) -> Any:
    """Return the edges of bins: evenly spaced from the smallest entry to the largest, or given."""
    if np.ndim(unboxed(bins)):
        return own_value(bins, np.histogram_bin_edges(unboxed(a), unboxed(bins)))
    return even_edges(a, bins, range, weights)


def _weights_rule(g: Any, sample: Any, edges: Any) -> Any:
    """Return for each point the cotangent of its bin, 0 outside of all."""
    places, inside = [], np.ones((), bool)
    for x, edge in zip(sample, edges, strict=True):
        place = np.searchsorted(edge, x, "right") - 1
        place = np.where(np.equal(x, edge[-1]), len(edge) - 2, place)
        inside = inside & (place >= 0) & (place < len(edge) - 1)
        places.append(np.clip(place, 0, len(edge) - 2))
    return np.where(inside, g[tuple(places)], 0)


@op(
    cases=(
        {
            "sample": [np.array([0.1, 0.9, 1.0, 7.0])],
            "edges": [np.array([0.0, 0.5, 1.0])],
            "shapes": "(4)",
        },
    )
)
def binned(sample: Any, edges: Any, weights: Array) -> Array:
    """Return the sum of the weights of points in each bin."""
    return np.histogramdd(sample, edges, weights=weights)[0]


binned.defvjp(sample=None, edges=None, weights=_weights_rule)


@implements(np.histogram)
def histogram(
    a: Any,
    bins: Any = 10,
    range: Any = None,  # noqa: A002 - NumPy's name
    density: bool | None = None,
    weights: Any = None,
) -> tuple[Any, Any]:
    """Return how many entries, or the sum of whose weights, lie in each bin, and the edges."""
    plain, edges = np.histogram(unboxed(a), unboxed(bins), range, weights=unboxed(weights))
    edges = own_value(histogram_bin_edges(a, bins, range), edges)
    counts: Any = plain
    if weights is not None:
        counts = binned([np.ravel(unboxed(a))], [unboxed(edges)], np.ravel(weights))
        counts = own_value(counts, plain)
    if density:
        counts = counts / astype(np.diff(edges), np.float64) / np.sum(counts)
    return counts, edges


@implements(np.histogramdd)
def histogramdd(
    sample: Any,
    bins: Any = 10,
    range: Any = None,  # noqa: A002 - NumPy's name
    density: bool | None = None,
    weights: Any = None,
) -> tuple[Any, Any]:
    """Return how many points, or the sum of whose weights, lie in each box, and all edges."""
    columns = list(sample.T) if np.ndim(unboxed(sample)) == 2 and hasattr(sample, "T") else sample
    columns = list(columns) if isinstance(columns, (list, tuple)) else [columns]
    plain, found = np.histogramdd(unboxed(sample), unboxed(bins), range, weights=unboxed(weights))
    every = bins if np.ndim(bins) or isinstance(bins, (list, tuple)) else [bins] * len(columns)
    ranges = [None] * len(columns) if range is None else range
    edges = [
        own_value(histogram_bin_edges(column, bin_, limits), edge)
        for column, bin_, limits, edge in zip(columns, every, ranges, found, strict=True)
    ]
    counts: Any = plain
    if weights is not None:
        counts = own_value(binned([unboxed(c) for c in columns], found, weights), plain)
    if density:
        total = np.sum(counts)
        for k, edge in enumerate(edges):
            widths = np.diff(edge)
            counts = counts / np.reshape(widths, [-1 if j == k else 1 for j in _indices(counts)])
        counts = counts / total
    return counts, type(found)(edges)


def _indices(array: Any) -> Any:
    return np.arange(array.ndim)


@implements(np.histogram2d)
def histogram2d(
    x: Any,
    y: Any,
    bins: Any = 10,
    range: Any = None,  # noqa: A002 - NumPy's name
    density: bool | None = None,
    weights: Any = None,
) -> tuple[Any, Any, Any]:
    """Return how many points, or the sum of whose weights, lie in each box, and the edges."""
    if len(x) != len(y):
        raise ValueError("x and y must have the same length.")
    both = hasattr(bins, "__len__") and len(bins) in {1, 2}
    bins = bins if both or np.ndim(bins) == 0 else [arrayed(bins)] * 2
    counts, edges = histogramdd([x, y], bins, range, density, weights)
    return counts, edges[0], edges[1]
