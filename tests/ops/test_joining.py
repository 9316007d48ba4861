"""Joining and splitting: shapes that do not fit, nested lists, pieces that nobody uses."""

import numpy as np
import pytest

from tinygrad_mnist import Tensor, grad

X = np.arange(6.0).reshape(2, 3)
T = Tensor(X, requires_grad=True)


def test_blocks_of_any_depth_are_numpys():
    nested = [[T, np.ones((2, 1))], [np.zeros((1, 4))]]
    plain = [[X, np.ones((2, 1))], [np.zeros((1, 4))]]
    np.testing.assert_array_equal(np.block(nested).data, np.block(plain))
    np.testing.assert_array_equal(np.block([[[T]]]).data, np.block([[[X]]]))


@pytest.mark.parametrize(
    ("nested", "error", "told"),
    [
        ([[T], T], ValueError, "nested equally deep"),
        ([[T], []], ValueError, "none of them empty"),
        ([T, (T, T)], TypeError, "got a tuple: make it a list"),
    ],
)
def test_blocks_that_are_not_nested_equally_are_refused(nested, error, told):
    with pytest.raises(error, match=told):
        np.block(nested)


def test_a_split_that_does_not_come_out_even_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"got 3 entries: use array_split"):
        np.split(T, 2, axis=1)
    assert [p.shape for p in np.array_split(T, 2, axis=1)] == [(2, 2), (2, 1)]


@pytest.mark.parametrize("split", [np.vsplit, np.dsplit])
def test_a_split_along_an_axis_that_is_not_there_is_refused(split):
    with pytest.raises(ValueError, match="needs an array of"):
        split(T[0], 1)


def test_a_piece_that_nobody_uses_has_gradient_zero():
    f = lambda x: np.sum(np.hsplit(x, 3)[1])  # noqa: E731
    np.testing.assert_array_equal(grad(f)(X), [[0, 1, 0], [0, 1, 0]])


def test_lists_of_plain_numbers_may_stand_beside_tensors():
    joined = np.vstack([T, [9.0, 8.0, 7.0]])
    assert joined.requires_grad
    assert joined.shape == (3, 3)
    assert np.append(T, 5).shape == (7,)
