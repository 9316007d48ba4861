"""sinc and i0: derivatives of any order, against mpmath."""

import mpmath
import numpy as np
import pytest

from tinygrad_mnist import grad, ops

POINTS = [0.0, 1e-8, 0.3, -1.7, 3.1, 3.3, 25.5, -300.25]


@pytest.mark.parametrize("order", range(6))
def test_derivatives_of_sinc_are_right_to_the_last_digits_near_0_and_far_away(order):
    got = ops.registry["sinc_derivative"](np.array(POINTS), order)
    for x, value in zip(POINTS, got, strict=True):
        exact = mpmath.quad(  # by the integral over pieces of half a wave
            lambda t, x=x: (
                (mpmath.pi * t) ** order * mpmath.cos(mpmath.pi * t * x + order * mpmath.pi / 2)
            ),
            mpmath.linspace(0, 1, 2 + int(abs(x))),
        )
        assert abs(value - exact) <= 1e-14 * mpmath.pi**order, (x, order)


@pytest.mark.parametrize("order", range(6))
def test_derivatives_of_i0_are_right_to_the_last_digits(order):
    points = [0.0, 1e-8, 0.3, -1.7, 25.5, -200.0]
    got = ops.registry["i0_derivative"](np.array(points), order)
    angles = mpmath.linspace(0, mpmath.pi, 20)
    for x, value in zip(points, got, strict=True):
        exact = mpmath.quad(
            lambda a, x=x: mpmath.cos(a) ** order * mpmath.exp(x * mpmath.cos(a)) / mpmath.pi,
            angles,
        )
        assert abs(value - exact) <= 1e-15 * (10 + abs(x)) * abs(exact) + 1e-15, (x, order)


def test_higher_derivatives_come_from_differentiating_again():
    third = grad(grad(grad(np.i0)))
    assert third(0.5) == ops.registry["i0_derivative"](np.array(0.5), 3)
    fifth = grad(grad(grad(grad(grad(np.sinc)))))
    assert fifth(0.0) == 0.0
