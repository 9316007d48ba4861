"""Generated code: for each op a function that calls its forward and records it, in a straight line.

It does what `Op` does with any signature, in a third of the time, for what each rule saves is known
when the op is defined; whatever is not plain is left to `Op`. Here is what it says of a product
with a rule for each operand, where the second is not tracked::

    x0, n0 = a0._value, a0._node  # of each argument: its array, and the node that made it or None
    out = first = forward(x0, x1)
    plan, parents = plan_1, (n0,)
    saved = (x1, lock(x1) if x1.__class__ is Array else None)

The whole text is shown by tracebacks, and by ``inspect.getsource(op.call)``.
"""

from __future__ import annotations

import linecache
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.graph import Box, Node, hold, lock, modes, next_index
from tinygrad_mnist.recording import FLOATS, PLAIN, new, result_class, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_RULED = 4  # 15 branches; an op of more inputs is left to `Op`


def generated(op: Any) -> Callable[..., Any]:
    """Return the function that calls and records an op of positional parameters."""
    plans: list[Any] = []
    source = "\n".join(_function(op, plans))
    file = f"<recording of op {op.name}>"
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    names: dict[str, Any] = {
        "Array": np.ndarray,
        "FLOATS": FLOATS,
        "Node": Node,
        "PLAIN": PLAIN,
        "Tensor": result_class(),
        "defaults": op.defaults,
        "forward": op.forward,
        "general": op._general,
        "hold": hold,
        "lock": lock,
        "modes": modes,
        "new": new,
        "next_index": next_index,
        "otherwise": _otherwise(op),
        "shape": shape_of,
        **{f"plan_{k}": plan for k, plan in enumerate(plans, 1)},
    }
    exec(compile(source, file, "exec"), names)  # noqa: S102 - the text is made below
    call: Callable[..., Any] = names["call"]
    call.__name__ = call.__qualname__ = op.name
    return call


def _otherwise(op: Any) -> Callable[..., Any]:
    """Return what to do with a result that is not plain, or has no history."""
    finish = op._finish

    def otherwise(out: Any, args: tuple[Any, ...], raw: list[Any], nodes: tuple[Any, ...]) -> Any:
        boxed = any(isinstance(a, Box) for a in args)
        return finish(raw, {k: n for k, n in enumerate(nodes) if n is not None}, out, boxed)

    return otherwise


def _function(op: Any, plans: list[Any]) -> Iterator[str]:
    """Yield the text of the function, and note the plans that it names."""
    every = range(len(op.names))
    least = len(op.required)
    given = ", ".join(f"a{k}" for k in every)
    yield f"def call({', '.join(f'a{k}' + f'=defaults[{k}]' * (k >= least) for k in every)}):"
    yield f"    if modes: return general({given})"
    for k, name in enumerate(op.names):
        branch = "if"
        if name in op.rules:
            yield f"    if a{k}.__class__ is Tensor: x{k}, n{k} = a{k}._value, a{k}._node"
            branch = "elif"
        yield f"    {branch} a{k}.__class__ in PLAIN: x{k}, n{k} = a{k}, None"
        yield f"    else: return general({given})"
    raw, nodes = (", ".join(f"{letter}{k}" for k in every) for letter in "xn")
    otherwise = f"return otherwise(out, ({given},), [{raw}], ({nodes},))"
    yield f"    out = first = forward({raw})"
    if op.hidden:
        yield f"    first = out[0] if len(out) == {op.hidden + 1} else None"
    yield f"    if {' or '.join(_odd(op))}:"
    yield f"        {otherwise}"
    ruled = [k for k, name in enumerate(op.names) if name in op.rules]
    yield from _branches(op, plans, ruled, (), otherwise)
    yield "    node = new(Node)"
    yield "    node.index = next_index()"
    yield "    node.plan, node.parents, node.saved = plan, parents, saved"
    yield "    node.shape, node.dtype = first.shape, first.dtype"
    yield "    result = new(Tensor)"
    yield "    result._value, result._node = first, node"
    yield "    return result"


def _odd(op: Any) -> Iterator[str]:
    """Yield tests for a result that is no float, or may share memory with anything."""
    yield "first.__class__ not in FLOATS"
    yield "first.dtype.kind != 'f'"
    known = {*op.rules, *op.nograd}  # static ones are no arrays
    fresh = ["first", *(f"out[{j}]" for j in range(1, op.hidden + 1))]
    for result in fresh:
        if result != "first":
            yield f"{result}.__class__ is not Array"
        yield f"{result}.base is not None"
        yield from (f"{result} is x{k}" for k, n in enumerate(op.names) if n in known)


def _branches(
    op: Any,
    plans: list[Any],
    ruled: list[int],
    tracked: tuple[int, ...],
    otherwise: str,
    deep: int = 1,
) -> Iterator[str]:
    """Yield the choice between sets of tracked inputs, and what is saved for each."""
    indent = "    " * deep
    if ruled:
        first, *rest = ruled
        yield f"{indent}if n{first} is None:"
        yield from _branches(op, plans, rest, tracked, otherwise, deep + 1)
        yield f"{indent}else:"
        yield from _branches(op, plans, rest, (*tracked, first), otherwise, deep + 1)
    elif tracked:
        plan = op.plan(tuple((k, None) for k in tracked))
        plans.append(plan)
        yield f"{indent}plan, parents = plan_{len(plans)}, ({', '.join(f'n{k}' for k in tracked)},)"
        yield f"{indent}saved = ({', '.join([*_entries(op, plan), *_locks(plan, tracked)])},)"
    else:
        yield indent + otherwise


def _entries(op: Any, plan: Any) -> Iterator[str]:
    """Yield what each rule of a plan saves: nothing, a value, or a tuple of values."""
    n = len(op.names)
    for rule in plan.table:
        values = [
            "None"
            if slot < 0
            else "out"
            if slot == n
            else f"x{slot}"
            if slot < n
            else f"shape(x{slot - n - 2})"
            for slot in rule.slots
        ]
        yield values[0] if len(values) == 1 else f"({', '.join(values)})" if values else "None"


def _locks(plan: Any, tracked: tuple[int, ...]) -> Iterator[str]:
    """Yield what keeps saved inputs unchanged; results of ops are read-only to users anyway."""
    for k in plan.kept:
        if k in tracked:
            yield f"hold(n{k}, x{k}) if n{k}.plan is None else None"
        else:
            yield f"lock(x{k}) if x{k}.__class__ is Array else None"
