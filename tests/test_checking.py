"""gradcheck accuses every wrong rule and no right one, and draws inputs that tell them apart."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import check_derivatives, samples
from tinygrad_mnist import Tensor, nn, op, ops
from tinygrad_mnist.checking import GradientError, GradientWarning, calls, draw_call, gradcheck
from tinygrad_mnist.checking.inputs import is_float
from tinygrad_mnist.checking.judging import STEPS
from tinygrad_mnist.checking.measuring import slopes
from tinygrad_mnist.checking.problem import quiet
from tinygrad_mnist.nested import flatten
from tinygrad_mnist.tensor import raw

# Wrong rules --------------------------------------------------------------------------------------


def unary(forward, rule, **options):
    def planted(x):
        return forward(x)

    return op(pointwise=True, **options)(planted).defvjp(x=rule)


def binary(forward, **options):
    def planted(x, y):
        return forward(x, y)

    return op(**options)(planted)


def tripled_beyond(g, x):
    return g * (np.exp(x) + np.exp(-x)) * np.where(raw(x) > 2.5, 1.5, 0.5)


def off_at_the_last(g, x):
    last = np.zeros_like(raw(x))
    last.flat[-1:] = 1
    return g * np.cos(x) * (1 + 0.1 * last)


def of_total(forward, rule, **options):
    def planted(x):
        return forward(x)

    return op(**options)(planted).defvjp(x=rule)


SQUARE = {"shapes": "(n,n),(n,n)"}
PLANTED = {
    "the sign": unary(np.cos, lambda g, x: g * np.sin(x)),
    "a factor": unary(np.square, lambda g, x: g * x),
    "3 % off": unary(np.tanh, lambda g, out: 1.03 * g * (1 - out * out)),
    "a transpose missing": binary(np.matmul, **SQUARE).defvjp(
        x=lambda g, y: g @ y, y=lambda g, x: x.T @ g
    ),
    "operands swapped": binary(np.matmul, **SQUARE).defvjp(
        x=lambda g, y: g @ y.T, y=lambda g, x: g @ x.T
    ),
    "a flip missing": of_total(np.flip, lambda g: g, shapes="(n)"),
    "wrong for x < 0": unary(np.square, lambda g, x: g * 2 * abs(x)),
    "wrong beyond 2.5": unary(np.sinh, tripled_beyond),
    "wrong below -2.5": unary(np.sinh, lambda g, x: tripled_beyond(g, -x)),
    "the cotangent forgotten": unary(np.sin, lambda g, x: np.ones_like(raw(g)) * np.cos(x)),
    "the cotangent's sign alone": unary(np.sin, lambda g, x: np.sign(raw(g)) * np.cos(x)),
    "zero returned": unary(np.sin, lambda g: np.zeros_like(raw(g))),
    "NaN returned": unary(np.sin, lambda g: np.full_like(raw(g), np.nan)),
    "off at one index": unary(np.sin, off_at_the_last),
    "a term dropped": unary(lambda x: x * x + x, lambda g, x: g * (2 * x)),
    "one operand's rule for both": binary(np.multiply).defvjp(
        x=lambda g, y: g * y, y=lambda g, y: g * y
    ),
    "the result for the input": unary(np.sin, lambda g, out: g * np.cos(out)),
    "the derivative of the inverse": unary(np.sinh, lambda g, x: g / np.cosh(x)),
    "a mean taken for a sum": of_total(
        np.mean, lambda g, x: g * np.ones_like(raw(x)), shapes="(n)"
    ),
    "the wrong axis": of_total(
        lambda x: np.cumsum(x, 0), lambda g: np.flip(np.cumsum(np.flip(raw(g), 1), 1), 1),
        shapes="(n,n)",
    ),
    "right only where all are equal": of_total(
        lambda x: np.sum(x) ** 2, lambda g, x: g * 2 * x.size * x, shapes="(n)"
    ),
    "a broadcast operand's rule that averages": binary(np.add).defvjp(
        x=lambda g: g, y=lambda g, y_shape: g / max(1, np.size(raw(g)) / max(1, np.prod(y_shape)))
    ),
    "a constant taken for one at small x": unary(np.exp, lambda g, x: g * (1 + x)),
}  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_a_rule_that_is_wrong_is_caught(planted):
    with pytest.raises(
        GradientError, match=r"(order [12]: the gradient|forward mode) of .*planted"
    ):
        check_derivatives(planted, shrink=False)


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_a_rule_that_is_wrong_is_caught_without_hypothesis_too(planted):
    with pytest.raises(GradientError, match="order 1: the gradient of planted"):
        gradcheck(planted, order=1)


SECOND = {
    "a value that the graph does not see": unary(
        lambda x: x * x * x, lambda g, x: g * 3 * raw(x) ** 2
    ),
    "a term that the graph does not see": unary(
        lambda x: x * np.sin(x), lambda g, x: g * (np.sin(x) + x * np.cos(raw(x)))
    ),
    "one of two operands that the graph does not see": binary(np.multiply).defvjp(
        x=lambda g, y: g * raw(y), y=lambda g, x: g * x
    ),
    "right only for x > 0": unary(
        np.square, lambda g, x: g * 2 * np.where(raw(x) > 0, x, raw(x))
    ),
    "wrong beyond 2.5": unary(
        np.square, lambda g, x: g * 2 * np.where(abs(raw(x)) < 2.5, x, raw(x))
    ),
}  # fmt: skip


@pytest.mark.parametrize("planted", SECOND.values(), ids=SECOND)
def test_a_rule_that_is_wrong_only_at_second_order_is_caught(planted):
    assert gradcheck(planted, order=1).compared > 100
    with pytest.raises(GradientError, match=r"order 2: the gradient of <v, gradient>"):
        check_derivatives(planted, shrink=False)
    with pytest.raises(GradientError, match=r"order 2: the gradient of <v, gradient>"):
        gradcheck(planted)


def test_a_rule_that_is_not_linear_in_the_cotangent_is_caught():
    for rule in (lambda g, x: np.sqrt(g * g) * np.cos(x), lambda g, x: g * g * np.cos(x)):
        with pytest.raises(GradientError, match="order 1"):
            gradcheck(unary(np.sin, rule), np.linspace(-2, 2, 9))


def test_numbers_too_small_to_have_all_their_digits_are_no_disagreement_of_modes():
    assert gradcheck(ops.softplus, np.array([-730.9, -735.9, -740.9, -745.9]))


def test_a_rule_that_hides_the_cotangent_from_the_graph_is_caught_by_forward_mode():
    with pytest.raises(GradientError, match=r"forward mode of planted disagrees .* linear in g"):
        gradcheck(unary(np.sin, lambda g, x: raw(g) * np.cos(x)), 0.3)


def test_a_rule_that_changes_the_cotangent_is_caught():
    def rule(g, x):
        g = raw(g)
        g *= 2
        return g / 2 * np.cos(x)

    with pytest.raises(GradientError, match="a rule of planted changes the cotangent g"):
        gradcheck(unary(np.sin, rule), np.array([0.3, -2.0]))


def test_a_rule_that_writes_to_a_saved_input_is_caught():
    def rule(g, x):
        x += 1
        return g * np.cos(x - 1)

    with pytest.raises(GradientError, match=r"a rule of planted writes to an array .*read-only"):
        gradcheck(unary(np.sin, rule), np.array([0.3, -2.0]))


def test_a_forward_that_changes_its_input_is_caught():
    def forward(x):
        x *= 2
        return x / 2

    with pytest.raises(GradientError, match="planted changes its input x"):
        gradcheck(unary(forward, lambda g: g), np.array([0.3, -2.0]))


def test_the_message_names_the_input_the_worst_entry_and_both_values_with_their_error():
    product = op(lambda left, right: left * right).defvjp(
        left=lambda g, right: g * right,
        right=lambda g, left: g * left * np.array([[1.0, 1.0], [1.0, 1.5]]),
    )
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(
        GradientError, match=r"order 1: .* <lambda> with respect to right"
    ) as caught:
        gradcheck(product, x, 1 - x)
    wrong = caught.value.mismatch
    assert (wrong.parameter, wrong.index, wrong.order) == ("right", (1, 1), 1)
    assert (wrong.wrong, wrong.size, wrong.at) == (1, 4, -3.0)
    assert wrong.claimed == pytest.approx(1.5 * wrong.measured)
    assert wrong.error < 1e-5
    numbers = f"right[1, 1] = -3: claimed {wrong.claimed:.9g}, measured {wrong.measured:.9g} ± "
    assert numbers in str(caught.value)


def test_nested_inputs_are_named_by_the_way_to_them():
    wrong = unary(np.sin, lambda g, x: -g * np.cos(x))

    def loss(params, scale):
        return wrong(params["layers"][1]) * scale + params["layers"][0]

    params = {"layers": [np.array([1.0, 2.0]), np.array([3.0, 4.0])], "steps": 7}
    with pytest.raises(
        GradientError, match=r"loss with respect to params\['layers'\]\[1\] is wrong"
    ):
        gradcheck(loss, params, 2.0)


# Right rules --------------------------------------------------------------------------------------


def test_a_right_gradient_is_reported_with_what_was_compared():
    report = gradcheck(lambda x, y: np.exp(x) * y, 0.5, [np.array([1.0, 2.0]), np.ones((2, 1))][0])
    assert (report.function, report.order, report.points) == ("<lambda>", 2, 1)
    assert (report.compared, report.kinks, report.unjudged) == (6, 0, 0)
    assert report.worst < 1e-9


CURVES = {
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "exp": (np.exp, np.exp),
    "bell": (lambda x: 1 / (1 + x * x), lambda x: -2 * x / (1 + x * x) ** 2),
    "wave": (lambda x: np.sin(5 * x), lambda x: 5 * np.cos(5 * x)),
}


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize(("f", "derivative"), CURVES.values(), ids=CURVES)
def test_measured_derivatives_are_as_good_as_their_error_says(f, derivative, scale):
    x = np.random.default_rng(0).normal(size=200) * scale
    axes = np.diag(np.full(200, scale))
    measured, error, *_ = slopes(lambda p: f(p / scale), x, axes, STEPS[0])
    off = np.abs(np.diag(measured) / scale - derivative(x / scale) / scale)
    assert (off <= np.diag(error) / scale).all()
    assert np.median(np.diag(error)) < 1e-5
    assert np.max(off) * scale < 1e-6


KINKED = [ops.relu, ops.leaky_relu, ops.absolute, lambda x: np.clip(x, -1.0, 1.0)]


@settings(max_examples=60)
@given(
    st.sampled_from(KINKED),
    st.sampled_from([0.0, -1.0, 1.0]),
    st.floats(-9, -1),
    st.sampled_from([1.0, -1.0]),
)
def test_a_right_rule_is_not_accused_however_near_a_kink_is(f, kink, exponent, side):
    near = kink + side * 10**exponent
    report = gradcheck(f, np.array([near, kink, -3.0, 0.7]))
    assert report.compared >= 6


TIED = {
    "max": np.max,
    "clipped maximum": lambda x: np.max(np.minimum(x, 1.0)),
    "maximum with itself": lambda x: np.maximum(x, x[::-1]),
    "maximum with its mirror": lambda x: np.maximum(x, 2.0 - x),
    "sum of distances": lambda x: np.sum(np.absolute(x - 1.0)) * x,
    "std": np.std,
}


@pytest.mark.parametrize("f", TIED.values(), ids=TIED)
def test_equal_shares_at_ties_pass_as_one_of_the_derivatives_around(f):
    gradcheck(f, np.ones(4))


def test_a_middle_entry_among_equals_may_share_its_gradient():
    def sharing(g, x):
        equal = raw(x) == np.median(raw(x))
        return g * equal / equal.sum()

    median = of_total(np.median, sharing, shapes="(3)")
    report = gradcheck(median, np.full(3, 1.5), order=1)
    assert report.kinks == 3
    gradcheck(median, order=1)


def test_a_kink_is_no_excuse_for_a_value_outside_of_its_sides():
    for outside in (-0.1, 1.1):

        def rule(g, x, v=outside):
            return g * np.where(raw(x) > 0, 1.0, np.where(raw(x) == 0, v, 0.0))

        with pytest.raises(GradientError, match=r"x\[1\] = 0: claimed"):
            gradcheck(unary(lambda x: np.maximum(x, 0.0), rule), np.array([1.0, 0.0, -2.0]))


def test_a_smooth_function_may_not_be_masked_at_a_point():
    masked = unary(np.sin, lambda g, x: g * np.where(raw(x) == 0, 0.0, np.cos(x)))
    with pytest.raises(GradientError, match=r"= 0: claimed -?0, measured"):
        gradcheck(masked, np.array([1.0, 0.0]))
    with pytest.raises(GradientError, match=r"= 0: claimed -?0, measured"):
        gradcheck(masked)


def test_beside_a_jump_a_gradient_is_checked_and_at_it_left_unjudged():
    def jumps(x):
        return np.where(raw(x) < 1.0, x, x + 1.0)

    assert gradcheck(jumps, np.array([0.5, 1.001, 3.0])).unjudged == 0
    with pytest.warns(GradientWarning, match=r"a jump at x\[1\] = 1: a derivative does not apply"):
        report = gradcheck(jumps, np.array([0.5, 1.0, 3.0]), order=1)
    assert (report.verdict, report.compared, report.unjudged) == ("inconclusive", 2, 1)


@pytest.mark.parametrize("ratio", [1e-9, 1e-6, 1e-3, 1e3, 1e6, 1e9])
def test_inputs_of_very_different_sizes_are_judged_each_by_its_own(ratio):
    x = np.array([1.0, -2.0, ratio, 3.0 * ratio])
    assert gradcheck(lambda x: np.tanh(x) + x * x, x).unjudged == 0
    assert gradcheck(lambda x: np.log(np.absolute(x)), x).unjudged == 0


def test_steps_stay_inside_the_domain():
    reached = []

    @op(domain={"x": (0, np.inf), "p": (0, 1)})
    def odds(x, p):
        reached.append((np.min(raw(x)), np.min(raw(p)), np.max(raw(p))))
        return np.log(x) * np.log(p / (1 - p))

    odds.defvjp(
        x=lambda g, x, p: g / x * np.log(p / (1 - p)),
        p=lambda g, x, p: g * np.log(x) / (p * (1 - p)),
    )
    assert gradcheck(odds).unjudged == 0
    assert gradcheck(odds, np.array([1e-9, 5.0]), np.array([1e-6, 1 - 1e-6])).unjudged == 0
    lowest_x, lowest_p, _ = np.min(reached, axis=0)
    assert lowest_x > 0
    assert lowest_p > 0
    assert np.max(reached, axis=0)[2] < 1


def test_saturated_and_cancelling_results_are_not_held_against_a_rule():
    gradcheck(np.tanh, np.array([-16.0, 1e5, 3.0]))
    gradcheck(ops.softmax, np.array([100.0, -52.0, 90.0]))
    gradcheck(lambda x: ops.cross_entropy(x, np.array([1])), np.array([[-117.0, 166.0]]))
    gradcheck(np.var, 1e6 + np.array([1.0, 2.0, 4.0]))


def test_ops_pass_with_draws_of_their_own():
    accused = []
    for one in list(ops.registry.values())[
        ::9
    ]:  # all take minutes, and are held by the registry's tests
        try:
            gradcheck(one, examples=2 * len(one.cases), seed=1)
        except GradientError as error:
            accused.append(str(error))
    assert accused == []


@pytest.mark.parametrize(
    "f",
    [
        np.linalg.cholesky, np.linalg.eigvalsh, np.linalg.pinv, np.linalg.svd, np.linalg.qr,
        np.log, np.arccosh,
    ],
)  # fmt: skip
def test_a_function_of_numpys_is_known_by_its_op(f):
    assert gradcheck(f).verdict == "pass"
    assert gradcheck(f, np.array([[2.0, 1.3], [1.3, 3.0]])).verdict == "pass"


def test_results_that_are_no_floats_are_left_out():
    report = gradcheck(
        lambda x: {"y": np.exp(x), "best": np.argmax(x), "n": 3}, np.array([1.0, 2.0])
    )
    assert report.compared == 4


def test_inputs_may_be_tensors_of_any_dtype_layout_and_size():
    base = np.arange(24.0).reshape(4, 6) / 10 - 1
    for x in (
        Tensor(base),
        base[::-2, ::3],
        np.asfortranarray(base),
        base.astype(np.float32),
        np.array(0.3),
        np.empty((0, 3)),
        0.3,
    ):
        gradcheck(lambda x: np.exp(x) * x, x)


def test_constants_are_not_differentiated():
    labels = np.array([0, 2])
    assert gradcheck(ops.cross_entropy, np.eye(2, 3), labels).compared == 12
    assert gradcheck(ops.leaky_relu, np.array([1.0, -2.0]), 0.1).compared == 4


def test_the_same_seed_checks_the_same_numbers():
    first, second = (gradcheck(ops.exp, seed=3) for _ in range(2))
    assert first == second
    assert first != gradcheck(ops.exp, seed=4)


# What can't be checked ----------------------------------------------------------------------------


def test_an_order_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match=r"order 1 and order 2; got order=3"):
        gradcheck(np.exp, 1.0, order=3)


def test_inputs_without_floats_are_refused():
    with pytest.raises(TypeError, match=r"found nothing to differentiate: give .* \(1.0, not 1\)"):
        gradcheck(np.exp, np.arange(3))


def test_results_without_floats_are_refused():
    with pytest.raises(TypeError, match="argmax returned no floating-point numbers"):
        gradcheck(np.argmax, np.array([1.0, 2.0]))


def test_a_function_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="log is not finite at these inputs"):
        gradcheck(np.log, np.array([1.0, -1.0]))


def test_a_random_function_is_refused_with_the_remedy():
    random = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"is random: two calls .* as rng=0 does"):
        gradcheck(lambda x: x * random.normal(), 1.0)
    gradcheck(lambda x: x * np.random.default_rng(0).normal(), 1.0)


# Drawn inputs -------------------------------------------------------------------------------------


def test_an_op_without_a_value_for_a_constant_parameter_is_told_what_it_lacks():
    picks = op(lambda x, index: x[index]).defvjp(x=lambda g: g, index=None)
    with pytest.raises(
        ValueError, match=r"parameter 'index' has no gradient rule, so a value must"
    ):
        gradcheck(picks)


def test_an_op_whose_shapes_do_not_fit_is_told_what_it_lacks():
    product = binary(np.matmul, shapes="(m,2),(3,n)").defvjp(x=lambda g: g, y=lambda g: g)
    with pytest.raises(ValueError, match=r"'planted' does not take arrays of shapes .* must say"):
        gradcheck(product)


def test_an_op_that_is_nowhere_finite_is_told_what_it_lacks():
    with pytest.raises(ValueError, match=r"not finite, nor are they nearer .* domain="):
        gradcheck(unary(lambda x: np.log(-1 - x * x), lambda g: g))


@pytest.mark.parametrize("text", ["m,k", "(m,k", "(m-1)", "(m k)", "((m))", ""])
def test_shapes_that_can_not_be_read_are_refused(text):
    with pytest.raises(ValueError, match=r"of op 'planted' can't be read: write a group"):
        gradcheck(unary(np.sin, lambda g: g, shapes=text))


@pytest.mark.parametrize("text", ["(m),(m),(m)", "(m)"])
def test_shapes_for_more_or_fewer_parameters_are_refused(text):
    with pytest.raises(
        ValueError, match=r"has \d groups for the parameters x, y: give one for each"
    ):
        gradcheck(binary(np.add, shapes=text).defvjp(x=lambda g: g, y=lambda g: g))


def drawn(one, case=None, examples=200):
    """Return many calls of an op, as Hypothesis draws them."""
    found = []

    @settings(max_examples=examples, derandomize=True, database=None)
    @given(calls(one, case))
    def collect(call):
        found.append(call)

    collect()
    return found


def test_what_is_drawn_for_an_op_of_the_whole_line_leaves_nothing_out():
    pairs = [(call.arguments["x"], call.arguments["y"]) for call in drawn(ops.add, examples=400)]
    arrays = [array for pair in pairs for array in pair]
    entries = np.concatenate([array.ravel() for array in arrays])
    for wanted in (
        entries < 0,
        entries == 0,
        entries > 2.5,
        entries < -2.5,
        np.abs(entries) > 1e4,
        (entries != 0) & (np.abs(entries) < 1e-3),
        entries == np.round(entries),
    ):
        assert wanted.sum() > 10
    assert {array.ndim for array in arrays} == {0, 1, 2, 3}
    assert {n for array in arrays for n in array.shape} == {0, 1, 2, 3, 4, 5}
    assert {array.dtype for array in arrays} == {np.dtype(np.float32), np.dtype(np.float64)}
    for wanted in (
        [not array.flags.c_contiguous for array in arrays],
        [not array.flags.forc for array in arrays],
        [min(array.strides, default=0) < 0 for array in arrays],
        [x.shape != y.shape and x.size and y.size for x, y in pairs],
        [x.ndim != y.ndim for x, y in pairs],
        [x.shape == y.shape and x.ndim for x, y in pairs],
        [x.shape == y.shape != () and (x == y).any() for x, y in pairs],
        [array.size == 0 for array in arrays],
        [array.ndim == 0 for array in arrays],
    ):
        assert sum(map(bool, wanted)) > 5


@pytest.mark.parametrize("interval", [(0, np.inf), (-np.inf, 2), (-1, 1), (3, 3.5), (-np.inf, 0)])
def test_what_is_drawn_lies_in_the_open_domain_and_goes_near_its_ends(interval):
    low, high = interval
    f = unary(np.sin, lambda g, x: g * np.cos(x), domain={"x": interval})
    entries = np.concatenate([call.arguments["x"].ravel() for call in drawn(f)]).astype(float)
    assert (entries > low).all()
    assert (entries < high).all()
    for end in interval:
        if np.isfinite(end):
            assert (np.abs(entries - end) < 1e-2).sum() > 10
        else:
            assert (np.abs(entries) > 1e3).sum() > 10


def test_shapes_share_letters_numbers_and_broadcasting_axes():
    product = op(np.matmul, shapes="(…,m,k),(…,k,3)").defvjp(
        x=lambda g, y: g @ np.swapaxes(y, -1, -2), y=lambda g, x: np.swapaxes(x, -1, -2) @ g
    )
    pairs = [(call.arguments["x"].shape, call.arguments["y"].shape) for call in drawn(product)]
    assert all(x[-1] == y[-2] and y[-1] == 3 for x, y in pairs)
    assert all(np.broadcast_shapes(x[:-2], y[:-2]) is not None for x, y in pairs)
    assert {len(x) for x, _ in pairs} == {2, 3, 4}
    assert any(x[:-2] != y[:-2] for x, y in pairs)
    assert any(x[-2] == x[-1] for x, _ in pairs)
    assert any(x[-2] != x[-1] for x, _ in pairs)


def test_axes_that_an_op_refuses_are_made_longer():
    largest = of_total(lambda x: np.max(x, -1), lambda g: g, shapes="(…,n)")
    assert min(call.arguments["x"].shape[-1] for call in drawn(largest)) == 1
    assert min(min(call.arguments["x"].shape) for call in drawn(largest)) == 0
    spread = of_total(lambda x: np.var(x, ddof=1), lambda g: g, shapes="(n)")
    assert min(call.arguments["x"].size for call in drawn(spread)) == 2


def test_list_parameters_take_the_groups_that_are_left_over():
    for call in drawn(ops.concatenate, 1, examples=20):
        first, second = call.arguments["arrays"]
        assert first.shape[1:] == second.shape[1:]


def test_results_too_large_to_differentiate_are_drawn_nearer_to_the_middle():
    for call in drawn(ops.exp):
        assert np.all(np.exp(call.arguments["x"].astype(float)) <= 1e30)


@pytest.mark.parametrize("one", ops.registry.values(), ids=lambda one: one.name)
def test_what_is_drawn_for_an_op_can_be_called_and_is_finite(one):
    for call in samples(one, each=2):
        with quiet():
            results = [out for out in flatten(one(*call.args, **call.kwargs))[0] if is_float(out)]
        assert all(np.isfinite(out).all() for out in results)


def test_a_draw_depends_on_its_choices_alone():
    def first(some):
        return some[0]

    one, two = draw_call(ops.matmul, first, 0), draw_call(ops.matmul, first, 0)
    for name, array in one.arguments.items():
        np.testing.assert_array_equal(array, two.arguments[name], strict=True)


def test_checking_needs_hypothesis_only_for_its_strategies():
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "from tinygrad_mnist import ops\n"
        "from tinygrad_mnist.checking import gradcheck\n"
        "assert gradcheck(ops.exp, examples=3).compared\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_function_may_reach_tracked_parameters_by_its_closure():
    model = nn.MLP((4, 3, 2), rng=0)
    x = np.random.default_rng(0).standard_normal((2, 4))
    report = gradcheck(lambda x: ops.cross_entropy(model(x), [0, 1]), x)
    assert report.verdict == "pass"
    assert all(parameter.grad is None for parameter in model.parameters())
