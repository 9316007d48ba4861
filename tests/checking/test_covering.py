"""The search leaves nothing out: bands, powers of ten, equal shapes, ties, a hidden operand."""

import itertools

import numpy as np
import pytest

from tinygrad_mnist import gradcheck, op
from tinygrad_mnist.checking import GradientError
from tinygrad_mnist.checking.covering import DENSE, POWERS, Bins, Covering
from tinygrad_mnist.checking.subjects import Subject
from tinygrad_mnist.tensor import raw

INF = np.inf


def wrong_where(condition, x):
    """Return factors that are off where a condition on an input holds."""
    return np.where(condition(np.asarray(raw(x))), 1.5, 1.0)


def middle(x, low, high):
    return np.minimum(np.maximum(x, low), high)


def rules(wrong=lambda x: x > INF, parameter=None):
    """Return the middle one of three numbers as an op, one rule of which may be wrong."""

    def rule(name, active):
        def pull(g, x, low, high):
            factor = wrong_where(wrong, {"x": x, "low": low, "high": high}[name])
            return (
                g
                * np.where(active(raw(x), raw(low), raw(high)), 1.0, 0.0)
                * (factor if name == parameter else 1.0)
            )

        return pull

    one = op(middle, shapes="(n),(n),(n)")
    return one.defvjp(
        x=rule("x", lambda x, low, high: (low < x) & (x < high)),
        low=rule("low", lambda x, low, high: (x <= low) & (low < high)),
        high=rule("high", lambda x, low, high: (high <= x) | (high <= low)),
    )


REGIONS = {
    "a narrow band": lambda x: (x > 0.4) & (x < 0.6),
    "a band below 0": lambda x: (x > -3.3) & (x < -3.15),
    "beyond 1000": lambda x: np.abs(x) > 1000,
    "close to 0": lambda x: np.abs(x) < 1e-3,
}


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("parameter", ["low", "high"])
def test_a_fault_in_a_narrow_place_of_an_operand_that_seldom_counts_is_found(parameter, region):
    one = rules(REGIONS[region], parameter)
    with pytest.raises(GradientError, match=f"with respect to {parameter} is wrong"):
        gradcheck(one, order=1)


def test_a_fault_between_two_tenths_is_found_with_any_seed():
    def swish(x):
        return x / (1 + np.exp(-x))

    def pull(g, x):
        s = 1 / (1 + np.exp(-x))
        return g * (s + x * s * (1 - s)) * wrong_where(lambda x: (x > 1.2) & (x < 1.4), x)

    for seed in range(2):
        with pytest.raises(GradientError, match="with respect to x is wrong"):
            gradcheck(op(swish).defvjp(x=pull), seed=seed)


def test_a_fault_where_two_operands_are_of_one_shape_is_found():
    def apply(m, v):
        return np.squeeze(m @ v[..., np.newaxis], -1)

    def by_vector(g, m, v):
        mistaken = raw(v) if np.shape(m) == np.shape(v) else m
        return np.squeeze(np.swapaxes(mistaken, -1, -2) @ g[..., np.newaxis], -1)

    one = op(apply, shapes="(m,n),(…,n)")
    one.defvjp(
        m=lambda g, v: np.sum(
            g[..., np.newaxis] * v[..., np.newaxis, :], tuple(range(np.ndim(raw(g)) - 1))
        ),
        v=by_vector,
    )
    with pytest.raises(GradientError, match=r"with respect to v"):
        gradcheck(one)


def test_a_fault_where_all_operands_are_zero_is_found():
    def length(x, y):
        return np.sqrt(x * x + y * y)

    one = op(length).defvjp(
        x=lambda g, x, y: g * np.where(raw(x) == 0, 0 * y, x / np.hypot(x, y)),
        y=lambda g, x, y: g * y / np.hypot(x, y),  # NaN at the origin
    )
    with pytest.raises(GradientError, match=r"with respect to y is wrong.* claimed nan"):
        gradcheck(one, order=1)


def test_what_was_found_far_away_is_shown_with_few_numbers():
    with pytest.raises(GradientError) as found:
        gradcheck(rules(REGIONS["a band below 0"], "low"), order=1)
    drawn = found.value.report.fault.inputs
    assert {value.size for value in drawn.values()} == {1}


@pytest.mark.parametrize(
    "interval", [(-INF, INF), (0, INF), (1, INF), (-INF, -0.1), (0, 1), (-1, 1), (45, 55)]
)
def test_numbers_are_taken_from_every_bin_and_lie_inside(interval):
    low, high = interval
    bins = Bins(interval, np.random.default_rng(0))
    for power in (DENSE, *POWERS):
        for _ in range(50):
            if not bins.wants(power):
                break
            numbers = bins.take(power, 9)
            assert ((low < numbers) & (numbers < high)).all()
            bins.see(numbers)
        assert not bins.wants(power)


def test_numbers_of_the_line_are_a_tenth_apart_up_to_four_and_of_every_power_of_ten():
    bins = Bins((-INF, INF), np.random.default_rng(0))
    dense = np.sort(bins.take(DENSE, 80))
    assert np.diff(dense[np.abs(dense) < 4]).max() < 0.45  # across 0, which other powers look at
    assert np.median(np.diff(dense)) < 0.15
    for power in POWERS:
        numbers = np.abs(bins.take(power, 20))
        assert numbers.max() <= 10.0 ** (power + 1)
        assert power == min(POWERS) or numbers.min() >= 10.0**power


@pytest.mark.parametrize(
    ("shapes", "wanted"),
    [
        ("(3),(…)", [(3,), (3, 3)]),
        ("(…,n),(n)", [(2, 2), (2,)]),
    ],
)
def test_a_square_is_among_the_calls_beside_axes_that_are_named_too(shapes, wanted):
    both = op(lambda a, b: np.sum(a) * b, shapes=shapes)
    subject = Subject.of(both.defvjp(a=lambda g: g, b=lambda g: g))
    calls = [
        [np.shape(x) for x in call.args]
        for seed in range(3)
        for call in itertools.islice(Covering(seed).calls(subject, 0, anywhere=False), 4)
    ]
    assert wanted in calls
