"""The noise floor of a check is what rounding does, and a claim below it is not believed."""

import mpmath
import numpy as np
import pytest

from tinygrad_mnist import gradcheck, op
from tinygrad_mnist.checking import GradientError, GradientWarning
from tinygrad_mnist.checking.floors import Traced
from tinygrad_mnist.tensor import raw

X = np.array([0.13, -0.64, 0.9])


def noise(f, x):
    return Traced(f, [x]).each()


def test_noise_bounds_what_rounding_does_to_each_result():
    x = np.array([1e-5, 1e-3, 1.0])
    found = noise(lambda x: [(1 - np.cos(x)) / x**2], x)
    for entry, bound in zip(x, found, strict=True):
        with mpmath.workdps(60):
            exact = (1 - mpmath.cos(mpmath.mpf(float(entry)))) / mpmath.mpf(float(entry)) ** 2
            off = abs(float(exact - float((1 - np.cos(entry)) / entry**2)))
        assert off <= bound
    assert found[0] > 1e3 * found[1] > 1e3 * found[2]


def test_noise_of_many_results_is_no_less_than_that_of_each():
    found = noise(lambda x: [np.exp(x)], np.zeros(300))
    assert found.shape == (300,)
    assert (found >= np.finfo(float).eps).all()


def lost_in(large, slope):
    """Return the identity, computed in a way that loses digits, with a rule that claims a slope."""

    def lost(x):
        return (x + large) - large

    return op(pointwise=True)(lost).defvjp(x=lambda g: g * slope)


WRONG_OR_LOST = [(1e13, 0.0), (1e13, 2.0), (1e16, 0.0), (1e18, 0.0), (1e18, 1.0), (1e18, 2.0)]


@pytest.mark.parametrize(("large", "slope"), WRONG_OR_LOST)
def test_where_rounding_swallows_the_function_nothing_is_judged_and_the_noise_is_named(
    large, slope
):
    with pytest.warns(GradientWarning, match=r"noise: values are uncertain by (.|\n)*claimed"):
        report = gradcheck(lost_in(large, slope), X, order=1)
    assert (report.verdict, report.unjudged) == ("inconclusive", 3)
    assert report.noise > 1e-4


def test_a_right_claim_that_only_wide_steps_can_confirm_passes():
    assert gradcheck(lost_in(1e13, 1.0), X).verdict == "pass"
    assert gradcheck(lost_in(1e8, 1.0), 1e-6 * X).verdict == "pass"
    assert gradcheck(lambda x: np.sqrt(1 + x * x) - 1, 1e-6 * X).verdict == "pass"


@pytest.mark.parametrize(("slope", "words"), [(0.0, "zero is returned"), (2.0, "2 times too")])
def test_where_rounding_leaves_some_digits_a_wrong_rule_is_caught(slope, words):
    with pytest.raises(GradientError, match=f"wrong(.|\n)*{words}"):
        gradcheck(lost_in(1e8, slope), X)
    assert gradcheck(lost_in(1e8, 1.0), X).verdict == "pass"


@pytest.mark.parametrize("scale", [1e-20, 1e-9, 1e9, 1e20])
def test_the_floor_goes_with_the_size_of_the_function(scale):
    wrong = op(lambda x: scale * np.sin(x)).defvjp(x=lambda g, x: -scale * g * np.cos(x))
    with pytest.raises(GradientError, match="the sign is flipped"):
        gradcheck(wrong, X)
    hidden = op(lambda x: scale * x**3).defvjp(x=lambda g, x: 3 * scale * g * raw(x) ** 2)
    with pytest.raises(GradientError, match="order 2"):
        gradcheck(hidden, X)


def test_at_a_minimum_where_terms_cancel_a_gradient_of_zero_is_right():
    def divergence(mean, spread):
        return 0.5 * (spread**2 + mean**2 - 1) - np.log(spread)

    assert gradcheck(divergence, np.zeros(3), np.ones(3)).verdict == "pass"


def single_inside(forward, rule):
    def inside(x):
        return forward(x)

    return op(pointwise=True)(inside).defvjp(x=rule)


SINGLE = {
    "seen by its ops": lambda x: np.sin(x.astype(np.float32)).astype(np.float64),
    "out of sight": lambda x: np.float64(np.sin(np.asarray(x, np.float32))),
}


@pytest.mark.parametrize("forward", SINGLE.values(), ids=SINGLE)
def test_stairs_of_float32_inside_a_function_do_not_excuse_a_zero(forward):
    zero = single_inside(forward, lambda g: g * 0)
    for inputs in ((), (X,)):
        with pytest.raises(GradientError, match=r"order 1: (.|\n)*zero is returned"):
            gradcheck(zero, *inputs)


@pytest.mark.parametrize("forward", SINGLE.values(), ids=SINGLE)
def test_stairs_of_float32_inside_a_function_are_not_held_against_its_rule(forward):
    report = gradcheck(single_inside(forward, lambda g, x: g * np.cos(x)))
    assert report.verdict == "pass"
    assert report.unjudged < 0.1 * report.compared


def test_at_a_kink_inside_a_smooth_function_a_wrong_number_is_said_to_be_there_alone():
    def softplus(x):
        return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))

    with pytest.raises(GradientError, match=r"order 2: (.|\n)*: it is right only where x is not 0"):
        gradcheck(softplus)
