"""What is to be known of a graph's values: numbers, gradients, memory, time, rounding."""

from __future__ import annotations

import math
import timeit
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.checking.digits import moves
from tinygrad_mnist.checking.tracing import visits
from tinygrad_mnist.drawing.numbers import number, size_text, time_text
from tinygrad_mnist.drawing.tracing import Record
from tinygrad_mnist.drawing.vertices import (
    NOT_KEPT,
    Graph,
    Measured,
    Vertex,
    around,
    shown,
    visible,
)
from tinygrad_mnist.graph import owner_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Measure = Callable[[Graph, Sequence[Vertex]], dict[Vertex, float]]


def measure(
    graph: Graph,
    everything: Sequence[Vertex],
    *,
    values: bool = False,
    memory: bool = False,
    color_by: str | None = None,
) -> None:
    """Give the visible vertices what was asked for; see `draw`.

    Parameters
    ----------
    graph : Graph
        Folded.
    everything : sequence of Vertex
        All vertices from before it was folded.
    """
    for v in visible(graph):
        for one in (v, *v.listed):
            one.measured = Measured()
    if values:
        _find_values(everything)
        for v in visible(graph):
            for one in (v, *v.listed):
                _show_value(one)
    if memory:
        kept, leaves = _kept(graph, everything)
        for v, amount in _by_shown(kept).items():
            if v.measured is not None:
                v.measured.kept = int(amount)
        total = int(sum(kept.values()))
        also = f", and {size_text(leaves)} of parameters and inputs" if leaves else ""
        graph.remarks.append(f"kept for backward: {size_text(total)}{also}")
    if color_by is not None:
        _color(graph, everything, color_by)


# Values -----------------------------------------------------------------------------------------


def _find_values(everything: Iterable[Vertex]) -> None:
    """Find what results of operations are: as the call was seen, or as rules have saved them."""
    for v in everything:
        if v.node is None or v.kind not in {"operation", "part"} or v.node.plan.unusual:
            continue
        if isinstance(v.site, Record):
            out = v.site.out
            hidden = v.node.plan.op.hidden
            if v.value is None:
                v.value = out[0] if hidden and len(out) == hidden + 1 else out
            continue
        for rule, saved in zip(v.node.plan.table, v.node.saved or (), strict=False):
            values = (saved,) if len(rule.names) == 1 else saved or ()
            for name, value in zip(rule.names, values, strict=False):
                if name == "out" and v.value is None and not isinstance(value, tuple):
                    v.value = value
                for role, s in zip(v.roles, v.sources, strict=True):
                    if role == name and s.value is None:
                        s.value = value


def _show_value(v: Vertex) -> None:
    assert v.measured is not None
    if v.kind in {"module", "gap", "failure"}:
        return
    _measure_value(v, v.measured)
    if v.last is not None:
        v.measured.times = math.prod(scope.times or 1 for scope in around(v.scope))
        v.measured.last = Measured()
        _measure_value(v.last, v.measured.last)


def _measure_value(v: Vertex, measured: Measured) -> None:
    known = v.value if v.kind != "output" else v.sources[0].value
    measured.value = NOT_KEPT if known is None else known
    leaf = v.node if v.kind in {"parameter", "input"} else None
    if leaf is not None and leaf.plan is None and not v.borrowed:
        measured.gradient = NOT_KEPT if leaf.grad is None else leaf.grad


# Memory -----------------------------------------------------------------------------------------


def _kept(graph: Graph, everything: Sequence[Vertex]) -> tuple[dict[Vertex, float], int]:
    """Return the bytes that each operation keeps for backward, and those of leaves among them.

    An array counts once, where it is kept first. Inputs that the drawing alone tracks would need
    no gradient, so what would be kept for that does not count.
    """
    needs = _needing(everything)
    vertices = {v.node: v for v in everything if v.node is not None}
    outside = {id(owner_of(v.value)) for v in everything if v.kind in {"parameter", "input"}}
    seen: set[int] = set()
    kept: dict[Vertex, float] = {}
    leaves, freed = 0, False
    for v in everything:
        plan = getattr(v.node, "plan", None)
        if v.kind != "operation" or plan is None or plan.unusual:
            continue
        freed |= v.node.saved is None
        for (rule, saved), parent in zip(
            zip(plan.table, v.node.saved or (), strict=False), v.node.parents, strict=False
        ):
            if not needs.get(vertices.get(parent), True):
                continue
            values = () if not rule.names else (saved,) if len(rule.names) == 1 else saved
            for array in _arrays(values):
                owner = owner_of(array)
                if id(owner) in seen:
                    continue
                seen.add(id(owner))
                if id(owner) in outside:
                    leaves += array.nbytes
                else:
                    kept[v] = kept.get(v, 0) + array.nbytes
    if freed:
        graph.remarks.append("backward has freed what was kept")
    return kept, leaves


def _needing(everything: Iterable[Vertex]) -> dict[Vertex | None, bool]:
    """Return whether each vertex leads back to a leaf that asks for its gradient."""
    needs: dict[Vertex | None, bool] = {}
    for v in everything:
        if v.sources:
            needs[v] = any(needs[s] for s in v.sources)
        else:
            needs[v] = v.node is not None and not v.borrowed and v.kind != "constant"
    return needs if any(needs.values()) else {}


def _arrays(values: Any) -> Iterator[Any]:
    if isinstance(values, (tuple, list)):
        for value in values:
            yield from _arrays(value)
    elif isinstance(values, np.ndarray):
        yield values


# Colours ----------------------------------------------------------------------------------------


def _color(graph: Graph, everything: Sequence[Vertex], color_by: str) -> None:
    """Give vertices a weight between 0 and 1, and say what the ends are."""
    table: dict[str, tuple[Measure, Callable[[float], str], bool]] = {
        "time": (_times, lambda s: f"takes {time_text(s)}", False),
        "memory": (
            lambda g, all_: _kept(g, all_)[0],
            lambda n: f"keeps {size_text(int(n))}",
            False,
        ),
        "gradient_norm": (_gradient_norms, lambda n: f"gradient {number(n)}", True),
        "rounding": (_roundings, lambda n: f"rounding {number(n)}", True),
    }
    measure_of, text, logarithmic = table[color_by]
    found = measure_of(graph, everything)
    if color_by == "gradient_norm":  # of the value that a formula ends with, not their sum
        amounts = {v: found[v] for v in visible(graph) if v in found}
        amounts |= {leaf: found[leaf] for leaf in found if leaf.measured is not None}
    else:
        amounts = _by_shown(found)
    finite = [a for a in amounts.values() if math.isfinite(a) and (a > 0 or not logarithmic)]
    if not finite:
        graph.remarks.append(f"{color_by.replace('_', ' ')}: nothing is known of it")
        return
    low, high = (min(finite), max(finite)) if logarithmic else (0.0, max(finite))
    for v, amount in amounts.items():
        if v.measured is None:
            continue
        v.measured.amount = text(amount)
        if not math.isfinite(amount):
            v.measured.weight = math.inf
        elif logarithmic:
            span = math.log(high / low)
            v.measured.weight = math.log(amount / low) / span if span and amount > 0 else 0.0
        else:
            v.measured.weight = amount / high if high else 0.0
    ends = [text(amount).partition(" ")[2] for amount in (low, high)]
    graph.scale = (color_by.replace("_", " "), ends[0], ends[1])


def _by_shown(amounts: dict[Vertex, float]) -> dict[Vertex, float]:
    """Return the sum of amounts for each vertex that shows others."""
    total: dict[Vertex, float] = {}
    for v, amount in amounts.items():
        node = shown(v)
        total[node] = total.get(node, 0) + amount
    return total


def _times(graph: Graph, everything: Sequence[Vertex]) -> dict[Vertex, float]:
    """Return the seconds that each forward takes: the best of three repetitions."""
    found: dict[Vertex, float] = {}
    for v in everything:
        if isinstance(v.site, Record) and v.kind == "operation":
            op, inputs = v.site.op, v.site.inputs
            generators = [g for g in inputs if isinstance(g, np.random.Generator)]
            states = [g.bit_generator.state for g in generators]

            def forward(op: Any = op, inputs: list[Any] = inputs) -> Any:
                return op._forward(inputs)

            with np.errstate(all="ignore"):
                found[v] = min(timeit.repeat(forward, number=1, repeat=3))
            for generator, state in zip(generators, states, strict=True):
                generator.bit_generator.state = state
    if not found:
        graph.remarks.append("time is known of a module or function that draw calls itself")
    return found


def _gradient_norms(graph: Graph, everything: Sequence[Vertex]) -> dict[Vertex, float]:
    """Return the Euclidean norm of what backward brings to each operation and leaf."""
    found: dict[Vertex, float] = {}
    vertices = {v.node: v for v in everything if v.node is not None and v.kind != "output"}
    for visit in _visited(graph):
        norm = math.hypot(*(float(np.linalg.norm(np.ravel(g))) for g, _ in visit.results))
        if visit.node in vertices:
            found[vertices[visit.node]] = norm
    for v in everything:
        if v.kind == "parameter" and getattr(v.node, "grad", None) is not None:
            found.setdefault(v, float(np.linalg.norm(np.ravel(v.node.grad))))
    return found


def _roundings(graph: Graph, everything: Sequence[Vertex]) -> dict[Vertex, float]:
    """Return how far the rounding of each operation can move the result."""
    vertices = {v.node: v for v in everything if v.node is not None and v.kind != "output"}
    found: dict[Vertex, float] = {}
    for visit in _visited(graph):
        moved = moves(visit)
        if moved is not None and visit.node in vertices:
            found[vertices[visit.node]] = moved[0]
    return found


def _visited(graph: Graph) -> list[Any]:
    """Return what reverse mode brings to every call, from the sum of the outputs."""
    outputs = [v for v in graph.vertices if v.kind == "output" and v.order == 0]
    seeds = [
        (v.node, np.ones(v.shape, v.dtype))
        for v in outputs
        if v.node is not None and v.node.plan is not None
    ]
    if any(v.shape != () for v in outputs) or len(outputs) > 1:
        graph.remarks.append("gradients are those of the sum of the outputs")
    try:
        with np.errstate(all="ignore"):  # the picture says where numbers are none
            return visits(seeds)
    except RuntimeError:
        graph.remarks.append("backward has freed what gradients need")
        return []
