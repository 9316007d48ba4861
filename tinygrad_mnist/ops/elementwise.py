"""Functions of each entry by itself: arithmetic, exponentials, trigonometry, choices."""

# ruff: noqa: A002 - min and max are NumPy's names for clip's bounds
from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.operation import op
from tinygrad_mnist.protocols import implements

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array

INF = float("inf")

# fmt: off
# Arithmetic -------------------------------------------------------------------------------------

_FEW_JUMPS = (  # between which a remainder is drawn: they lie y apart
    {"domain": {"x": (-9, 9), "y": (0.5, INF)}},
    {"domain": {"x": (-9, 9), "y": (-INF, -0.5)}},
)
_BOTH_SIDES = ({"domain": {"y": (0, INF)}}, {"domain": {"y": (-INF, 0)}})  # of a pole at 0

add        = op(np.add).defvjp(x=lambda g: g, y=lambda g: g)
deg2rad    = op(np.deg2rad).defvjp(x=lambda g: g * (math.pi / 180))
degrees    = op(np.degrees).defvjp(x=lambda g: g * (180 / math.pi))
divide     = op(np.divide, cases=_BOTH_SIDES).defvjp(x=lambda g, y: g / y,
                                                     y=lambda g, out, y: -g * out / y)
fmod       = op(np.fmod, cases=_FEW_JUMPS).defvjp(x=lambda g: g,
                                                  y=lambda g, x, y: -g * np.trunc(x / y))
multiply   = op(np.multiply).defvjp(x=lambda g, y: g * y, y=lambda g, x: g * x)
negative   = op(np.negative).defvjp(x=lambda g: -g)
nextafter  = op(np.nextafter, cases=({"y": 0.5},)).defvjp(x=lambda g: g, y=None)
positive   = op(np.positive).defvjp(x=lambda g: g)
rad2deg    = op(np.rad2deg).defvjp(x=lambda g: g * (180 / math.pi))
radians    = op(np.radians).defvjp(x=lambda g: g * (math.pi / 180))
reciprocal = op(np.reciprocal, domain={"x": (0, INF)}).defvjp(x=lambda g, out: -g * out * out)
remainder  = op(np.remainder, cases=_FEW_JUMPS).defvjp(x=lambda g: g,
                                                       y=lambda g, x, y: -g * (x // y))
square     = op(np.square).defvjp(x=lambda g, x: g * (2 * x))
subtract   = op(np.subtract).defvjp(x=lambda g: g, y=lambda g: -g)

# Exponentials and logarithms: a pole gives an infinity, but a zero cotangent stays zero -----------

LN2, LN10 = math.log(2), math.log(10)

cbrt  = op(np.cbrt, domain={"x": (0, INF)}).defvjp(x=lambda g, out: g / 3 / out / out)
exp   = op(np.exp).defvjp(x=lambda g, out: g * out)
exp2  = op(np.exp2).defvjp(x=lambda g, out: g * (out * LN2))
expm1 = op(np.expm1).defvjp(x=lambda g, out: g * (out + 1))
log   = op(np.log, domain={"x": (0, INF)}).defvjp(x=lambda g, x: g / x)
log10 = op(np.log10, domain={"x": (0, INF)}).defvjp(x=lambda g, x: g / (x * LN10))
log1p = op(np.log1p, domain={"x": (-1, INF)}).defvjp(x=lambda g, x: g / (x + 1))
log2  = op(np.log2, domain={"x": (0, INF)}).defvjp(x=lambda g, x: g / (x * LN2))
sqrt  = op(np.sqrt, domain={"x": (0, INF)}).defvjp(x=lambda g, out: g / (2 * out))
# fmt: on


def part_of(exponential: Any, x: Any, out: Any) -> Any:
    """Return exponential(x) / exponential(out), where infinities are alike."""
    infinite = np.isinf(out)
    finite = exponential(np.where(infinite, 0, x) - np.where(infinite, 0, out))
    return np.where(infinite, np.equal(x, out), finite)


def _share(g: Any, exponential: Any, x: Any, y: Any, out: Any) -> Any:
    """Return the cotangent of the first of two numbers whose exponentials were added up."""
    part, other = part_of(exponential, x, out), part_of(exponential, y, out)
    return g * (part / (part + other))


# fmt: off
logaddexp  = op(np.logaddexp).defvjp(x=lambda g, x, y, out: _share(g, np.exp, x, y, out),
                                     y=lambda g, x, y, out: _share(g, np.exp, y, x, out))
logaddexp2 = op(np.logaddexp2).defvjp(x=lambda g, x, y, out: _share(g, np.exp2, x, y, out),
                                      y=lambda g, x, y, out: _share(g, np.exp2, y, x, out))
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
_POWERS = ({}, *({"y": y, "domain": _ANY} for y in (0, 1, 2, 3)), {"y": -0.5}, {"x": 2.0})
_powers = partial(op, domain={"x": (0, INF)}, cases=_POWERS)


# fmt: off
float_power = _powers(np.float_power).defvjp(x=_power_x, y=_power_y)
power       = _powers(np.power).defvjp(x=_power_x, y=_power_y)
# fmt: on

# Trigonometry -----------------------------------------------------------------------------------


@op(pointwise=True)
def one_minus_square(x: Array) -> Array:
    """Return 1 - x * x, right also near 1, where it is small."""
    return (1 - x) * (1 + x)


one_minus_square.defvjp(x=lambda g, x: g * (-2 * x))


def _other_side(x: Any) -> Any:
    """Return sqrt(1 - x * x); of complex numbers on that side of the cut where arcsin is."""
    return np.cos(np.arcsin(x)) if x.dtype.kind == "c" else np.sqrt(one_minus_square(x))


# fmt: off

_BELOW_1 = {"x": (-1, 1)}

arccos  = op(np.arccos, domain=_BELOW_1).defvjp(x=lambda g, x: -g / _other_side(x))
arccosh = op(np.arccosh, domain={"x": (1, INF)}).defvjp(
                                 x=lambda g, x: g / (np.sqrt(x - 1) * np.sqrt(x + 1)))
arcsin  = op(np.arcsin, domain=_BELOW_1).defvjp(x=lambda g, x: g / _other_side(x))
arcsinh = op(np.arcsinh).defvjp(x=lambda g, x: g / _hypotenuse(x))
arctan  = op(np.arctan).defvjp(x=lambda g, x: g / (1 + x * x))
arctanh = op(np.arctanh, domain=_BELOW_1).defvjp(x=lambda g, x: g / one_minus_square(x))
cos     = op(np.cos).defvjp(x=lambda g, x: -g * np.sin(x))
cosh    = op(np.cosh).defvjp(x=lambda g, x: g * np.sinh(x))
sin     = op(np.sin).defvjp(x=lambda g, x: g * np.cos(x))
sinh    = op(np.sinh).defvjp(x=lambda g, x: g * np.cosh(x))
tan     = op(np.tan).defvjp(x=lambda g, out: g * (1 + out * out))
tanh    = op(np.tanh).defvjp(x=lambda g, out: g * (1 - out * out))

# The angle and length of (0, 0) are given no slope: divided by an infinite length it is 0.

_BESIDE_ORIGIN = ({"domain": {"x": (0.1, INF)}}, {"domain": {"y": (0.1, INF)}},
                  {"domain": {"x": (-INF, -0.1)}})

arctan2 = op(np.arctan2, cases=_BESIDE_ORIGIN).defvjp(
    x=lambda g, x, y: g * _over_square(y, np.hypot(x, y)),
    y=lambda g, x, y: -g * _over_square(x, np.hypot(x, y)))
hypot   = op(np.hypot).defvjp(x=lambda g, x, out: g * (x / nonzero(out)),
                              y=lambda g, y, out: g * (y / nonzero(out)))
# fmt: on


def _hypotenuse(x: Any) -> Any:
    """Return the square root of 1 + x * x, also where that overflows."""
    return np.sqrt(1 + x * x) if x.dtype.kind == "c" else np.hypot(x, 1)


def nonzero(length: Any) -> Any:
    """Return a length, an infinite one instead of 0."""
    return np.where(np.equal(length, 0), INF, length)


def _over_square(x: Any, length: Any) -> Any:
    """Return x / length**2, also where the square overflows."""
    length = nonzero(length)
    return x / length / length


# Kinks and ties (docs/kinks.md) -------------------------------------------------------------------


def _won(g: Any, wins: Any, loses: Any) -> Any:
    """Return the cotangent where an operand wins, 0 where it loses, half where none does."""
    return np.where(wins, g, np.where(loses, 0, g / 2))


def _direction(x: Any) -> Any:
    """Return how the absolute value grows: the sign, of complex numbers conj(x) / |x|; 0 at 0."""
    if x.dtype.kind != "c":
        return np.sign(x)
    zero = np.equal(x, 0)
    return np.where(zero, 0, np.conjugate(x)) / np.where(zero, 1, np.abs(x))


def _won_over_nan(g: Any, x: Any, y: Any, wins: Any, loses: Any) -> Any:
    """Return the cotangent of x where it wins over y or y is NaN, half where both are alike."""
    x_nan, y_nan = np.isnan(x), np.isnan(y)
    return _won(g, wins | (y_nan & ~x_nan), loses | (x_nan & ~y_nan))


# fmt: off
absolute = op(np.absolute).defvjp(x=lambda g, x: g * _direction(x))  # abs'(0) = 0
copysign = op(np.copysign, cases=({"y": -1.0}, {"y": [2.0, -0.0], "shapes": "(…,2)"})).defvjp(
    x=lambda g, x, y: g * (np.sign(x) * np.copysign(1, y)), y=None)
fabs     = op(np.fabs).defvjp(x=lambda g, x: g * np.sign(x))
fmax     = op(np.fmax).defvjp(x=lambda g, x, y: _won_over_nan(g, x, y, x > y, x < y),
                              y=lambda g, x, y: _won_over_nan(g, y, x, y > x, y < x))
fmin     = op(np.fmin).defvjp(x=lambda g, x, y: _won_over_nan(g, x, y, x < y, x > y),
                              y=lambda g, x, y: _won_over_nan(g, y, x, y < x, y > x))
maximum  = op(np.maximum).defvjp(x=lambda g, x, y: _won(g, x > y, x < y),
                                 y=lambda g, x, y: _won(g, y > x, y < x))
minimum  = op(np.minimum).defvjp(x=lambda g, x, y: _won(g, x < y, x > y),
                                 y=lambda g, x, y: _won(g, y < x, y > x))
# fmt: on
abs = absolute

# Parts of a number --------------------------------------------------------------------------------

# fmt: off
frexp = op(np.frexp).defvjp(x=lambda g, out: np.ldexp(g[0], -out[1]))
ldexp = op(np.ldexp, cases=({"y": 3}, {"y": [1, -2, 0], "shapes": "(…,3)"})).defvjp(
    x=lambda g, y: np.ldexp(g, y), y=None  # noqa: PLW0108 - its names are read
)
# fmt: on


@op(pointwise=True)
def fraction(x: Array) -> Array:
    """Return what is behind the decimal point, with the sign of `x`."""
    return np.modf(x)[0]


fraction.defvjp(x=lambda g: g)


@implements(np.modf)
def modf(x: Array) -> tuple[Array, Array]:
    """Return what is behind the decimal point, and what is before it as a plain array."""
    return fraction(x), np.trunc(x)


@implements(np.divmod)
def divmod(x: Array, y: Array) -> tuple[Array, Array]:
    """Return the quotient, rounded down, as a plain array, and the remainder."""
    return np.floor_divide(x, y), remainder(x, y)


def _bounds(a_min: Any, a_max: Any, low: Any, high: Any) -> tuple[Any, Any]:
    """Return clip's bounds, which NumPy has two names for."""
    if (a_min is not None and low is not None) or (a_max is not None and high is not None):
        raise ValueError("clip got a bound by both its names: give a_min or min, a_max or max")
    return a_min if low is None else low, a_max if high is None else high


def _sides(a: Any, a_min: Any, a_max: Any, low: Any, high: Any) -> tuple[Any, Any]:
    """Return where `a` is below the lower bound, and where the upper one alone decides."""
    low, high = _bounds(a_min, a_max, low, high)
    below = False if low is None else a < low
    above = False if high is None else a > high
    if low is not None and high is not None:
        above = above | np.greater_equal(low, high)
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
    Where the bounds meet, or the lower one is above the upper one, it belongs to the upper one.
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

# Other names --------------------------------------------------------------------------------------

abs = absolute
acos, acosh, asin, asinh, atan, atanh = arccos, arccosh, arcsin, arcsinh, arctan, arctanh
atan2, mod, pow, true_divide = arctan2, remainder, power, divide
