"""Parameters and constants: the box that they stand in, or the operation that lists them."""

from __future__ import annotations

from tinygrad_mnist.drawing.vertices import LEAVES, Graph, Vertex, around, common, shown


def scope_leaves(graph: Graph) -> None:
    """Put each leaf into the innermost scope that holds all its readers."""
    placed: set[Vertex] = set()
    for v in graph.vertices:
        for s in v.sources:
            if s.kind in LEAVES:
                s.scope = common(s.scope, v.scope) if s in placed else v.scope
                placed.add(s)


def list_leaves(graph: Graph) -> None:
    """Let an operation inside a module list the leaves that it alone reads."""
    readers: dict[Vertex, set[Vertex]] = {}
    for v in graph.vertices:
        for s in v.sources:
            if s.kind in LEAVES and s.scope is not None:
                readers.setdefault(s, set()).add(shown(v))
    for leaf, (reader, *others) in readers.items():
        if not others and any(not scope.times for scope in around(leaf.scope)):
            leaf.into = reader
            reader.listed = (*reader.listed, leaf)
