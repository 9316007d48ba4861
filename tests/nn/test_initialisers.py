"""Initialisers: the distributions that papers give."""

import numpy as np
import pytest

from tinygrad_mnist.nn.initialisers import INITIALISERS, glorot, he, xavier

N, M = 300, 200


@pytest.mark.parametrize(
    ("initialiser", "variance"), [(he, 2 / N), (glorot, 2 / (N + M)), (xavier, 1 / N)]
)
def test_weights_have_mean_zero_and_the_variance_of_the_formula(initialiser, variance):
    w = initialiser(N, M, np.random.default_rng(0))
    assert w.shape == (N, M)
    assert w.dtype == np.float64
    deviation = np.sqrt(variance / w.size)  # of the mean
    assert abs(w.mean()) < 4 * deviation
    assert w.var() == pytest.approx(variance, rel=0.03)  # 4 deviations: 4 sqrt(2 / 60,000)


def test_glorot_is_uniform_and_the_others_are_not_bounded():
    bound = np.sqrt(6 / (N + M))
    w = glorot(N, M, np.random.default_rng(0))
    assert 0.999 * bound < np.abs(w).max() <= bound
    assert np.abs(he(N, M, np.random.default_rng(0))).max() > 3.5 * np.sqrt(2 / N)


@pytest.mark.parametrize("name", INITIALISERS)
def test_a_generator_is_drawn_from_and_a_seed_gives_the_same_weights(name):
    rng = np.random.default_rng(5)
    first, second = (INITIALISERS[name](3, 4, rng) for _ in range(2))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, INITIALISERS[name](3, 4, np.random.default_rng(5)))
