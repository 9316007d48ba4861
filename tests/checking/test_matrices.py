"""Matrices that are drawn are of the kind that was asked for, and others are told apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tinygrad_mnist.checking.matrices import KINDS, are_of, matrices_of

SQUARE = {"distinct eigenvalues", "symmetric", "positive definite"}


@given(st.data(), st.sampled_from(sorted(KINDS)), st.sampled_from([np.float32, np.float64]))
def test_what_is_drawn_is_of_its_kind(data, kind, dtype):
    rows, columns = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    shape = (
        data.draw(st.sampled_from([(), (2,), (0,)])),
        (rows, rows if kind in SQUARE else columns),
    )
    entries = st.floats(-1e6, 1e6, width=32)
    array = data.draw(arrays(dtype, (*shape[0], *shape[1]), elements=entries))
    drawn = matrices_of(array, kind)
    assert drawn.shape == array.shape
    assert drawn.dtype == dtype
    assert are_of(drawn.astype(float), kind)


@pytest.mark.parametrize(
    ("kind", "matrix"),
    [
        ("full rank", [[1.0, 2.0], [2.0, 4.0]]),
        ("full rank", [[0.0]]),
        ("independent columns", [[1.0, 1.0, 0.0], [1.0, 1.0, 5.0]]),
        ("distinct singular values", [[0.0, 1.0], [-1.0, 0.0]]),
        ("distinct singular values", [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        ("distinct eigenvalues", [[1.0, 1.0], [0.0, 1.0]]),
        ("distinct eigenvalues", [[2.0, 1.0, 0.0], [0.0, 2.0, 1.0], [0.0, 0.0, 2.0]]),
        ("symmetric", [[1.0, 2.0], [0.0, 3.0]]),
        ("symmetric", [[3.0, 0.0], [0.0, 3.0]]),
        ("positive definite", [[1.0, 1.0], [1.0, 1.0]]),
    ],
)
def test_other_matrices_are_told_apart_in_a_batch_too(kind, matrix):
    matrix = np.array(matrix)
    good = matrices_of(np.ones_like(matrix), kind)
    assert are_of(good, kind)
    for scale in (1e-150, 1.0, 1e100):
        assert not are_of(scale * matrix, kind)
        assert not are_of(np.stack([good, scale * matrix]), kind)


def test_rank_alone_counts_where_values_may_be_equal():
    assert are_of(np.eye(3), "full rank")
    assert are_of(np.eye(3), "positive definite")
    assert are_of(np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 5.0]]), "full rank")
