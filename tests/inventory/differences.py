"""Derivatives of plain functions by central differences, extrapolated three times to step 0."""

import numpy as np

STEP = 0.008


def extrapolate(difference):
    """Return the limit of ``difference(h)``, whose error is even in `h` (Richardson)."""
    a, b, c = (difference(STEP / 2**k) for k in range(3))
    d, e = b + (b - a) / 3, c + (c - b) / 3
    return e + (e - d) / 15


def slope(f, x, v):
    """Return the first derivative of `f` at `x` along `v`."""
    return extrapolate(lambda h: (f(x + h * v) - f(x - h * v)) / (2 * h))


def curvature(f, x, v):
    """Return the second derivative of `f` at `x` along `v`."""
    middle = f(x)
    return extrapolate(lambda h: ((f(x + h * v) - middle) + (f(x - h * v) - middle)) / h**2)


def gradient(f, x):
    """Return the first derivative of `f` with respect to every entry of a vector."""
    return np.array([slope(f, x, e) for e in np.eye(x.size)])
