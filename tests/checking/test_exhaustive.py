"""exhaustive sees a rule that is wrong at one number of float16, and passes all that are right."""

import numpy as np
import pytest

from tinygrad_mnist import Tensor, gradcheck, op, ops
from tinygrad_mnist.checking import GradientError
from tinygrad_mnist.checking.exhaustive import every_number, numbers_of


def unary(forward, rule, **options):
    def planted(x):
        return forward(x)

    return op(pointwise=True, **options)(planted).defvjp(x=rule)


def raw(x):
    return x.data if isinstance(x, Tensor) else x


def test_every_finite_number_is_yielded_once():
    numbers = np.concatenate(list(every_number("float16", (-np.inf, np.inf))))
    assert numbers.size == 63_488
    assert np.unique(numbers).size == 63_487  # 0 and -0
    assert np.abs(numbers).max() == np.finfo(np.float16).max
    inside = np.concatenate(list(every_number("float16", (0, 1))))
    assert inside.min() > 0
    assert inside.max() < 1


@pytest.mark.parametrize("name", ["tanh", "sqrt", "exp", "sigmoid", "relu", "absolute", "log1p"])
def test_right_ops_pass_at_all_numbers(name):
    report = gradcheck(ops.registry[name], exhaustive=True)
    assert report.verdict == "pass"
    assert report.points + report.skipped > 30_000
    assert report.unjudged <= 26
    assert report.compared + report.unjudged == 2 * report.points
    assert "finite numbers of float16" in report.notes[0]


def test_a_rule_that_is_wrong_at_a_single_number_is_caught_and_the_number_named():
    wrong = unary(np.square, lambda g, x: g * 2 * x * np.where(raw(x) == 0.75, 1.01, 1))
    with pytest.raises(GradientError, match=r"at x = 0.75: .* 1 of 63488 entries") as caught:
        gradcheck(wrong, exhaustive=True)
    assert caught.value.report.verdict == "wrong"
    assert caught.value.report.line == "gradcheck(planted, 0.75, order=1)"


def test_the_pattern_is_diagnosed():
    wrong = unary(np.square, lambda g, x: g * 2 * abs(x))
    with pytest.raises(GradientError, match="only where x > 0; elsewhere the sign is flipped"):
        gradcheck(wrong, exhaustive=True)


def test_second_order_is_looked_at_too():
    wrong = unary(np.square, lambda g, x: g * 2 * np.where(raw(x) < 100, x, raw(x)))
    assert gradcheck(wrong, order=1, exhaustive=True).verdict == "pass"
    with pytest.raises(GradientError, match="order 2"):
        gradcheck(wrong, exhaustive=True)


def test_a_domain_is_kept_to_and_plain_functions_are_checked():
    report = gradcheck(lambda x: np.log(x) * x, domain=(0, 10), exhaustive=True)
    assert report.verdict == "pass"
    assert report.points == 18_687


def test_what_is_no_function_of_each_entry_is_refused():
    for f in (lambda x: x * np.sum(x), lambda x: x - np.mean(x)):
        with pytest.raises(ValueError, match="depend on others, or on chance"):
            gradcheck(f, exhaustive=True)
    with pytest.raises(ValueError, match=r"makes \(\) of an array of shape"):
        gradcheck(lambda x: np.sum(x) * 1, exhaustive=True)
    with pytest.raises(ValueError, match='"float16" or "float32"; got \'float8\''):
        gradcheck(np.exp, exhaustive="float8")
    with pytest.raises(TypeError, match="neither inputs nor an oracle"):
        gradcheck(np.exp, np.ones(2), exhaustive=True)


def test_patterns_of_bits_that_are_no_numbers_are_left_out_without_a_warning():
    largest = 0x7F7FFFFF  # behind it infinity, then every NaN, those that signal first
    with np.errstate(all="raise"):
        found = numbers_of("float32", range(largest - 2, largest + 1000), (0, np.inf))
    assert found.tolist() == [float(np.uint32(largest - k).view(np.float32)) for k in (2, 1, 0)]
