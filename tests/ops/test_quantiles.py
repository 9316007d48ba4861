"""Medians and quantiles: every method, ties, NaN, weights, and the part itself."""

import numpy as np
import pytest

from tinygrad_mnist import Tensor, grad, gradcheck

METHODS = (
    "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf",
    "hazen", "weibull", "linear", "median_unbiased", "normal_unbiased", "lower", "higher",
    "midpoint", "nearest",
)  # fmt: skip
A = np.array([[0.9, -1.2, 2.4, 0.3, -2.2], [1.7, 0.2, -0.8, 3.1, 0.6]])


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_differentiated_in_the_entries_and_in_the_part(method):
    for q in (0.0, 0.13, 0.35, 0.62, 0.97, 1.0):
        x = Tensor(A, requires_grad=True)
        np.testing.assert_array_equal(
            np.quantile(x, q, axis=1, method=method).data, np.quantile(A, q, axis=1, method=method)
        )
        gradcheck(lambda a, q=q: np.quantile(a, q, axis=1, method=method), A)
    part = np.array([0.13, 0.37, 0.62])
    gradcheck(lambda a, q: np.quantile(a, q, axis=1, method=method), A, part)
    gradcheck(lambda a, q: np.percentile(a, q, method=method), A, 100 * part)


def test_entries_that_are_equal_share_as_the_extremes_do():
    for f, x, slopes in (
        (np.median, [2.0, 2.0, 1.0], [0.5, 0.5, 0]),
        (np.median, [1.0, 2.0, 3.0, 3.0], [0, 0.5, 0.25, 0.25]),
        (lambda x: np.quantile(x, 1), [1.0, 3.0, 3.0], [0, 0.5, 0.5]),
        (np.nanmedian, [2.0, np.nan, 2.0], [0.5, 0, 0.5]),
    ):
        np.testing.assert_allclose(grad(f)(np.array(x)), slopes, atol=1e-15)


def test_a_nan_is_the_quantile_and_has_the_gradient_unless_it_is_passed_over():
    x = np.array([[1.0, np.nan, 3.0], [2.0, 4.0, 5.0], [np.nan] * 3])
    slopes = grad(lambda x: np.sum(np.median(x[:2], axis=1)))(x)
    np.testing.assert_array_equal(slopes, [[0, 1, 0], [0, 1, 0], [0, 0, 0]])
    with pytest.warns(RuntimeWarning, match="All-NaN"):
        slopes = grad(lambda x: np.sum(np.nanquantile(x, 0.5, axis=1)[:2]))(x)
    np.testing.assert_array_equal(slopes, [[0.5, 0, 0.5], [0, 1, 0], [0, 0, 0]])


def test_weights_choose_the_entry_and_have_no_gradient_themselves():
    w = np.array([0.5, 1.7, 0.8, 2.2, 1.1])

    def f(a, w):
        return np.sum(np.quantile(a, 0.4, axis=1, method="inverted_cdf", weights=w))

    by_entry, by_weight = grad(f, argnums=(0, 1))(A, w)
    assert (by_entry.sum(1) == 1).all()
    assert f(A, w) == np.sum(A[by_entry == 1])
    np.testing.assert_array_equal(by_weight, np.zeros(5))
    gradcheck(lambda a: f(a, w), A)


def test_axes_and_kept_dimensions_go_back_to_their_places():
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    for axis in (None, 1, (0, 2), (-1, 0)):
        gradcheck(lambda x, a=axis: np.quantile(x, [0.2, 0.7], axis=a, keepdims=True), x)
        gradcheck(lambda x, a=axis: np.median(x, a, None, False, True), x)


def test_a_quantile_of_nothing_has_no_gradient_to_give():
    with np.errstate(invalid="ignore"), pytest.warns(RuntimeWarning, match="Mean of empty slice"):
        assert grad(lambda x: np.sum(np.median(x, axis=1)))(np.zeros((2, 0))).shape == (2, 0)
