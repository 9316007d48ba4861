"""How far down nodes stand in a picture with lanes: rules beside the operations they belong to."""

from __future__ import annotations

from collections import defaultdict

from tinygrad_mnist.drawing.vertices import Graph, Vertex, shown, visible


def levels(graph: Graph) -> dict[Vertex, int]:
    """Return the level of each visible vertex, 0 for the uppermost.

    Forward runs down and reverse mode up. Edges between lanes have no say in a layout, or lanes
    would not keep their order; so what is to be level is found here, and comes into the layout as
    the lengths of edges inside lanes.

    Parameters
    ----------
    graph : Graph
        Its visible vertices are numbered.
    """
    above, below = _neighbours(graph)
    last = _last_of_rules(graph)
    origins: dict[Vertex, list[Vertex]] = defaultdict(list)
    for origin, rule in last.items():
        origins[rule].append(origin)
    flow = visible(graph)
    forward = [v for v in flow if v.order == 0]
    backward = [v for v in flow if v.order > 0]
    level: dict[Vertex, int] = {}
    for v in (*forward, *backward[::-1]):  # as high as what is above allows
        level[v] = max([0, *(level[u] + 1 for u in above[v]), *(level[o] for o in origins[v])])
    for v in (*forward[::-1], *backward):  # down to what is below, or beside
        lowest = [level[w] - 1 for w in below[v]]
        if v in last:
            lowest.append(level[last[v]])
        if lowest and not origins[v]:
            level[v] = max(level[v], min(lowest))
    return level


def _neighbours(
    graph: Graph,
) -> tuple[dict[Vertex, list[Vertex]], dict[Vertex, list[Vertex]]]:
    """Return what is right above each visible vertex in its lane, and what is right below."""
    above: dict[Vertex, list[Vertex]] = defaultdict(list)
    below: dict[Vertex, list[Vertex]] = defaultdict(list)
    for reader in graph.vertices:
        for source in reader.sources:
            v, s = shown(reader), shown(source)
            if v.order == s.order and s.number < v.number:  # what is folded may read itself
                upper, lower = (v, s) if v.order else (s, v)
                above[lower].append(upper)
                below[upper].append(lower)
    return above, below


def _last_of_rules(graph: Graph) -> dict[Vertex, Vertex]:
    """Return the last vertex that the first pass recorded for each forward operation."""
    last: dict[Vertex, Vertex] = {}
    for v in graph.vertices:
        if v.origin is not None and v.order == 1 and shown(v.origin).order == 0:
            origin, rule = shown(v.origin), shown(v)
            if rule.number >= last.get(origin, rule).number:
                last[origin] = rule
    return last
