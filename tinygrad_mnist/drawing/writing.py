"""Writing DOT: nodes, boxes, edges, and what stands below them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tinygrad_mnist.drawing.crossing import commented
from tinygrad_mnist.drawing.folding import BUDGET
from tinygrad_mnist.drawing.levels import levels
from tinygrad_mnist.drawing.looks import (
    CHANGES,
    EDGE,
    FAINT,
    GRAPH,
    HIDDEN,
    LINK,
    NODE,
    ONWARD,
    SAME,
    SAVED,
    STYLES,
    alarm,
    box,
    cell,
    escaped,
    joined,
    small,
    table,
    tint,
    title,
    wrapped,
)
from tinygrad_mnist.drawing.tracing import line_of
from tinygrad_mnist.drawing.vertices import (
    ELSEWHERE,
    FLOW,
    MULTIPLE,
    NODES,
    SIDE_BY_SIDE,
    Graph,
    Scope,
    Vertex,
    around,
    counted,
    facts,
    short,
    shown,
    visible,
)
from tinygrad_mnist.drawing.wording import Wording

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY = 40  # edges of what rules saved beyond which they are faint
MOST_ACROSS = 100  # edges between lanes that a layout by dot alone can take


def source_lines(graph: Graph) -> Iterator[str]:
    """Yield the lines between the braces of a graph in DOT."""
    writer = _Writer(graph)
    yield f"\tgraph [{joined(GRAPH)} label=<{writer.caption()}>]\n"
    yield f"\tnode [{joined(NODE)}]\n"
    yield f"\tedge [{joined(EDGE)}]\n"
    yield from writer.side_by_side()
    yield from writer.nodes()
    yield from writer.edges()


class _Writer:
    """Turns what is visible of a graph into lines."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.words = Wording(graph)
        self.visible = visible(graph)
        for number, v in enumerate(self.visible, 1):
            v.number = number
        self.boxes: dict[Scope, int] = {}  # with their running numbers
        orders = sorted({v.order for v in self.visible})
        self.lanes = orders if len(orders) > 1 else []
        self.levels = levels(graph) if self.lanes else {}
        self.strips = self._strips()
        self.compares = graph.compares
        self.content = Counter(scope for v in self.visible for scope in around(v.scope))

    def _strips(self) -> dict[Vertex, int]:
        """Return the number of the lane or column that each node is in, if there are any."""
        if self.lanes:
            return {v: v.order for v in self.visible}
        columns: dict[Scope, int] = {}
        found: dict[Vertex, int] = {}
        for v in self.visible:
            for scope in around(v.scope):
                if scope.what == "column":
                    found[v] = columns.setdefault(scope, len(columns))
        return found

    def _apart(self, v: Vertex, w: Vertex) -> bool:
        """Return whether two nodes are in different lanes or columns."""
        return v in self.strips and w in self.strips and self.strips[v] != self.strips[w]

    # Nodes

    def nodes(self) -> Iterator[str]:
        """Yield a line for each node, inside its boxes."""
        inside: list[Scope] = []
        for v in self.visible:
            boxes = [s for s in around(v.scope) if not self._bare(s)]
            while inside != boxes[: len(inside)]:
                inside.pop()
                yield "\t" * (len(inside) + 1) + "}\n"
            for scope in boxes[len(inside) :]:
                inside.append(scope)
                tab = "\t" * len(inside)
                number = self.boxes.setdefault(scope, len(self.boxes) + 1)
                yield f"{tab}subgraph cluster_{number} {{\n"
                yield f"{tab}\tgraph [{box(scope, len(inside))}]\n"
                if scope.what in {"lane", "column"}:
                    number = self.strips[v]
                    yield f'{tab}\ttop{number} [{HIDDEN} group="lane{number}"]\n'
            look = self._tint(v) | self._change(v)
            style = joined(STYLES[v.kind] | _tip(v.origin.site if v.origin else v.site) | look)
            yield "\t" * (len(inside) + 1) + f"n{v.number} [label=<{self._label(v)}> {style}]\n"
        while inside:
            inside.pop()
            yield "\t" * (len(inside) + 1) + "}\n"

    def _bare(self, scope: Scope) -> bool:
        """Return whether a box would hold one node: that has its title, then."""
        return self.content[scope] == 1 and scope.what in {"module", "rule"}

    def _label(self, v: Vertex) -> str:
        rows = []
        alone = [s for s in around(v.scope) if self._bare(s)]
        if alone:
            rows.append(title(alone[0].title, facts(alone[-1])))
        if v.kind == "module":
            rows.append(title(self.words.name(v), v.notes))
        elif v.kind == "gap":
            rows.append(small(self.words.title(v)))
        else:
            rows.append(escaped(self.words.title(v)))
            notes = ", ".join(self.words.notes(v))
            rows += [wrapped(notes)] if notes else []
        if v.change:
            rows[0] = f"<b>{CHANGES[v.change][0]}</b> {rows[0]}"
        if v.was:
            rows.append(wrapped(f"was {v.was}"))
        measures = self.words.measures(v)
        rows += [alarm(text) if odd else small(text) for text, odd in measures]
        if not v.listed:
            return "<br/>".join(rows)
        cells = [self._listed(leaf) for leaf in v.listed]
        across = 1 if any(self.words.measures(leaf) for leaf in v.listed) else 3
        lines = ["".join(cells[k : k + across]) for k in range(0, len(cells), across)]
        rows.append(table(lines, 'cellspacing="3" cellpadding="2"'))
        return table([f"<td>{row}</td>" for row in rows], 'cellspacing="0"')

    def _listed(self, leaf: Vertex) -> str:
        """Return the cell of a leaf inside the node that reads it."""
        words = [", ".join([f"{self.words.name(leaf)} {self.words.type(leaf)}", *leaf.notes])]
        words += [text for text, _ in self.words.measures(leaf)]
        return cell(leaf.kind, "; ".join(words), self._tint(leaf).get("fillcolor"))

    def _tint(self, v: Vertex) -> dict[str, str]:
        """Return the attribute of what a vertex is coloured by."""
        if self.graph.scale is None or v.kind in {"output", "gap"}:
            return {}
        weight = v.measured.weight if v.measured else None
        return {"fillcolor": "#FFFFFF" if weight is None else tint(weight)}

    def _change(self, v: Vertex) -> dict[str, str]:
        """Return the attributes of what a comparison says of a vertex."""
        if not self.compares:
            return {}
        return CHANGES[v.change][1] if v.change else SAME

    # Edges

    def edges(self) -> Iterator[str]:
        """Yield a line for each edge."""
        words: dict[tuple[Vertex, Vertex], dict[tuple[str, bool], None]] = {}  # none twice
        read: dict[tuple[Vertex, Vertex], set[Vertex]] = {}
        for v in self.graph.vertices:
            reader = shown(v)
            for role, s in zip(v.roles, v.sources, strict=True):
                source = shown(s)
                if source is not reader and not self.words.far(source):
                    said = self._said(v, role, s), s.kind in FLOW
                    words.setdefault((source, reader), {})[said] = None
                    read.setdefault((source, reader), set()).add(s)
        saved: dict[str, None] = {}
        hanging: set[Vertex] = set()  # below another node of their lane
        for (source, reader), several in words.items():
            counted = self.words.counted(read[source, reader], reader)
            for text, flows in [(counted, True)] if counted else several:
                if self._apart(source, reader):
                    label = f"label=<&#160;{escaped(text)}> " if text else ""
                    look = SAVED if self.lanes else ONWARD
                    saved[_arrow(source, reader, f"{label}{look}")] = None
                else:
                    yield self._edge(source, reader, text, flows)
            if not self._apart(source, reader):
                hanging.add(source if source.order else reader)
        if self.strips:
            yield from self._between_lanes(saved)
            yield from self._levels(hanging)

    def _said(self, v: Vertex, role: str, s: Vertex) -> str:
        """Return what stands beside an edge; between lanes that is a letter of a formula."""
        source, reader = shown(s), shown(v)
        if source.order < reader.order:
            return self.words.letters.get((reader, source), "")
        return self.words.edge(v, role, s)

    def _edge(self, source: Vertex, reader: Vertex, text: str, flows: bool) -> str:
        found = [f"label=<&#160;{escaped(text)}>"] if text else []
        if flows:
            found.append('weight="8"')  # keeps the flow straight
        length = abs(self.levels.get(reader, 1) - self.levels.get(source, 0))
        if length > 1:
            found.append(f'minlen="{length}"')
        if reader.order > 0:  # upwards: back to where the loss came from
            return _arrow(reader, source, " ".join([*found, 'dir="back"']))
        return _arrow(source, reader, " ".join(found))

    def _between_lanes(self, saved: dict[str, None]) -> Iterator[str]:
        """Yield edges from each operation to what its rules recorded, and from what these saved.

        Some are comments, which `crossing` reads: versions of dot fail over edges side by side,
        and take minutes over many.
        """
        made: dict[tuple[Vertex, int], list[Vertex]] = {}
        for v in self.graph.vertices:
            if v.origin is not None:
                made.setdefault((v.origin, v.order), []).append(v)
        links: dict[str, None] = {}
        for (origin, _), rule in made.items():
            read = {shown(s) for v in rule for s in v.sources}
            for s in origin.keeps:
                if shown(s) not in read and not self.words.far(shown(s)):
                    saved[_arrow(shown(s), shown(rule[0]), SAVED)] = None
            links[_arrow(shown(origin), shown(rule[-1]), self._link(rule[-1]))] = None
        lines = [line.replace(SAVED, FAINT) for line in saved] if len(saved) > MANY else [*saved]
        yield from lines if len(lines) <= MOST_ACROSS else map(commented, lines)
        yield from map(commented, links)

    def _link(self, v: Vertex) -> str:
        """Return the attributes of an edge to the box of a rule, or to its only node."""
        scope = shown(v).scope
        if scope is None or scope.what != "rule" or self._bare(scope):
            return LINK
        return f'{LINK} lhead="cluster_{self.boxes[scope]}"'

    def side_by_side(self) -> Iterator[str]:
        """Yield unseen nodes in a row above the lanes, each tied to the top of one.

        No lane leaves its place: an edge in a `group` is not crossed, nor is a box, and all other
        edges between lanes are without constraint, so that crossings of them count for nothing.
        """
        strips = sorted(set(self.strips.values()))
        if not strips:
            return
        heads = [f"lane{number}" for number in strips]
        row = "; ".join([*(f'{head} [group="{head}"]' for head in heads), " -> ".join(heads)])
        yield "\tcompound=true\n\tlinelength=0\n"
        yield f"\t{{rank=same; node [{HIDDEN}]; edge [{HIDDEN}]; {row}}}\n"
        for number in strips:
            yield f"\tlane{number} -> top{number} [{HIDDEN}]\n"

    def _levels(self, hanging: set[Vertex]) -> Iterator[str]:
        """Yield unseen edges that keep at its level what hangs on no other node."""
        for v, strip in self.strips.items():
            if v not in hanging:
                level = self.levels.get(v, 0)
                yield f'\ttop{strip} -> n{v.number} [{HIDDEN} minlen="{level}"]\n'

    # Below

    def caption(self) -> str:
        """Return a table of what is to be said of the whole, with a legend."""
        new = [v for v in self.visible if v.kind in NODES and v.change != "removed"]
        operations = sum(v.operations for v in new)
        dtype = self.words.dtype
        first = counted(operations, "operation") + (f", {dtype}" if dtype else "")
        kinds = {leaf.kind for v in self.visible for leaf in (v, *v.listed)} - {"gap"}
        fill = None if self.graph.scale is None else "#FFFFFF"
        folded = {"rule" if v.order else "module" for v in self.visible if v.kind == "module"}
        names = {"module": " or ".join(sorted(folded))}  # for both are folded
        legend = "".join(
            cell(kind, names.get(kind, kind), fill) for kind in STYLES if kind in kinds
        )
        remarks = [first, *self.graph.remarks]
        left_out = sum(v.operations for v in self.visible if v.kind == "gap")
        if left_out:
            remarks.append(f"{counted(left_out, 'operation')} left out, to show {BUDGET} nodes")
        repeats = {scope.path.endswith(SIDE_BY_SIDE) for scope in self.content if scope.times}
        if repeats:
            fed = "" if repeats == {True} else ", each fed by the one before"
            others = " unless side by side" if len(repeats) == 2 else ""
            remarks.append(f"{MULTIPLE}: equal blocks{fed}{others}, drawn once")
        if self.lanes:
            remarks.append("dashed: what a gradient rule saved; dotted: whose rule it is")
            if any(scope.what == "rule" and scope.kind for scope in self.content):
                remarks.append("g in the words of a rule: the cotangent of what its operation gave")
        if any(ELSEWHERE in v.notes for v in self.graph.vertices):
            remarks.append(f"{ELSEWHERE} is a constant that is no longer kept")
        rows = [small(remark) for remark in remarks]
        if self.graph.scale is not None:
            name, low, high = self.graph.scale
            steps = "".join(cell("operation", "   ", tint(k / 4)) for k in range(5))
            ends = [f"<td>{small(text)}</td>" for text in (f"{name}:", low, high)]
            rows.append(table([ends[0] + ends[1] + steps + ends[2]], 'cellspacing="2"'))
        if self.compares:
            changes = {v.change for v in self.visible}
            legend = "".join(
                f'<td border="1" bgcolor="{look["fillcolor"]}" color="{look["color"]}">'
                f"{small(f'{sign} {change}')}</td>"
                for change, (sign, look) in CHANGES.items()
                if change in changes
            )
        if legend:
            rows.append(table([legend], 'cellspacing="4" cellpadding="3"'))
        return table([f'<td align="left">{row}</td>' for row in rows], 'cellspacing="0"')


def _arrow(tail: Vertex, head: Vertex, attributes: str) -> str:
    """Return the line of an edge."""
    return f"\tn{tail.number} -> n{head.number}" + (f" [{attributes}]\n" if attributes else "\n")


def _tip(site: str) -> dict[str, str]:
    """Return the attribute that shows the user's line of code."""
    file, _, line = site.rpartition(":")
    if not file:
        return {}
    return {"tooltip": escaped(short(f"{Path(file).name}:{line}  {line_of(site)}", 200))}
