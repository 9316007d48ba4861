"""Writing DOT: nodes, boxes, edges, and what stands below them."""

from __future__ import annotations

import html
import linecache
from collections import Counter
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from tinygrad_mnist.drawing.budget import BUDGET
from tinygrad_mnist.drawing.formulas import INFIX, read_by, written
from tinygrad_mnist.drawing.vertices import (
    ELSEWHERE,
    FLOW,
    LEAVES,
    MULTIPLE,
    NODES,
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

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

READERS = 6  # a leaf with more of them has no edges: its readers name it
WIDTH = 40  # characters of a name

FONT = "Arial"  # graphviz-pure, too, knows how wide it is
DARK, LINE, PALE = "#595959", "#7F7F7F", "#A6A6A6"
# Tints of the colours of Okabe and Ito; in grey print each kind still has an outline of its own.
STYLES = {
    "input": {"shape": "invhouse", "style": "filled", "fillcolor": "#D3EAF8", "color": "#0072B2"},
    "parameter": {
        "shape": "cylinder",
        "style": "filled",
        "fillcolor": "#FCE8BF",
        "color": "#9C6A00",
        "margin": "0.12,0.08",
    },
    "constant": {"style": "filled,dashed", "fillcolor": "#FFFFFF"},
    "operation": {},
    "module": {"shape": "box3d", "style": "filled", "fillcolor": "#F2DDEA", "color": "#8A4B70"},
    "gap": {"style": "dotted"},
    "output": {
        "shape": "house",
        "style": "filled",
        "fillcolor": "#CFEBE1",
        "color": "#00684C",
        "penwidth": "2",
    },
}
GRAPH = {
    "fontname": FONT,
    "fontsize": "11",
    "nodesep": "0.3",
    "ranksep": "0.35",
    "labelloc": "b",
    "labeljust": "l",
}
NODE = {
    "fontname": FONT,
    "fontsize": "11",
    "shape": "box",
    "style": "rounded,filled",
    "fillcolor": "#F4F4F4",
    "color": DARK,
    "margin": "0.12,0.05",
    "height": "0.3",
    "width": "0.3",
}
EDGE = {
    "fontname": FONT,
    "fontsize": "9",
    "fontcolor": DARK,
    "color": LINE,
    "arrowsize": "0.6",
}
BOX = {"labelloc": "t", "color": PALE, "margin": "10"}


def source_lines(graph: Graph) -> Iterator[str]:
    """Yield the lines between the braces of a graph in DOT."""
    writer = _Writer(graph)
    yield f"\tgraph [{_attributes(GRAPH)} label=<{writer.caption()}>]\n"
    yield f"\tnode [{_attributes(NODE)}]\n"
    yield f"\tedge [{_attributes(EDGE)}]\n"
    yield from writer.nodes()
    yield from writer.edges()


class _Writer:
    """Turns what is visible of a graph into lines."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.visible = visible(graph)
        for number, v in enumerate(self.visible, 1):
            v.number = number
        self.boxes: dict[Scope, int] = {}  # with their running numbers
        self.content = Counter(scope for v in self.visible for scope in around(v.scope))
        edges = {(shown(s), shown(v)) for v in graph.vertices for s in v.sources}
        self.readers = Counter(source for source, _ in edges)
        dtypes = Counter(v.dtype for v in graph.vertices if v.dtype is not None)
        self.dtype = dtypes.most_common(1)[0][0] if dtypes else None  # which needs no mention
        leaves = (v for v in graph.vertices if v.kind in LEAVES or v.kind == "input")
        self.taken = {self._name(v) for v in leaves}
        self.variables: dict[tuple[Vertex, Vertex], str] = {}  # (reader, source) -> in its formula

    # Nodes

    def nodes(self) -> Iterator[str]:
        """Yield a line for each node, inside its boxes."""
        inside: list[Scope] = []
        for v in self.visible:
            boxes = [s for s in around(v.scope) if self.content[s] > 1 or s.times]
            while inside != boxes[: len(inside)]:
                inside.pop()
                yield "\t" * (len(inside) + 1) + "}\n"
            for scope in boxes[len(inside) :]:
                inside.append(scope)
                tab = "\t" * len(inside)
                number = self.boxes.setdefault(scope, len(self.boxes) + 1)
                yield f"{tab}subgraph cluster_{number} {{\n"
                yield f"{tab}\tgraph [{_box(scope, len(inside))}]\n"
            style = _attributes(STYLES[v.kind] | _tip(v.site))
            yield "\t" * (len(inside) + 1) + f"n{v.number} [label=<{self._label(v)}> {style}]\n"
        while inside:
            inside.pop()
            yield "\t" * (len(inside) + 1) + "}\n"

    def _label(self, v: Vertex) -> str:
        rows = []
        alone = [s for s in around(v.scope) if self.content[s] == 1 and not s.times]
        if alone:  # a module of one operation needs no box
            rows.append(_title(alone[0].path, facts(alone[-1])))
        if v.kind == "module":
            rows.append(_title(self._name(v), v.notes))
        elif v.kind == "gap":
            rows.append(_small(f"{counted(v.operations, 'operation')} left out"))
        elif v.formula is not None:
            rows.append(_escaped(self._formula(v)))
        else:
            rows.append(_escaped(self._name(v)))
            rows += [_small(", ".join(notes)) for notes in [self._notes(v)] if notes]
        if not v.listed:
            return "<br/>".join(rows)
        cells = [_cell(leaf.kind, f"{self._name(leaf)} {self._type(leaf)}") for leaf in v.listed]
        lines = ["".join(cells[k : k + 3]) for k in range(0, len(cells), 3)]
        rows.append(_table(lines, 'cellspacing="3" cellpadding="2"'))
        return _table([f"<td>{row}</td>" for row in rows], 'cellspacing="0"')

    def _name(self, v: Vertex) -> str:
        """Return a vertex's name, inside a module without the path of that."""
        for scope in around(v.scope)[::-1]:
            if scope.path and v.name.startswith(f"{scope.path}."):
                return short(v.name.removeprefix(f"{scope.path}."), WIDTH)
        return short(v.name, WIDTH)

    def _formula(self, v: Vertex) -> str:
        """Return a formula with the names of leaves, and letters for what operations made."""
        reads = list(dict.fromkeys(read_by(v.formula)))
        names = {s: self._name(s) for s in reads if s.kind in LEAVES or s.kind == "input"}
        others = [s for s in reads if s not in names]
        if v.formula == (v.name, tuple(others)) and len(others) == 1 and v.name not in INFIX:
            return v.name  # relu, of what the one edge brings
        names |= dict(zip(others, self._letters(), strict=False))
        if len(others) > 1:
            self.variables |= {(v, s): names[s] for s in others}
        return written(v.formula, names)

    def _letters(self) -> Iterator[str]:
        """Yield variables that are no names of leaves."""
        return (x for x in chain("xyzuvw", (f"x{k}" for k in count(1))) if x not in self.taken)

    def _notes(self, v: Vertex) -> list[str]:
        """Return the small print below a name."""
        if v.kind == "operation":
            roles = zip(v.roles, v.sources, strict=True)
            return [*v.notes, *(f"{role}: {self._name(s)}" for role, s in roles if self._far(s))]
        notes = [self._type(v), *v.notes]
        return [*notes, f"read by {self.readers[v]} nodes"] if self._far(v) else notes

    def _far(self, v: Vertex) -> bool:
        """Return whether edges from a leaf would cover the picture."""
        return v.kind not in NODES and self.readers[v] > READERS

    def _type(self, v: Vertex) -> str:
        """Return a shape, and the dtype where it is not that of most."""
        shape = MULTIPLE.join(str(n) for n in v.shape) or "scalar"
        return shape if v.dtype in {None, self.dtype} else f"{shape} {v.dtype}"

    # Edges

    def edges(self) -> Iterator[str]:
        """Yield a line for each edge."""
        lines: dict[str, None] = {}  # in order, none twice
        for v in self.graph.vertices:
            reader = shown(v)
            for role, s in zip(v.roles, v.sources, strict=True):
                source = shown(s)
                if source is reader or self._far(source):
                    continue
                words = [self._role(v, role, s)]
                if source.kind in NODES and reader.kind != "output":
                    words.append(self._type(s))
                text = " ".join(word for word in words if word)
                attributes = [f"label=<&#160;{_escaped(text)}>"] if text else []
                if s.kind in FLOW:
                    attributes.append('weight="8"')  # keeps the flow straight
                ends = f"\tn{source.number} -> n{reader.number}"
                lines[f"{ends} [{' '.join(attributes)}]\n" if attributes else f"{ends}\n"] = None
        yield from lines

    def _role(self, v: Vertex, role: str, source: Vertex) -> str:
        """Return what a reader calls a source, where that is not plain to see."""
        reader = shown(v)
        if reader.formula is not None:
            return self.variables.get((reader, source), "")
        several = sum(s.kind in FLOW for s in v.sources) > 1
        return role if several and reader is v and role != source.name else ""

    # Below

    def caption(self) -> str:
        """Return a table of what is to be said of the whole, with a legend."""
        operations = sum(v.operations for v in self.visible if v.kind in NODES)
        first = counted(operations, "operation") + (f", {self.dtype}" if self.dtype else "")
        kinds = {leaf.kind for v in self.visible for leaf in (v, *v.listed)} - {"gap"}
        legend = "".join(_cell(kind, kind) for kind in STYLES if kind in kinds)
        remarks = [first, *self.graph.remarks]
        left_out = sum(v.operations for v in self.visible if v.kind == "gap")
        if left_out:
            remarks.append(f"{counted(left_out, 'operation')} left out, to show {BUDGET} nodes")
        if any(ELSEWHERE in v.notes for v in self.graph.vertices):
            remarks.append(f"{ELSEWHERE} is a constant that is no longer kept")
        rows = [_small(remark) for remark in remarks]
        rows.append(_table([legend], 'cellspacing="4" cellpadding="3"'))
        return _table([f'<td align="left">{row}</td>' for row in rows], 'cellspacing="0"')


def _box(scope: Scope, depth: int) -> str:
    """Return the attributes of a box; boxes in boxes alternate between grey and white."""
    style = "rounded,dashed" if scope.times else "rounded,filled"
    fill = "#FAFAFA" if depth % 2 else "#FFFFFF"
    attributes = _attributes(BOX | {"style": style, "fillcolor": fill})
    return f"label=<{_title(scope.path, facts(scope))}> {attributes}"


def _title(path: str, known: Sequence[str]) -> str:
    """Return the title of a module: its path and what is known of it, or what is known alone."""
    first, *others = [path, *known] if path else known
    return _bold(first) + (_small("  " + ", ".join(others)) if others else "")


def _cell(kind: str, text: str) -> str:
    """Return a table's cell that looks like a kind of node."""
    style = NODE | STYLES[kind]
    dashed = ' style="dashed"' if "dashed" in style["style"] else ""
    colors = f'bgcolor="{style["fillcolor"]}" color="{style["color"]}"'
    return f'<td border="1" {colors}{dashed}>{_small(text)}</td>'


def _table(rows: Sequence[str], attributes: str) -> str:
    lines = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<table border="0" {attributes}>{lines}</table>'


def _attributes(attributes: dict[str, str]) -> str:
    return " ".join(f'{name}="{value}"' for name, value in attributes.items())


def _bold(text: str) -> str:
    return f"<b>{_escaped(text)}</b>"


def _small(text: str) -> str:
    return f'<font point-size="9" color="{DARK}">{_escaped(text)}</font>'


def _escaped(text: str) -> str:
    """Return a text without meaning to DOT or HTML: as `repr` spells it, where it must."""
    spelled = (repr(c)[1:-1] if c == "\\" or not c.isprintable() else c for c in text)
    return html.escape("".join(spelled)) or "&#160;"


def _tip(site: str) -> dict[str, str]:
    """Return the attribute that shows the user's line of code."""
    file, _, line = site.rpartition(":")
    if not file:
        return {}
    code = linecache.getline(file, int(line)).strip()
    return {"tooltip": _escaped(short(f"{Path(file).name}:{line}  {code}", 200))}
