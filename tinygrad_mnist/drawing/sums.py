"""Sums of many terms, one node each: what reverse mode adds up step by step, or a user's `sum`."""

from __future__ import annotations

from collections import Counter

from tinygrad_mnist.drawing.formulas import TERMS
from tinygrad_mnist.drawing.vertices import FLOW, Graph, Vertex

MANY = 4  # terms of a cotangent that are one node if all of them were computed alike


def join_sums(graph: Graph) -> None:
    """Let the last of many additions in a row, each of one more term, show those before it.

    So the steps of a loop are equal, whose gradients for shared weights reverse mode adds up, or
    whose losses `sum` does.
    """
    readers = Counter(s for v in graph.vertices for s in v.sources)
    before: dict[Vertex, Vertex] = {}  # addition -> the one whose result it adds to
    place = {v: k for k, v in enumerate(graph.vertices) if v.name == "add"}
    for v, at in place.items():
        for s in v.sources:
            if s in place and readers[s] == 1 and _goes_on(v, s):
                if v.order or at == place[s] + 1:  # `sum` adds when all terms are there
                    before[v] = s
                break
    inner = set(before.values())
    gone: set[Vertex] = set()
    for v in before.keys() - inner:
        chain = [v]
        while chain[-1] in before:
            chain.append(before[chain[-1]])
        members = set(chain)
        terms = [s for w in reversed(chain) for s in w.sources if s not in members]
        few = MANY if v.order else TERMS + 2  # a user's few have names, which a formula says
        if len(terms) < few or len({(s.kind, s.name, s.shape) for s in terms}) > 1:
            continue
        if not all(s.kind in FLOW for s in terms):
            continue
        v.name, v.sources, v.roles = f"sum of {len(terms):,}", terms, ("",) * len(terms)
        v.formula, v.elementwise, v.notes = None, False, ()
        for w in chain[1:]:
            w.into = v
            v.operations += w.operations
        gone |= members - {v}
    if gone:
        graph.vertices = [v for v in graph.vertices if v not in gone]


def _goes_on(v: Vertex, s: Vertex) -> bool:
    """Return whether an addition adds to the result of another one in the same place."""
    return (s.order, s.scope, s.shape, s.dtype) == (v.order, v.scope, v.shape, v.dtype)
