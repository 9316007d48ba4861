"""What a picture says of each vertex and edge, in plain text."""

from __future__ import annotations

import math
from collections import Counter
from itertools import chain, count, islice
from typing import TYPE_CHECKING

from tinygrad_mnist.drawing.formulas import INFIX, read_by, written
from tinygrad_mnist.drawing.numbers import size_text, summary
from tinygrad_mnist.drawing.vertices import (
    FLOW,
    LEAVES,
    MULTIPLE,
    NODES,
    NOT_KEPT,
    Graph,
    Measured,
    Vertex,
    around,
    counted,
    short,
    shown,
    visible,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

READERS = 6  # a leaf with more of them has no edges: its readers name it
WIDTH = 40  # characters of a name


class Wording:
    """The names, formulas and notes of a graph's visible vertices."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        edges = {(shown(s), shown(v)) for v in graph.vertices for s in v.sources}
        self.readers = Counter(source for source, _ in edges)
        dtypes = Counter(v.dtype for v in graph.vertices if v.dtype is not None)
        self.dtype = dtypes.most_common(1)[0][0] if dtypes else None  # which needs no mention
        leaves = (v for v in graph.vertices if v.kind in LEAVES or v.kind == "input")
        self.taken = {self.name(v) for v in leaves}
        self.taken |= {v.variable for v in visible(graph)}
        self.entering = {(shown(v), s): fed for v in graph.vertices for s, fed in v.entering}
        self.letters: dict[tuple[Vertex, Vertex], str] = {}  # (reader, source) -> in its formula

    def name(self, v: Vertex) -> str:
        """Return a vertex's name, inside a module without the path of that."""
        boxes = around(v.scope)[::-1]
        for scope in boxes:
            if scope.path and v.name.startswith(f"{scope.path}."):
                return short(v.name.removeprefix(f"{scope.path}."), WIDTH)
        outside = v.root and not any(scope.root == v.root for scope in boxes)
        return short(f"{v.root}.{v.name}" if outside else v.name, WIDTH)

    def title(self, v: Vertex) -> str:
        """Return what stands first: what was computed, and what the user's code calls it."""
        if v.kind == "gap":
            return f"{counted(v.operations, 'operation')} left out"
        text = self.name(v) if v.formula is None else self.formula(v)
        return f"{short(v.variable, WIDTH)} = {text}" if v.variable else text

    def formula(self, v: Vertex) -> str:
        """Return a formula with the names of leaves and variables, and letters for the rest."""
        reads = list(dict.fromkeys(read_by(v.formula)))
        named = ((s, self.name(s)) for s in reads if s.kind in LEAVES or s.kind == "input")
        names = {s: name for s, name in named if self._stays(v, s, name)}
        others = [s for s in reads if s not in names]
        if v.formula == (v.name, tuple(others)) and len(others) == 1 and v.name not in INFIX:
            return v.name  # relu, of what the one edge brings
        for s in others:
            variable = short((s if s.kind == "part" else shown(s)).variable, WIDTH)
            free = variable and variable not in names.values() and shown(s).kind != "gap"
            if free and self._stays(v, s, variable):
                names[s] = variable
        nameless = [s for s in others if s not in names]
        names |= dict(zip(nameless, self._letters(), strict=False))
        if len(others) > 1:
            self.letters |= {(v, s): names[s] for s in nameless}
        return written(v.formula, names)

    def _stays(self, v: Vertex, s: Vertex, name: str) -> bool:
        """Return whether what a block reads has the same name in all equal blocks."""
        fed = self.entering.get((v, s))
        return fed is None or shown(fed).variable == name

    def _letters(self) -> Iterator[str]:
        """Yield variables that are no names of anything."""
        return (x for x in chain("xyzuvw", (f"x{k}" for k in count(1))) if x not in self.taken)

    def notes(self, v: Vertex) -> list[str]:
        """Return the small print below a title."""
        if v.kind == "operation" and v.formula is not None:
            return []
        if v.kind in {"operation", "failure"}:
            roles = zip(v.roles, v.sources, strict=True)
            return [*v.notes, *(f"{role}: {self.name(s)}" for role, s in roles if self.far(s))]
        notes = [self.type(v), *v.notes]
        return [*notes, f"read by {self.readers[v]} nodes"] if self.far(v) else notes

    def measures(self, v: Vertex) -> list[tuple[str, bool]]:
        """Return what was measured, line by line, and whether it is to alarm."""
        m = v.measured
        if m is None:
            return []
        first = f"first of {m.times:,}: " if m.times > 1 else "first: "
        lines = _values(m, first if m.last else "")
        if m.last:
            lines += _values(m.last, "last: ")
        if m.kept and not m.amount.startswith("keeps"):
            lines.append((f"keeps {size_text(m.kept)}", False))
        if m.amount:
            lines.append((m.amount, m.weight is not None and math.isinf(m.weight)))
        return lines

    def far(self, v: Vertex) -> bool:
        """Return whether edges from a leaf would cover the picture."""
        return v.kind not in NODES and self.readers[v] > READERS

    def type(self, v: Vertex) -> str:
        """Return a shape, and the dtype where it is not that of most."""
        shape = MULTIPLE.join(str(n) for n in v.shape) or "scalar"
        return shape if v.dtype in {None, self.dtype} else f"{shape} {v.dtype}"

    def edge(self, v: Vertex, role: str, source: Vertex) -> str:
        """Return what stands beside the edge to `v` from one of its sources."""
        reader, origin = shown(v), shown(source)
        words = [self._role(v, role, source)]
        if source.kind == "part" and not words[0] and origin is not reader:
            words = [short(source.variable, WIDTH)]
        stale = reader.change == "removed" and origin.change == "changed"  # it read another shape
        ends = reader.kind == "output" or reader.name == "raise"  # which say all that there is
        if origin.kind in NODES and not ends and not stale:
            words.append(self.type(source))
        if (reader, source) in self.entering:
            words.append("at first")
        return " ".join(word for word in words if word)

    def counted(self, sources: Collection[Vertex], reader: Vertex) -> str:
        """Return what stands beside the one edge for many values, or one each of equal blocks."""
        repeated = len(sources) > 1 and all(s.last or (s.into and s.into.last) for s in sources)
        if len(sources) <= READERS and not (repeated and reader.formula is None):
            return ""
        types = {self.type(s) for s in sources}
        return f"{len(sources):,} values" + (f", each {types.pop()}" if len(types) == 1 else "")

    def _role(self, v: Vertex, role: str, source: Vertex) -> str:
        """Return what a reader calls a source, where that is not plain to see."""
        reader = shown(v)
        if reader.formula is not None:
            return self.letters.get((reader, source), "")
        if reader is not v or role in {source.name, source.variable}:
            return ""
        flow = (s for s in v.sources if s.kind in FLOW)
        return role if len(list(islice(flow, 2))) > 1 else ""


def _values(m: Measured, where: str) -> list[tuple[str, bool]]:
    """Return a value and its gradient in words, and whether they are to alarm."""
    lines = []
    for name, array in (("", m.value), ("grad ", m.gradient)):
        if array is NOT_KEPT:
            lines.append((f"{where}{'grad not computed' if name else 'value not kept'}", False))
        elif array is not None:
            text, odd = summary(array)
            lines.append((f"{where}{name}{text}", odd))
    return lines
