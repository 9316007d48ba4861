"""The fast paths: a ufunc of one or two operands, called and recorded in as few steps as can be.

They do what `Op` does with any signature, in 40 % of its time; whatever is not plain is left to
it. So this file is written for speed (`python -m tests.benchmarks per_op`).
"""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.graph import Array, Box, Node, Token, hold, modes, next_index, output

if TYPE_CHECKING:
    from collections.abc import Callable

_FLOATS: frozenset[Any] = frozenset({np.ndarray, np.float64, np.float32})
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
        result._node = node = Node()
        node.index = next_index()
        node.plan = plan
        node.parents = parents
        node.saved = plan.save((a, b, out, token))
        node.shape = out.shape
        node.dtype = dtype
        return result

    binary.__name__ = binary.__qualname__ = op.name
    return binary


def record_any(op: Any) -> Callable[..., Any]:
    """Return the function that calls and records an op of any number of plain parameters."""
    forward, general, finish, quick = op.forward, op._general, op._finish, op.quick
    defaults, hidden = op.defaults, op.hidden
    least, most = len(op.required), len(op.names)
    bits = tuple(1 << k for k in range(most))

    def call(*args: Any) -> Any:
        given = len(args)
        if modes or not least <= given <= most:
            return general(*args)
        if given < most:
            args += defaults[given:]
        raw: list[Any] = []
        parents: list[Any] = []
        tracked = 0  # a bit for each parameter
        boxed = False
        for value, bit in zip(args, bits):  # noqa: B905 - of one length, and strict takes time
            if value.__class__ is _result:
                boxed = True
                raw.append(value._value)
                node = value._node
                if node is not None:
                    tracked |= bit
                    parents.append(node)
            elif value.__class__ in PLAIN:
                raw.append(value)
            else:
                return general(*args)
        out = forward(*raw)
        plan = quick.get(tracked)
        first: Any = out[0] if hidden and len(out) == hidden + 1 else out
        simple = (
            plan is not None  # not the first call of its kind, and something is tracked
            and not plan.shaped
            and first.__class__ in _FLOATS
            and first.dtype.kind == "f"
            and first.base is None  # no view
        )
        if hidden:
            for value in out[1:]:
                simple = simple and value.__class__ is np.ndarray and value.base is None
        for value in raw:
            if value is first or (hidden and any(value is other for other in out)):
                simple = False  # an input itself
        if not simple:
            places = [k for k, bit in enumerate(bits) if tracked & bit]
            return finish(raw, dict(zip(places, parents, strict=True)), out, boxed)
        saved = plan.save((*raw, out, None))
        for k, place in plan.locks:
            if place is None:
                if raw[k].__class__ is np.ndarray:
                    saved += (Token(raw[k]),)
            elif (leaf := parents[place]).plan is None:
                token = leaf.token
                token = token and token()  # `hold`, without the call
                if token is None or token.array is not raw[k]:
                    token = hold(leaf, raw[k])
                saved += (token,)
        node = Node()
        node.index = next_index()
        node.plan = plan
        node.parents = tuple(parents)
        node.saved = saved
        result = new(_result)
        result._value = first
        if hidden:
            node.shape, node.dtype = (hidden + 1,), None
            result._node = output(node, 0, first)
        else:
            node.shape, node.dtype = first.shape, first.dtype
            result._node = node
        return result

    call.__name__ = call.__qualname__ = op.name
    return call
