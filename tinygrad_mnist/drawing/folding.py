"""Folding: formulas, repeated blocks, modules as one node each, and what is left out."""

from __future__ import annotations

import fnmatch
import functools
from typing import TYPE_CHECKING

from tinygrad_mnist.drawing.formulas import join_formulas
from tinygrad_mnist.drawing.leaves import join_leaves, list_leaves, scope_leaves
from tinygrad_mnist.drawing.repeats import join_repeats
from tinygrad_mnist.drawing.reshapes import fold_reshapes
from tinygrad_mnist.drawing.sums import join_sums
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

if TYPE_CHECKING:
    from collections.abc import Callable

    Collapse = str | Callable[[Scope], bool] | None

BUDGET = 150  # nodes that a picture shows at most
RULES = 80  # nodes beyond which a gradient rule is one
EDGES = 500  # with many more a layout takes minutes, and nobody can follow them


def fold(graph: Graph, depth: int | None = None, collapse: Collapse = None) -> None:
    """Let vertices show others, until the picture is small enough.

    Parameters
    ----------
    graph : Graph
        As it was read; changed in place.
    depth : int, optional
        How many boxes in each other are drawn; modules deeper than that are one node each.
    collapse : str or callable, optional
        Which other modules are one node each: a path or class, with ``*`` and ``?`` as in names of
        files, or a function that says so of a `Scope`.
    """
    join_sums(graph)
    join_repeats(graph)
    fold_reshapes(graph)
    if not any(v.scope for v in graph.vertices):
        leave_out_middle(graph, 50 * BUDGET)  # far more than formulas can join: only for speed
    join_leaves(graph)
    scope_leaves(graph)
    _join_outputs(graph)
    join_formulas(graph)
    list_leaves(graph)
    if depth is not None or collapse is not None:
        _fold_chosen(graph, depth, collapse)
    _fold_to_budget(graph)
    room = BUDGET
    leave_out_middle(graph, room)
    while room > 9 and _edges(graph) > EDGES:
        room //= 2
        leave_out_middle(graph, room)


def _edges(graph: Graph) -> int:
    """Return how many edges a picture would have."""
    pairs = {(shown(s), shown(v)) for v in graph.vertices for s in v.sources}
    return sum(source is not reader for source, reader in pairs)


def fold_modules(graph: Graph) -> None:
    """Let one node show each module that has no module inside, but never the whole graph."""
    scope_leaves(graph)
    scopes = {scope for v in visible(graph) for scope in around(v.scope)}
    outer = {scope.parent for scope in scopes}
    groups: dict[Scope, list[Vertex]] = {}
    for v in visible(graph):
        if v.scope is not None and v.scope not in outer and v.scope.parent is not None:
            groups.setdefault(v.scope, []).append(v)
    _fold(graph, groups)


def _join_outputs(graph: Graph) -> None:
    """Let one output show all gradients that a block that repeats returns in one place."""
    groups: dict[Vertex, list[Vertex]] = {}
    for v in graph.vertices:
        if v.kind == "output" and v.order and (source := shown(v.sources[0])).last is not None:
            groups.setdefault(source, []).append(v)
    for first, *others in groups.values():
        more = [v for v in others if v.sources[0] is not first.sources[0]]
        for v in more:
            v.into = first
        if more:
            first.notes = (f"{ELSEWHERE} {more[-1].name}",)


def _fold_chosen(graph: Graph, depth: int | None, collapse: Collapse) -> None:
    """Fold the modules that the user named, or that are too deep."""
    scopes = dict.fromkeys(scope for v in visible(graph) for scope in around(v.scope))
    modules = [scope for scope in scopes if scope.what == "module"]
    named = {scope for scope in modules if _named(scope, collapse)}
    if collapse is not None and not named:
        called = repr(collapse) if isinstance(collapse, str) else "the function"
        graph.remarks.append(f"collapse={called} is no module here")
    whole = _outermost(graph)
    if whole in named:
        named.discard(whole)
        if not named:
            graph.remarks.append("collapse leaves the outermost module open; depth=0 folds it")
    groups: dict[Scope, list[Vertex]] = {}
    for v in visible(graph):
        level = 0
        for scope in around(v.scope):
            if scope in named or (scope in modules and depth is not None and level >= depth):
                groups.setdefault(scope, []).append(v)
                break
            level += scope.what == "module"
    _fold(graph, groups)


def _outermost(graph: Graph) -> Scope | None:
    """Return the module that holds every operation, and is in no other; None where none does."""
    operations = {v.scope for v in visible(graph) if v.kind in NODES and v.order == 0}
    shared = functools.reduce(common, operations) if operations else None
    return next((scope for scope in around(shared) if scope.what == "module"), None)


def _named(scope: Scope, collapse: Collapse) -> bool:
    if collapse is None:
        return False
    if callable(collapse):
        return bool(collapse(scope))
    return any(fnmatch.fnmatchcase(name, collapse) for name in (scope.title, scope.kind) if name)


def _fold_to_budget(graph: Graph) -> None:
    """Fold rules, and modules from the innermost on, until there are no more nodes than allowed."""
    folded = 0
    if len(visible(graph)) > RULES:
        _fold_rules(graph)
    nodes = visible(graph)
    depth = max((len(around(v.scope)) for v in nodes), default=0)
    while depth > 0 and len(nodes) > BUDGET:
        groups: dict[Scope, list[Vertex]] = {}
        for v in nodes:
            scope = v.scope
            if scope is None or scope.what in {"lane", "rule"} or len(around(scope)) != depth:
                continue
            groups.setdefault(scope, []).append(v)
        outside = [v for v in nodes if v.kind in NODES and v.scope not in groups]
        if len(groups) == 1 and not outside:
            break  # that would leave one node
        _fold(graph, groups)
        folded += len(groups)
        nodes = visible(graph)
        depth -= 1
    if folded:
        modules_are = "module is" if folded == 1 else "modules are"
        graph.remarks.append(f"{folded:,} {modules_are} folded, to show {BUDGET} nodes at most")


def _fold_rules(graph: Graph) -> None:
    """Let one node show all that a gradient rule recorded, if that is several."""
    groups: dict[Scope, list[Vertex]] = {}
    for v in visible(graph):
        if v.scope is not None and v.scope.what == "rule":
            groups.setdefault(v.scope, []).append(v)
    _fold(graph, {scope: several for scope, several in groups.items() if len(several) > 1})


def _fold(graph: Graph, groups: dict[Scope, list[Vertex]]) -> None:
    """Let a node of its own show all members of each scope."""
    modules: dict[Vertex, Vertex] = {}  # before its first member
    for scope, members in groups.items():
        module = modules[members[0]] = Vertex("module", scope.title, scope=scope.parent)
        module.notes = facts(scope)
        module.operations = sum(v.operations for v in members if v.kind in NODES)
        module.order = members[0].order
        for v in members:
            v.into = module
    placed: list[Vertex] = []
    for v in graph.vertices:
        placed += (modules[v], v) if v in modules else (v,)
    graph.vertices = placed


def leave_out_middle(graph: Graph, room: int = BUDGET) -> None:
    """Beyond `room` nodes, show where the graph starts and where it ends."""
    nodes = visible(graph)
    if len(nodes) <= room:
        return
    outputs = [v for v in nodes if v.kind == "output"]
    crowded = len(outputs) > room // 3
    ends = {"input", "output"} if crowded else {"input"}
    flow = [v for v in nodes if v.kind in NODES or v.kind in ends]
    leaves: dict[Vertex, list[Vertex]] = {v: [] for v in [*flow[:room], *flow[-room:]]}
    for v in graph.vertices:
        if (node := shown(v)) in leaves:
            leaves[node] += [s for s in v.sources if s.into is None and s.kind in LEAVES]
    lanes = len({v.order for v in nodes})  # with a gap each
    room -= lanes if crowded else lanes + len(outputs)
    kept = _from_both_ends(flow, leaves, room)
    hidden = [v for v in nodes if v not in kept and (crowded or v.kind != "output")]
    gaps = {
        order: Vertex("gap", ELSEWHERE, order=order) for order in sorted({v.order for v in hidden})
    }
    for gap in gaps.values():  # one in each lane
        left_out = [v for v in hidden if v.kind in NODES and v.order == gap.order]
        gap.operations = sum(v.operations for v in left_out)
        gap.scope = functools.reduce(common, {v.scope for v in left_out or hidden})
    for v in hidden:
        v.into = gaps[v.order]
    first = graph.vertices.index(hidden[0])
    ahead = list(gaps.values())
    read = {gap: {gap} for gap in ahead}  # what each is known to read: one edge is enough
    for v in graph.vertices[first:]:
        gap = shown(v)
        if gap not in read:
            ahead.append(v)
        elif more := {shown(s) for s in v.sources} - read[gap]:
            ahead.append(v)
            read[gap] |= more
    graph.vertices[first:] = ahead


def _from_both_ends(
    flow: list[Vertex], leaves: dict[Vertex, list[Vertex]], room: int
) -> set[Vertex]:
    """Return the first and the last vertices of a flow, with their leaves, as many as fit."""
    kept: set[Vertex] = set()
    for pair in zip(flow, reversed(flow), strict=True):
        more = {w for v in pair for w in (v, *leaves[v])} - kept
        if len(kept) + len(more) > room:
            break
        kept |= more
    return kept
