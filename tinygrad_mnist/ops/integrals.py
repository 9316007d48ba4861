"""sinc and i0, which are integrals, and so are their derivatives of any order, without 0 / 0."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.operation import op

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array

# sinc(x) is the integral of cos(pi x t) over t from 0 to 1 ----------------------------------------

_FAR = 10  # from here on a recurrence loses nothing, and up to here the nodes suffice
_CIRCLE = (np.sin, np.cos, lambda z: -np.sin(z), lambda z: -np.cos(z))  # each the next's integral


@cache
def _nodes() -> list[tuple[float, float]]:
    """Return Gauss's nodes between 0 and 1, and their weights."""
    nodes, weights = np.polynomial.legendre.leggauss(20)
    return [(float(t + 1) / 2, float(w) / 2) for t, w in zip(nodes, weights, strict=True)]


@op(pointwise=True, cases=({"order": 1},))
def sinc_derivative(x: Array, order: int) -> Array:
    """Return a derivative of `sinc`: the integral of t**order times one of the cosine.

    From ``z f(z) = sin(z)`` follows ``z f[n] = sin[n](z) - n f[n-1]``, which is used far from 0.
    """
    z = math.pi * x
    near = np.abs(z) < max(_FAR, order)
    inner = np.where(near, z, 0)
    integral = 0 * inner
    for t, weight in _nodes():
        integral = integral + weight * t**order * _CIRCLE[(order + 1) % 4](inner * t)
    outer = np.where(near, _FAR, z)
    far = np.sin(outer) / outer
    for n in range(1, order + 1):
        far = (_CIRCLE[n % 4](outer) - n * far) / outer
    return math.pi**order * np.where(near, integral, far)


sinc_derivative.defvjp(x=lambda g, x, order: g * sinc_derivative(x, order + 1), order=None)


@op(pointwise=True, implements=(np.sinc,))
def sinc(x: Array) -> Array:
    """Return ``sin(pi x) / (pi x)``, and 1 at 0."""
    return np.sinc(x)


sinc.defvjp(x=lambda g, x: g * sinc_derivative(x, 1))

# i0(x) is the mean of cosh(x cos(angle)) over a quarter of the circle -----------------------------

_ANGLES = [(k + 0.5) * math.pi / 128 for k in range(64)]  # exact for a periodic function, |x| < 713


@op(pointwise=True, real=True, cases=({"order": 1},))
def i0_derivative(x: Array, order: int) -> Array:
    """Return a derivative of `i0`: the mean of cos(angle)**order times cosh, or sinh if odd."""
    growth: Any = np.sinh if order % 2 else np.cosh
    total = 0 * x
    for angle in _ANGLES:
        total = total + math.cos(angle) ** order * growth(x * math.cos(angle))
    return total / len(_ANGLES)


i0_derivative.defvjp(x=lambda g, x, order: g * i0_derivative(x, order + 1), order=None)


@op(pointwise=True, real=True, implements=(np.i0,))
def i0(x: Array) -> Array:
    """Return the modified Bessel function of the first kind, of order 0."""
    return np.i0(x)


i0.defvjp(x=lambda g, x: g * i0_derivative(x, 1))
