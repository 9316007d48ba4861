"""Reductions that pass over NaN: those of `reductions`, with what is missing left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.operation import op
from tinygrad_mnist.ops import reductions
from tinygrad_mnist.ops.reductions import (
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
    from tinygrad_mnist.operation import Op
    from tinygrad_mnist.ops.reductions import Axes


def _present(a: Any, where: Any) -> Any:
    """Return which entries are counted: those chosen that are not NaN."""
    return np.logical_and(where, ~np.isnan(a))


def _passing_over_nan(namesake: Op, doc: str) -> Op:
    """Return an op that takes what its namesake takes, and is tested at the same cases."""
    function = getattr(np, f"nan{namesake.name}")

    def forward(*args: Any, where: Any = True, **options: Any) -> Any:
        return function(*args, **given(where, **options))

    forward.__name__, forward.__doc__ = function.__name__, doc
    forward.__signature__ = namesake.signature  # type: ignore[attr-defined]
    return op(forward, selects=True, cases=namesake.cases, implements=(function,))


# Sums, products and means -------------------------------------------------------------------------

nansum = _passing_over_nan(reductions.sum, "Add up the entries that are not NaN.")
nansum.defvjp(
    a=lambda g, a, axis, keepdims, where: shared_out(g, a.shape, axis, keepdims, _present(a, where))
)

nanprod = _passing_over_nan(reductions.prod, "Multiply the entries that are not NaN.")
nanprod.defvjp(
    a=lambda g, a, axis, initial, where: prod_rule(g, a, axis, initial, _present(a, where))
)

nanmean = _passing_over_nan(
    reductions.mean, "Return the arithmetic mean of the entries that are not NaN."
)
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


nanvar = _passing_over_nan(reductions.var, "Return the variance of the entries that are not NaN.")
nanvar.defvjp(a=_var_rule, mean=negated(_var_rule))

nanstd = _passing_over_nan(
    reductions.std, "Return the standard deviation of the entries that are not NaN."
)
nanstd.defvjp(a=_std_rule, mean=negated(_std_rule))

# Extremes -----------------------------------------------------------------------------------------


def _extreme_rule(g: Any, a: Any, out: Any, axis: Axes, keepdims: bool, where: Any) -> Any:
    return extreme_rule(g, a, out, axis, keepdims, _present(a, where))


nanmax = _passing_over_nan(reductions.max, "Return the largest entry that is not NaN.")
nanmax.defvjp(a=_extreme_rule)

nanmin = _passing_over_nan(reductions.min, "Return the smallest entry that is not NaN.")
nanmin.defvjp(a=_extreme_rule)
