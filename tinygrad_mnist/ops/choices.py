"""One of several values for each entry: by a condition, a number, or its place between knots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.graph import unboxed
from tinygrad_mnist.operation import op
from tinygrad_mnist.ops.composing import arrayed
from tinygrad_mnist.ops.indexing import scatter, set_at
from tinygrad_mnist.protocols import implements

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tinygrad_mnist.graph import Array

# By conditions and numbers ------------------------------------------------------------------------


def _holds_first(condlist: Any, i: int) -> Any:
    """Return where condition `i` holds and none before it."""
    earlier: Any = False
    for condition in condlist[:i]:
        earlier = np.logical_or(earlier, condition)
    free = np.logical_not(earlier)
    return np.logical_and(condlist[i], free) if i < len(condlist) else free


def _broadcast(arrays: Any) -> list[Any]:
    """Return arrays of one shape: NumPy itself asks to write to them, and a graph may lock them."""
    shape = np.broadcast_shapes(*(np.shape(array) for array in arrays))
    return [np.broadcast_to(a, shape) if hasattr(a, "shape") else a for a in arrays]


def _chosen(g: Any, i: int | None, condlist: Any, choicelist_shape: Any) -> Any:
    if i is None:  # the choices came as one array
        every = [np.where(_holds_first(condlist, k), g, 0) for k in range(choicelist_shape[0])]
        return np.stack(every)
    return np.where(_holds_first(condlist, i), g, 0)


_CONDITIONS = [np.array([True, False, False]), np.array([True, True, False])]


@op(
    pointwise=True,
    selects=True,
    cases=(
        {"condlist": _CONDITIONS, "shapes": "(…,3),(…,3)"},
        {"condlist": _CONDITIONS, "choicelist": [1.0, 2.0], "shapes": "(…,3)"},
    ),
    implements=(np.select,),
)
def select(condlist: Any, choicelist: Sequence[Array], default: Array = 0) -> Array:
    """Return the entries of the first choice whose condition holds, or else the default."""
    *choices, default = _broadcast([*choicelist, default])
    return np.select(_broadcast(condlist), choices, default)


select.defvjp(
    condlist=None,
    choicelist=_chosen,
    default=lambda g, condlist: np.where(_holds_first(condlist, len(condlist)), g, 0),
)


def _numbered(g: Any, i: int | None, a: Any, choices: Any, mode: str) -> Any:
    n = len(choices)
    number = np.clip(a, 0, n - 1) if mode == "clip" else np.mod(a, n)
    if i is None:
        return np.stack([np.where(number == k, g, 0) for k in range(n)])
    return np.where(number == i, g, 0)


@op(
    pointwise=True,
    selects=True,
    cases=(
        {"a": [0, 1, 0], "shapes": "(…,3),(…,3)"},
        {"a": [2, -1, 0], "mode": "wrap", "shapes": "(3),(1)"},
    ),
    implements=(np.choose,),
)
def choose(a: Any, choices: Sequence[Array], *, mode: Any = "raise") -> Array:
    """Return for each number in `a` the entry of the choice with that number."""
    return np.choose(a, choices, mode=mode)


choose.defvjp(a=None, choices=_numbered)


@op(
    pointwise=True,
    selects=True,
    cases=({}, {"nan": 0.5, "posinf": 1.0}),
    implements=(np.nan_to_num,),
)
def nan_to_num(
    x: Array,
    copy: bool = True,
    nan: Any = 0.0,
    posinf: Any = None,
    neginf: Any = None,
) -> Array:
    """Return numbers in place of NaN and infinities, which are constants."""
    if not copy:
        raise ValueError("nan_to_num does not write in place: leave out copy=False")
    return np.nan_to_num(x, True, nan, posinf, neginf)


nan_to_num.defvjp(x=lambda g, x: np.where(np.isfinite(x), g, 0))


@implements(np.real_if_close)
def real_if_close(a: Any, tol: float = 100) -> Any:
    """Return the real part where all imaginary parts are rounding errors, or else `a` itself."""
    real = np.real_if_close(unboxed(a), tol).dtype.kind != "c"
    return np.real(a) if real and a.dtype.kind == "c" else a


# By functions -------------------------------------------------------------------------------------


@implements(np.piecewise)
def piecewise(
    x: Any, condlist: Any, funclist: Sequence[Callable[..., Any] | Any], *args: Any, **kw: Any
) -> Any:
    """Return what a function of its own makes of the entries where each condition holds.

    The last of several conditions that hold decides; one more function stands for all else.
    """
    x = arrayed(x)
    single = np.ndim(condlist) == 0 or (np.ndim(condlist[0]) == 0 and x.ndim != 0)
    conditions = np.array([condlist] if single else condlist, dtype=bool)
    n = len(funclist)
    if len(conditions) == n - 1:
        conditions = np.concatenate([conditions, ~np.any(conditions, axis=0, keepdims=True)])
    elif len(conditions) != n:
        k = len(conditions)
        raise ValueError(f"with {k} condition(s), either {k} or {k + 1} functions are expected")
    y = set_at(x, ..., 0)
    for condition, function in zip(conditions, funclist, strict=True):
        value = function
        if callable(function):
            entries = x[condition]
            if not entries.size:
                continue
            value = function(entries, *args, **kw)
        y = set_at(y, condition, value)
    return y


# Between knots ------------------------------------------------------------------------------------


def _between(x: Any, xp: Any, period: float | None) -> tuple[Any, Any, Any, Any]:
    """Return the knots beside each x, where between them it lies, and whether it is outside.

    With a period also knots are folded into it, in order, and the last stands before the first too.
    """
    order = np.arange(len(xp))
    if period is not None:
        period = abs(period)
        x, xp = x % period, xp % period
        order = np.argsort(unboxed(xp))
        order = np.concatenate([order[-1:], order, order[:1]])
        turns = np.zeros(len(order))
        turns[0], turns[-1] = -period, period
        xp = xp[order] + turns
    after = np.clip(np.searchsorted(unboxed(xp), unboxed(x), "right"), 1, max(len(order) - 1, 1))
    before = np.minimum(after - 1, len(order) - 1)
    after = np.minimum(after, len(order) - 1)
    width = xp[after] - xp[before]
    width = np.where(np.equal(width, 0), 1, width)
    outside = -1 * (unboxed(x) < unboxed(xp)[0]) + (unboxed(x) > unboxed(xp)[-1])
    return order[before], order[after], (x - xp[before]) / width, (width, outside)


def _interp_slope(g: Any, x: Any, xp: Any, fp: Any, period: float | None) -> Any:
    before, after, _, (width, outside) = _between(x, xp, period)
    return np.where(outside, 0, g * ((fp[after] - fp[before]) / width))


def _to_knots(g: Any, x: Any, xp: Any, period: float | None) -> Any:
    """Return `g` for the two knots beside each x, by nearness."""
    before, after, part, (_, outside) = _between(x, xp, period)
    g = np.where(outside == 0, g, 0)
    part = np.clip(part, 0, 1)
    places = np.concatenate([np.ravel(before), np.ravel(after)])
    parts = np.concatenate([np.ravel(g * (1 - part)), np.ravel(g * part)])
    return scatter(parts, places, np.shape(xp))


def _outside_rule(side: int) -> Callable[..., Any]:
    def rule(g: Any, x: Any, xp: Any, period: float | None) -> Any:
        _, _, _, (_, outside) = _between(x, xp, period)
        return np.where(outside == side, g, 0)

    return rule


@op(
    cases=(
        {"xp": [-1.0, 0.5, 2.0], "shapes": "(…),(3)"},
        {"x": [-0.7, 0.1, 1.3, 4.0], "xp": [-1.0, 0.5, 2.0], "period": 3.5, "shapes": "(3)"},
        {"xp": [-1.0, 0.5, 2.0], "fp": [3.0, 1.0, 2.0], "shapes": "(…),(),()"},
        {"x": [-0.7, 0.1, 1.3], "domain": {"xp": (-2.0, -1.0)}, "fp": [3.0], "shapes": "(1)"},
    ),
    implements=(np.interp,),
)
def interp(
    x: Array,
    xp: Array,
    fp: Array,
    left: Array | None = None,
    right: Array | None = None,
    period: float | None = None,
) -> Array:
    """Return the function that is linear between knots at `xp` where it is `fp`.

    Outside it is `left` and `right`, the first and last value unless told. At a knot the slope is
    that on the right.
    """
    return np.interp(x, xp, fp, left, right, period)


def _ends(g: Any, x: Any, xp: Any, fp: Any, left: Any, right: Any, period: float | None) -> Any:
    """Return the gradient of the values at knots: the first and last also count outside."""
    inside = _to_knots(g, x, xp, period)
    if period is not None:
        return inside
    _, _, _, (_, outside) = _between(x, xp, period)
    ends = [
        np.sum(np.where(outside == side, g, 0)) if given is None else 0 * np.sum(g)
        for side, given in ((-1, left), (1, right))
    ]
    return inside + scatter(np.stack(ends), np.array([0, len(fp) - 1]), np.shape(fp))


def _moved_knots(g: Any, x: Any, xp: Any, fp: Any, period: float | None) -> Any:
    """Return the gradient of the knots: a knot that moves right lowers what rises there."""
    return -_to_knots(_interp_slope(g, x, xp, fp, period), x, xp, period)


interp.defvjp(
    x=_interp_slope,
    xp=_moved_knots,
    fp=_ends,
    left=_outside_rule(-1),
    right=_outside_rule(1),
)
