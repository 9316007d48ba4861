"""NumPy's functions called with a Tensor: tracked, plain, or refused by name."""

import math

import numpy as np
import pytest

from tests.toys import difference, leaf
from tinygrad_mnist import Tensor, grad

# NumPy's protocols --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        np.exp,
        lambda t: np.add(1.0, t),
        np.sum,
        lambda t: np.sum(a=t, axis=0),
        lambda t: np.maximum([1.0, 2.0], t),
        lambda t: np.where([True, False], t, 0.0),
        lambda t: np.stack([t, np.ones(2)]),
        lambda t: np.concatenate([np.ones(2), t]),
        lambda t: np.reshape(t, (2, 1)),
        lambda t: np.ones((2, 2)) @ t,
        lambda t: np.float64(2) * t,
        sum,
    ],
    ids=[
        "exp",
        "add",
        "sum",
        "named",
        "maximum",
        "where",
        "stack",
        "concatenate",
        "reshape",
        "matmul",
        "scalar",
        "builtin",
    ],
)
def test_plain_numpy_on_a_tracked_tensor_is_tracked(call):
    t = leaf([1.5, 2.5])
    out = call(t)
    assert isinstance(out, Tensor)
    assert np.array_equal(out.data, call(t.data))
    out.sum().backward()
    assert np.allclose(t.grad, difference(call, t.data.copy()))


@pytest.mark.parametrize(
    "name",
    [
        "argmax",
        "argmin",
        "argsort",
        "shape",
        "ndim",
        "size",
        "isnan",
        "isfinite",
        "sign",
        "floor",
        "ceil",
        "rint",
        "nonzero",
        "any",
        "all",
        "zeros_like",
        "ones_like",
    ],
)
def test_functions_without_a_derivative_give_plain_arrays(name):
    t = leaf([1.5, -2.5, 0.0])
    out, expected = getattr(np, name)(t), getattr(np, name)(t.data)
    assert type(out) is type(expected)
    assert np.array_equal(out, expected)


def test_a_rounded_part_counts_as_a_constant():
    assert grad(lambda x: (x - np.floor(x)) ** 2)(1.25) == 0.5


def test_an_unsupported_function_is_named_with_the_way_to_add_a_rule():
    unknown = np.frompyfunc(math.erf, 1, 1)
    words = r"np\.erf \(vectorized\) has no gradient rule.*@op.*defvjp.*\.data"
    with pytest.raises(TypeError, match=words):
        unknown(leaf([1.0, 2.0]))


@pytest.mark.parametrize(
    "call",
    [
        lambda t: np.exp(t, out=np.zeros(2)),
        lambda t: np.add(np.ones(2), t, out=np.zeros(2)),
        lambda t: np.less(t, 1.0, out=np.zeros(2, bool)),
        lambda t: np.exp(np.ones(2), out=t),
    ],
    ids=["exp", "add", "less", "tensor_as_out"],
)
def test_out_is_refused_with_the_way_to_write_it(call):
    with pytest.raises(TypeError, match=r"np\.\w+ can't write.*out="):
        call(leaf([1.0, 2.0]))


@pytest.mark.parametrize(
    "call",
    [
        np.asarray,
        np.array,
        lambda t: np.asarray(t, dtype=object),
        lambda t: np.array([t, t]),
        lambda t: np.array([t[0], t[1]]),
        lambda t: np.asarray([t, 1.0], dtype=float),
        lambda t: np.zeros(2).__setitem__(slice(None), t),
        lambda t: np.multiply(np.ones(2), [t[0], t[1]]),
        lambda t: np.ones(2).dot(t),
        lambda t: np.full(2, t[0]),
        Tensor,
        lambda t: Tensor([t[0], t[1]]),
    ],
    ids=[
        "asarray",
        "array",
        "object_array",
        "array_of_two",
        "array_of_entries",
        "asarray_of_mixed",
        "setitem",
        "list_operand",
        "dot",
        "full",
        "Tensor",
        "Tensor_of_entries",
    ],
)
def test_a_tracked_tensor_never_becomes_a_plain_array_unasked(call):
    with pytest.raises(TypeError, match=r"history would be lost|lose its history"):
        call(leaf([1.0, 2.0]))


def test_an_untracked_tensor_becomes_an_array_like_any_other():
    t = Tensor([1.0, 2.0])
    assert np.shares_memory(np.asarray(t), t.data)
    assert not np.shares_memory(np.array(t), t.data)
    assert np.asarray(t, dtype=int).dtype == int
    assert np.array_equal(np.array([t, t]), [[1.0, 2.0], [1.0, 2.0]])
    assert np.array_equal(Tensor([Tensor(1.0), Tensor(2.0)]).data, [1.0, 2.0])
    with pytest.raises(ValueError, match="Unable to avoid copy"):
        np.array(t, dtype=int, copy=False)


def test_no_protocol_lets_memory_out_past_the_check():
    for name in ("__array_interface__", "__array_struct__", "__buffer__", "__dlpack__"):
        assert not hasattr(leaf(1.0), name)


def test_indexing_an_array_with_a_tensor_is_numpys():
    assert np.arange(3)[Tensor(1)] == 1
    assert np.array_equal(np.arange(3)[Tensor([1, 2])], [1, 2])
    assert np.array_equal(np.arange(5)[Tensor(1) : Tensor(3)], [1, 2])
    assert [1, 2, 3][Tensor(1)] == 2
