"""Calls of ops: how arguments bind, what is recorded, and what is kept for backward."""

import weakref
from array import array
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.toys import counted, leaf, pair, scaled, times
from tinygrad_mnist import Tensor, grad, hessian, jacobian, op, ops

# Calling ----------------------------------------------------------------------------------------


def test_arrays_in_give_what_the_forward_returns_and_record_nothing():
    x = np.ones(3)
    out = times(x, x)
    assert type(out) is np.ndarray
    x[...] = 2.0  # nothing holds it


def test_arguments_bind_by_name_by_place_and_by_default():
    @op
    def affine(x, slope=2.0, *, offset=1.0):
        return x * slope + offset

    affine.defvjp(x=lambda g, slope: g * slope)
    x = leaf(3.0)
    for result in (
        affine(x),
        affine(x=x),
        affine(x, 2.0),
        affine(x, offset=1.0),
        affine(offset=1.0, x=x, slope=2.0),
    ):
        assert float(result) == 7.0
        assert result.requires_grad


def test_a_ufunc_can_be_called_by_its_op_with_keywords():
    assert float(ops.multiply(leaf(2.0), y=3.0)) == 6.0
    with pytest.raises(TypeError, match="multiply"):
        ops.multiply(leaf(2.0), 3.0, axis=0)


@pytest.mark.parametrize("other", [np.arange(3.0).flat, array("d", [0, 1, 2]), range(3)])
def test_whatever_numpy_makes_an_array_of_may_be_an_operand(other):
    x = Tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    np.dot(x, other).sum().backward()
    np.testing.assert_array_equal(x.grad, [[0, 1, 2]])


def test_a_static_parameter_refuses_a_tracked_tensor_and_says_how_to_pass_it():
    f = scaled().defvjp(x=lambda g, factor: g * factor)
    with pytest.raises(TypeError, match=r"'scaled' has no gradient rule for 'factor'.*detach"):
        f(1.0, leaf(2.0))
    f.forward = lambda x, factor: x * np.sum(factor)
    with pytest.raises(TypeError, match=r"'scaled' has no gradient rule for 'factor'"):
        f(1.0, factor=[leaf(2.0)])


def test_a_static_parameter_takes_an_untracked_tensor():
    f = scaled().defvjp(x=lambda g, factor: g * factor)
    assert grad(lambda x: f(x, Tensor(3.0)))(1.0) == 3.0


def test_an_input_whose_rule_is_none_gets_no_gradient():
    @op
    def f(x, labels):
        return x * labels

    f.defvjp(x=lambda g, labels: g * labels, labels=None)
    x, labels = leaf(2.0), leaf(3.0)
    f(x, labels).backward()
    assert x.grad == 3.0
    assert labels.grad is None
    assert not f(2.0, labels).requires_grad


@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=0), elements=st.floats(-9, 9)))
def test_a_rule_finds_cotangent_result_inputs_shapes_and_statics_by_name(x):
    seen = {}

    @op
    def f(x, y, scale=3.0):
        return x * y * scale

    def rule(g, out, x, y, x_shape, y_shape, scale):
        seen.update(locals())
        return g * y * scale

    f.defvjp(x=rule, y=None)
    cotangent = np.arange(x.size, dtype=float).reshape(x.shape)
    f(Tensor(x, requires_grad=True), 2.0).backward(cotangent)
    assert np.array_equal(seen["g"], cotangent)
    assert np.array_equal(seen["out"], x * 6.0)
    assert np.array_equal(seen["x"], x)
    assert seen["x_shape"] == x.shape
    assert seen["y_shape"] == ()
    assert (seen["y"], seen["scale"]) == (2.0, 3.0)
    assert not any(isinstance(value, Tensor) for value in seen.values())


def test_python_results_become_tensors():
    @op
    def f(x):
        return float(np.sum(x))

    f.defvjp(x=lambda g, x_shape: g * np.ones(x_shape))
    x = leaf([1.0, 2.0])
    result = f(x)
    assert isinstance(result, Tensor)
    assert result.dtype == np.float64
    result.backward()
    assert np.array_equal(x.grad, [1.0, 1.0])


def test_an_integer_result_is_a_plain_array():
    @op
    def f(x):
        return np.argsort(x)

    f.defvjp(x=lambda g: g)
    assert type(f(leaf([2.0, 1.0]))) is np.ndarray


@pytest.mark.parametrize(
    "call",
    [
        lambda f, x: f(),
        lambda f, x: f(x, 1.0, 2.0),
        lambda f, x: f(x, x=x),
        lambda f, x: f(x, bogus=1.0),
        lambda f, x: f(bogus=x),
    ],
    ids=["nothing", "too many", "one twice", "unknown name", "unknown name alone"],
)
def test_a_call_that_does_not_fit_the_signature_names_the_op(call):
    with pytest.raises(TypeError, match=r"scaled\(x, factor=2\.0\)"):
        call(scaled(), leaf(1.0))


@pytest.mark.parametrize("result", [None, "text", {}, object()])
@pytest.mark.parametrize("x", [leaf(1.0), Tensor(1.0)], ids=["tracked", "untracked"])
def test_results_that_are_no_numbers_are_refused(result, x):
    @op
    def f(x):
        return result

    f.defvjp(x=lambda g: g)
    with pytest.raises(TypeError, match=r"f\b.*(objects|numbers)"):
        f(x)


# Several inputs in a list -------------------------------------------------------------------------


def joined_list():
    @op
    def joined(xs, axis=0):
        return np.concatenate(xs, axis=axis)

    def rule(g, xs_shape, i, axis):
        start = sum(shape[axis] for shape in xs_shape[:i])
        return g[start : start + xs_shape[i][axis]]

    return joined.defvjp(xs=rule)


def joined_args():
    @op
    def joined(*xs, axis=0):
        return np.concatenate(xs, axis=axis)

    def rule(g, xs_shape, i, axis):
        start = sum(shape[axis] for shape in xs_shape[:i])
        return g[start : start + xs_shape[i][axis]]

    return joined.defvjp(xs=rule)


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=5))
def test_a_list_parameter_has_one_rule_called_for_each_tracked_operand(operands):
    for call in (joined_list(), lambda xs: joined_args()(*xs, axis=0)):
        xs = [
            leaf(np.arange(float(n))) if tracked else np.arange(float(n)) for n, tracked in operands
        ]
        out = call(xs)
        assert np.array_equal(
            out.data if isinstance(out, Tensor) else out,
            np.concatenate([np.arange(float(n)) for n, _ in operands]),
        )
        if not any(tracked for _, tracked in operands):
            continue
        cotangent = np.arange(out.size) + 0.5
        out.backward(cotangent)
        at = 0
        for x, (n, tracked) in zip(xs, operands, strict=True):
            if tracked:
                assert np.array_equal(x.grad, cotangent[at : at + n])
            at += n


def test_a_list_parameter_is_right_at_second_order_and_keeps_its_statics_static():
    @op
    def product(*xs, power=2):
        assert not isinstance(power, Tensor)
        out = 1.0
        for x in xs:
            out = out * x
        return out**power

    def rule(g, xs, i, power):
        assert type(power) is int
        others = 1.0
        for j, x in enumerate(xs):
            others = others if j == i else others * x * x
        return g * (2.0 * xs[i] * others)

    product.defvjp(xs=rule)
    f = lambda x: product(x, 3.0, x)  # noqa: E731 -- (3 x x)^2 = 9 x^4
    assert grad(f)(2.0) == 36 * 8
    assert grad(grad(f))(2.0) == 108 * 4
    assert grad(grad(grad(f)))(2.0) == 216 * 2


def test_a_list_given_to_an_input_that_takes_one_array_is_refused():
    @op
    def f(x: np.ndarray):
        return np.sum(x, axis=0)

    f.defvjp(x=lambda g, x_shape: g)
    with pytest.raises(TypeError, match=r"f takes one Tensor as 'x'.*np\.stack"):
        f([leaf(1.0), leaf(2.0)])


def test_a_list_in_a_list_of_tracked_tensors_is_refused():
    with pytest.raises(TypeError, match=r"list inside a list.*np\.stack"):
        joined_list()([[leaf([1.0])], [leaf([2.0])]])


# Several results, hidden results ------------------------------------------------------------------


def test_several_results_are_tensors_and_each_can_be_used_alone_or_together():
    assert grad(lambda x: pair(x, 3.0)[0])(2.0) == 1.0
    assert grad(lambda x: pair(x, 3.0)[1])(2.0) == 3.0

    def both(x):
        s, p = pair(x, 3.0)
        return s * p

    assert grad(both)(2.0) == 6.0 + 5.0 * 3.0  # (x + 3) 3x
    assert grad(grad(both))(2.0) == 6.0


def test_the_cotangent_of_a_result_that_was_not_used_is_none():
    seen = []

    @op
    def halves(x):
        return x * 0.5, x * 0.25, x * 0.125

    def rule(g):
        seen.append([part is None for part in g])
        return 0.25 * g[1]

    halves.defvjp(x=rule)
    assert grad(lambda x: halves(x)[1])(1.0) == 0.25
    assert seen == [[True, False, True]]


def test_a_named_tuple_of_results_keeps_its_class():
    class Parts(NamedTuple):
        low: object
        high: object

    @op
    def split(x):
        return Parts(x - 1.0, x + 1.0)

    split.defvjp(x=lambda g: g[1])
    for x in (1.0, Tensor(1.0), leaf(1.0)):
        parts = split(x)
        assert type(parts).__name__ == "Parts"
        assert float(parts.high) == 2.0


def test_rules_find_several_results_in_out():
    @op
    def f(x):
        return np.exp(x), np.exp(2.0 * x)

    def rule(g, out):
        first = 0.0 if g[0] is None else g[0] * out[0]
        return first if g[1] is None else first + 2.0 * (g[1] * out[1])

    f.defvjp(x=rule)
    assert np.isclose(grad(lambda x: f(x)[0])(0.5), np.exp(0.5))
    assert np.isclose(grad(grad(lambda x: f(x)[1]))(0.5), 4 * np.exp(1.0))


def hidden_square():
    """x * x, whose derivative 2 x is computed in forward and hidden."""

    @op(hidden=1)
    def square(x):
        return x * x, 2.0 * x

    def rule(g, out):
        to_hidden = 0.0 if g[1] is None else 2.0 * g[1]
        return to_hidden if g[0] is None else g[0] * out[1] + to_hidden

    return square.defvjp(x=rule)


def test_a_hidden_result_is_saved_but_not_returned():
    square = hidden_square()
    assert square(3.0) == 9.0
    assert float(square(Tensor(3.0))) == 9.0
    assert isinstance(square(leaf(3.0)), Tensor)
    assert grad(square)(3.0) == 6.0


def test_a_hidden_result_is_linked_into_the_graph_so_second_order_is_right():
    square = hidden_square()
    assert grad(grad(square))(3.0) == 2.0
    assert grad(grad(lambda x: square(square(x))))(3.0) == 12 * 9.0
    assert hessian(square)(3.0) == 2.0


def test_hidden_results_may_be_integers_and_several():
    @op(hidden=2)
    def largest(x):
        k = np.argmax(x)
        return x[k], np.array(k), np.array(1.0)

    @op
    def put(x, k, n):
        out = np.zeros(n)
        out[k] = x
        return out

    put.defvjp(x=lambda g, k: g[k], k=None, n=None)
    largest.defvjp(x=lambda g, out, x_shape: put(g[0] * out[2], out[1], x_shape[0]))
    assert np.array_equal(grad(largest)(np.array([1.0, 5.0, 2.0])), [0.0, 1.0, 0.0])


# One rule for several inputs ----------------------------------------------------------------------


def joint_pair():
    calls = []

    @op
    def product(q, k, v):
        return q * k * v

    def rule(g, q, k, v):
        calls.append(1)
        return g * k * v, g * q * v, g * q * k

    return product.defvjp(("q", "k", "v"), rule), calls


def test_a_joint_rule_runs_once_and_serves_all_its_inputs():
    product, calls = joint_pair()
    q, k, v = leaf(2.0), leaf(3.0), leaf(5.0)
    product(q, k, v).backward()
    assert (q.grad, k.grad, v.grad) == (15.0, 10.0, 6.0)
    assert calls == [1]


def test_a_joint_rule_serves_the_inputs_that_need_it():
    product, _ = joint_pair()
    assert grad(lambda k: product(2.0, k, 5.0))(3.0) == 10.0
    assert grad(lambda v: product(2.0, 3.0, v))(5.0) == 6.0


def test_a_joint_rule_is_right_at_second_order():
    product, _ = joint_pair()
    assert grad(grad(lambda x: product(x, x, x)))(2.0) == 12.0
    assert np.array_equal(
        hessian(lambda x: product(x[0], x[1], x[2]))(np.array([2.0, 3.0, 5.0])),
        [[0, 5, 3], [5, 0, 2], [3, 2, 0]],
    )


# What is kept -------------------------------------------------------------------------------------


def kept(call):
    """Return which of two operands outlive the call that recorded them."""
    x, y = np.ones(3), np.full(3, 2.0)
    watched = [weakref.ref(x), weakref.ref(y)]
    xt, yt = Tensor(x, requires_grad=True), Tensor(y)
    del x, y
    out = call(xt, yt)
    node = out  # the result and its graph stay alive
    del xt, yt, out
    alive = [reference() is not None for reference in watched]
    del node
    assert [reference() for reference in watched] == [None, None]
    return alive


def test_only_what_the_rules_of_tracked_inputs_name_is_kept():
    @op
    def f(x, y):
        return x * y

    f.defvjp(x=lambda g, y: g * y, y=lambda g, x: g * x)
    assert kept(f) == [False, True]
    assert kept(lambda x, y: f(y, x)) == [False, True]
    f.defvjp(x=lambda g: g, y=lambda g, x: g * x)
    assert kept(f) == [False, False]
    f.defvjp(x=lambda g, x, y: g, y=None)
    assert kept(f) == [True, True]


def test_a_shape_is_kept_without_its_array():
    @op
    def f(x, y):
        return x + y

    f.defvjp(x=lambda g, x_shape, y_shape: g, y=None)
    assert kept(f) == [False, False]


def test_built_in_products_keep_the_other_operand_alone():
    assert kept(lambda x, y: x * y) == [False, True]
    assert kept(lambda x, y: x + y) == [False, False]


def test_a_result_is_kept_only_where_a_rule_names_out():
    for rule, alive in ((lambda g, out: g * out, True), (lambda g: g, False)):
        made = []

        @op
        def f(x):
            made.append(np.exp(x))  # noqa: B023
            return made[0]  # noqa: B023

        f.defvjp(x=rule)
        y = f(leaf([1.0, 2.0]))
        z = y + 1.0
        watched = weakref.ref(made.pop())
        del y
        assert (watched() is not None) is alive
        del z


def test_an_op_whose_result_is_a_view_of_its_own_temporary_keeps_no_operand():
    @op
    def f(x, y):
        return (x + y).reshape(-1, 1)

    f.defvjp(x=lambda g: g.reshape(-1), y=lambda g: g.reshape(-1))
    assert kept(f) == [False, False]


# What is not differentiated -----------------------------------------------------------------------


def test_rules_of_inputs_that_need_no_gradient_are_never_called():
    f, calls = counted()
    x, w = np.ones(3), leaf(np.ones(3))
    f(x, w).backward(np.ones(3))
    f(Tensor(x), w).backward(np.ones(3))
    assert calls == ["y", "y"]


def test_only_the_rules_on_the_way_to_what_was_asked_for_are_called():
    f, calls = counted()
    a, b = leaf(2.0), leaf(3.0)
    side = f(a, b)
    grad(lambda x: f(side, x))(1.0)
    assert calls == ["y"]
    calls.clear()
    jacobian(lambda x, y: f(x, f(y, y)), argnums=0)(1.0, 2.0)
    assert calls == ["x"]
