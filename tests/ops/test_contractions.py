"""einsum and its relatives, beyond what the registry's cases and NumPy's calls try."""

import numpy as np

from tinygrad_mnist import Tensor, grad


def test_numbers_may_stand_among_the_arrays_of_einsum():
    for call in (lambda x: np.einsum(",i->", 3, x), lambda x: np.einsum(x, [0], 3, [], [])):
        np.testing.assert_array_equal(grad(call)(np.arange(3.0)), [3, 3, 3])


def test_einsum_computes_in_the_dtype_that_is_asked_for_and_the_gradient_keeps_its_own():
    x = Tensor(np.arange(3, dtype=np.float32), requires_grad=True)
    y = np.einsum("i,i->", x, x, dtype=np.float64)
    y.backward()
    assert y.dtype == np.float64
    np.testing.assert_array_equal(x.grad, np.array([0, 2, 4], np.float32), strict=True)


def test_a_gradient_of_many_factors_is_found_without_a_search_for_the_best_order():
    x = np.full((2, 2), 0.5)  # its own square
    text = ",".join(f"{a}{b}" for a, b in zip("abcdefghijkl", "bcdefghijklm", strict=True)) + "->am"
    path = ["einsum_path", *[(0, 1)] * 11]  # the best one of 12 is found in an hour
    slope = grad(lambda x: np.sum(np.einsum(text, *[x] * 12, optimize=path)))(x)
    np.testing.assert_allclose(slope, np.full((2, 2), 12.0))
