"""Indexing by functions: options, sequences and places that are refused."""

import numpy as np
import pytest

from tinygrad_mnist import Tensor, gradcheck

X = np.array([0.0, 0.0, 3.0, -1.0, 0.0, 2.0, 0.0])
T = Tensor(X, requires_grad=True)


@pytest.mark.parametrize("trim", ["f", "b", "fb", "BF"])
@pytest.mark.parametrize(
    "x",
    [X, np.zeros(3), np.ones(2), np.array(0.0), np.array(2.0)],
    ids=["some", "all", "none", "a zero", "a number"],
)
def test_zeros_are_trimmed_as_numpy_does(x, trim):
    made = np.trim_zeros(Tensor(x, requires_grad=True), trim)
    np.testing.assert_array_equal(made.data, np.trim_zeros(x, trim))


def test_an_unknown_end_to_trim_is_refused():
    with pytest.raises(ValueError, match="trim is 'x'; it must be"):
        np.trim_zeros(T, "x")


def test_an_unknown_mode_of_take_is_refused():
    with pytest.raises(ValueError, match="mode='clamp'; it must be one of raise, wrap, clip"):
        np.take(T, [0], mode="clamp")


@pytest.mark.parametrize("mode", ["raise", "wrap"])
def test_an_index_that_is_out_of_bounds_is_numpys_error(mode):
    if mode == "raise":
        with pytest.raises(IndexError, match="out of bounds"):
            np.take(T, [7], mode=mode)
    else:
        assert np.take(T, [9], mode=mode).data == X[2]


M = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    ("place", "values", "axis"),
    [
        (1, 5.0, None),
        (-1, [7.0, 8.0, 9.0], 0),
        ([1], [[1.0], [2.0]], 1),
        ([0, 0, 2], [1.0, 2.0, 3.0], 1),
        (slice(None, None, 2), 9.0, 1),
        ([True, False, True], 4.0, 1),
        ([], np.zeros((2, 0)), 1),
    ],
    ids=str,
)
def test_values_are_inserted_where_numpy_puts_them(place, values, axis):
    where = np.array(place) if place == [True, False, True] else place
    values = np.asarray(values, float)
    made = np.insert(Tensor(M, requires_grad=True), where, values, axis)
    np.testing.assert_array_equal(made.data, np.insert(M, where, values, axis))
    gradcheck(lambda m, v: np.insert(m, where, v, axis), M, values)


@pytest.mark.parametrize("place", [0, -1, [0, 2], slice(1), [True, False, True], []], ids=str)
def test_slices_are_deleted_as_numpy_does(place):
    where = np.array(place) if place == [True, False, True] else place
    made = np.delete(Tensor(M, requires_grad=True), where, axis=1)
    np.testing.assert_array_equal(made.data, np.delete(M, where, axis=1))
    gradcheck(lambda m: np.delete(m, where, axis=1), M)


def test_places_to_delete_may_be_a_tensor_of_integers():
    made = np.delete(Tensor(M, requires_grad=True), Tensor(np.array([0, 2])), axis=1)
    np.testing.assert_array_equal(made.data, np.delete(M, [0, 2], axis=1))
