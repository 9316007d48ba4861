"""At a point with many entries a single wrong one is found, and memory stays in proportion."""

import sys
import tracemalloc

import numpy as np
import pytest

from tinygrad_mnist import gradcheck, op
from tinygrad_mnist.checking import GradientError, GradientWarning, comparing


def off_at(place, by):
    """Return the sum of squares as an op whose gradient is off at one entry."""

    def squares(x):
        return np.sum(x * x)

    def rule(g, x):
        factors = np.full(x.shape, 2.0)
        factors[place] += by
        return g * factors * x

    return op(squares, shapes="(n)").defvjp(x=rule)


@pytest.mark.parametrize("place", [0, 1, 150, 298, 299])
@pytest.mark.parametrize("by", [1e-3, -4.0])
def test_one_wrong_entry_of_300_is_always_found(place, by):
    x = np.random.default_rng(place).normal(size=300)
    with pytest.raises(GradientError, match=rf"at x\[{place}\] = .*; 1 of 300 entries differ"):
        gradcheck(off_at(place, by), x, order=1)


def test_many_inputs_need_memory_in_proportion():
    x = np.linspace(-1, 1, 2000)
    tracemalloc.start()
    try:
        assert gradcheck(lambda x: np.sum(x * x), x).verdict == "pass"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200 * x.nbytes


def test_on_a_terminal_a_long_check_says_how_far_it_is_and_clears_the_line(monkeypatch, capsys):
    monkeypatch.setattr(comparing, "PATIENCE", -1.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    gradcheck(lambda x: np.sum(x * x), np.linspace(1, 2, 600), order=1)
    said = capsys.readouterr().err
    assert "of 600 entries" in said
    assert said.endswith("\r\033[K")


def test_what_does_not_run_in_float64_is_judged_by_the_steps_of_float32():
    def picky(x):
        if np.asarray(x).dtype != np.float32:
            raise TypeError("single precision alone")
        return np.sin(x)

    x = np.array([0.3, -2.0], np.float32)
    right = op(picky).defvjp(x=lambda g, x: g * np.cos(x))
    assert gradcheck(right, x, order=1).compared == 2
    wrong = op(picky).defvjp(x=lambda g, x: 1.05 * g * np.cos(x))
    with pytest.raises(GradientError, match="5 % too large"):
        gradcheck(wrong, x, order=1)


def test_a_small_entry_beside_large_ones_is_moved_on_its_own_scale_too():
    low = np.array(
        [
            [1.133976204153072, 0.8762491038964166],
            [1.897282597200543, 1.1105996749581577],
            [0.58527738973, 1.43561748],
        ]
    )
    gradcheck(np.clip, -low, 1e-6 * low, np.array([1e-6, -8.76249104e05]), order=1)


def test_a_gradient_in_stairs_narrower_than_any_step_has_no_second_derivative():
    with pytest.warns(GradientWarning):
        gradcheck(np.divmod, np.array(-1e6), np.array(1.134e-06))


def test_a_derivative_that_underflows_in_a_rule_is_not_wrong():
    def share(x, k):
        return x / (x + np.exp(k))

    assert gradcheck(share, np.array([3.0]), np.array([400.0])).verdict == "pass"
