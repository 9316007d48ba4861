"""Arrays of sixty digits go through NumPy's functions, and keep their digits."""

import mpmath
import numpy as np
import pytest

from tinygrad_mnist import Tensor, ops
from tinygrad_mnist.checking.exact import DIGITS, exact, is_exact

X = np.array([[0.3, 1.7, 2.0], [0.25, 0.5, 3.0]])

FUNCTIONS = {
    "arithmetic": lambda x: (x + 1) * x / 3 - 2**x,
    "exponentials": lambda x: np.exp(-x) + np.log1p(x) * np.expm1(x) - np.log(x) + np.log2(x),
    "trigonometry": lambda x: np.sin(x) * np.arctan2(x, 2) + np.tanh(np.cosh(x)) - np.hypot(x, 1),
    "roots": lambda x: np.sqrt(x) + np.cbrt(-x) + np.square(x) + x**1.5,
    "choices": lambda x: np.maximum(x, 1) + np.where(x > 1, x, 0) + np.clip(x, 0.4, 1.0) + abs(x),
    "reductions": lambda x: np.sum(x, axis=0) + np.mean(x) + x.max() - np.std(x, axis=0),
    "a sum of chosen entries": lambda x: np.sum(x, where=x > 1) + np.prod(x, where=x > 0.4),
    "products": lambda x: x @ x.T + np.einsum("ij,kj->ik", x, x) + np.dot(x, x.T),
    "shapes": lambda x: np.concatenate([x.reshape(3, 2), x.T]) + x.T[:1],
    "a number alone": lambda x: np.log(np.sum(np.exp(x))) + np.exp(x[0, 1]) + x[1].sum(),
    "ops": lambda x: ops.softmax(x) - ops.log_softmax(x) + ops.leaky_relu(x),
    "more ops": lambda x: ops.logsumexp(x, axis=0) * ops.sigmoid(x) + ops.relu(x) + ops.softplus(x),
    "remainders": lambda x: np.remainder(x, 0.7) + np.fmod(-x, 0.7) + np.floor(x) + np.trunc(-x),
    "another precision": lambda x: x.astype(np.float32) * 2,
    "tests": lambda x: np.where(np.isfinite(x) & ~np.isnan(x) & ~np.isposinf(x), x, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_give_what_they_give_for_floats(name):
    f = FUNCTIONS[name]
    with mpmath.workdps(DIGITS):
        found = f(exact(X))
    assert is_exact(found)
    numbers = np.vectorize(float)(found.view(np.ndarray))
    np.testing.assert_allclose(numbers, np.asarray(f(X)), rtol=1e-6)


def test_digits_are_kept():
    with mpmath.workdps(DIGITS):
        found = np.log(np.exp(exact(X))) - exact(X)
        assert max(abs(entry) for entry in found.ravel().view(np.ndarray)) < mpmath.mpf("1e-58")
        assert exact(np.float32(0.1))[()].view(np.ndarray)[()] == mpmath.mpf(float(np.float32(0.1)))


def test_tests_and_comparisons_give_plain_booleans():
    x = exact(X)
    for found in (x > 1, np.isfinite(x), np.logical_not(x > 1), np.equal(x, x)):
        assert found.dtype == bool
    assert isinstance(np.argmax(x), np.intp)


def test_a_tensor_beside_them_counts_as_its_numbers():
    with mpmath.workdps(DIGITS):
        found = exact(X) @ Tensor(np.ones((3, 2)), requires_grad=True)
    assert is_exact(found)


def test_what_needs_floats_says_so():
    with pytest.raises(TypeError, match="nextafter"):
        np.nextafter(exact(X), 1)
    with mpmath.workdps(DIGITS), pytest.raises(ValueError, match="left its domain"):
        np.sqrt(exact(-X))
