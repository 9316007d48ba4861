"""Functions of each entry by itself: arithmetic, exponentials, trigonometry, choices."""

# ruff: noqa: A002 - min and max are NumPy's names for clip's bounds
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.operation import op

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array

INF = float("inf")

# fmt: off
# Arithmetic -------------------------------------------------------------------------------------

_BOTH_SIDES = ({"domain": {"y": (0, INF)}}, {"domain": {"y": (-INF, 0)}})  # of a pole at 0

add       = op(np.add).defvjp(x=lambda g: g, y=lambda g: g)
divide    = op(np.divide, cases=_BOTH_SIDES).defvjp(x=lambda g, y: g / y,
                                                    y=lambda g, out, y: -g * out / y)
multiply  = op(np.multiply).defvjp(x=lambda g, y: g * y, y=lambda g, x: g * x)
negative  = op(np.negative).defvjp(x=lambda g: -g)
positive  = op(np.positive).defvjp(x=lambda g: g)
remainder = op(np.remainder, cases=_BOTH_SIDES).defvjp(x=lambda g: g,
                                                       y=lambda g, x, y: -g * np.floor_divide(x, y))
square    = op(np.square).defvjp(x=lambda g, x: g * (2 * x))
subtract  = op(np.subtract).defvjp(x=lambda g: g, y=lambda g: -g)

# Exponentials and logarithms: a pole gives an infinity, but a zero cotangent stays zero -----------

exp   = op(np.exp).defvjp(x=lambda g, out: g * out)
expm1 = op(np.expm1).defvjp(x=lambda g, out: g * (out + 1))
log   = op(np.log, domain={"x": (0, INF)}).defvjp(x=lambda g, x: g / x)
log1p = op(np.log1p, domain={"x": (-1, INF)}).defvjp(x=lambda g, x: g / (x + 1))
sqrt  = op(np.sqrt, domain={"x": (0, INF)}).defvjp(x=lambda g, out: g / (2 * out))
# fmt: on


def _power_x(g: Any, x: Any, y: Any) -> Any:
    """Return g * y * x**(y - 1), but 0 for x**0, which is constant at x = 0 too."""
    with np.errstate(divide="ignore"):  # a pole counts only where g is not 0
        if isinstance(y, (int, float)):
            return g * (y * x ** (y - 1)) if y else np.zeros_like(g)
        constant = np.equal(x, 0) & np.equal(y, 0)
        return g * (y * x ** np.where(constant, 1, np.subtract(y, 1)))


def _power_y(g: Any, x: Any, out: Any) -> Any:
    """Return g * out * log(x), but 0 at x = 0, where 0**y is constant for y > 0."""
    return g * (out * np.log(np.where(np.equal(x, 0), 1, x)))


_ANY = {"x": (-INF, INF)}
power = op(
    np.power,
    domain={"x": (0, INF)},
    cases=({}, *({"y": y, "domain": _ANY} for y in (0, 1, 2, 3)), {"y": -0.5}, {"x": 2.0}),
).defvjp(x=_power_x, y=_power_y)

# fmt: off
# Trigonometry -----------------------------------------------------------------------------------

cos  = op(np.cos).defvjp(x=lambda g, x: -g * np.sin(x))
sin  = op(np.sin).defvjp(x=lambda g, x: g * np.cos(x))
tanh = op(np.tanh).defvjp(x=lambda g, out: g * (1 - out * out))
# fmt: on

# Kinks and ties (docs/kinks.md) -------------------------------------------------------------------


def _won(g: Any, wins: Any, ties: Any) -> Any:
    """Return the cotangent where an operand wins, half of it where both are equal, else 0."""
    return np.where(wins, g, np.where(ties, g / 2, 0))


def _direction(x: Any) -> Any:
    """Return how the absolute value grows: the sign, of complex numbers conj(x) / |x|; 0 at 0."""
    if x.dtype.kind != "c":
        return np.sign(x)
    zero = np.equal(x, 0)
    return np.where(zero, 0, np.conjugate(x)) / np.where(zero, 1, np.abs(x))


# fmt: off
absolute = op(np.absolute).defvjp(x=lambda g, x: g * _direction(x))  # abs'(0) = 0
maximum  = op(np.maximum).defvjp(x=lambda g, x, y: _won(g, x > y, np.equal(x, y)),
                                 y=lambda g, x, y: _won(g, y > x, np.equal(x, y)))
minimum  = op(np.minimum).defvjp(x=lambda g, x, y: _won(g, x < y, np.equal(x, y)),
                                 y=lambda g, x, y: _won(g, y < x, np.equal(x, y)))
# fmt: on
abs = absolute


def _bounds(a_min: Any, a_max: Any, low: Any, high: Any) -> tuple[Any, Any]:
    """Return clip's bounds, which NumPy has two names for."""
    if (a_min is not None and low is not None) or (a_max is not None and high is not None):
        raise ValueError("clip got a bound by both its names: give a_min or min, a_max or max")
    return a_min if low is None else low, a_max if high is None else high


def _sides(a: Any, a_min: Any, a_max: Any, low: Any, high: Any) -> tuple[Any, Any]:
    """Return where `a` is below the lower bound, and where either is above the upper one."""
    low, high = _bounds(a_min, a_max, low, high)
    below = False if low is None else a < low
    above = False if high is None else a > high
    if low is not None and high is not None:
        above = above | np.greater(low, high)
    return below, above


def _unclipped(g: Any, a: Any, a_min: Any, a_max: Any, min: Any, max: Any) -> Any:
    below, above = _sides(a, a_min, a_max, min, max)
    return np.where(below | above, 0, g)


def _raised(g: Any, a: Any, a_min: Any, a_max: Any, min: Any, max: Any) -> Any:
    below, above = _sides(a, a_min, a_max, min, max)
    return np.where(above, 0, np.where(below, g, 0))


def _lowered(g: Any, a: Any, a_min: Any, a_max: Any, min: Any, max: Any) -> Any:
    _, above = _sides(a, a_min, a_max, min, max)
    return np.where(above, g, 0)


@op(
    pointwise=True,
    cases=(
        {"a_min": -1},
        {"a_max": 1},
        {"min": -1, "max": 1},
        {"shapes": "(…),(…),(…)"},
        {"a_min": None, "a_max": None, "shapes": "(…),(…),(…)"},
    ),
    implements=(np.clip,),
)
def clip(
    a: Array,
    a_min: Array | None = None,
    a_max: Array | None = None,
    *,
    min: Array | None = None,
    max: Array | None = None,
) -> Array:
    """Limit the entries of `a` to lie between two bounds, either of which may be missing.

    At a bound the gradient belongs to `a` alone: a value that needs no clipping is not clipped.
    """
    return np.clip(a, *_bounds(a_min, a_max, min, max))


clip.defvjp(a=_unclipped, a_min=_raised, a_max=_lowered, min=_raised, max=_lowered)


@op(
    pointwise=True,
    selects=True,
    cases=(
        {"condition": True},
        {"condition": False},
        {"condition": [True, False, True], "shapes": "(3),(…,3)"},
    ),
    implements=(np.where,),
)
def where(condition: Array, x: Array, y: Array) -> Array:
    """Return the entries of `x` where `condition` holds, else those of `y`.

    The branch that is not taken contributes nothing, whatever its derivative is there.
    """
    return np.where(condition, x, y)


where.defvjp(
    condition=None,
    x=lambda g, condition: np.where(condition, g, 0),
    y=lambda g, condition: np.where(condition, 0, g),
)
