"""Reductions that pass over NaN: those of `reductions`, with what is missing left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.operation import op
from tinygrad_mnist.ops.reductions import (
    EXTREMES,
    SUMS,
    VARIANCES,
    delta,
    extreme_rule,
    given,
    mean_rule,
    negated,
    prod_rule,
    shared_out,
    spread,
    std_rule,
    var_rule,
)

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array
    from tinygrad_mnist.ops.reductions import Axes


def _present(a: Any, where: Any) -> Any:
    """Return which entries are counted: those chosen that are not NaN."""
    return np.logical_and(where, ~np.isnan(a))


# Sums, products and means -------------------------------------------------------------------------


@op(selects=True, cases=SUMS, implements=(np.nansum,))
def nansum(
    a: Array,
    axis: Axes = None,
    dtype: Any = None,
    *,
    keepdims: bool = False,
    initial: float | None = None,
    where: Any = True,
) -> Array:
    """Add up the entries that are not NaN."""
    return np.nansum(a, axis, dtype, keepdims=keepdims, **given(where, initial=initial))


nansum.defvjp(
    a=lambda g, a, axis, keepdims, where: shared_out(g, a.shape, axis, keepdims, _present(a, where))
)


@op(selects=True, cases=SUMS, implements=(np.nanprod,))
def nanprod(
    a: Array,
    axis: Axes = None,
    dtype: Any = None,
    *,
    keepdims: bool = False,
    initial: float | None = None,
    where: Any = True,
) -> Array:
    """Multiply the entries that are not NaN."""
    return np.nanprod(a, axis, dtype, keepdims=keepdims, **given(where, initial=initial))


nanprod.defvjp(
    a=lambda g, a, axis, initial, where: prod_rule(g, a, axis, initial, _present(a, where))
)


@op(selects=True, cases=SUMS, implements=(np.nanmean,))
def nanmean(
    a: Array, axis: Axes = None, dtype: Any = None, *, keepdims: bool = False, where: Any = True
) -> Array:
    """Return the arithmetic mean of the entries that are not NaN."""
    return np.nanmean(a, axis, dtype, keepdims=keepdims, **given(where))


nanmean.defvjp(
    a=lambda g, a, axis, keepdims, where: mean_rule(g, a.shape, axis, keepdims, _present(a, where))
)

# Variances: 0 is the gradient of those of nothing -------------------------------------------------


def _var_rule(
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
    present = _present(a, where)
    slope = var_rule(g, a, axis, ddof, keepdims, present, mean, correction)
    return np.where(spread(np.isnan(out), axis, keepdims), 0, slope)


def _std_rule(
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
    present = _present(a, where)
    slope = std_rule(g, a, out, axis, ddof, keepdims, present, mean, correction)
    return np.where(spread(np.isnan(out), axis, keepdims), 0, slope)


@op(selects=True, cases=VARIANCES, implements=(np.nanvar,))
def nanvar(
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
    """Return the variance of the entries that are not NaN."""
    ddof = delta(ddof, correction)
    return np.nanvar(a, axis, dtype, ddof=ddof, keepdims=keepdims, **given(where, mean=mean))


nanvar.defvjp(a=_var_rule, mean=negated(_var_rule))


@op(selects=True, cases=VARIANCES, implements=(np.nanstd,))
def nanstd(
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
    """Return the standard deviation of the entries that are not NaN."""
    ddof = delta(ddof, correction)
    return np.nanstd(a, axis, dtype, ddof=ddof, keepdims=keepdims, **given(where, mean=mean))


nanstd.defvjp(a=_std_rule, mean=negated(_std_rule))

# Extremes -----------------------------------------------------------------------------------------


def _extreme_rule(g: Any, a: Any, out: Any, axis: Axes, keepdims: bool, where: Any) -> Any:
    return extreme_rule(g, a, out, axis, keepdims, _present(a, where))


@op(selects=True, cases=EXTREMES, implements=(np.nanmax,))
def nanmax(
    a: Array, axis: Axes = None, *, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Array:
    """Return the largest entry that is not NaN."""
    return np.nanmax(a, axis, keepdims=keepdims, **given(where, initial=initial))


nanmax.defvjp(a=_extreme_rule)


@op(selects=True, cases=EXTREMES, implements=(np.nanmin,))
def nanmin(
    a: Array, axis: Axes = None, *, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Array:
    """Return the smallest entry that is not NaN."""
    return np.nanmin(a, axis, keepdims=keepdims, **given(where, initial=initial))


nanmin.defvjp(a=_extreme_rule)
