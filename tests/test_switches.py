"""Switches: what no_grad and detect_anomaly change, for whom, and how they end."""

import inspect
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.toys import cube, leaf, pair, times, total
from tinygrad_mnist import (
    Tensor,
    checkpoint,
    detect_anomaly,
    grad,
    jvp,
    map_gradient,
    no_grad,
    op,
    ops,
)
from tinygrad_mnist.graph import modes


def tracked():
    """Return whether a call is recorded right now."""
    return (leaf(1.0) * 2.0).requires_grad


def here():
    """Return this file and the line after the caller's, as messages show them."""
    return f"{__file__}:{inspect.currentframe().f_back.f_lineno + 1}"


# no_grad ------------------------------------------------------------------------------------------


def test_no_grad_records_nothing():
    with no_grad():
        out = cube(leaf(2.0)) * leaf(3.0)
    assert isinstance(out, Tensor)
    assert out.is_leaf
    assert not out.requires_grad
    assert tracked()


def test_no_grad_decorates_with_and_without_parentheses():
    @no_grad
    def bare(x, scale=1.0):
        """Return x scaled."""
        return x * scale

    @no_grad()
    def called(x, scale=1.0):
        return x * scale

    for f in (bare, called):
        out = f(leaf(2.0), scale=3.0)
        assert float(out) == 6.0
        assert not out.requires_grad
        assert tracked()
    assert (bare.__name__, bare.__doc__) == ("bare", "Return x scaled.")


def test_a_decorated_function_may_call_itself():
    @no_grad
    def f(n):
        assert not tracked()
        return f(n - 1) if n else tracked()

    assert f(5) is False
    assert tracked()


def generator():
    yield 1


async def coroutine():
    return 1


async def async_generator():
    yield 1


@pytest.mark.parametrize(
    "wrong",
    [generator, coroutine, async_generator, 3, "f"],
    ids=["generator", "coroutine", "async generator", "number", "text"],
)
def test_what_runs_later_or_not_at_all_can_not_be_decorated(wrong):
    for decorate in (no_grad, no_grad(), detect_anomaly()):
        with pytest.raises(TypeError, match=r"decorates a plain function.*with statement inside"):
            decorate(wrong)


@pytest.mark.parametrize("switch", [no_grad, detect_anomaly])
def test_a_switch_is_off_after_an_exception(switch):
    with pytest.raises(ZeroDivisionError, match="on purpose"), switch():
        raise ZeroDivisionError("on purpose")
    assert modes == {}
    assert tracked()


def test_a_derivative_inside_leaves_no_grad_on():
    with no_grad():
        assert grad(cube)(2.0) == 12.0
        assert not tracked()
        with pytest.raises(ZeroDivisionError, match="division"):
            grad(lambda x: x * (1 / 0))(1.0)
        assert not tracked()


SWITCHES = {"no_grad": no_grad, "detect_anomaly": detect_anomaly}


def stopped_at_infinity():
    with np.errstate(divide="ignore"):
        try:
            np.log(Tensor(0.0))
        except FloatingPointError:
            return True
    return False


@given(st.lists(st.tuples(st.sampled_from([*SWITCHES, "leave"]), st.integers(0, 9)), max_size=10))
def test_switches_may_end_in_any_order(moves):
    """As generators do that are closed at will."""
    on, seen = [], []
    for move, k in moves:
        if move != "leave":
            on.append((move, SWITCHES[move]()))
            on[-1][1].__enter__()
        elif on:
            on.pop(k % len(on))[1].__exit__(None, None, None)
        names = {name for name, _ in on}
        expected = "no_grad" not in names, "detect_anomaly" in names
        seen.append((tracked(), stopped_at_infinity()) == expected)
    for _, switch in on:
        switch.__exit__(None, None, None)
    assert all(seen)
    assert modes == {}


def test_one_switch_may_be_entered_twice():
    switch = no_grad()
    with switch:
        with switch:
            assert not tracked()
        assert not tracked()
    assert tracked()


def test_a_switch_in_a_suspended_generator_ends_with_it():
    def values():
        with no_grad():
            yield tracked()

    running = values()
    assert next(running) is False
    running.close()
    assert tracked()


@pytest.mark.parametrize("switch", [no_grad, detect_anomaly])
def test_a_switch_is_of_its_thread_alone(switch):
    inside, checked, seen = threading.Event(), threading.Event(), []

    def other():
        with switch():
            inside.set()
            checked.wait(10)
            seen.append(tracked())

    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(10)
    assert tracked()
    with np.errstate(divide="ignore"):
        np.log(Tensor(0.0))
    x = leaf(2.0)
    cube(x).backward()
    assert x.grad == 12.0
    checked.set()
    thread.join()
    assert seen == [switch is detect_anomaly]
    assert modes == {}


def test_memory_of_an_evaluation_is_not_kept():
    x = np.ones(3)
    with no_grad():
        out = times(leaf(np.ones(3)), x)
        x[...] = 2.0
        out.data[...] = 3.0


def test_a_result_made_under_no_grad_can_become_a_leaf():
    with no_grad():
        x = leaf([1.0, 2.0]) * 2.0
    x.requires_grad = True
    (x * x).sum().backward()
    assert np.array_equal(x.grad, [4.0, 8.0])
    x.data -= 0.5 * x.grad
    assert np.array_equal(x.data, [0.0, 0.0])


# detect_anomaly -----------------------------------------------------------------------------------


@pytest.fixture
def quiet():
    with np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize("x", [leaf([0.0, 1.0]), Tensor([0.0, 1.0])], ids=["tracked", "untracked"])
def test_the_first_value_that_is_not_finite_stops_the_forward_pass(x, quiet):
    with pytest.raises(FloatingPointError) as raised, detect_anomaly():  # noqa: PT012
        at = here()
        np.log(x)
    message = str(raised.value)
    for part in ("op 'log'", "infinity", at, "x: shape (2,), from 0 to 1"):
        assert part in message


def test_an_infinity_in_an_input_is_counted_and_a_nan_is_named(quiet):
    x = leaf([np.inf, 1.0, -np.inf])
    with (
        pytest.raises(
            FloatingPointError,
            match=r"op 'subtract' made NaN.*shape \(3,\).*x: shape \(3,\), from 1 to 1, 2 not",
        ),
        detect_anomaly(),
    ):
        x - x


def test_a_value_that_is_not_finite_is_found_in_every_kind_of_result(quiet):
    @op(hidden=1)
    def hides(x):
        return x * 1.0, x / 0.0

    hides.defvjp(x=lambda g: g[0])

    @op
    def several(*xs):
        return xs[0] * 1.0, np.log(xs[1] * 0.0)

    several.defvjp(xs=lambda g: g[0])
    x = leaf([0.0, 1.0])
    for call, name in ((hides, "hides"), (lambda x: several(x, x), "several"), (np.log, "log")):
        with pytest.raises(FloatingPointError, match=rf"op '{name}' made"), detect_anomaly():
            call(x)


def test_the_first_value_that_is_not_finite_stops_backward(quiet):
    x = leaf([0.0, 4.0])
    with pytest.raises(FloatingPointError) as raised, detect_anomaly():  # noqa: PT012
        at = here()
        y = np.sqrt(x)
        total(y).backward()
    message = str(raised.value)
    for part in (
        "gradient of op 'sqrt'",
        at,
        "infinity",
        "shape (2,)",
        "g: shape (2,), from 1 to 1",
        "out: shape (2,), from 0 to 2",
    ):
        assert part in message
    assert x.grad is None


def test_backward_inside_names_ops_that_were_called_outside(quiet):
    y = total(np.sqrt(leaf([0.0])))
    outside = pytest.raises(FloatingPointError, match=r"op 'sqrt', called at a line outside")
    with outside, detect_anomaly():
        y.backward()


@pytest.mark.parametrize(
    "derivative",
    [
        lambda f: grad(lambda x: total(f(x))),
        lambda f: lambda x: jvp(f, (x,), (np.ones(2),)),
        lambda f: grad(lambda x: total(grad(lambda x: total(f(x)))(x))),
        lambda f: grad(checkpoint(lambda x: total(f(x)))),
        lambda f: grad(lambda x: total(f(map_gradient(x, lambda g: g)))),
    ],
    ids=["grad", "jvp", "second order", "checkpoint", "map_gradient"],
)
def test_anomalies_are_found_in_every_kind_of_derivative(derivative, quiet):
    with pytest.raises(FloatingPointError, match=r"sqrt|divide"), detect_anomaly():
        derivative(np.sqrt)(np.array([0.0, 1.0]))


def test_an_anomaly_in_what_map_gradient_calls_is_found():
    y = map_gradient(leaf(1.0), lambda g: g * np.nan)
    named = pytest.raises(FloatingPointError, match=r"gradient of op 'map_gradient'.*NaN")
    with named, detect_anomaly():
        y.backward()


def test_zero_stays_zero_under_detect_anomaly(quiet):
    with detect_anomaly():
        f = lambda x: total(np.where(x > 0, np.sqrt(x), 0.0))  # noqa: E731
        assert np.array_equal(grad(f)(np.array([0.0, 4.0])), [0.0, 0.25])


def test_a_finite_computation_is_the_same_under_detect_anomaly():
    def f(x):
        s, p = pair(x, cube(x))
        return total(checkpoint(times)(s, p)) + (x * 3).sum()

    x = np.array([1.0, -2.0])
    with detect_anomaly():
        inside = f(x), grad(f)(x), jvp(f, (x,), (x,))
    for one, other in zip(inside, (f(x), grad(f)(x), jvp(f, (x,), (x,))), strict=True):
        assert np.array_equal(one, other)


def test_integers_and_no_arrays_are_no_anomaly():
    with detect_anomaly():
        ops.add(leaf(1.0), 3)
        Tensor([1, 2]) + 1
        leaf([1.0, 2.0]).argmax()


def test_detect_anomaly_and_no_grad_go_together(quiet):
    for outer, inner in ((no_grad, detect_anomaly), (detect_anomaly, no_grad)):
        with outer(), inner():
            assert not tracked()
            with pytest.raises(FloatingPointError, match="op 'log'"):
                np.log(leaf(0.0))
        assert modes == {}


def test_detect_anomaly_leaves_numpys_error_handling():
    before = np.geterr()
    with detect_anomaly():
        assert np.geterr() == before
        cube(leaf(2.0)).backward()
        assert np.geterr() == before
