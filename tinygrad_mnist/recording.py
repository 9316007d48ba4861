"""The fast paths of operators: a ufunc of one or two operands, called and recorded in few steps.

They do what `Op` does with any signature, in 40 % of its time; whatever is not plain is left to
it. So this file is written for speed (`python -m tests.benchmarks per_op`). Other ops have
`generated` ones.
"""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.graph import Array, Box, Node, hold, modes, next_index

if TYPE_CHECKING:
    from collections.abc import Callable

FLOATS: frozenset[Any] = frozenset({np.ndarray, np.float64, np.float32})
PLAIN = frozenset({np.ndarray, float, int, bool, np.float64, np.float32, np.int64, type(None)})
new = object.__new__
_result: type[Box] = Box


def box(data: Array, node: Any) -> Any:
    """Return the Tensor of an array and the node that made it."""
    result = new(_result)
    result._value = data
    result._node = node
    return result


def results_are(cls: type[Box]) -> type[Box]:
    """Make `cls` the class of every result; `tensor.py` says so, once."""
    global _result  # noqa: PLW0603
    _result = cls
    return cls


def result_class() -> type[Box]:
    """Return the class of every result."""
    return _result


def is_masked(value: Any) -> bool:
    """Return whether a value is a masked array, whose mask no op would look at."""
    return hasattr(value, "filled") and hasattr(value, "mask")


def is_operand(value: Any) -> bool:
    """Return whether NumPy can make an array of `value`; else its own class may answer."""
    if isinstance(value, (Box, np.generic, numbers.Number, list, tuple)):
        return True
    if is_masked(value):
        return False
    return getattr(value, "__array_ufunc__", None) is not None or hasattr(value, "__array__")


def shape_of(value: Any) -> Any:
    """Return an input's shape; for a list, its members' shapes."""
    if type(value) is tuple or type(value) is list:
        return tuple(np.shape(v) for v in value)
    return np.shape(value) if hasattr(value, "shape") or np.isscalar(value) else None


def record_unary(op: Any) -> Callable[..., Any]:
    """Return the function that calls and records a ufunc of one operand."""
    forward, general, fast = op.forward, op._general, op.fast

    def unary(x: Any) -> Any:
        if modes or x.__class__ is not _result:
            return general(x)
        a = x._value
        p = x._node
        out = forward(a)
        result = new(_result)
        result._value = out
        if p is None:
            result._node = None
            return result
        plan = fast[1]
        if plan is None:
            return general(x)
        saved = plan.save((a, out, None))
        if plan.saves_x and p.plan is None:
            saved = (*saved, hold(p, a))
        result._node = node = new(Node)
        node.index = next_index()
        node.plan = plan
        node.parents = (p,)
        node.saved = saved
        node.shape = out.shape
        node.dtype = out.dtype
        return result

    unary.__name__ = unary.__qualname__ = op.name
    return unary


def record_binary(op: Any) -> Callable[..., Any]:
    """Return the function that calls and records a ufunc of two operands."""
    forward, general, fast = op.forward, op._general, op.fast
    plain = PLAIN - {type(None)}

    def binary(x: Any, y: Any) -> Any:
        if x.__class__ is _result:
            a = x._value
            p = x._node
            if y.__class__ is _result:
                b = y._value
                q = y._node
            elif y.__class__ in plain:
                b = y
                q = None
            else:
                return general(x, y) if is_operand(y) else NotImplemented
        elif x.__class__ in plain and y.__class__ is _result:
            a = x
            p = None
            b = y._value
            q = y._node
        else:
            return general(x, y) if is_operand(x) and is_operand(y) else NotImplemented
        if modes:
            return general(x, y)
        out = forward(a, b)
        dtype = out.dtype
        if dtype.kind != "f" and dtype.kind not in "biuc":
            return general(x, y)  # which refuses objects and dates
        result = new(_result)
        result._value = out
        token: Any = None  # what keeps a leaf's or an outside array unchanged, if it is saved
        if q is None:
            if p is None:
                result._node = None
                return result
            plan = fast[1]
            parents: tuple[Any, ...] = (p,)
        elif p is None:
            plan = fast[2]
            parents = (q,)
        else:
            plan = fast[3]
            parents = (p, q)
        if plan is None:
            return general(x, y)
        if plan.saves_x and (p is None or p.plan is None):
            token = hold(p, a)
        if plan.saves_y and (q is None or q.plan is None):
            held = q.token if q is not None else None
            held = held and held()  # `hold`, without the call
            if held is None or held.array is not b:
                held = hold(q, b)
            token = held if token is None else (token, held)
        result._node = node = new(Node)
        node.index = next_index()
        node.plan = plan
        node.parents = parents
        node.saved = plan.save((a, b, out, token))
        node.shape = out.shape
        node.dtype = dtype
        return result

    binary.__name__ = binary.__qualname__ = op.name
    return binary
