"""What a recorded call was given: its sources, their roles, and the rest as short texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.drawing.formulas import INFIX, part_text
from tinygrad_mnist.drawing.tracing import Record
from tinygrad_mnist.drawing.vertices import ELSEWHERE, Vertex, short

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tinygrad_mnist.graph import Node
    from tinygrad_mnist.operation import Op

    Operands = Mapping[tuple[int, int | None], Vertex]  # (parameter, place in its list) -> vertex

UNKNOWN = object()  # an argument that the graph does not keep
_PLAIN = (bool, int, float, complex, str, tuple, type(None))


def roles_of(plan: Any, sources: int) -> tuple[str, ...]:
    """Return what an operation calls its sources, if these are all its arguments."""
    if len(plan.operands) < sources:  # a checkpoint: what it reads has no names
        return ("",) * sources
    whole = plan.operands == tuple((k, None) for k in range(len(plan.op.names)))
    return plan.op.names if whole else ()


def values_of(node: Node) -> dict[str, Any]:
    """Return what is known of a call's arguments: all of them, or those that rules still keep."""
    site = getattr(node, "site", None)
    if isinstance(site, Record):
        return dict(zip(node.plan.op.names, site.inputs, strict=True))
    found: dict[str, Any] = {}
    for rule, saved in zip(node.plan.table, node.saved or (), strict=False):  # tokens come last
        values = (saved,) if len(rule.names) == 1 else saved or ()
        found.update(zip(rule.names, values, strict=False))
    return found


def arguments_of(
    op: Op, values: Mapping[str, Any], tracked: Operands, vertex_of: Callable[[Any], Vertex | None]
) -> tuple[list[str], list[Any]]:
    """Return the role of each argument that is given, and the argument: a vertex or a text.

    Parameters
    ----------
    op : Op
    values : mapping of str to object
        What is known of the arguments, by the parameter's name.
    tracked : mapping
        The vertices of those that a gradient is tracked for.
    vertex_of : callable
        Returns the vertex of an untracked array, or None for what is written as a text.
    """
    bare = op.pointwise or op.name in INFIX  # in a formula an input's place is its name
    found: list[tuple[str, Any]] = []

    def untracked(value: Any) -> Any:
        if value is UNKNOWN:
            return ELSEWHERE
        vertex = vertex_of(value)
        return text_of(value) if vertex is None else vertex

    for k, name in enumerate(op.names):
        value = values.get(name, UNKNOWN)
        if isinstance(value, np.random.Generator):
            continue
        members = {j: vertex for (slot, j), vertex in tracked.items() if slot == k}
        if None in members:
            found.append((name, members[None]))
        elif members:
            size = 1 + max(j for j in members if j is not None)
            for j, member in enumerate([UNKNOWN] * size if value is UNKNOWN else value):
                argument = members[j] if j in members else untracked(member)
                found.append((f"{name}[{j}]", argument))
        elif name in op.required:
            argument = untracked(value)
            named = bare or isinstance(argument, Vertex)
            found.append((name, argument if named else f"{name}={argument}"))
        elif value is not UNKNOWN and not _same(value, op.defaults[k]):
            argument = untracked(value)
            named = isinstance(argument, Vertex)
            found.append((name, argument if named else f"{name}={argument}"))
    return [role for role, _ in found], [argument for _, argument in found]


def _same(value: Any, default: Any) -> bool:
    return value is default or (isinstance(value, _PLAIN) and value == default)


def is_array(value: Any) -> bool:
    """Return whether a value is an array, NumPy's or another library's."""
    return isinstance(getattr(value, "dtype", None), np.dtype)


def text_of(value: Any) -> str:
    """Return a short text for a number, an axis, an index."""
    if isinstance(value, float) or (is_array(value) and np.ndim(value) == 0):
        return f"{value:.6g}" if np.asarray(value).dtype.kind == "f" else str(value)
    if isinstance(value, slice) or value is Ellipsis:
        return part_text(value)
    if isinstance(value, (tuple, list)):
        return short(f"({', '.join(map(text_of, value[:9]))}{',' * (len(value) == 1)})", 32)
    if isinstance(value, np.dtype):
        return str(value.name)
    if isinstance(value, _PLAIN):
        return short(str(value), 32)
    if is_array(value):
        return "array"
    return short(getattr(value, "__name__", type(value).__name__), 32)
