"""Comparing two graphs: what one has that the other lacks, and what is not the same in both."""

from __future__ import annotations

from collections import Counter
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from tinygrad_mnist.drawing.vertices import Graph, Scope, Vertex, around, counted, shown, visible
from tinygrad_mnist.drawing.wording import Wording

if TYPE_CHECKING:
    from collections.abc import Iterable


def compare(a: Graph, b: Graph) -> Graph:
    """Return `b` with what only `a` has, each vertex that is not the same in both marked.

    Parameters
    ----------
    a, b : Graph
        Folded. Vertices of both are changed in place, to become those of the result.
    """
    before, after = visible(a), visible(b)
    words_a, words_b = Wording(a), Wording(b)
    matcher = SequenceMatcher(None, [*map(_key, before)], [*map(_key, after)], autojunk=False)
    alone = Counter(scope for v in (*before, *after) for scope in around(v.scope))
    same: dict[Vertex, Vertex] = {}
    for i, j, length in matcher.get_matching_blocks():
        same |= zip(before[i : i + length], after[j : j + length], strict=True)
    for v in set(after) - set(same.values()):
        v.change = "added"
    for old, new in same.items():
        was, now = _said(words_a, old, alone), _said(words_b, new, alone)
        if was != now:
            new.change = "changed"
            new.was = ", ".join(w for w, n in zip(was, now, strict=True) if w != n and w)
    for v in before:
        v.change = "" if v in same else "removed"
    merged = Graph([*b.vertices, *_removed(a, b, same)], list(b.remarks), compares=True)
    counts = Counter(v.change for v in visible(merged))
    words = [f"{counts[kind]:,} {kind}" for kind in ("added", "removed", "changed") if counts[kind]]
    nodes = counted(counts[""], "node")
    merged.remarks.append(f"{', '.join(words)}, {nodes} the same" if words else "no difference")
    return merged


def _key(v: Vertex) -> tuple[Any, ...]:
    """Return what two vertices have in common that are compared."""
    name = "" if v.kind == "output" else v.name
    return v.kind, name, v.order, _path(v.scope)


def _said(words: Wording, v: Vertex, alone: Counter[Scope]) -> list[str]:
    """Return what a picture says of a vertex, and of boxes that it is `alone` in."""
    leaves = [f"{words.name(leaf)} {words.type(leaf)}" for leaf in v.listed]
    boxes = around(v.scope)
    own = [s for s in boxes if alone[s] == 1 and s.parameters]
    scopes = [f"{s.kind} {s.parameters:,} parameters" for s in own]
    times = [s.path for s in boxes if s.times]
    formula = words.formula(v) if v.formula is not None else ""
    kind = words.type(v) if v.kind not in {"module", "gap"} else ""
    name = v.name if v.kind == "output" else ""
    notes = v.notes if v.formula is None else ()
    return [name, formula, kind, *map(", ".join, (notes, leaves, scopes, times))]


def _removed(a: Graph, b: Graph, same: dict[Vertex, Vertex]) -> Iterable[Vertex]:
    """Yield the vertices that only `a` has, tied to those of `b`."""
    scopes: dict[tuple[str, ...], Scope] = {}
    for v in b.vertices:
        for scope in around(v.scope):
            scopes.setdefault(_path(scope), scope)

    def placed(scope: Scope | None) -> Scope | None:
        if scope is None or _path(scope) in scopes:
            return scope and scopes[_path(scope)]
        scope.parent = placed(scope.parent)
        return scopes.setdefault(_path(scope), scope)

    for v in a.vertices:
        reader = shown(v)
        sources = [same.get(shown(s), s) for s in v.sources]
        if reader not in same:
            v.sources = sources
            v.scope = placed(v.scope)
            yield v
            continue
        gone = [k for k, s in enumerate(v.sources) if shown(s) not in same]
        if gone:  # what is left reads what is gone
            reading = Vertex("part", v.name, into=same[reader], change="removed")
            reading.sources = [v.sources[k] for k in gone]
            reading.roles = [v.roles[k] for k in gone]
            yield reading


def _path(scope: Scope | None) -> tuple[str, ...]:
    return tuple(f"{one.what} {'' if one.times else one.path}" for one in around(scope))
