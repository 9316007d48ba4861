"""Polynomials: fits with everything that NumPy returns, divisions, roots that coincide."""

import warnings

import numpy as np
import pytest

from tinygrad_mnist import Tensor, grad, gradcheck

X = np.array([0.0, 0.5, 1.3, 2.0, 3.1, 4.0])
Y = np.array([1.0, -0.5, 0.7, 2.2, 0.1, 3.0])


@pytest.mark.parametrize("y", [Y, np.stack([Y, Y[::-1]], 1)], ids=["vector", "columns"])
@pytest.mark.parametrize("options", [{"full": True}, {"cov": True}, {"cov": "unscaled"}], ids=str)
@pytest.mark.parametrize("w", [None, 1 + X], ids=["equal", "weighted"])
def test_a_fit_returns_all_that_numpy_returns(y, options, w):
    made = np.polyfit(Tensor(X), Tensor(y, requires_grad=True), 2, w=w, **options)
    for one, other in zip(made, np.polyfit(X, y, 2, w=w, **options), strict=True):
        np.testing.assert_allclose(getattr(one, "data", one), other, rtol=1e-12)
    gradcheck(lambda x, y: np.polyfit(x, y, 2, w=w, **options)[:2], X, y)


def test_a_fit_with_too_few_points_warns_as_numpy_does():
    with pytest.warns(np.exceptions.RankWarning):
        np.polyfit(np.ones(3), Tensor(Y[:3], requires_grad=True), 2)


@pytest.mark.parametrize(
    ("x", "y", "told"), [(X[:, None], Y, "takes a vector x"), (X[:2], Y, "a row for each")]
)
def test_points_that_do_not_fit_together_are_refused(x, y, told):
    with pytest.raises(TypeError, match=told):
        np.polyfit(x, Tensor(y, requires_grad=True), 1)


def test_a_remainder_has_no_zeros_in_front():
    u, v = np.array([1.0, 3.0, 2.0]), np.array([1.0, 1.0])  # (x + 1) (x + 2)
    made = np.polydiv(Tensor(u, requires_grad=True), v)
    for one, other in zip(made, np.polydiv(u, v), strict=True):
        np.testing.assert_array_equal(one.data, other)


def test_a_double_root_has_an_infinite_derivative():
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        slope = grad(lambda p: np.sum(np.real(np.roots(p)) * [1.0, 2.0]))(np.array([1.0, 0.0, 0.0]))
    assert not np.isfinite(slope[-1])


@pytest.mark.parametrize("x", [0.7, X[:2], np.outer(X, X[:2])])
def test_several_polynomials_whose_coefficients_stand_side_by_side_have_right_derivatives(x):
    gradcheck(np.polyval, np.cos(np.arange(6.0)).reshape(3, 2), x)


@pytest.mark.parametrize("a", [[[0.0, 1.0], [0.0, 0.0]], np.eye(3), [[2.0]]], ids=str)
def test_a_characteristic_polynomial_is_smooth_where_eigenvalues_coincide(a):
    gradcheck(np.poly, np.array(a), strict=True)


@pytest.mark.parametrize("zero", [0.0, [0.0], [0.0, 0.0]])
def test_a_product_with_a_polynomial_that_is_zero_has_a_slope(zero):
    slope = grad(lambda p: np.sum(np.polymul([1.0, 2.0], p)))(np.array(zero))
    np.testing.assert_array_equal(np.ravel(slope)[-1], 3.0)
