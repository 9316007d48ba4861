"""Running sums and products, differences, slopes, areas."""

import numpy as np
import pytest

from tinygrad_mnist import Tensor, grad, gradcheck, hessian, ops


def leaf(data):
    return Tensor(np.array(data, float), requires_grad=True)


@pytest.mark.parametrize("x", [[0.0, 2.0, 3.0, -1.0], [2.0, 0.0, 0.0, 3.0], [0.0] * 4])
def test_running_products_have_their_derivatives_at_zeros_too(x):
    gradcheck(np.cumprod, np.array(x))
    second = hessian(lambda x: np.cumprod(x)[-1])(np.array(x))
    product = hessian(np.prod)(np.array(x))
    np.testing.assert_array_equal(second, product)


@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize("x", [[0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 0.5, 1.5, 3.0, 3.2]], ids=str)
def test_slopes_know_of_every_coordinate_also_where_they_are_even(x, edge_order):
    f = np.array([0.3, 1.2, -0.7, 2.0, 0.4])
    result = np.gradient(leaf(f), leaf(x), edge_order=edge_order)
    np.testing.assert_array_equal(result.data, np.gradient(f, x, edge_order=edge_order))
    slopes = grad(lambda x: np.sum(np.gradient(f, x, edge_order=edge_order) * f[::-1]))
    if len(set(np.diff(x))) == 1:  # differences of NumPy's value would not see it
        beside = np.array(x) + 1e-9 * np.array([1, -2, 1.5, 3, -1])
        np.testing.assert_allclose(slopes(np.array(x)), slopes(beside), rtol=1e-6)
    else:
        gradcheck(lambda f, x: np.gradient(f, x, edge_order=edge_order), f, np.array(x))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda t: np.diff(t, n=-1), ValueError, "non-negative but got -1"),
        (lambda t: np.diff(t[0, 0]), ValueError, "at least one dimensional"),
        (lambda t: np.ediff1d(t, to_end=1j), TypeError, "to_end.*same_kind"),
        (ops.cumulative_sum, ValueError, "axis.* is required"),
        (lambda t: np.gradient(t, 1.0, 1.0, 1.0), TypeError, "invalid number of arguments"),
        (lambda t: np.gradient(t, [1.0, 2.0], [1.0]), ValueError, "must match the length"),
        (lambda t: np.gradient(t, np.ones((2, 2)), 1.0), ValueError, "either scalars or 1d"),
        (lambda t: np.gradient(t, edge_order=3), ValueError, "greater than 2"),
        (lambda t: np.gradient(t, edge_order=2), ValueError, "too small"),
    ],
    ids=["n", "0-d", "cast", "axis", "number", "length", "2-d", "order", "small"],
)
def test_what_numpy_refuses_is_refused_in_its_words(call, error, words):
    with pytest.raises(error, match=rf"(?s){words}"):
        call(leaf([[1.0, 2.0], [3.0, 4.0]]))


def test_a_running_sum_may_begin_with_nothing():
    for function, first in ((ops.cumulative_sum, 0.0), (ops.cumulative_prod, 1.0)):
        result = function(leaf([2.0, 3.0]), include_initial=True)
        assert result.data[0] == first
        assert function(leaf(np.zeros((0, 2))), axis=0, include_initial=True).shape == (1, 2)
        gradcheck(lambda x, f=function: f(x, axis=1, include_initial=True), np.ones((2, 3)))
