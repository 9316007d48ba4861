"""What reverse mode only turns or reshapes, drawn as part of what reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_mnist.drawing.formulas import TRANSPOSED
from tinygrad_mnist.drawing.tracing import Record
from tinygrad_mnist.drawing.vertices import NODES, Graph, Vertex, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SHAPERS = frozenset({"expand_dims", "reshape", "squeeze"})
FITTING = SHAPERS | {"astype", "broadcast_to"}


def fold_reshapes(graph: Graph) -> None:
    """Hide, in the lanes of reverse mode, what changes nothing but axes.

    Rules are written for any number of axes, so many of their reshapes do nothing to two. These
    are left out; transposes stand in the formula of the product that reads them; and a value that
    is reshaped to be broadcast is one node.
    """
    readers: dict[Vertex, dict[Vertex, None]] = {}
    for v in graph.vertices:
        for s in (*v.sources, *v.keeps):
            readers.setdefault(shown(s), {})[v] = None
    moved: dict[Vertex, Vertex] = {}  # what is hidden, and what its readers read instead

    def replace(v: Vertex, base: Vertex, argument: Any, into: Vertex) -> None:
        """Let the readers of `v` read `base`, in formulas as `argument`."""
        for reader in readers[v]:
            reader.formula = _with(reader.formula, lambda s: argument if shown(s) is v else s)
        others = readers.setdefault(shown(base), {})
        others.pop(v, None)
        others.update(readers[v])
        counted = into if into.kind in NODES else next(iter(readers[v]))
        counted.operations += v.operations
        moved[v] = base
        v.into = into

    for v in graph.vertices:
        if v.order == 0 or v.kind != "operation" or len(v.sources) != 1 or v not in readers:
            continue
        base = _followed(v.sources[0], moved)
        before = shown(base)
        if _idle(v, base):
            replace(v, base, base, before)
        elif _is(v, *TRANSPOSED):
            if before.order and _is(before, *TRANSPOSED):
                first = _followed(before.sources[0], moved)
                replace(v, first, first, shown(first))
            elif before.order and _is(before, "matmul") and len(readers[before]) == 1:
                before.formula, before.shape = _transposed(before.formula, v.formula[0]), v.shape
                replace(v, before, before, before)
            elif all(_is(reader, "matmul") for reader in readers[v]):
                replace(v, base, v.formula, next(iter(readers[v])))
        elif (v.name in FITTING and before.name in SHAPERS) and (
            len(readers[before]) == 1 and before.scope is v.scope
        ):
            before.into = v
            v.operations += before.operations
    graph.vertices = [v for v in graph.vertices if v not in moved]
    for v in graph.vertices if moved else ():
        v.sources = [_followed(s, moved) for s in v.sources]
        v.keeps = [_followed(s, moved) for s in v.keeps]


def _followed(s: Vertex, moved: Mapping[Vertex, Vertex]) -> Vertex:
    """Return what is read instead of a source, if it is hidden."""
    at: Vertex | None = s
    while at is not None:
        if at in moved:
            s = at = moved[at]
        else:
            at = at.into
    return s


def _is(v: Vertex, *names: str) -> bool:
    """Return whether a vertex has the formula of one of these operations."""
    return v.formula is not None and v.formula[0] in names


def _idle(v: Vertex, base: Vertex) -> bool:
    """Return whether an operation gives what it is given."""
    if v.name == "moveaxis" and isinstance(v.site, Record):
        _, *axes = v.site.inputs
        return len({k % len(v.shape) for k in axes if isinstance(k, int)}) == 1
    return v.name in FITTING and (v.shape, v.dtype) == (base.shape, base.dtype)


def _transposed(formula: Any, turn: str) -> Any:
    """Return the transpose of a formula; that of a product is the product of transposes."""
    if isinstance(formula, tuple) and formula[0] in TRANSPOSED:
        return formula[1][0]
    if isinstance(formula, tuple) and formula[0] == "matmul":
        left, right = formula[1]
        return "matmul", (_transposed(right, turn), _transposed(left, turn))
    return turn, (formula,)


def _with(formula: Any, change: Callable[[Vertex], Any]) -> Any:
    """Return a formula with other arguments."""
    if isinstance(formula, Vertex):
        return change(formula)
    if isinstance(formula, tuple):
        return formula[0], tuple(_with(argument, change) for argument in formula[1])
    return formula
