"""Averages, covariances and histograms."""

import numpy as np
import pytest

from tinygrad_mnist import Tensor, grad, gradcheck

M = np.array([[0.7, -1.3, 2.1, 0.2], [-0.4, 1.05, -2.6, 0.9]])


def leaf(data):
    return Tensor(np.array(data, float), requires_grad=True)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda t: np.average(t, weights=[1.0, 2.0]), TypeError, "Axis must be specified"),
        (lambda t: np.average(t, 0, weights=[1.0] * 3), ValueError, "Shape of weights"),
        (lambda t: np.average(t, weights=t * 0), ZeroDivisionError, "sum to zero"),
        (lambda t: np.cov(t, ddof=1.5), ValueError, "ddof must be integer"),
        (lambda t: np.cov(t[None]), ValueError, "more than 2 dimensions"),
        (lambda t: np.cov(t, fweights=[1.5] * 4), TypeError, "fweights must be integer"),
        (lambda t: np.cov(t, aweights=[-1.0] * 4), ValueError, "aweights cannot be negative"),
        (lambda t: np.cov(t, aweights=[1.0] * 3), RuntimeError, "incompatible numbers"),
        (lambda t: np.cov(t, aweights=t), RuntimeError, "multidimensional aweights"),
        (lambda t: np.histogram2d(t[0], t[0, :2]), ValueError, "same length"),
    ],
    ids=["axis", "shape", "zero", "ddof", "3-d", "whole", "negative", "few", "2-d", "lengths"],
)
def test_what_numpy_refuses_is_refused_in_its_words(call, error, words):
    with pytest.raises(error, match=words):
        call(leaf(M))


AWEIGHTS, FWEIGHTS = {"aweights": [0.5, 1.5, 2.0, 1.0]}, {"fweights": [1, 2, 1, 3]}


@pytest.mark.parametrize(
    "options",
    [{}, {"bias": True}, {"rowvar": False}, {"ddof": 0, **FWEIGHTS}, AWEIGHTS, AWEIGHTS | FWEIGHTS],
    ids=str,
)
def test_covariances_are_numpys_bit_for_bit(options):
    for x, y in ((M, None), (M[0], M[1]), (M, M[0] * M[1])):
        if "rowvar" in options and y is not None and y.ndim != x.ndim:
            continue
        expected = np.cov(x, y, **options)
        result = np.cov(leaf(x), y, **options)
        np.testing.assert_array_equal(result.data, expected, strict=True)
        gradcheck(lambda x, y=y: np.cov(x, y, **options), x)


@pytest.mark.parametrize("function", [np.cov, np.corrcoef])
@pytest.mark.parametrize("dtype", [np.float32, "f8", None])
def test_covariances_have_the_dtype_that_is_asked_for(function, dtype):
    x = M.astype(np.float32)
    expected = function(x, dtype=dtype)
    np.testing.assert_array_equal(function(leaf(x), dtype=dtype).data, expected, strict=True)


def test_too_few_observations_warn_as_numpy_does():
    with pytest.warns(RuntimeWarning, match="Degrees of freedom <= 0"), np.errstate(all="ignore"):
        assert np.isnan(np.cov(leaf([[1.0]])).data).all()


def test_edges_follow_the_extremes_and_counts_do_not():
    x = np.array([1.0, 4.0, 4.0, 2.0])
    slopes = grad(lambda x: np.sum(np.histogram(x, bins=3)[1] * [1, 0, 0, 10]))(x)
    np.testing.assert_allclose(slopes, [1, 5, 5, 0])
    counts, edges = np.histogram(leaf(x), bins=3)
    assert type(counts) is np.ndarray
    np.testing.assert_array_equal(edges.data, np.histogram(x, bins=3)[1])


def test_the_last_edge_belongs_to_the_last_bin_and_outside_is_no_bin():
    x, w = [0.0, 0.5, 1.0, 2.0, -1.0], np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    slopes = grad(lambda w: np.sum(np.histogram(x, [0, 0.5, 1], weights=w)[0] * [10, 20]))(w)
    np.testing.assert_array_equal(slopes, [10, 20, 20, 0, 0])
