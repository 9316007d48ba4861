"""Complex numbers on the way from real leaves to a real result: parts, conjugate, angle.

The cotangent of a complex z is the number g for which the result changes by Re(g dz): JAX's
convention, where g is not conjugated. So the rule of a holomorphic function is the same for real
and complex numbers, g f'(z), and linear functions have plain transposes. Only what is not
holomorphic, as here, must tell the two apart; the engine takes the real part where an operand is
real.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.operation import op

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array

conjugate = op(np.conjugate).defvjp(x=lambda g: g.conj())
conj = conjugate


@op(pointwise=True, implements=(np.real,))
def real(val: Array) -> Array:
    """Return the real part."""
    return np.real(val)


real.defvjp(val=lambda g: g)


@op(pointwise=True, implements=(np.imag,))
def imag(val: Array) -> Array:
    """Return the imaginary part, 0 of real numbers."""
    return np.imag(val)


imag.defvjp(val=lambda g: g * -1j)


def _angle_rule(g: Any, z: Any, deg: bool) -> Any:
    """Return the gradient of Im(log(z)): 0 at z = 0, as of `arctan2` (docs/kinks.md)."""
    zero = np.equal(z, 0)
    g = np.where(zero, 0, g * (180 / np.pi) if deg else g)
    return g * -1j / np.where(zero, 1, z)


@op(pointwise=True, cases=({}, {"deg": True}), implements=(np.angle,))
def angle(z: Array, deg: bool = False) -> Array:
    """Return the angle of z from the positive real axis, in radians or degrees."""
    return np.angle(z, deg)


angle.defvjp(z=_angle_rule)
