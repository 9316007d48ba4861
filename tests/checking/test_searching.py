"""The search finds inputs that a function takes, and the simplest at which it is wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_mnist import gradcheck, op
from tinygrad_mnist.checking import GradientError
from tinygrad_mnist.tensor import raw


@op
def product(a, b):
    return a @ b


product.defvjp(a=lambda g, b: g @ b, b=lambda g, a: a.T @ g)


@op
def swish(x, beta=1.0):
    return x / (1 + np.exp(-beta * x))


swish.defvjp(x=lambda g, x, out, beta: g * beta * out)


def test_a_plain_function_is_called_with_shapes_that_it_takes():
    assert gradcheck(lambda x, w, b: np.tanh(x @ w + b), examples=10).compared > 50
    assert (
        gradcheck(lambda x: 2 * np.log(x), examples=10).notes[0].startswith("x was drawn from (0, ")
    )


def test_a_rule_that_raises_at_some_shapes_is_told_what_is_wrong_at_others():
    with pytest.raises(GradientError, match=r"order 1: .* of product(.|\n)*transposed"):
        gradcheck(product)


def test_the_line_repeats_what_was_found():
    for wrong in (product, swish):
        with pytest.raises(GradientError, match="to repeat") as found:
            gradcheck(wrong)
        with pytest.raises(GradientError, match="to repeat") as again:
            exec(found.value.report.line, {"gradcheck": gradcheck, "np": np, wrong.name: wrong})
        assert again.value.mismatch == found.value.mismatch


@settings(max_examples=3)
@given(st.integers(0, 3))
def test_it_works_inside_a_test_of_hypothesis(seed):
    assert gradcheck(np.sin, examples=5, seed=seed).verdict == "pass"


def test_it_draws_the_same_every_time_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert gradcheck(np.sin) == gradcheck(np.sin) != gradcheck(np.sin, seed=1)
    assert list(tmp_path.iterdir()) == []


def test_an_infinity_at_a_kink_is_wrong():
    def steep(x):
        return np.abs(x)

    steep = op(steep).defvjp(x=lambda g, x: g / np.sign(raw(x)))
    with pytest.raises(GradientError, match=r"claimed -?inf, measured 0"):
        gradcheck(steep)


def test_what_a_function_refuses_now_and_then_is_passed_over():
    def second(x):
        return np.sort(x)[1] * 2  # IndexError, of one

    assert gradcheck(second, examples=20).compared > 20


def test_a_matrix_that_is_singular_by_rounding_is_passed_over():
    def precision(A):
        return np.linalg.inv(A @ A.T + np.eye(len(A)))

    assert gradcheck(precision, shapes="(n,k)").verdict == "pass"


def test_empty_arrays_that_make_no_floats_are_passed_over():
    def dot(x, w):
        return sum(x[k] * w[k] for k in range(len(w)))  # of nothing, the whole number 0

    assert gradcheck(dot, shapes="(n),(n)").verdict == "pass"


def test_a_rule_for_a_parameter_with_a_default_is_looked_at():
    def linear(x, w, b=None):
        return x @ w if b is None else x @ w + b

    def scaled(x, a=2.0):
        return a * x * x

    rules = {"x": lambda g, w: g @ w.T, "w": lambda g, x: x.T @ g}
    with pytest.raises(GradientError, match=r"respect to b is wrong"):
        gradcheck(op(linear, shapes="(m,k),(k,n)").defvjp(**rules, b=lambda g: -3 * g))
    with pytest.raises(GradientError, match=r"respect to a is wrong"):
        gradcheck(op(scaled).defvjp(x=lambda g, x, a: 2 * a * g * x, a=lambda g, x: -g * x))


def test_a_rule_that_could_not_be_looked_at_is_named():
    def first(x, table=None):
        return x if table is None else x * table["first"]

    report = gradcheck(op(first).defvjp(x=lambda g: g, table=lambda g: g), examples=15)
    assert "no arrays were drawn for table" in str(report)


def test_arguments_that_kept_their_defaults_are_named():
    def squares(x, axis=-1, keepdims=False):
        return np.sum(x * x, axis=axis, keepdims=keepdims)

    def rule(g, x, axis, keepdims):
        return 2 * x * (g if keepdims else np.expand_dims(g, axis))

    report = gradcheck(op(squares, shapes="(n)").defvjp(x=rule), examples=15)
    assert "axis, keepdims were tried at their defaults alone: say cases=" in str(report)


def test_an_op_that_takes_no_matrix_drawn_is_asked_for_its_kind():
    def root(a):
        return np.linalg.cholesky((a + a.T) / 2)

    with pytest.raises(ValueError, match=r"matrices=\{'a': 'positive definite'\}"):
        gradcheck(op(root).defvjp(a=lambda g: g))
