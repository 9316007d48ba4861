"""The fast paths: they do what `Op._general` does with the same call."""

import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.toys import fold, leaf, times
from tinygrad_mnist import Tensor, no_grad, op, ops

NAMES = (  # rules that save nothing, an operand, the other one, both, the result; one without
    "absolute add conjugate copysign cos divide exp log maximum multiply negative power remainder "
    "sqrt square subtract tanh"
)
UFUNCS = {name: ops.registry[name] for name in NAMES.split()}
UNARY = {name: op for name, op in UFUNCS.items() if len(op.names) == 1}


@op(hidden=2)
def hides(x, y):
    return x * y, x + y, x * x


hides.defvjp(x=lambda g, y, out: g[0] * y, y=lambda g, out: g[0] * out[1])


@op
def optional(x, y=None, scale=2.0):
    return x * scale if y is None else x * y * scale


optional.defvjp(
    x=lambda g, y, scale: g * scale if y is None else g * y * scale,
    y=lambda g, x, scale: g * x * scale,
)


@op
def constant(x, y):
    return x + y


constant.defvjp(x=lambda g, x, y: g * y, y=None)


@op
def first(x, y):
    return x


first.defvjp(x=lambda g, x, y: g, y=lambda g, x: g * 0.0)


@op
def view(x, y):
    return np.broadcast_to(x, np.broadcast_shapes(np.shape(x), np.shape(y)))


view.defvjp(x=lambda g, x, y: g, y=lambda g: g * 0.0)


@op
def whole(x, y):
    return np.asarray(x > y).astype(int)


whole.defvjp(x=lambda g, x: g, y=lambda g, y: g)


@op
def shaped(x, y):
    return x - y


shaped.defvjp(x=lambda g, x_shape: g, y=lambda g, y: g)


@op
def number(x, y):
    return float(np.abs(np.sum(x))) * float(np.abs(np.sum(y)))


number.defvjp(x=lambda g, x, y: g, y=lambda g: g)


@op
def both(x, y):
    return x * y, x + y


both.defvjp(x=lambda g, y: g[0], y=lambda g, x: g[0])

OTHERS = [hides, optional, constant, first, view, whole, shaped, number, both, times]
BINARY = {
    **{name: op for name, op in UFUNCS.items() if len(op.names) == 2},
    **{op.name: op for op in OTHERS},
}

DTYPES = st.sampled_from([np.float64, np.float32, np.float16, np.int64, np.bool_, np.complex128])
KINDS = ("leaf", "result", "view", "constant", "untracked result", "array", "scalar", "number")


def test_there_is_something_to_compare():
    assert {"add", "multiply", "power", "maximum", "hides"} <= set(BINARY)
    assert {"exp", "negative", "tanh", "sqrt"} <= set(UNARY)
    assert all(one.call != one._general for one in (*BINARY.values(), *UNARY.values()))


@st.composite
def operands(draw, count):
    """Return a function that makes the same operands, of many kinds, again and again."""
    shapes = draw(
        hnp.mutually_broadcastable_shapes(num_shapes=count, min_dims=0, max_dims=2, min_side=0)
    ).input_shapes
    numbers = [draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 3))) for shape in shapes]
    arrays = [array.astype(draw(DTYPES)) for array in numbers]
    kinds = [draw(st.sampled_from(KINDS)) for _ in shapes]
    return lambda: [make(kind, a.copy()) for kind, a in zip(kinds, arrays, strict=True)]


def make(kind, array):
    if kind == "array" or (kind in {"scalar", "number"} and not array.size):
        return array
    if kind == "scalar":
        return array.ravel()[0]
    if kind == "number":
        return array.ravel()[0].item()
    if kind == "untracked result":
        with no_grad():
            return Tensor(array) * 1
    t = Tensor(array, requires_grad=array.dtype.kind == "f" and kind != "constant")
    if kind == "result":
        return t * 1.0
    return t[...] if kind == "view" else t


def alike(one, other):
    """Return whether two values are the same numbers in the same structure and class."""
    if isinstance(one, (tuple, list)):
        return type(one) is type(other) and len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and alike(one.data, other.data)
    if type(one) is not type(other) or one is None:
        return one is other
    x, y = np.asarray(one), np.asarray(other)
    return x.dtype == y.dtype and np.array_equal(x, y, equal_nan=x.dtype.kind in "fc")


def outcome(call, operands):
    """Return what a call gave, or the class of its error."""
    try:
        return call(*operands)
    except (TypeError, ValueError) as error:
        return type(error)


def writable(operand):
    array = operand.data if isinstance(operand, Tensor) else operand
    return isinstance(array, np.ndarray) and array.flags.writeable


def node_of(result):
    """Return the node of a call, whose results may be several."""
    if isinstance(result, tuple):
        result = next((one for one in result if isinstance(one, Tensor)), None)
    node = getattr(result, "_node", None)
    return node.parents[0] if hasattr(node, "number") else node


def assert_nodes_are_alike(a, b, fast, general):
    assert a.plan is b.plan
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    for node, xs in ((a, fast), (b, general)):
        nodes = [x._node for x in xs if isinstance(x, Tensor) and x.requires_grad]
        assert {p.index for p in node.parents} <= {n.index for n in nodes}
    assert len(a.parents) == len(b.parents)
    for rule, one, other in zip(a.plan.table, a.saved, b.saved, strict=False):  # then tokens
        assert alike(one, other) or not rule.names


def assert_recorded_alike(op, make_operands):
    for _ in range(2):  # the first call of its kind makes the plan
        fast, general = make_operands(), make_operands()
        with np.errstate(all="ignore"):
            one, other = outcome(op.call, fast), outcome(op._general, general)
        assert alike(one, other)
        assert [*map(writable, fast)] == [*map(writable, general)]
        for x, y in zip(*((r if type(r) is tuple else (r,)) for r in (one, other)), strict=True):
            assert writable(x) is writable(y)
        nodes = node_of(one), node_of(other)
        assert (nodes[0] is None) is (nodes[1] is None)
        if nodes[0] is not None:
            assert_nodes_are_alike(*nodes, fast, general)
        x = y = None
        del one, other, nodes
        assert [*map(writable, fast)] == [*map(writable, general)]


@pytest.mark.parametrize("name", BINARY)
@settings(max_examples=40)
@given(operands(2))
def test_a_call_of_two_operands_is_recorded_alike(name, make_operands):
    assert_recorded_alike(BINARY[name], make_operands)


@pytest.mark.parametrize("name", UNARY)
@settings(max_examples=40)
@given(operands(1))
def test_a_call_of_one_operand_is_recorded_alike(name, make_operands):
    assert_recorded_alike(UNARY[name], make_operands)


@pytest.mark.parametrize("name", BINARY)
def test_one_operand_given_twice_is_recorded_alike(name):
    for kind in KINDS:
        assert_recorded_alike(BINARY[name], lambda k=kind: [make(k, np.array([1.0, 2.0]))] * 2)


def test_a_view_of_a_leaf_locks_it_on_both_paths():
    for call in (fold.call, fold._general):
        p = leaf([1.0, 2.0])
        for _ in range(2):
            out = call(p, (2, 1))
            assert not p.data.flags.writeable
            del out
        assert p.data.flags.writeable


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_an_input_that_is_returned_as_a_hidden_result_is_locked_in_every_call(calls):
    @op(hidden=1)
    def square(x):
        return x * x, x

    square.defvjp(x=lambda g, out: 2.0 * g[0] * out[1])
    for _ in range(calls):
        p = leaf([1.0, 2.0])
        out = square(p)
    with pytest.raises(ValueError, match="read-only"):
        p.data[...] = 9.0
    out.backward([1.0, 1.0])
    assert np.array_equal(p.grad, [2.0, 4.0])


NO_NUMBERS = {
    "None": None,
    "str": "a",
    "object": object(),
    "dict": {},
    "texts": np.array(["a", "b"]),
    "objects": np.array([object(), 1]),
    "huge": 10**400,
    "list": [None, 1.0],
}


@pytest.mark.parametrize("stranger", NO_NUMBERS.values(), ids=NO_NUMBERS)
@pytest.mark.parametrize("name", [name for name in UFUNCS if name not in UNARY])
def test_what_is_no_number_is_refused_by_both(name, stranger):
    t = leaf([1.0, 2.0])
    for arguments in ((t, stranger), (stranger, t)):
        for call in (UFUNCS[name], UFUNCS[name]._general):
            with pytest.raises(
                (TypeError, OverflowError),
                match=r"numbers|unsupported operand|not supported|did not contain a loop|too large"
                r"|bad operand|loop of ufunc does not support|does not take",
            ):
                call(*arguments)


@pytest.mark.parametrize("dtype", ["M8[s]", "m8[s]"], ids=["dates", "lengths of time"])
@pytest.mark.parametrize("name", [name for name in UFUNCS if name not in UNARY])
def test_times_and_dates_are_refused_by_both(name, dtype):
    array = np.array([1, 2]).astype(dtype)
    for call in (UFUNCS[name], UFUNCS[name]._general):
        for x, y in ((leaf([1.0, 2.0]), array), (array, leaf([1.0, 2.0]))):
            with pytest.raises(TypeError, match=r"numbers|ufunc|operand"):
                call(x, y)


@pytest.mark.parametrize("operation", [operator.add, operator.matmul], ids=["+", "@"])
def test_operators_record_as_their_ops_do(operation):
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    named = {operator.add: ops.add, operator.matmul: ops.matmul}[operation]
    one, other = operation(x, y), named(x, y)
    assert one._node.plan is other._node.plan
    assert one._node.parents == other._node.parents == (x._node, y._node)
