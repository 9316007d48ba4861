"""A graph that is too tall, broken into columns where little leads across."""

from __future__ import annotations

import functools
import math

from tinygrad_mnist.drawing.levels import levels
from tinygrad_mnist.drawing.vertices import (
    NODES,
    Graph,
    Scope,
    Vertex,
    around,
    common,
    shown,
    visible,
)

TALL = 40  # levels that are too many for one column
COLUMN = 24  # and about as many as each has, then
ACROSS = 2  # values that may lead from one column to what is below it


def break_into_columns(graph: Graph) -> None:
    """Put what is above and below a cut into boxes of their own, that are not drawn.

    A cut goes through no module but the one that holds everything, which goes on in each column.
    """
    nodes = visible(graph)
    if any(v.order for v in nodes):  # lanes are columns already
        return
    for number, v in enumerate(nodes, 1):
        v.number = number
    level = levels(graph)
    height = 1 + max(level.values(), default=0)
    working = {v.scope for v in nodes if v.kind in NODES}
    if height < TALL or not working:
        return
    whole = functools.reduce(common, working)
    if whole is not None and (whole.parent is not None or whole.what != "module"):
        return
    possible = _possible_cuts(graph, level, whole)
    count = math.ceil(height / COLUMN)
    cuts: set[int] = set()
    for wanted in (k * height / count for k in range(1, count)):
        near = {abs(cut - wanted): cut for cut in possible if abs(cut - wanted) < COLUMN / 2}
        cuts |= {near[min(near)]} if near else set()
    if not cuts:
        return
    columns = [Scope("", what="column") for _ in range(len(cuts) + 1)]
    parts = [_part(whole, column, k) for k, column in enumerate(columns)]
    for v in nodes:
        boxes = around(v.scope)
        if boxes and boxes[0] in columns:  # with another node of its module
            continue
        k = sum(cut <= level[v] for cut in cuts)
        inside = whole is not None and boxes[:1] == [whole]
        here = parts[k] if inside else columns[k]
        inner = boxes[1:] if inside else boxes
        if inner:
            inner[0].parent = here
        else:
            v.scope = here


def _part(whole: Scope | None, column: Scope, k: int) -> Scope:
    """Return the box of what one column shows of the module that holds everything."""
    if whole is None:
        return column
    if k == 0:
        return Scope(whole.path, whole.kind, whole.parameters, column, root=whole.root)
    return Scope(whole.title or whole.kind, "continued", 0, column, root=whole.root)


def _possible_cuts(graph: Graph, level: dict[Vertex, int], whole: Scope | None) -> list[int]:
    """Return the levels that may start a column."""
    height = 1 + max(level.values())
    crossed: list[set[Vertex]] = [set() for _ in range(height)]
    for v in graph.vertices:
        for s in {shown(s) for s in v.sources} - {shown(v)}:
            for cut in range(level[s] + 1, level[shown(v)] + 1):
                crossed[cut].add(s)
    ends: dict[Scope, list[int]] = {}
    for v in visible(graph):
        for scope in around(v.scope)[len(around(whole)) :]:
            ends.setdefault(scope, []).append(level[v])
    within = {cut for span in ends.values() for cut in range(min(span) + 1, max(span) + 1)}
    return [k for k in range(1, height) if len(crossed[k]) <= ACROSS and k not in within]
