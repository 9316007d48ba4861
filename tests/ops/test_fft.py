"""Fourier transforms where others err: odd and padded lengths, norms, parts that are ignored."""

import numpy as np
import pytest

from tinygrad_mnist import Tensor, grad, gradcheck, vjp

X = np.array([1.0, 2.0, -3.5, 0.5])


def test_a_transform_that_is_cut_ignores_what_lies_behind():
    power = lambda x: np.sum(np.abs(np.fft.rfft(x, n=3)) ** 2)  # noqa: E731
    np.testing.assert_allclose(grad(power)(np.array([1.0, 2.0, 4.0, 7.0])), [10, 13, 19, 0])


@pytest.mark.parametrize("n", [1, 2, 3, 5, 6, 9])
@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
def test_every_length_and_norm_is_right_at_both_orders(n, norm):
    gradcheck(lambda x: np.fft.rfft(x, n, norm=norm) ** 2, X)
    gradcheck(lambda x: np.fft.irfft(np.fft.rfft(x, norm=norm) ** 2, n, norm=norm), X)


def test_the_norm_of_an_inverse_is_not_undone_twice():
    expected = [vjp(np.fft.irfft, X)[1](np.arange(6.0))[0] * 6]
    found = vjp(lambda x: np.fft.irfft(x, norm="forward"), X)[1](np.arange(6.0))
    np.testing.assert_allclose(found, expected)


def test_the_imaginary_parts_that_a_real_inverse_ignores_have_no_gradient():
    _, pull = vjp(lambda y: np.fft.irfft(1j * y), X[:3])  # of length 4: frequencies 0, 1 and 2
    np.testing.assert_allclose(pull(np.array([1.0, 2.0, 3.0, 5.0]))[0][[0, 2]], 0, atol=1e-15)


def test_a_transform_over_one_axis_twice_is_done_twice():
    x = np.random.default_rng(0).normal(size=(2, 3))
    gradcheck(lambda x: np.abs(np.fft.fftn(x, axes=(0, 0))) ** 2, x)


def test_a_real_transform_of_complex_numbers_is_refused():
    with pytest.raises(TypeError, match="rfft"):
        np.fft.rfft(Tensor(X, requires_grad=True) * 1j)
