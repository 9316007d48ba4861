"""Claims at kinks pass if they lie among the derivatives around, however close to the measured."""

import warnings

import numpy as np
import pytest

from tinygrad_mnist import gradcheck, op, ops
from tinygrad_mnist.checking import GradientError, GradientWarning


def test_a_share_that_is_near_what_is_measured_across_a_kink_passes():
    ties = np.array(
        [
            [-0.437, 0, 0, 0, 1.211, 0, 0, 0.855, 0, 0, 0.151, 0, 0, 0.131, 0],
            [-0.406, 0, 1.979, 2.188, 0.064, 1.096, 0, 0.831, 0, 0, 0.875, 0, 0, 0, 0],
            [1.28, 0, 0.799, 0, -0.88, -0.207, 0, 0.081, 0, 0, 0, 0, 1.953, 0, 0.039],
        ]
    )
    for seed in range(4):
        report = gradcheck(lambda a: ops.quantile(a, [0.25, 0.9], axis=0), ties, seed=seed)
        assert report.kinks > 10


def test_an_input_outside_of_what_is_drawn_is_judged_as_well():
    below = np.array([1.7, -0.6])
    report = gradcheck(ops.divide, below, below, domain={"y": (-np.inf, 0)})
    assert (report.verdict, report.compared) == ("pass", 8)


def test_one_of_many_equal_entries_may_have_its_share():
    equal = np.ones((5, 4, 5))
    for f in (np.max, np.min, np.median):
        report = gradcheck(f, equal)
        assert report.verdict == "pass"
        assert report.kinks >= 100


def test_too_large_a_share_of_many_equal_entries_is_wrong():
    greedy = op(lambda x: np.max(x), shapes="(n)")  # noqa: PLW0108 - the op needs a name for x
    greedy.defvjp(x=lambda g, x, out: g * np.equal(x, out) / np.sqrt(np.sum(np.equal(x, out))))
    with pytest.raises(GradientError, match="of 40 entries differ"):
        gradcheck(greedy, np.ones(40))


def test_at_a_pole_there_is_no_second_derivative_to_be_wrong():
    def root(a, b, c):
        return np.sqrt(b * b - 4 * a * c)

    with pytest.warns(GradientWarning, match="an infinite slope"):
        gradcheck(root, np.array([1.0, 0.8]), np.array([1.0, 1.2]), np.array([0.25, -0.2]))


def test_a_result_that_is_0_but_for_rounding_excuses_no_wrong_number_beside_it():
    def power(x):
        return np.stack([x * x, 0 * x + (0.1 + 0.2 - 0.3) * np.sin(x)])

    one = op(lambda x: np.fft.fft(x).real, shapes="(5)").defvjp(x=lambda g: 0 * g)
    with pytest.raises(GradientError, match="claimed 0"):
        gradcheck(one, np.random.default_rng(0).normal(size=5), order=1)
    both = op(power, shapes="(n)").defvjp(x=lambda g, x: g[0] * x)
    with pytest.raises(GradientError, match="with respect to x is wrong"):
        gradcheck(both, np.random.default_rng(0).normal(size=5), order=1)


def test_a_small_error_where_a_function_curves_is_no_kink():
    @op
    def square(x):
        return x * x

    square.defvjp(x=lambda g, x: g * np.where(np.abs(x) < 1e-3, 3, 2) * x)
    with pytest.raises(GradientError, match=r"wrong at x\[1\] = 0.0001"):
        gradcheck(square, np.array([100.0, 1e-4, -3.0]))


@pytest.mark.parametrize(
    ("f", "x", "at"),
    [
        (np.trim_zeros, [0.0, 1.0, 2.0], "filt[0] = 0"),
        (np.unique, [1.0, 1.0, 2.0], "ar[0] = 1"),
        (lambda x: x[x > 0], [1.0, 0.0, 2.0], "x[1] = 0"),
    ],
    ids=["zeros", "ties", "chosen"],
)
def test_a_point_where_the_results_change_their_shape_is_said_to_be_one(f, x, at):
    with pytest.warns(GradientWarning):
        report = gradcheck(f, np.array(x))
    words = f"results of another shape beside {at}: a derivative does not apply there"
    assert words in report.notes
    beside = gradcheck(f, np.add(x, [0.3, 0.2, 0.1]))
    assert beside.verdict == "pass"


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (np.ptp, [[1.0], [0.0], [1.0], [0.0], [1.0]]),
        (np.linalg.cond, np.eye(3)),
    ],
    ids=["ptp", "cond"],
)
def test_claims_that_add_up_to_nothing_or_that_no_point_around_exceeds_pass(f, x):
    assert gradcheck(f, np.array(x), order=1).verdict == "pass"


@pytest.mark.parametrize("round_off", [np.floor, np.rint, lambda x: np.round(x, 2)])
def test_a_function_that_goes_in_stairs_may_claim_that_it_is_flat(round_off):
    @op
    def stairs(x):
        return round_off(x)

    stairs.defvjp(x=lambda g: 0 * g)
    assert gradcheck(stairs).verdict == "pass"


@pytest.mark.parametrize(
    ("f", "inputs"),
    [
        (lambda w: np.sum(w**2) / 2 + np.sum(np.abs(w)), [[1e-4, -1e7]]),
        (lambda w: np.sum(w**2) + np.sum(ops.relu(w)), [[2e-5, 3e6]]),
        (lambda w: np.sum(np.abs(w)) + 1e10, [[1e-6, 1.0]]),
        (lambda x: np.max(x[:2]) + x[2] ** 2, [[0.0, -1e-3, 1e6]]),
    ],
)
def test_beside_large_numbers_no_step_over_a_kink_refutes_a_claim(f, inputs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GradientWarning)
        gradcheck(f, *map(np.array, inputs))


def test_beside_large_numbers_a_wrong_claim_is_still_refuted():
    twice = op(lambda x: np.abs(x)).defvjp(x=lambda g, x: 2 * g * np.sign(x))  # noqa: PLW0108
    with pytest.raises(GradientError, match="2 times too large"):
        gradcheck(lambda x: twice(x) + 1e6, np.array([0.1, -20.0]))


@pytest.mark.parametrize("height", [1e-2, 1e-3, 1e-4, 1e-5, 3e-6, 1e-6, 3e-7])
def test_a_kink_may_be_of_any_height(height):
    assert gradcheck(lambda x: x + height * ops.relu(x), np.array(0.0)).verdict == "pass"
    sloped = np.array([1.0, 1 + height])
    assert gradcheck(lambda x: np.sum(np.sort(x) * sloped), np.ones(2)).verdict == "pass"
    leaky = gradcheck(lambda x: ops.leaky_relu(x, 1 - height), np.array([0.0, 1.0]))
    assert leaky.verdict == "pass"


def test_a_tie_between_numbers_much_smaller_than_others_is_a_kink():
    def distance(x, y):
        return np.mean(np.abs(np.sort(x) - np.sort(y)))

    for far in (-9.0, -90.0, -900.0, -9e5):
        assert gradcheck(distance, np.array([far, 3.0]), np.full(2, 0.5)).verdict == "pass"
