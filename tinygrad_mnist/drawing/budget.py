"""What is left out of a picture that would be too large."""

from __future__ import annotations

import functools

from tinygrad_mnist.drawing.vertices import (
    ELSEWHERE,
    LEAVES,
    NODES,
    Graph,
    Scope,
    Vertex,
    around,
    common,
    facts,
    shown,
    visible,
)

BUDGET = 150  # nodes that a picture shows at most


def fold_modules(graph: Graph) -> None:
    """Let modules be one node each, the innermost first, until the picture is small enough."""
    folded = 0
    nodes = visible(graph)
    depth = max((len(around(v.scope)) for v in nodes), default=0)
    while depth > 0 and len(nodes) > BUDGET:
        groups: dict[Scope, list[Vertex]] = {}
        for v in nodes:
            if v.scope is not None and len(around(v.scope)) == depth:
                groups.setdefault(v.scope, []).append(v)
        outside = [v for v in nodes if v.kind in NODES and v.scope not in groups]
        if len(groups) == 1 and not outside:
            break  # that would leave one node
        modules: dict[Vertex, Vertex] = {}  # before its first member
        for scope, members in groups.items():
            module = modules[members[0]] = Vertex("module", scope.path, scope=scope.parent)
            module.notes = facts(scope)
            module.operations = sum(v.operations for v in members if v.kind in NODES)
            for v in members:
                v.into = module
        placed: list[Vertex] = []
        for v in graph.vertices:
            placed += (modules[v], v) if v in modules else (v,)
        graph.vertices = placed
        folded += len(groups)
        nodes = visible(graph)
        depth -= 1
    if folded:
        modules_are = "module is" if folded == 1 else "modules are"
        graph.remarks.append(f"{folded:,} {modules_are} folded, to show {BUDGET} nodes at most")


def leave_out_middle(graph: Graph, room: int = BUDGET) -> None:
    """Beyond `room` nodes, show where the graph starts and where it ends."""
    nodes = visible(graph)
    if len(nodes) <= room:
        return
    flow = [v for v in nodes if v.kind in NODES or v.kind == "input"]
    leaves: dict[Vertex, list[Vertex]] = {v: [] for v in [*flow[:room], *flow[-room:]]}
    for v in graph.vertices:
        if (node := shown(v)) in leaves:
            leaves[node] += [s for s in v.sources if s.into is None and s.kind in LEAVES]
    room -= 1 + sum(v.kind == "output" for v in nodes)
    kept: set[Vertex] = set()
    for pair in zip(flow, reversed(flow), strict=True):
        more = {w for v in pair for w in (v, *leaves[v])} - kept
        if len(kept) + len(more) > room:
            break
        kept |= more
    hidden = [v for v in nodes if v not in kept and v.kind != "output"]
    left_out = [v for v in hidden if v.kind in NODES]
    gap = Vertex("gap", ELSEWHERE, operations=sum(v.operations for v in left_out))
    gap.scope = functools.reduce(common, {v.scope for v in left_out})
    for v in hidden:
        v.into = gap
    first = graph.vertices.index(hidden[0])
    ahead: list[Vertex] = [gap]
    read = {gap}  # what the gap is known to read: one edge is enough
    for v in graph.vertices[first:]:
        if shown(v) is not gap:
            ahead.append(v)
        elif more := {shown(s) for s in v.sources} - read:
            ahead.append(v)
            read |= more
    graph.vertices[first:] = ahead
