"""Backward: what it accepts, where it leaves gradients, and what it costs."""

import copy
import pickle
import threading
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.toys import counted, cube, fold, leaf, pair, spread, times, total
from tinygrad_mnist import Tensor, checkpoint, grad, hessian, jvp, map_gradient, op, vjp

FLOATS = st.floats(-8, 8)


# Broadcasting and dtype are the engine's business -------------------------------------------------


@given(st.data())
def test_a_cotangent_is_summed_down_to_the_shape_of_each_operand(data):
    shapes = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=3))
    a = data.draw(hnp.arrays(np.float64, shapes.input_shapes[0], elements=FLOATS))
    b = data.draw(hnp.arrays(np.float64, shapes.input_shapes[1], elements=FLOATS))
    g = data.draw(hnp.arrays(np.float64, shapes.result_shape, elements=FLOATS))
    x, y = leaf(a), leaf(b)
    times(x, y).backward(g)
    for one, other in ((x, b), (y, a)):
        assert one.grad.shape == one.shape
        lead = g.ndim - one.ndim
        axes = tuple(
            k for k in range(g.ndim) if k < lead or (one.shape[k - lead] == 1 and g.shape[k] != 1)
        )
        assert np.allclose(one.grad, np.sum(g * other, axis=axes).reshape(one.shape))


@pytest.mark.parametrize(
    ("wrong", "shape"), [((2,), (3,)), ((3, 2), (3,)), ((), (3,)), ((3,), (2, 3)), ((2, 3), (1, 2))]
)
def test_a_gradient_that_cannot_be_summed_down_names_op_operand_and_both_shapes(wrong, shape):
    @op
    def crooked(x, y):
        return x * y

    crooked.defvjp(x=None, y=lambda g: np.ones(wrong))
    with pytest.raises(ValueError) as raised:
        total(crooked(1.0, leaf(np.ones(shape)))).backward()
    message = str(raised.value)
    for part in ("'crooked'", "'y'", str(wrong), str(shape)):
        assert part in message


def test_a_rule_that_returns_nothing_is_named_with_what_it_returned():
    @op
    def forgetful(x):
        return x * 2.0

    forgetful.defvjp(x=lambda g: None)
    with pytest.raises(TypeError, match=r"rule of op 'forgetful' for 'x' returned None"):
        total(forgetful(leaf([1.0, 2.0]))).backward()


@pytest.mark.parametrize(
    ("returned", "told"), [((1.0,), "1"), ((1.0, 1.0, 1.0), "3"), (1.0, "float"), (None, "None")]
)
def test_a_joint_rule_that_returns_another_number_of_gradients_is_named(returned, told):
    @op
    def product(x, y):
        return x * y

    product.defvjp(("x", "y"), lambda g: returned)
    with pytest.raises((TypeError, ValueError), match=rf"'product' for .*x.*y.*{told}"):
        product(leaf(1.0), leaf(2.0)).backward()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, ">f4"])
@pytest.mark.parametrize(
    "other", [2.0, np.float64(2.0), np.float32(2.0), 2, np.int64(2), True], ids=repr
)
def test_a_gradient_has_the_dtype_of_its_operand_and_a_result_that_of_numpy(dtype, other):
    array = np.array([1.0, 2.0], dtype=dtype)
    x = leaf(array, dtype)
    for out, expected in ((x * other, array * other), (other + x, other + array)):
        assert out.dtype == expected.dtype
        x.grad = None
        out.backward(np.ones(2))
        assert x.grad.dtype == array.dtype


def test_the_gradient_of_a_float32_network_is_float32_at_every_order():
    f = lambda x: total(cube(x) * np.float64(2.0))  # noqa: E731
    x = np.ones(3, np.float32)
    assert grad(f)(x).dtype == np.float32
    assert grad(lambda x: total(grad(f)(x)))(x).dtype == np.float32


def test_a_complex_detour_gives_a_real_gradient():
    @op
    def real(x):
        return np.real(x).copy()

    real.defvjp(x=lambda g: g * (1.0 + 0j))
    x = leaf([1.0, 2.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        total(real(x * 1j * -1j)).backward()
    assert x.grad.dtype == np.float64
    assert np.array_equal(x.grad, [1.0, 1.0])


# Accumulation -------------------------------------------------------------------------------------


def test_gradients_add_up_in_leaves_alone():
    a = leaf(1.0)
    b = a + a
    c = b + b
    c.backward()
    assert a.grad == 4.0
    b = a + a  # a second graph on the same leaf
    b.backward()
    assert a.grad == 6.0


def test_backward_adds_to_what_grad_holds_and_starts_anew_after_none():
    x = leaf([1.0, 2.0])
    for expected in ([2.0, 4.0], [4.0, 8.0]):
        total(x * x).backward()
        assert np.array_equal(x.grad, expected)
    x.grad = None
    total(x * x).backward()
    assert np.array_equal(x.grad, [2.0, 4.0])


def test_accumulating_does_not_change_a_gradient_that_was_read_before():
    x = leaf([1.0, 2.0])
    total(x * x).backward()
    first = x.grad
    total(x * x).backward()
    assert np.array_equal(first, [2.0, 4.0])


def test_a_diamond_visits_each_node_once():
    f, calls = counted()
    x = leaf(1.0)
    y = x
    for _ in range(30):
        y = f(y, 1.0) + y * 1.0  # 2^30 paths
    y.backward()
    assert len(calls) == 30
    assert x.grad == 2.0**30


def test_a_leaf_can_be_the_end_of_backward_itself():
    x = leaf(2.0)
    x.backward()
    x.backward()
    assert x.grad == 2.0


def test_the_gradient_of_a_leaf_that_was_not_reached_stays_none():
    x, y = leaf(1.0), leaf(2.0)
    (x * 2.0).backward()
    assert y.grad is None


# No aliasing --------------------------------------------------------------------------------------


@op
def _twins(x, y):
    return x + y


def _same_array_twice(g):
    both = 2.0 * g
    return both, both


_twins.defvjp(("x", "y"), _same_array_twice)

ALIASES = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "view": lambda x, y: fold(x, (2, 1)) + fold(y, (2, 1)),
    "identity": lambda x, y: fold(x, (2,)),
    "broadcast": lambda x, y: total(x) + total(y),
    "one rule for both": _twins,
    "several results": lambda x, y: pair(x, y)[0],
    "map_gradient": lambda x, y: map_gradient(x, lambda g: None) + map_gradient(y, lambda g: g),
    "checkpoint": checkpoint(lambda x, y: x + y),
    "twice": lambda x, y: x + x + y,
}


@pytest.mark.parametrize("f", ALIASES.values(), ids=ALIASES)
def test_a_gradient_shares_memory_with_nothing_else(f):
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    out = f(x, y)
    cotangent = np.ones(out.shape)
    out.backward(cotangent, retain_graph=True)
    arrays = [a for a in (x.grad, y.grad, cotangent, x.data, y.data, out.data) if a is not None]
    for k, one in enumerate(arrays[:2]):
        assert not any(np.shares_memory(one, other) for other in arrays[k + 1 :])
    for one in (x.grad, y.grad):
        if one is not None:
            before = one.copy()
            one[...] = 77.0  # it may be written without harm
            one[...] = before
    x.grad, y.grad, first = None, None, x.grad
    out.backward(cotangent)
    assert np.array_equal(x.grad, first)


@pytest.mark.parametrize("f", ALIASES.values(), ids=ALIASES)
def test_what_functions_of_functions_return_shares_memory_with_nothing_else(f):
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    out, pull = vjp(f, x, y)
    cotangent = np.ones(np.shape(out))
    arrays = [x, y, cotangent, *pull(cotangent), *pull(cotangent)]
    for k, one in enumerate(arrays):
        assert not any(np.shares_memory(one, other) for other in arrays[k + 1 :])


def test_backward_does_not_change_the_cotangent_it_is_given():
    cotangent = np.array([1.0, 2.0])
    x = leaf([1.0, 1.0])
    (cube(x) + x).backward(cotangent)
    assert np.array_equal(cotangent, [1.0, 2.0])


# Calling backward ---------------------------------------------------------------------------------


def test_a_second_backward_raises_and_says_retain_graph():
    loss = cube(leaf(2.0))
    loss.backward()
    with pytest.raises(
        RuntimeError, match=r"'cube' was freed by an earlier backward.*retain_graph=True"
    ):
        loss.backward()


def test_a_second_backward_through_a_shared_part_raises():
    x = leaf(2.0)
    shared = x * x
    (shared + 1.0).backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        (shared * 2.0).backward()


@pytest.mark.parametrize(
    "f",
    [lambda x: pair(x, x)[0], checkpoint(cube), lambda x: map_gradient(x, lambda g: g)],
    ids=["several results", "checkpoint", "map_gradient"],
)
def test_a_second_backward_raises_through_every_kind_of_node(f):
    out = f(leaf(2.0))
    out.backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        out.backward()


@pytest.mark.parametrize(
    "f",
    [cube, lambda x: pair(x, x)[1], checkpoint(cube)],
    ids=["op", "several results", "checkpoint"],
)
def test_a_retained_graph_gives_the_same_gradient_again(f):
    x = leaf(2.0)
    out = f(x)
    out.backward(retain_graph=True)
    once = x.grad.copy()
    out.backward(retain_graph=True)
    out.backward()
    assert x.grad == 3 * once


def test_backward_of_several_numbers_needs_a_cotangent():
    x = leaf([1.0, 2.0])
    with pytest.raises(ValueError, match=r"shape \(2,\) needs a cotangent.*sum"):
        (x * 2.0).backward()
    one = leaf([[3.0]])
    (one * 2.0).backward()
    assert np.array_equal(one.grad, [[2.0]])


@pytest.mark.parametrize("cotangent", [1.0, np.ones(3), np.ones((2, 1)), np.ones((1, 2)), []])
def test_a_cotangent_of_another_shape_is_refused_with_both_shapes(cotangent):
    with pytest.raises(ValueError, match=r"cotangent.*\(2,\)"):
        (leaf([1.0, 2.0]) * 2.0).backward(cotangent)


@pytest.mark.parametrize("cotangent", [[1.0, 2.0], (1, 2), np.array([1, 2]), Tensor([1.0, 2.0])])
def test_a_cotangent_may_be_anything_that_makes_an_array(cotangent):
    x = leaf([1.0, 1.0])
    (x * 3.0).backward(cotangent)
    assert np.array_equal(x.grad, [3.0, 6.0])


def test_backward_of_what_is_not_tracked_raises_with_the_way_out():
    with pytest.raises(RuntimeError, match=r"tracks no gradient.*requires_grad=True"):
        Tensor(1.0).backward()


# Depth, cost --------------------------------------------------------------------------------------


def test_a_chain_of_a_million_ops_runs_forward_backward_and_away():
    x = leaf(1.0)
    y = x
    for _ in range(1_000_000):
        y = y * 1.0
    y.backward()
    assert x.grad == 1.0
    del y


def test_a_long_chain_of_every_kind_of_node_works():
    x = leaf(1.0)
    y = x
    for _ in range(20_000):
        y = pair(y, 1.0)[1]
        y = map_gradient(y, lambda g: None)
        y = y + 0.0
    y.backward()
    assert x.grad == 1.0
    del y


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_copies_after_a_long_chain_drop_its_history(copied):
    y = leaf([1.0, 2.0])
    for _ in range(50_000):
        y = y + 1.0
    z = copied(y)
    assert np.array_equal(z.data, y.data)
    assert not z.requires_grad
    assert z.is_leaf


@given(st.integers(1, 60), st.integers(1, 4))
def test_every_rule_runs_once_so_time_is_linear(length, width):
    f, calls = counted()
    xs = [leaf(1.0) for _ in range(width)]
    y = 1.0
    for k in range(length):
        y = f(y, xs[k % width])
    y.backward()
    assert len(calls) == 2 * length - 1  # the first y is a number


def test_an_inner_gradient_does_not_walk_the_history_before_it():
    f, calls = counted()
    y = leaf(1.0)
    for _ in range(1000):
        y = f(y, 1.0)
    grad(lambda x: x * y.detach())(2.0)
    assert calls == []


def test_the_cost_of_each_order_is_held():
    def calls_at(order):
        f, calls = counted()
        g = lambda x: f(f(x, x), x)  # noqa: E731
        for _ in range(order):
            g = grad(g)
        g(2.0)
        return len(calls)

    assert [calls_at(order) for order in (1, 2, 3)] == [4, 6, 6]


# Errors and warnings as before --------------------------------------------------------------------


@op(pointwise=True)
def root(x):
    return np.sqrt(x)


root.defvjp(x=lambda g, out: g / (2.0 * out))


@op(selects=True)
def choose(mask, x, y):
    return np.where(mask, x, y)


choose.defvjp(
    mask=None, x=lambda g, mask: choose(mask, g, 0.0), y=lambda g, mask: choose(mask, 0.0, g)
)


def test_numpys_error_handling_is_as_before_after_backward():
    with np.errstate(invalid="ignore", divide="raise", over="warn", under="ignore"):
        before = np.geterr()
        total(cube(leaf([0.0]))).backward()
        grad(grad(cube))(1.0)
        assert np.geterr() == before


def test_numpys_error_handling_is_as_before_after_an_exception_in_backward():
    def stop(g):
        raise ZeroDivisionError("on purpose")

    before, call = np.geterr(), np.geterrcall()
    with pytest.raises(ZeroDivisionError, match="on purpose"):
        map_gradient(leaf(1.0), stop).backward()
    assert np.geterr() == before
    assert np.geterrcall() is call


def nan_maker():
    @op(pointwise=True)
    def bad(x):
        return x * 1.0

    return bad.defvjp(x=lambda g: g * np.inf - g * np.inf)


def test_a_nan_that_a_rule_makes_warns_at_the_users_line_and_names_the_op():
    out = nan_maker()(leaf([1.0]))
    with pytest.warns(RuntimeWarning, match=r"invalid value.*gradient of op 'bad'") as caught:
        out.backward([1.0])
    assert caught[0].filename == __file__


def test_a_nan_that_a_rule_makes_raises_where_the_user_asked_numpy_to():
    x = leaf([1.0])
    with np.errstate(invalid="raise"), pytest.raises(FloatingPointError, match="op 'bad'"):
        nan_maker()(x).backward([1.0])
    assert x.grad is None


def test_zero_stays_zero_even_where_numpys_reports_can_not_be_heard(monkeypatch):
    monkeypatch.setattr("tinygrad_mnist.reports.FOUND", False)
    x = leaf([0.0, 4.0])
    with np.errstate(all="ignore"):
        (np.sqrt(x) * np.array([0.0, 1.0])).sum().backward()
    assert x.grad.tolist() == [0.0, 0.25]


def test_a_nan_that_a_rule_makes_is_silent_where_the_user_asked_for_silence():
    x = leaf([1.0])
    with np.errstate(invalid="ignore"):
        nan_maker()(x).backward([1.0])
    assert np.isnan(x.grad[0])


def test_an_infinite_derivative_is_still_infinite():
    x = leaf([0.0, 4.0])
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        total(root(x)).backward()
    assert np.array_equal(x.grad, [np.inf, 0.25])


# Zero stays zero ----------------------------------------------------------------------------------


def guarded_root(x):
    """0 where x <= 0, else its root."""
    return choose(np.asarray(x.data > 0 if isinstance(x, Tensor) else x > 0), root(x), 0.0)


def test_zero_stays_zero_at_first_order():
    assert np.array_equal(grad(lambda x: total(guarded_root(x)))(np.array([0.0, 4.0])), [0.0, 0.25])


def test_zero_stays_zero_at_second_order():
    second = grad(lambda x: total(grad(lambda x: total(guarded_root(x)))(x)))
    assert np.allclose(second(np.array([0.0, 4.0])), [0.0, -0.25 * 4.0**-1.5])


def test_zero_stays_zero_in_forward_mode():
    _, tangent = jvp(guarded_root, (np.array([0.0, 4.0]),), (np.array([1.0, 1.0]),))
    assert np.array_equal(tangent, [0.0, 0.25])


def test_zero_stays_zero_for_a_broadcast_operand():
    x = leaf(0.0)
    many = root(times(x, np.array([0.0, 1.0])))  # g is 0, the derivative infinite
    total(times(choose(np.array([False, False]), many, 0.0), 1.0)).backward()
    assert x.grad == 0.0


def test_zero_stays_zero_in_a_rule_for_several_inputs():
    @op(pointwise=True)
    def both(x, y):
        return np.zeros_like(x * y)

    both.defvjp(("x", "y"), lambda g, x, y: (g * np.exp(x), g * np.exp(y)))
    x, y = leaf([1000.0]), leaf([1000.0])
    with np.errstate(over="ignore"):
        both(x, y).backward([0.0])
    assert (x.grad[0], y.grad[0]) == (0.0, 0.0)


def test_zero_stays_zero_where_a_nan_was_not_chosen():
    with np.errstate(invalid="ignore"):
        f = lambda x: total(choose(np.array([False, True]), root(x), 0.0))  # noqa: E731
        assert np.array_equal(grad(f)(np.array([-1.0, 4.0])), [0.0, 0.25])
        x = np.array([np.nan, 3.0])
        g = lambda x: total(choose(~np.isnan(x.data), times(x, x), 0.0))  # noqa: E731
        assert np.array_equal(grad(g)(x), [0.0, 6.0])


BRANCHES = {
    "sqrt": (lambda x: np.where(x > 0, np.sqrt(x), 0.0), 0.0),
    "x log x": (lambda x: np.where(x > 0, x * np.log(x), 0.0), 0.0),
    "sinc": (lambda x: np.where(x != 0, np.sin(x) / x, 1.0), 0.0),
    "exp": (lambda x: np.where(x < 100, np.exp(x), 1.0), 1000.0),
    "minimum": (lambda x: np.minimum(np.exp(x), 1.0), 1000.0),
    "log1p": (lambda x: np.where(x > -1, np.log1p(x), 0.0), -1.0),
    "power": (lambda x: np.where(x > 0, x**0.5, 0.0), 0.0),
    "quotient": (lambda x: np.where(x != 0, 1.0 / x, 0.0), 0.0),
    "index": (lambda x: np.stack([np.sqrt(x), x * 0.0])[1], 0.0),
    "nan": (lambda x: np.where(np.isnan(x), 0.0, x * x), np.nan),
}
DERIVATIVES = {
    "grad": grad,
    "second order": lambda f: grad(grad(f)),
    "forward mode": lambda f: lambda x: jvp(f, (x,), (1.0,))[1],
    "forward over reverse": lambda f: lambda x: jvp(grad(f), (x,), (1.0,))[1],
    "hessian": hessian,
}


@pytest.mark.parametrize("derivative", DERIVATIVES.values(), ids=DERIVATIVES)
@pytest.mark.parametrize(("f", "at"), BRANCHES.values(), ids=BRANCHES)
def test_a_branch_that_is_not_taken_has_derivative_zero(f, at, derivative):
    with np.errstate(all="ignore"):
        assert derivative(f)(at) == 0.0


def test_rules_stay_linear_in_the_cotangent_so_curvature_at_a_minimum_is_right():
    f = lambda x: (root(x) - 2.0) * (root(x) - 2.0)  # noqa: E731
    assert grad(f)(4.0) == 0.0
    assert grad(grad(f))(4.0) == 0.125
    _, curvature = jvp(grad(f), (4.0,), (1.0,))
    assert curvature == 0.125


# Threads ------------------------------------------------------------------------------------------


def test_threads_build_and_run_graphs_of_their_own_at_once():
    results, barrier = {}, threading.Barrier(4)

    def work(k):
        barrier.wait()
        for _ in range(200):
            x = leaf(float(k))
            y = x
            for _ in range(10):
                y = y * 1.0 + cube(x)
            y.backward()
            results.setdefault(k, set()).add(float(x.grad))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {k: {1.0 + 30.0 * k * k} for k in range(4)}


def test_spread_and_total_undo_each_other_as_the_toys_promise():
    assert np.array_equal(grad(lambda x: total(spread(x, (2, 3))))(np.ones(3)), [2.0, 2.0, 2.0])
