"""gradcheck with an exact oracle passes right rules, and sees errors no difference would show."""

import numpy as np
import pytest

from tests.strategies import samples
from tinygrad_mnist import gradcheck, nn, op, ops
from tinygrad_mnist.checking import GradientError
from tinygrad_mnist.tensor import raw


def unary(forward, rule, **options):
    def planted(x):
        return forward(x)

    return op(pointwise=True, **options)(planted).defvjp(x=rule)


X = np.array([-1.3, 0.7, 2.0])


def test_a_right_rule_passes_and_the_report_says_how_it_was_measured():
    report = gradcheck(lambda x, y: np.tanh(x) * y + np.log(y), X, np.exp(X), oracle="mpmath")
    assert report.verdict == "pass"
    assert report.compared == 12
    assert report.worst < 1e-14
    assert "derivatives are exact, by mpmath" in report.notes


@pytest.mark.parametrize("off", [1e-9, -1e-10])
def test_an_error_too_small_for_differences_is_seen(off):
    wrong = unary(np.tanh, lambda g, out: g * (1 - out * out) * (1 + off))
    assert gradcheck(wrong, X).verdict == "pass"
    with pytest.raises(GradientError, match=r"order 1: the gradient of planted .* is wrong"):
        gradcheck(wrong, X, oracle="mpmath")


def test_an_error_at_second_order_is_seen():
    wrong = unary(lambda x: x**3, lambda g, x: g * 3 * raw(x) ** 2)
    assert gradcheck(wrong, X, order=1, oracle="mpmath").verdict == "pass"
    with pytest.raises(GradientError, match=r"order 2: .*\n.*the graph does not see"):
        gradcheck(wrong, X, oracle="mpmath")


def test_at_a_kink_what_lies_between_the_slopes_passes_and_nothing_else():
    x = np.array([0.0, 1.0, -1.0])
    for share in (0.0, 0.5, 1.0):
        right = unary(np.abs, lambda g, x, s=share: g * np.where(x == 0, 2 * s - 1, np.sign(x)))
        report = gradcheck(right, x, oracle="mpmath")
        assert (report.verdict, report.kinks) == ("pass", 1)
    wrong = unary(np.abs, lambda g, x: g * np.where(x == 0, 1.01, np.sign(x)))
    with pytest.raises(GradientError, match=r"is wrong at x\[0\] = 0: claimed .* measured"):
        gradcheck(wrong, x, oracle="mpmath")


def test_a_tie_that_gives_both_the_whole_gradient_is_wrong():
    def planted(x, y):
        return np.maximum(x, y)

    wrong = op(planted, pointwise=True).defvjp(
        x=lambda g, x, y: np.where(x >= y, g, 0), y=lambda g, x, y: np.where(y >= x, g, 0)
    )
    assert gradcheck(ops.maximum, np.ones(2), np.ones(2), oracle="mpmath").kinks == 4
    with pytest.raises(GradientError, match="claimed"):
        gradcheck(wrong, np.ones(2), np.ones(2), oracle="mpmath")


def test_digits_that_cancel_accuse_nobody():
    def rule(g, x):
        return g * (np.sin(x) * x - 2 * (1 - np.cos(x))) / x**3

    f = unary(lambda x: (1 - np.cos(x)) / x**2, rule)
    x = np.array([1e-3, 0.1, 2.0])
    assert gradcheck(f, x, order=1, oracle="mpmath").verdict == "pass"


OPS = ("exp", "matmul", "softmax", "var", "max", "power", "cross_entropy")


@pytest.mark.parametrize("name", OPS)
def test_ops_of_the_registry_pass_at_drawn_inputs(name):
    for call in samples(ops.registry[name], each=1):
        assert gradcheck(call, oracle="mpmath").verdict == "pass"


def test_it_searches_too():
    wrong = unary(np.sin, lambda g, x: g * np.cos(x) * (1 + 1e-9 * (x > 1)))
    assert gradcheck(wrong).verdict == "pass"
    with pytest.raises(GradientError, match="order 1"):
        gradcheck(wrong, examples=25, oracle="mpmath")


def test_a_forward_that_does_not_run_on_such_numbers_is_refused_with_the_reason():
    with pytest.raises(TypeError, match=r"does not: it stopped at TypeError: .*nextafter"):
        gradcheck(unary(lambda x: np.nextafter(x, 9), lambda g: g), X, oracle="mpmath")
    with pytest.raises(TypeError, match="a result has become an array of floats"):
        gradcheck(unary(lambda x: np.array(x, dtype=float), lambda g: g), X, oracle="mpmath")

    def rounds(x):
        total = np.zeros_like(x)
        total[...] = [float(entry) ** 2 for entry in x]
        return total + 0 * x

    with pytest.raises(TypeError, match="does not move with the last digits of its inputs"):
        gradcheck(unary(rounds, lambda g, x: 2 * g * x), X, oracle="mpmath")
    with pytest.raises(TypeError, match="needs a forward that runs on numbers of 60 digits"):
        gradcheck(nn.Linear(3, 2, rng=0), X[np.newaxis], oracle="mpmath")


def test_another_oracle_is_refused():
    with pytest.raises(ValueError, match="knows the oracle \"mpmath\"; got oracle='delphi'"):
        gradcheck(np.exp, X, oracle="delphi")
