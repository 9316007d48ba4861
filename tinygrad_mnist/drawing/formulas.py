"""Elementwise operations in a row, drawn as one formula."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.drawing.vertices import Graph, Vertex, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tinygrad_mnist.operation import Op

TERMS = 6  # operations in one formula at most
INFIX = {  # operation -> symbol, how tightly it binds
    "add": ("+", 1),
    "subtract": ("-", 1),
    "multiply": ("*", 2),
    "divide": ("/", 2),
    "remainder": ("%", 2),
    "matmul": ("@", 2),
    "negative": ("-", 3),
    "power": ("**", 4),
}
WHOLE = 5  # binds tighter than any operator
TRANSPOSED = frozenset({"T", "mT"})  # an attribute behind what it is of


def formula_of(op: Op, arguments: Sequence[Any], values: Mapping[str, Any]) -> Any:
    """Return the formula of one call: ``(operation, arguments)``, or None if it is none."""
    if op.pointwise or op.name in INFIX:
        return op.name, arguments
    if op.name == "dot" and all(len(a.shape) <= 2 for a in arguments if isinstance(a, Vertex)):
        return "matmul", arguments
    source = arguments[0] if arguments else None
    if op.name == "getitem" and isinstance(source, Vertex):
        index = _index_text(values.get("index", ()))
        return ("getitem", (source, index)) if index else None
    if isinstance(source, Vertex) and _turns(op.name, len(source.shape), values):
        return "T" if len(source.shape) == 2 else "mT", (source,)
    return None


def _index_text(index: Any) -> str:
    """Return what stands in the brackets of an index of slices and numbers; empty for others."""
    parts = index if isinstance(index, tuple) else (index,)
    plain = (int, np.integer, slice, type(Ellipsis), type(None))
    if not parts or not all(isinstance(part, plain) for part in parts):
        return ""
    return ", ".join(map(part_text, parts))


def part_text(part: Any) -> str:
    """Return a part of an index as Python writes it."""
    if isinstance(part, slice):
        ends = (part.start, part.stop) if part.step is None else (part.start, part.stop, part.step)
        return ":".join("" if end is None else str(end) for end in ends)
    return "..." if part is Ellipsis else str(part)


def _turns(name: str, ndim: int, values: Mapping[str, Any]) -> bool:
    """Return whether an operation swaps the last two axes and does nothing else."""
    if name == "matrix_transpose":
        return True
    if name == "transpose":
        return ndim == 2 and values.get("axes") is None
    pair = {"swapaxes": ("axis1", "axis2"), "moveaxis": ("source", "destination")}.get(name)
    if pair is None or ndim < 2:
        return False
    axes = [values.get(axis) for axis in pair]
    return {k % ndim for k in axes if isinstance(k, int)} == {ndim - 1, ndim - 2}


def join_formulas(graph: Graph) -> None:
    """Let an elementwise operation show those before it that nothing else reads."""
    readers = Counter(shown(s) for v in graph.vertices for s in v.sources)
    terms: dict[Vertex, int] = {}
    for v in graph.vertices:
        if v.formula is None:
            continue
        name, arguments = v.formula
        terms[v] = 1
        joined: list[Any] = []
        for argument in arguments:
            s = shown(argument) if isinstance(argument, Vertex) else v
            if (
                s in terms
                and s is not v
                and readers[s] == 1
                and _joins(s, v)
                and (terms[s] + terms[v] <= TERMS)
            ):
                s.into = v
                terms[v] += terms[s]
                v.operations += s.operations
                joined.append(s.formula)
            else:
                joined.append(argument)
        v.formula = (name, tuple(joined))


def _joins(s: Vertex, v: Vertex) -> bool:
    """Return whether a formula may hold both: shapes inside it are not drawn."""
    if s.formula[0] in TRANSPOSED and s.scope is v.scope:
        return bool(v.formula[0] == "matmul")
    both = s.elementwise and v.elementwise and s.scope is v.scope
    return both and (s.shape, s.dtype) == (v.shape, v.dtype)


def read_by(formula: Any) -> Iterator[Vertex]:
    """Yield the vertices that a formula reads, from left to right."""
    if isinstance(formula, Vertex):
        yield formula
    elif isinstance(formula, tuple):
        for argument in formula[1]:
            yield from read_by(argument)


def written(formula: Any, names: Mapping[Vertex, str]) -> str:
    """Return a formula as Python would write it."""
    return _written(formula, names)[0]


def _written(formula: Any, names: Mapping[Vertex, str]) -> tuple[str, int]:
    """Return a formula's text, and how tightly its outermost operator binds."""
    if isinstance(formula, Vertex):
        return names[formula], WHOLE
    if isinstance(formula, str):
        return formula, INFIX["negative"][1] if formula.startswith("-") else WHOLE
    name, arguments = formula
    parts = [_written(argument, names) for argument in arguments]
    symbol, level = INFIX.get(name, ("", WHOLE))
    if name in TRANSPOSED:
        return f"{_bracketed(parts[0], WHOLE)}.{name}", WHOLE
    if name == "getitem":
        return f"{_bracketed(parts[0], WHOLE)}[{parts[1][0]}]", WHOLE
    if name == "negative":
        return f"-{_bracketed(parts[0], level)}", level
    if len(parts) != 2 or not symbol:
        return f"{name}({', '.join(text for text, _ in parts)})", WHOLE
    second = arguments[1]
    same = isinstance(second, tuple) and second[0] == name and name in {"add", "multiply"}
    # a + (b + c) needs no brackets, nor does a ** b ** c, which binds its right side first
    left = _bracketed(parts[0], level + (name == "power"))
    right = _bracketed(parts[1], level + (not same and name != "power"))
    return f"{left} {symbol} {right}", level


def _bracketed(part: tuple[str, int], level: int) -> str:
    text, tight = part
    return text if tight >= level else f"({text})"
