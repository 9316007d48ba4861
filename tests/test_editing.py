"""map_gradient and checkpoint: what they change, and that they change nothing else."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.toys import cube, leaf, pair, times, total
from tinygrad_mnist import (
    Tensor,
    checkpoint,
    grad,
    hessian,
    jvp,
    map_gradient,
    no_grad,
    ops,
    optim,
    vjp,
)

# map_gradient -------------------------------------------------------------------------------------


@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=0), elements=st.floats(-9, 9)))
def test_the_value_passes_unchanged_and_the_cotangent_through_the_function(x):
    t = leaf(x)
    out = map_gradient(t, lambda g: -2.0 * g)
    assert np.array_equal(out.data, x)
    cotangent = np.arange(x.size, dtype=float).reshape(x.shape)
    out.backward(cotangent)
    assert np.array_equal(t.grad, -2.0 * cotangent)


EDITS = {
    "scale": (lambda g: 0.5 * g, [0.5, 1.0]),
    "clip": (lambda g: np.clip(g, -1.5, 1.5), [1.0, 1.5]),
    "reverse": (lambda g: -g, [-1.0, -2.0]),
    "stop": (np.zeros_like, [0.0, 0.0]),
    "look": (lambda g: None, [1.0, 2.0]),
    "pass": (lambda g: g, [1.0, 2.0]),
    "list": (lambda g: [7.0, 8.0], [7.0, 8.0]),
    "integers": (lambda g: np.array([7, 8]), [7.0, 8.0]),
}


@pytest.mark.parametrize(("edit", "expected"), EDITS.values(), ids=EDITS)
def test_gradients_can_be_edited(edit, expected):
    x = leaf([1.0, 1.0])
    map_gradient(x * 1.0, edit).backward([1.0, 2.0])
    assert np.array_equal(x.grad, expected)
    assert x.grad.dtype == np.float64


def test_the_function_sees_the_cotangent_once_and_can_not_write_to_it():
    seen = []

    def look(g):
        seen.append(g.copy())
        with pytest.raises(ValueError, match="read-only"):
            g *= 10.0

    x, z = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    y = map_gradient(x, look)
    (y * 2.0 + y * 3.0 + z).backward(np.ones(2))
    assert np.array_equal(seen, [[5.0, 5.0]])
    assert np.array_equal(x.grad, [5.0, 5.0])
    assert np.array_equal(z.grad, [1.0, 1.0])


@pytest.mark.parametrize("returned", [0.0, np.ones(3), np.ones((2, 2)), [[1.0, 2.0]]], ids=repr)
def test_another_shape_is_refused_with_both_shapes(returned):
    x = leaf([1.0, 2.0])
    with pytest.raises(ValueError, match=r"shape \(2,\) and returned one of shape.*zeros_like"):
        map_gradient(x, lambda g: returned).backward([1.0, 1.0])
    assert x.grad is None


def test_an_array_passes_through_as_it_is():
    array = np.ones(2)
    assert map_gradient(array, lambda g: 2 * g) is array
    assert not map_gradient(Tensor(array), lambda g: 2 * g).requires_grad


def test_an_edit_is_part_of_every_derivative():
    f = lambda x: map_gradient(x * x, lambda g: 2.0 * g) * x  # noqa: E731
    # d/dx x^2 x counts the first factor's share twice: 2 (2x) x + x^2
    assert grad(f)(3.0) == 45.0
    assert vjp(f, 3.0)[1](1.0) == (45.0,)
    assert jvp(f, (3.0,), (1.0,))[1] == 45.0


def test_the_second_derivative_goes_through_the_edited_first():
    f = lambda x: map_gradient(x * x, lambda g: g * g)  # noqa: E731 -- first order: 1 * 2x
    assert grad(f)(3.0) == 6.0
    assert grad(grad(f))(3.0) == 2.0
    assert grad(lambda x: grad(lambda y: map_gradient(y, lambda g: x * g))(1.0))(5.0) == 1.0


def test_the_function_warns_and_raises_as_numpy_is_told_to():
    x = leaf([0.0])
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        map_gradient(x, lambda g: np.log(g * 0.0)).backward([1.0])
    with np.errstate(divide="raise"):
        y = map_gradient(x, lambda g: np.log(g * 0.0))
        with pytest.raises(FloatingPointError, match="divide by zero"):
            y.backward([1.0])


def test_backward_may_be_called_inside():
    x, w = leaf(2.0), leaf(3.0)

    def inner(g):
        (w * w).backward()
        return g

    map_gradient(x * x, inner).backward()
    assert (x.grad, w.grad) == (4.0, 6.0)


# checkpoint ---------------------------------------------------------------------------------------


def block(x, w=2.0):
    s, p = pair(np.sin(x), cube(x))
    return s * p * w


@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=0, max_dims=2), elements=st.floats(-2, 2)))
def test_a_checkpoint_changes_no_derivative_of_any_order(x):
    f, g = (lambda x: total(block(x))), (lambda x: total(checkpoint(block)(x)))
    assert np.array_equal(f(x), g(x))
    assert np.array_equal(grad(f)(x), grad(g)(x))
    assert np.allclose(hessian(f)(x), hessian(g)(x))
    assert np.allclose(jvp(f, (x,), (x,))[1], jvp(g, (x,), (x,))[1])
    assert np.allclose(jvp(grad(f), (x,), (x,))[1], jvp(grad(g), (x,), (x,))[1])


def test_the_function_runs_twice_and_only_then():
    calls = []

    @checkpoint
    def f(x):
        calls.append(1)
        return x * x

    x = leaf(2.0)
    y = f(x)
    assert len(calls) == 1
    y.backward()
    assert len(calls) == 2
    f(Tensor(2.0))
    f(2.0)
    with no_grad():
        f(x)
    assert len(calls) == 5


def test_structures_keywords_and_closures_go_through_a_checkpoint():
    w = leaf(3.0)

    @checkpoint
    def f(p, *, scale):
        """Return two results."""
        return {"a": [p["x"] * w * scale], "n": 7, "none": None}, p["x"]

    x = leaf(2.0)
    first, same = f({"x": x}, scale=10.0)
    assert first["n"] == 7
    assert first["none"] is None
    (first["a"][0] * same).backward()
    assert x.grad == 2 * 2.0 * 3.0 * 10.0
    assert w.grad == 40.0
    assert (f.__name__, f.__doc__) == ("f", "Return two results.")


def test_checkpoints_may_stand_in_checkpoints():
    f = checkpoint(lambda x: checkpoint(cube)(checkpoint(np.sin)(x)) * x)
    g = lambda x: cube(np.sin(x)) * x  # noqa: E731
    for d in (grad, lambda f: grad(grad(f)), hessian):
        assert np.isclose(d(f)(0.7), d(g)(0.7))


@pytest.mark.parametrize("second", [False, True], ids=["first order", "second order"])
def test_dropout_draws_the_same_mask_again_and_the_generator_goes_on(second):
    def run(wrap):
        rng = np.random.default_rng(0)
        f = wrap(lambda x: ops.dropout(x * x, 0.5, rng=rng))
        g = lambda x: total(f(x) * f(x))  # noqa: E731
        if second:
            g = lambda x, g=g: total(grad(g)(x))  # noqa: E731
        return grad(g)(np.arange(1.0, 9.0)), rng.random()

    (expected, after), (found, also) = run(lambda f: f), run(checkpoint)
    assert np.array_equal(found, expected)
    assert after == also


def test_a_checkpoint_keeps_less_memory():
    x = leaf(np.ones(50_000))

    def deep(x):
        for _ in range(20):
            x = np.sin(x)
        return x

    def held(f):
        tracemalloc.start()
        out = f(x)
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        del out
        return size

    assert held(checkpoint(deep)) < 0.2 * held(deep)


def test_a_function_that_returns_something_else_the_second_time_is_refused():
    for other in (lambda x: x.detach(), lambda x: 3.0, lambda x: None):
        runs = []

        def f(x, other=other, runs=runs):
            runs.append(1)
            return x * x if len(runs) == 1 else other(x)

        y = checkpoint(f)(leaf(2.0))
        with pytest.raises(RuntimeError, match="returned something else when it was run again"):
            y.backward()


def test_an_exception_in_the_second_run_comes_through_and_leaves_generators_as_they_were():
    rng, runs = np.random.default_rng(0), []

    def f(x):
        runs.append(1)
        y = ops.dropout(x, 0.5, rng=rng)
        if len(runs) == 2:
            raise ZeroDivisionError("on purpose")
        return y

    y = checkpoint(f)(leaf(np.ones(4)))
    state = rng.bit_generator.state
    with pytest.raises(ZeroDivisionError, match="on purpose"):
        y.backward(np.ones(4))
    assert rng.bit_generator.state == state


def test_what_needs_no_gradient_is_not_differentiated_in_a_checkpoint():
    f = checkpoint(times)
    assert grad(lambda x: f(x, 3.0))(2.0) == 3.0
    w = leaf(5.0)
    assert grad(lambda x: f(x, w.detach()))(2.0) == 5.0
    assert f(2.0, 3.0).__class__ is not Tensor


def test_numpys_error_handling_is_the_users_in_the_second_run():
    with np.errstate(over="raise"):
        y = checkpoint(lambda x: np.exp(x) * x)(leaf(1.0))
        y.backward()
    with np.errstate(divide="ignore"):
        y = checkpoint(lambda x: np.where(x > 0, np.log(x), x))(leaf([0.0, 1.0]))
        y.backward([1.0, 1.0])


@pytest.mark.parametrize("through", ["argument", "closure"])
def test_data_assigned_between_a_checkpoint_and_backward_is_refused(through):
    p = leaf([1.0, 2.0])
    if through == "argument":
        loss = checkpoint(lambda p: total(p * p))(p)
    else:
        loss = checkpoint(lambda: total(p * p))()
    p.data = np.array([10.0, 20.0])
    with pytest.raises(RuntimeError, match=r"data of a parameter was replaced.*before the optim"):
        loss.backward()
    assert p.grad is None


def test_an_optimizer_step_between_a_checkpoint_and_backward_is_refused():
    p = leaf([1.0, 2.0])
    first, second = total(p * p), checkpoint(lambda: total(p * p))()
    first.backward(retain_graph=True)
    optim.SGD([p], lr=0.25).step()
    p.grad = None
    with pytest.raises(RuntimeError, match="data of a parameter was replaced"):
        second.backward()
    assert p.grad is None


@pytest.mark.parametrize(
    ("constants", "change"),
    [([2.0, 3.0], lambda c: c.__setitem__(0, 100.0)), ({"a": 2.0}, lambda c: c.update(a=100.0))],
    ids=["list", "dict"],
)
def test_a_list_or_dict_given_to_a_checkpoint_may_be_changed_afterwards(constants, change):
    x = leaf([1.0, 1.0])
    f = lambda x, c: total(x * (c["a"] if isinstance(c, dict) else c))  # noqa: E731
    expected = grad(f)(x.data, constants)
    loss = checkpoint(f)(x, constants)
    change(constants)
    loss.backward()
    assert np.array_equal(x.grad, expected)
