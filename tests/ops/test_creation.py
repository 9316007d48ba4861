"""Arrays made of Tensors: nested lists, entries in square brackets, repeated values, steps."""

import numpy as np
import pytest

from tinygrad_mnist import Tensor, grad, gradcheck, ops

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


ROWS, ROW, ONE = np.array([[1.0, 2, 3], [4, 5, 6]]), np.array([7.0, 8, 9]), np.float64(0.5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "text",
    [
        "r_[rows]",
        "r_[row, one, 2]",
        "r_[one, 0:3, row]",
        "r_[0:one:4j, row]",
        "r_[[one, 1.0, 2.0], row]",
        "r_[row, np.float32(2), True]",
        "r_['0,2', row, row]",
        "r_['-1', rows, rows]",
        "r_['1,2,0', row, row]",
        "c_[row, row]",
        "c_[rows, [[1], [2]]]",
        "c_[0:3, row]",
        "c_[one, one]",
    ],
)
def test_entries_in_square_brackets_are_joined_as_numpy_does_it(text, dtype):
    arrays = {"rows": ROWS.astype(dtype), "row": ROW.astype(dtype), "one": dtype(ONE)}
    join = lambda of, *values: eval(text, {**vars(of), "np": np, **dict(zip(arrays, values))})  # noqa: B905, E731
    expected = np.asarray(join(np, *arrays.values()))
    made = join(ops, *(Tensor(array, requires_grad=True) for array in arrays.values()))
    np.testing.assert_array_equal(made.data, expected, strict=True)
    if dtype is np.float64:
        gradcheck(lambda *values: join(ops, *values), *arrays.values())


def test_square_brackets_without_a_tensor_are_numpys_own_and_so_are_errors():
    assert type(ops.r_[1.0, ROW]) is np.ndarray
    with pytest.raises(ValueError, match="special directives must be the first entry"):
        ops.r_[T, "0"]
    with pytest.raises(TypeError, match=r"a tracked Tensor can't become a plain array"):
        ops.r_[0:T]
