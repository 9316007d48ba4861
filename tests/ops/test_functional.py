"""vectorize, apply_along_axis, apply_over_axes and piecewise: functions that call functions."""

import numpy as np
import pytest

from tinygrad_mnist import Tensor, grad, gradcheck, ops

X = np.array([[0.7, -1.3, 2.1], [-0.4, 1.05, -2.6]])


def leaf(data, dtype=float):
    return Tensor(np.array(data, dtype), requires_grad=True)


def assert_same(result, expected):
    assert isinstance(result, Tensor)
    np.testing.assert_array_equal(result.data, expected, strict=True)


def product(a, b=2.0):
    return a * np.sin(b)


@pytest.mark.parametrize(
    ("make", "call"),
    [
        (lambda v: v(product), lambda f, x: f(x, X[0])),
        (lambda v: v(product), lambda f, x: f(x, b=X)),
        (lambda v: v(product), lambda f, x: f(x)),
        (lambda v: v(product, excluded={1}), lambda f, x: f(x, 0.5)),
        (lambda v: v(product, excluded={"b"}), lambda f, x: f(x, b=0.5)),
        (lambda v: v(product, otypes=[np.float32]), lambda f, x: f(x, 0.5)),
        (lambda v: v(lambda a: (a * a, a.max()), signature="(k)->(k),()"), lambda f, x: f(x)[0]),
        (lambda v: v(np.dot, signature="(k),(k)->()"), lambda f, x: f(x, X[1])),
    ],
    ids=["two", "name", "default", "excluded", "excluded_name", "otypes", "signature", "core"],
)
def test_vectorize_does_for_tensors_what_numpy_does_for_arrays(make, call):
    expected = call(make(np.vectorize), X)
    assert_same(call(make(ops.vectorize), leaf(X)), expected)
    np.testing.assert_array_equal(call(make(ops.vectorize), X), expected)
    if expected.dtype == np.float64:
        gradcheck(lambda x: call(make(ops.vectorize), x), X)


def test_vectorize_of_nothing_is_refused_as_by_numpy():
    with pytest.raises(ValueError, match="size 0"):
        ops.vectorize(product)(leaf(np.zeros(0)))


def test_a_function_of_vectors_may_return_any_shape():
    for f in (np.sum, lambda a: a[1:] * a[0], lambda a: np.outer(a, a)):
        for axis in (0, -1):
            result = np.apply_along_axis(f, axis, leaf(X))
            assert_same(result, np.apply_along_axis(f, axis, X))
            gradcheck(lambda x, f=f, axis=axis: np.apply_along_axis(f, axis, x), X)
    assert type(np.apply_along_axis(np.argmax, 0, leaf(X))) is np.ndarray


def test_a_function_over_axes_keeps_them_at_length_1():
    t = np.random.default_rng(0).normal(size=(2, 3, 2))
    assert_same(
        np.apply_over_axes(np.sum, leaf(t), [0, -1]), np.apply_over_axes(np.sum, t, [0, -1])
    )
    gradcheck(lambda t: np.apply_over_axes(np.max, t, [0, 2]), t)
    with pytest.raises(ValueError, match="correct shape"):
        np.apply_over_axes(lambda a, axis: a[0, 0], leaf(t), 1)


def test_the_last_condition_that_holds_decides_and_all_else_is_one_more():
    for condlist, functions in (
        ([X < 0, X < 1], [lambda a: a**2, np.sin]),
        ([X < -1], [1.5, lambda a: a * 3]),
        ([X < 0], [lambda a: -a]),
        ([X > 9], [np.sqrt]),
    ):
        expected = np.piecewise(X, condlist, functions)
        assert_same(np.piecewise(leaf(X), condlist, functions), expected)
        gradcheck(lambda x, c=condlist, f=functions: np.piecewise(x, c, f), X)
    s = grad(lambda x: np.piecewise(x, x < 0, [np.exp, np.square]))
    assert s(3.0) == 6.0
    with pytest.raises(ValueError, match=r"with 1 condition\(s\), either 1 or 2 functions"):
        np.piecewise(leaf(X), [X < 0], [np.sin] * 3)
