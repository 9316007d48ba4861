"""Arrays made of Tensors: nested lists, repeated values, steps."""

import numpy as np
import pytest

from tinygrad_mnist import Tensor, grad, ops

T = Tensor(3.0, requires_grad=True)


def test_nested_lists_of_tensors_and_numbers_become_one_tensor():
    made = ops.array([[T, 1.0], [2, T * T]])
    np.testing.assert_array_equal(made.data, [[3.0, 1.0], [2.0, 9.0]])
    assert grad(lambda t: ops.array([[t, 1.0], [2, t * t]]).sum())(3.0) == 7.0


def test_an_array_without_a_tensor_inside_is_numpys_own():
    made = ops.array([[1, 2], [3, 4]], dtype=float, ndmin=3)
    assert type(made) is np.ndarray
    assert made.shape == (1, 2, 2)
    assert type(ops.full((2, 2), 1.0)) is np.ndarray


def test_dtype_and_axes_are_as_asked():
    made = ops.array([T, 1.0], dtype=np.float32, ndmin=2)
    assert (made.shape, made.dtype, made.requires_grad) == ((1, 2), np.float32, True)
    assert ops.full((2, 3), T, np.float32).dtype == np.float32


def test_a_tensor_itself_is_copied_unless_asked_otherwise():
    x = Tensor([1.0, 2.0], requires_grad=True)
    assert np.shares_memory(ops.array(x, copy=None).data, x.data)
    assert not np.shares_memory(ops.array(x).data, x.data)


def test_lists_that_do_not_fit_together_are_refused():
    with pytest.raises(ValueError, match="same shape"):
        ops.array([[T, 1.0], [T]])


def test_a_value_is_repeated_to_a_shape_and_its_gradient_summed_back():
    row = np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(grad(lambda x: ops.full((2, 3), x).sum())(row), [2, 2, 2])
    np.testing.assert_array_equal(ops.full(2, [T, 1.0]).data, [3.0, 1.0])


@pytest.mark.parametrize("num", [0, 1, 2])
@pytest.mark.parametrize("endpoint", [True, False])
def test_few_steps_are_numpys(num, endpoint):
    for made, expected in (
        (np.linspace(T, 4.0, num, endpoint), np.linspace(3.0, 4.0, num, endpoint)),
        (np.geomspace(T, 4.0, num, endpoint), np.geomspace(3.0, 4.0, num, endpoint)),
        (np.logspace(T, 4.0, num, endpoint), np.logspace(3.0, 4.0, num, endpoint)),
    ):
        np.testing.assert_array_equal(made.data, expected)
