"""Derivatives of functions: their values, structures and orders, and what they refuse."""

import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.toys import cube, leaf, pair, times, total
from tinygrad_mnist import (
    Tensor,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    no_grad,
    value_and_grad,
    vjp,
)

ARRAYS = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3),
    elements=st.floats(-4, 4).map(lambda v: round(v, 3)),
)


class Layer(NamedTuple):
    w: object
    b: object


TREES = st.recursive(
    ARRAYS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
        | st.builds(Layer, inner, inner)
    ),
    max_leaves=5,
)


def leaves(tree):
    """Return the arrays of a tree, in the order of dicts' insertion."""
    if isinstance(tree, dict):
        return [one for part in tree.values() for one in leaves(part)]
    if isinstance(tree, (list, tuple)):
        return [one for part in tree for one in leaves(part)]
    return [tree]


def shaped_alike(one, other):
    """Return whether two trees have the same structure, classes, shapes and dtypes."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(shaped_alike(one[k], other[k]) for k in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(shaped_alike, one, other))
    return one.shape == other.shape and one.dtype == other.dtype


def norm2(tree):
    """Return half the sum of squares of a tree."""
    result = 0.0
    for one in leaves(tree):
        result = result + 0.5 * total(one * one)
    return result


def poly(x):
    return x * x * x - 2.0 * x


# grad, value_and_grad -----------------------------------------------------------------------------


@given(TREES)
def test_a_gradient_has_the_structure_of_its_argument(tree):
    if not leaves(tree):
        return
    value, gradient = value_and_grad(norm2)(tree)
    assert shaped_alike(gradient, tree)
    assert math.isclose(value, sum(0.5 * np.sum(x * x) for x in leaves(tree)), abs_tol=1e-12)
    for g, x in zip(leaves(gradient), leaves(tree), strict=True):
        assert type(g) is np.ndarray
        assert np.array_equal(g, x)


def test_none_in_a_structure_stays_none():
    assert grad(lambda p: p["w"] * p["w"])({"w": 3.0, "b": None}) == {"w": 6.0, "b": None}


@pytest.mark.parametrize(
    ("argnums", "expected"),
    [(0, 12.0), (1, 4.0), (-1, 4.0), (-2, 12.0), ((0,), (12.0,)), ((1, 0), (4.0, 12.0))],
)
def test_argnums_choose_what_is_differentiated(argnums, expected):
    assert grad(lambda x, y: x * x * y, argnums)(2.0, 3.0) == expected


def test_argnums_may_be_a_list_or_a_range():
    f = lambda x, y: x * y  # noqa: E731
    assert grad(f, [0, 1])(2.0, 3.0) == (3.0, 2.0)
    assert grad(f, range(2))(2.0, 3.0) == (3.0, 2.0)


def test_argnums_may_be_numpys_integers():
    f = lambda x, y: x * y  # noqa: E731
    assert grad(f, np.int64(1))(2.0, 3.0) == 2.0
    assert grad(f, (np.int64(0), np.int8(-1)))(2.0, 3.0) == (3.0, 2.0)


@pytest.mark.parametrize("what", [grad, value_and_grad, jacobian], ids=lambda f: f.__name__)
def test_argnums_that_are_not_there_are_refused(what):
    f = lambda x, y=1.0: x * y  # noqa: E731
    for wrong in (1, 2, -2):
        with pytest.raises(ValueError, match=r"argnums=.*was called with 1"):
            what(f, wrong)(1.0)
    with pytest.raises(ValueError, match=r"argnums=.*was called with 1"):
        what(f, (0, 5))(1.0)
    with pytest.raises(ValueError, match="names one argument twice"):
        what(f, (0, -2))(1.0, 2.0)
    for wrong in (1.5, True, "x", None):
        with pytest.raises(TypeError, match=r"takes argnums, an integer or several; got"):
            what(f, wrong)(1.0)
    with pytest.raises(ValueError, match=r"was called with 0"):
        what(f)(x=1.0)


def test_keywords_reach_the_function_and_are_not_differentiated():
    def f(x, *, scale=1.0):
        return x * x * scale

    assert grad(f)(3.0, scale=10.0) == 60.0
    assert value_and_grad(f)(3.0, scale=10.0) == (90.0, 60.0)
    assert jacobian(f)(3.0, scale=10.0) == 60.0
    assert hessian(f)(3.0, scale=10.0) == 20.0


def test_names_and_docstrings_are_the_functions():
    def loss(x):
        """Return the loss."""
        return x * x

    for what in (grad, value_and_grad, jacobian, hessian):
        assert what(loss).__name__ == "loss"
        assert what(loss).__doc__ == "Return the loss."


def test_plain_arrays_in_give_plain_arrays_out():
    for x in (2.0, np.float64(2.0), np.array(2.0), Tensor(2.0)):
        value, gradient = value_and_grad(poly)(x)
        assert type(value) is np.ndarray
        assert type(gradient) is np.ndarray
        assert (value, gradient) == (4.0, 10.0)


def test_a_tracked_tensor_in_gives_tracked_tensors_out():
    x = leaf(2.0)
    value, gradient = value_and_grad(poly)(x)
    assert value.requires_grad
    (gradient * gradient).backward()
    assert x.grad == 2 * 10.0 * 12.0


def test_a_result_that_depends_on_a_tracked_tensor_from_outside_is_tracked():
    w = leaf(3.0)
    gradient = grad(lambda x: x * x * w)(2.0)
    assert isinstance(gradient, Tensor)
    gradient.backward()
    assert w.grad == 4.0


def test_a_gradient_penalty_trains_the_weights():
    w = leaf([1.0, 2.0])
    x = np.array([3.0, 4.0])
    gradient = grad(lambda x: total(times(w, x) * times(w, x)))(x)  # 2 w^2 x
    total(gradient * gradient).backward()
    assert np.allclose(w.grad, 2 * (2 * w.data**2 * x) * (4 * w.data * x))


def test_a_detached_outside_tensor_makes_nothing_tracked():
    w = leaf(3.0)
    assert type(grad(lambda x: x * w.detach())(2.0)) is np.ndarray


def test_nobodys_grad_is_written():
    w, x = leaf(3.0), leaf(2.0)
    grad(lambda y: y * w * x)(x)
    hessian(lambda y: y * w * y)(1.0)
    jvp(lambda y: y * w, (x,), (1.0,))
    hvp(lambda y: y * y * w, 1.0, 1.0)
    assert w.grad is None
    assert x.grad is None


def test_a_constant_function_has_gradient_zero():
    assert np.array_equal(grad(lambda x: 3.0)(np.ones(2)), [0.0, 0.0])
    assert np.array_equal(grad(lambda x: Tensor(3.0))(np.ones(2)), [0.0, 0.0])
    assert np.array_equal(grad(lambda x, y: y, 0)(np.ones(2), 1.0), [0.0, 0.0])


@pytest.mark.parametrize("x", [3, [1, 2], 1j, True, np.arange(3)], ids=repr)
def test_integers_and_complex_numbers_can_not_be_differentiated(x):
    with pytest.raises(TypeError, match=r"only floating-point numbers.*write 3\.0"):
        grad(lambda x: total(x * x))(x)


@pytest.mark.parametrize(
    ("f", "error", "told"),
    [
        (lambda x: x * x, ValueError, r"single number; it returned shape \(2,\).*jacobian.*sum"),
        (lambda x: (x.sum(), x.sum()), ValueError, r"single number; it returned shape \(\), \(\)"),
        (lambda x: None, TypeError, r"it returned None"),
        (lambda x: [], TypeError, r"a number"),
        (lambda x: (x * 1j).sum(), TypeError, r"complex numbers: take np\.abs"),
    ],
    ids=["array", "tuple", "None", "nothing", "complex"],
)
def test_only_functions_that_return_a_real_number_have_a_gradient(f, error, told):
    with pytest.raises(error, match=told):
        grad(f)(np.ones(2))


def test_an_array_of_one_entry_is_a_single_number():
    assert np.array_equal(grad(lambda x: x * x)(np.array([[3.0]])), [[6.0]])


def test_an_exception_in_the_function_comes_through_and_leaves_nothing_behind():
    x = np.ones(2)

    def f(t):
        (t * t).sum()
        raise ZeroDivisionError("on purpose")

    for call in (grad(f), jacobian(f), hessian(f), lambda x: jvp(f, (x,), (x,))):
        with pytest.raises(ZeroDivisionError, match="on purpose"):
            call(x)
    x[...] = 2.0


def test_a_derivative_is_taken_under_no_grad_too():
    with no_grad():
        assert grad(poly)(2.0) == 10.0
        assert grad(grad(poly))(2.0) == 12.0
        assert jvp(poly, (2.0,), (1.0,)) == (4.0, 10.0)
        assert type(grad(poly)(leaf(2.0))) is np.ndarray
    assert grad(lambda x: no_grad(poly)(x) * x)(2.0) == 4.0


# Any order ----------------------------------------------------------------------------------------


@given(st.integers(1, 7), st.integers(0, 6), st.floats(-2, 2))
def test_the_nth_derivative_of_a_power_is_right(n, order, x):
    def f(x):
        result = x
        for _ in range(n - 1):
            result = result * x
        return result

    g = f
    for _ in range(order):
        g = grad(g)
    expected = math.perm(n, order) * x ** (n - order) if order <= n else 0.0
    assert np.allclose(g(x), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("order", range(1, 9))
def test_derivatives_of_the_sine_go_round(order):
    g = np.sin
    for _ in range(order):
        g = grad(g)
    assert np.isclose(g(0.7), np.sin(0.7 + order * np.pi / 2), rtol=1e-12)


# Perturbation confusion ---------------------------------------------------------------------------


def test_perturbations_are_not_confused():
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0) == 1.0
    assert grad(lambda x: x * grad(lambda y: x * y)(2.0))(3.0) == 6.0
    assert grad(lambda x: grad(lambda y: x * y * y)(x))(3.0) == 12.0


def test_perturbations_are_not_confused_through_closures_and_other_modes():
    f = lambda x: x * jvp(lambda y: x * y * y, (2.0,), (1.0,))[1]  # noqa: E731 -- 4 x^2
    assert grad(f)(3.0) == 24.0
    assert jvp(f, (3.0,), (1.0,))[1] == 24.0
    assert jvp(lambda x: x * grad(lambda y: x + y)(1.0), (1.0,), (1.0,))[1] == 1.0
    assert grad(lambda x: x * vjp(lambda y: x * y, 2.0)[1](1.0)[0])(3.0) == 6.0
    assert grad(lambda x: total(hessian(lambda y: x * y * y * y)(2.0)))(3.0) == 12.0
    assert grad(lambda x: grad(lambda y: grad(lambda z: x * y * z)(1.0))(2.0) * x)(3.0) == 6.0


def test_the_inner_point_may_depend_on_the_outer_one():
    # d/dx of d/dy (x y^2) at y = x^2, that is of 2 x^3
    assert grad(lambda x: grad(lambda y: x * y * y)(x * x))(3.0) == 54.0


# vjp ----------------------------------------------------------------------------------------------


def two_results(x, y):
    s, p = pair(x, y)
    return {"sum": s, "parts": [p, (p * s,)]}


def test_vjp_returns_the_result_and_a_function_that_may_be_called_again():
    out, pull = vjp(two_results, 2.0, 3.0)
    assert out["sum"] == 5.0
    assert out["parts"][1][0] == 30.0
    assert pull({"sum": 1.0, "parts": [0.0, (0.0,)]}) == (1.0, 1.0)
    assert pull({"parts": [1.0, (0.0,)], "sum": 0.0}) == (3.0, 2.0)
    assert pull({"sum": 0.0, "parts": [0.0, (1.0,)]}) == (6.0 + 15.0, 6.0 + 10.0)


def test_the_result_of_vjp_can_not_be_changed_behind_its_back():
    x = np.ones(2)
    out, pull = vjp(lambda x: times(x, x), x)
    for array in (out, x):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 5.0
    assert np.array_equal(pull(np.ones(2))[0], [2.0, 2.0])
    del pull
    x[...] = 5.0


@pytest.mark.parametrize(
    ("cotangent", "told"),
    [
        (np.ones(3), r"the cotangent has shape \(3,\), the result \(2,\)"),
        ([1.0, 1.0, 1.0], r"shape \(3,\)"),
        (2.0, r"shape \(\)"),
    ],
    ids=["array", "list", "number"],
)
def test_a_cotangent_of_another_shape_is_refused(cotangent, told):
    _, pull = vjp(lambda x: x * 2.0, np.ones(2))
    with pytest.raises(ValueError, match=told):
        pull(cotangent)


@pytest.mark.parametrize(
    "cotangent",
    [{"sum": 1.0}, {"sum": 1.0, "part": [1.0, (1.0,)]}, 1.0, [1.0], {"sum": 1.0, "parts": [1.0]}],
    ids=["missing key", "other key", "number", "list", "missing part"],
)
def test_a_cotangent_of_another_structure_is_refused(cotangent):
    _, pull = vjp(two_results, 2.0, 3.0)
    with pytest.raises(ValueError, match=r"the cotangent needs"):
        pull(cotangent)


def test_a_tracked_cotangent_makes_the_pull_differentiable():
    assert grad(lambda c: vjp(cube, 2.0)[1](c)[0])(5.0) == 12.0
    c = leaf(5.0)
    vjp(cube, 2.0)[1](c)[0].backward()
    assert c.grad == 12.0


def test_a_cotangent_is_cast_to_the_dtype_of_its_result():
    _, pull = vjp(lambda x: x * 2.0, np.ones(2, np.float32))
    assert pull(np.ones(2))[0].dtype == np.float32
    assert pull([1, 1])[0].dtype == np.float32


# jvp ----------------------------------------------------------------------------------------------


@given(ARRAYS, st.data())
def test_jvp_and_vjp_are_adjoint(x, data):
    y = data.draw(hnp.arrays(np.float64, x.shape, elements=st.floats(-4, 4)))
    u, v = (data.draw(hnp.arrays(np.float64, x.shape, elements=st.floats(-4, 4))) for _ in "uv")
    c = data.draw(hnp.arrays(np.float64, x.shape, elements=st.floats(-4, 4)))
    f = lambda x, y: np.sin(x) * y + cube(y)  # noqa: E731
    out, tangent = jvp(f, (x, y), (u, v))
    value, pull = vjp(f, x, y)
    gx, gy = pull(c)
    assert np.array_equal(out, value)
    assert np.allclose(tangent, np.cos(x) * y * u + (np.sin(x) + 3 * y * y) * v)
    assert np.allclose(np.sum(tangent * c), np.sum(gx * u) + np.sum(gy * v))


def test_jvp_follows_structures_of_arguments_and_results():
    f = lambda p, x: {"out": [p["w"] * x + p["b"]], "w": p["w"]}  # noqa: E731
    out, tangent = jvp(f, ({"w": 2.0, "b": 1.0}, 3.0), ({"b": 1.0, "w": 10.0}, 100.0))
    assert out == {"out": [7.0], "w": 2.0}
    assert tangent == {"out": [231.0], "w": 10.0}


def test_jvp_of_a_result_that_depends_on_nothing_is_zero():
    out, tangent = jvp(
        lambda x: (x * 2.0, 5.0, np.ones(2), np.argsort(x)), (np.ones(3),), (np.ones(3),)
    )
    assert np.array_equal(tangent[0], [2.0, 2.0, 2.0])
    assert tangent[1] == 0.0
    assert np.array_equal(tangent[2], [0.0, 0.0])
    assert np.array_equal(tangent[3], [0, 0, 0])
    assert np.array_equal(out[3], [0, 1, 2])


def test_jvp_of_the_identity_is_the_tangent():
    x, v = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    out, tangent = jvp(lambda x: x, (x,), (v,))
    assert np.array_equal(out, x)
    assert np.array_equal(tangent, v)
    assert not np.shares_memory(tangent, v)


def test_forward_mode_works_at_any_order():
    d = lambda f: lambda x: jvp(f, (x,), (1.0,))[1]  # noqa: E731
    assert d(cube)(2.0) == 12.0
    assert d(d(cube))(2.0) == 12.0
    assert d(d(d(cube)))(2.0) == 6.0
    assert grad(d(grad(cube)))(2.0) == 6.0
    assert d(grad(d(cube)))(2.0) == 6.0


def test_a_tracked_tangent_is_differentiated_through():
    assert grad(lambda v: jvp(cube, (2.0,), (v,))[1] * v)(3.0) == 2 * 12.0 * 3.0
    v = leaf(3.0)
    jvp(cube, (2.0,), (v,))[1].backward()
    assert v.grad == 12.0


@pytest.mark.parametrize(
    ("xs", "tangents", "told"),
    [
        ((np.ones(2),), (np.ones(3),), r"shape \(3,\).*\(2,\)"),
        ((1.0, 2.0), (1.0,), r"tangents needs? 2 parts"),
        (({"a": 1.0},), ({"b": 1.0},), r"keys \['a'\]"),
    ],
    ids=["shape", "number", "keys"],
)
def test_tangents_that_do_not_fit_are_refused(xs, tangents, told):
    f = lambda *xs: xs[0]["a"] if isinstance(xs[0], dict) else xs[0] * 2.0  # noqa: E731
    with pytest.raises(ValueError, match=told):
        jvp(f, xs, tangents)


def test_jvp_refuses_complex_results():
    with pytest.raises(TypeError, match=r"jvp needs a function with real results"):
        jvp(lambda x: x * 1j, (1.0,), (1.0,))


# hvp, jacobian, hessian ---------------------------------------------------------------------------


def rosenbrock(x):
    a, b = 1.0 - x[:-1], x[1:] - x[:-1] * x[:-1]
    return total(a * a) + 100.0 * total(b * b)


@given(hnp.arrays(np.float64, 4, elements=st.floats(-2, 2)), st.data())
def test_hvp_is_the_hessian_times_a_vector(x, data):
    v = data.draw(hnp.arrays(np.float64, 4, elements=st.floats(-2, 2)))
    h = hessian(rosenbrock)(x)
    assert h.shape == (4, 4)
    assert np.allclose(h, h.T)
    assert np.allclose(hvp(rosenbrock, x, v), h @ v)
    assert np.allclose(jvp(grad(rosenbrock), (x,), (v,))[1], h @ v)
    assert np.allclose(jacobian(grad(rosenbrock))(x), h)


def test_hvp_follows_structures():
    f = lambda p: p["a"] * p["a"] * p["b"]  # noqa: E731
    p, v = {"a": 2.0, "b": 3.0}, {"b": 1.0, "a": 0.0}
    assert hvp(f, p, v) == {"a": 4.0, "b": 0.0}


def test_hvp_refuses_a_vector_of_another_shape():
    with pytest.raises(ValueError, match=r"shape \(3,\).*\(2,\)"):
        hvp(lambda x: total(x * x), np.ones(2), np.ones(3))


@given(ARRAYS, ARRAYS)
def test_a_jacobian_has_the_shape_of_the_result_and_the_argument(x, y):
    f = lambda x, y: np.multiply(x[..., None, None], y)[..., 0, 0] if not y.ndim else x * total(y)  # noqa: E731
    out = f(x, y)
    jx, jy = jacobian(f, (0, 1))(x, y)
    assert jx.shape == np.shape(out) + x.shape
    assert jy.shape == np.shape(out) + y.shape
    assert np.allclose(jx.reshape(x.size, x.size), np.eye(x.size) * np.sum(y), atol=1e-12)


def test_jacobians_of_structures_have_the_arguments_inside_the_results():
    f = lambda p: (p["w"] * 2.0, {"s": [total(p["w"] * p["b"])]})  # noqa: E731
    first, second = jacobian(f)({"w": np.array([1.0, 2.0]), "b": np.array([3.0, 4.0])})
    assert np.array_equal(first["w"], 2 * np.eye(2))
    assert np.array_equal(first["b"], np.zeros((2, 2)))
    assert np.array_equal(second["s"][0]["w"], [3.0, 4.0])
    assert np.array_equal(second["s"][0]["b"], [1.0, 2.0])


def test_the_hessian_of_a_structure_has_blocks():
    h = hessian(lambda p: p["a"] * p["a"] * p["b"])({"a": 2.0, "b": 3.0})
    assert h == {"a": {"a": 6.0, "b": 4.0}, "b": {"a": 4.0, "b": 0.0}}


def test_the_jacobian_of_a_constant_is_zero():
    assert np.array_equal(jacobian(lambda x: np.ones(2))(np.ones(3)), np.zeros((2, 3)))
    assert np.array_equal(jacobian(lambda x: Tensor(np.ones(2)))(np.ones(3)), np.zeros((2, 3)))


def test_a_jacobian_refuses_complex_results():
    with pytest.raises(TypeError, match="complex"):
        jacobian(lambda x: x * 1j)(np.ones(2))


def test_jacobians_can_be_differentiated():
    assert np.array_equal(
        jacobian(jacobian(cube))(np.array([1.0, 2.0])),
        [[[6.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 12.0]]],
    )
    assert grad(lambda x: total(jacobian(cube)(x)))(2.0) == 12.0


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble])
def test_every_derivative_keeps_the_dtype_of_its_argument(dtype):
    x = np.ones(2, dtype)
    f = lambda x: total(cube(x))  # noqa: E731
    assert grad(f)(x).dtype == dtype
    assert hessian(f)(x).dtype == dtype
    assert hvp(f, x, np.ones(2)).dtype == dtype
    assert jacobian(cube)(x).dtype == dtype
    out, tangent = jvp(cube, (x,), (np.ones(2),))
    assert (out.dtype, tangent.dtype) == (dtype, dtype)


@given(hnp.arrays(np.float64, (2, 3), elements=st.floats(-2, 2)))
def test_strides_do_not_matter(array):
    for x in (array.T, array[::-1, ::-2], np.asfortranarray(array), array[:, 1:2]):
        assert np.array_equal(grad(lambda x: total(x * x))(x), 2 * x)
        assert np.allclose(jvp(cube, (x,), (x,))[1], 3 * x**3)
