"""Parameters and constants: the box that they stand in, or the operation that lists them."""

from __future__ import annotations

from typing import Any

from tinygrad_mnist.drawing.vertices import (
    LEAVES,
    OUTSIDE,
    Graph,
    Scope,
    Vertex,
    around,
    common,
    shown,
)

CROWD = 6  # leaves outside of equal blocks that share them at most
MANY = 24  # leaves of one kind that an operation reads alone; more of them are one node


def join_leaves(graph: Graph) -> None:
    """Let one leaf show very many that one operation alone reads, such as what it stacks."""
    readers: dict[Vertex, set[Vertex]] = {}
    for v in graph.vertices:
        for s in v.sources:
            if s.kind in OUTSIDE:
                readers.setdefault(s, set()).add(v)
    alike: dict[Any, list[Vertex]] = {}
    for leaf, (reader, *others) in readers.items():
        if not others:
            alike.setdefault((reader, leaf.kind, leaf.shape, leaf.dtype), []).append(leaf)
    for first, *more in alike.values():
        if len(more) >= MANY:
            first.notes = (*first.notes, f"the first of {1 + len(more):,} like it")
            first.last = more[-1]
            for leaf in more:
                leaf.into = first


def scope_leaves(graph: Graph) -> None:
    """Put each leaf into the innermost scope that holds its readers in the first lane with any."""
    placed: dict[Vertex, int] = {}
    for v in graph.vertices:
        for s in v.sources:
            if s.kind in LEAVES and v.order <= placed.get(s, v.order):
                s.scope = common(s.scope, v.scope) if s in placed else v.scope
                placed[s] = s.order = v.order
    for leaf in placed:
        if leaf.last is None:  # all blocks that repeat read this one
            repeats = [scope for scope in around(leaf.scope) if scope.times]
            leaf.scope = repeats[0].parent if repeats else leaf.scope


def list_leaves(graph: Graph) -> None:
    """Let an operation inside a module list the leaves that it alone reads.

    What all equal blocks share stands outside of them, unless it is much: then it is listed, too,
    and said to be shared.
    """
    readers: dict[Vertex, set[Vertex]] = {}
    for v in graph.vertices:
        for s in v.sources:
            if s.kind in LEAVES and s.into is None and s.order == v.order:
                readers.setdefault(s, set()).add(shown(v))
    entering = {s for v in graph.vertices for s, _ in v.entering}
    shared: dict[Scope, list[tuple[Vertex, Vertex]]] = {}  # of the blocks outside of which they are
    for leaf, (reader, *others) in readers.items():
        boxes, inside = around(leaf.scope), around(reader.scope)
        blocks = [s for s in inside if s.times and s not in boxes]
        listing = any(s.what in {"module", "rule"} for s in (inside if blocks else boxes))
        if others or not listing or leaf in entering:
            continue
        if blocks:
            shared.setdefault(blocks[0], []).append((leaf, reader))
        else:
            _list(leaf, reader)
    for pairs in shared.values():
        if len(pairs) > CROWD:
            for leaf, reader in pairs:
                leaf.notes = (*leaf.notes, "shared")
                _list(leaf, reader)


def _list(leaf: Vertex, reader: Vertex) -> None:
    leaf.into, leaf.scope = reader, reader.scope
    reader.listed = (*reader.listed, leaf)
