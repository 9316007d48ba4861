"""Ops: what defining one accepts and refuses."""

import numpy as np
import pytest

from tests.toys import leaf, scaled
from tinygrad_mnist import Tensor, grad, op, ops
from tinygrad_mnist.operation import Op


def test_the_decorator_returns_an_op_with_the_name_and_docstring_of_the_function():
    @op
    def swish(x, beta=1.0):
        """Return x times its sigmoid."""
        return x / (1 + np.exp(-beta * x))

    assert isinstance(swish, Op)
    assert swish.name == swish.__name__ == "swish"
    assert swish.__doc__ == "Return x times its sigmoid."
    assert swish.__module__ == __name__
    assert repr(swish) == "<op swish(x, beta)>"


def test_defvjp_returns_the_op_itself():
    f = scaled()
    assert f.defvjp(x=lambda g, factor: g * factor) is f


def test_an_op_without_rules_works_on_arrays_and_on_untracked_tensors():
    f = scaled()
    assert np.array_equal(f(np.ones(2)), [2.0, 2.0])
    assert type(f(np.ones(2))) is np.ndarray
    result = f(Tensor([1.0, 1.0]))
    assert isinstance(result, Tensor)
    assert not result.requires_grad


def test_an_op_without_rules_refuses_a_tracked_tensor_and_shows_the_line_to_write():
    with pytest.raises(TypeError, match=r"'scaled' has no gradient rule for 'x'.*scaled\.defvjp"):
        scaled()(leaf([1.0]))


@pytest.mark.parametrize(
    ("rules", "culprit"),
    [
        ({}, r"op 'f' needs a rule for 'x'.*x=lambda g.*x=None"),
        ({"x": lambda g: g}, r"op 'f' needs a rule for 'y'"),
        (
            {"x": lambda g: g, "y": None, "z": lambda g: g},
            r"op 'f' has no parameter 'z'.*x, y, axis",
        ),
        (
            {"x": lambda g, w: g, "y": None},
            r"rule of op 'f' for 'x' names 'w'.*g, x, y, axis, out, x_shape, y_shape, axis_shape",
        ),
        ({"x": lambda y: y, "y": None}, r"rule of op 'f' for 'x' does not name the cotangent g"),
        ({"x": lambda g, z_shape: g, "y": None}, r"rule of op 'f' for 'x' names 'z_shape'"),
        ({"x": lambda g, i: g, "y": None}, r"rule of op 'f' for 'x' names 'i'"),
        ({"x": lambda *args: args, "y": None}, r"rule of op 'f' for 'x' names '\*args'"),
        ({"x": lambda g, **kw: g, "y": None}, r"rule of op 'f' for 'x' names '\*\*kw'"),
        ({"x": 3, "y": None}, r"rule of op 'f' for 'x' must be a Python function.*got 3"),
    ],
)
def test_a_rule_that_does_not_fit_is_refused_when_it_is_defined(rules, culprit):
    @op
    def f(x: np.ndarray, y: np.ndarray, axis=None):
        return x + y

    with pytest.raises(TypeError, match=culprit):
        f.defvjp(**rules)


@pytest.mark.parametrize("name", ["g", "out", "i", "x_shape"])
def test_reserved_names_are_refused_as_parameters(name):
    namespace: dict = {}
    exec(f"def f(x, {name}): return x", namespace)
    with pytest.raises(TypeError, match=f"op 'f' has a parameter '{name}'.*reserved"):
        op(namespace["f"])


def test_keyword_catch_alls_are_refused_as_parameters():
    with pytest.raises(TypeError, match=r"op 'f' takes \*\*options"):

        @op
        def f(x, **options):
            return x


def test_a_domain_for_an_unknown_parameter_is_refused():
    with pytest.raises(TypeError, match=r"domain of op 'f' names 'z'.*x"):

        @op(domain={"z": (0, 1)})
        def f(x):
            return x


def test_a_rule_may_bring_values_along_as_defaults():
    f = scaled().defvjp(x=lambda g, factor, extra=10.0: g * factor * extra)
    assert grad(f)(1.0) == 20.0


def test_a_rule_may_name_g_anywhere():
    f = scaled().defvjp(x=lambda factor, g, x: factor * g + 0 * x)
    assert grad(f)(5.0) == 2.0


def test_a_rule_may_name_nothing_but_g():
    assert grad(scaled().defvjp(x=lambda g: 2.0 * g))(5.0) == 2.0


def test_new_rules_replace_the_old_ones():
    f = scaled().defvjp(x=lambda g: 2.0 * g)
    assert grad(f)(1.0) == 2.0
    f.defvjp(x=lambda g: 7.0 * g)
    assert grad(f)(1.0) == 7.0


def test_a_joint_rule_for_an_unknown_input_is_refused_by_name():
    with pytest.raises(TypeError, match=r"'scaled' has no parameter 'z'"):
        scaled().defvjp(("x", "z"), lambda g: (g, g))


def test_joint_rules_come_in_pairs():
    with pytest.raises(TypeError, match=r"defvjp of op 'scaled' takes pairs"):
        scaled().defvjp(("x",), lambda g: (g,), ("x",))


def test_the_registry_lists_every_op_by_its_name():
    listed = set(ops.registry.values())
    assert all(one in listed for one in vars(ops).values() if isinstance(one, Op))
    for name, one in ops.registry.items():
        assert isinstance(one, Op)
        assert one.name == name


def test_another_op_of_a_ufunc_does_not_take_numpy_s_function_over():
    mine = op(np.cbrt).defvjp(x=lambda g: 100 * g)
    x = Tensor(8.0, requires_grad=True)
    np.cbrt(x).backward()
    assert x.grad == pytest.approx(1 / 12)
    x.grad = None
    mine(x).backward()
    assert x.grad == 100
