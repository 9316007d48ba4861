"""How a picture looks: colours, shapes, and the HTML-like labels of DOT."""

from __future__ import annotations

import html
import math
import textwrap
from typing import TYPE_CHECKING

from tinygrad_mnist.drawing.vertices import Scope, facts

if TYPE_CHECKING:
    from collections.abc import Sequence

FONT = "Arial"  # graphviz-pure, too, knows how wide it is
DARK, LINE, PALE = "#4A4A4A", "#7F7F7F", "#A6A6A6"
ALARM = "#B30000"
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
    "failure": {
        "shape": "octagon",
        "style": "filled",
        "margin": "0.02,0.02",
        "fillcolor": "#FBE0D3",
        "color": "#B34A00",
        "penwidth": "2",
    },
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
# In a comparison: a sign, a colour and an outline for each kind of change; the rest is pale.
CHANGES = {
    "added": ("+", {"fillcolor": "#BDE8DA", "color": "#00684C", "penwidth": "2"}),
    "removed": (
        "\N{MINUS SIGN}",
        {"fillcolor": "#F9CDB5", "color": "#B34A00", "style": "filled,dashed", "penwidth": "2"},
    ),
    "changed": (
        "\N{ALMOST EQUAL TO}",
        {"fillcolor": "#FBF3A8", "color": "#7A7000", "penwidth": "2"},
    ),
}
SAME = {"fillcolor": "#FFFFFF", "color": "#A6A6A6", "penwidth": "1"}
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
# Edges between lanes: what a rule saved, and whose rule it is.
ACROSS = 'class="across"'
SAVED = f'style="dashed" color="#0072B2" constraint="false" {ACROSS}'
FAINT = f'style="dashed" color="#8FB9D6" penwidth="0.7" constraint="false" {ACROSS}'  # of many
LINK = f'style="dotted" dir="none" color="#A6A6A6" constraint="false" {ACROSS}'
ONWARD = f'constraint="false" {ACROSS}'  # from one column to the next
HIDDEN = 'style="invis" width="0.01" height="0.01" label="" fixedsize="true"'
BOX = {"labelloc": "t", "color": PALE, "margin": "10"}


def box(scope: Scope, depth: int) -> str:
    """Return the attributes of a box; boxes in boxes alternate between grey and white."""
    if scope.what == "column":
        return 'label="" margin="4" style="solid" color="transparent"'
    style = "rounded,dashed" if scope.times else "rounded,filled"
    fill = "#FAFAFA" if depth % 2 else "#FFFFFF"
    attributes = joined(BOX | {"style": style, "fillcolor": fill})
    return f"label=<{title(scope.title, facts(scope))}> {attributes}"


def title(path: str, known: Sequence[str]) -> str:
    """Return the title of a module: its path and what is known of it, or what is known alone."""
    first, *others = [path, *known] if path else known
    return bold(first) + (small("  " + ", ".join(others)) if others else "")


def cell(kind: str, text: str, fill: str | None = None) -> str:
    """Return a table's cell that looks like a kind of node, or is filled with a colour."""
    style = NODE | STYLES[kind] | ({"fillcolor": fill} if fill else {})
    dashed = ' style="dashed"' if "dashed" in style["style"] else ""
    colors = f'bgcolor="{style["fillcolor"]}" color="{style["color"]}"'
    return f'<td border="1" {colors}{dashed}>{small(text)}</td>'


def table(rows: Sequence[str], attributes: str) -> str:
    """Return a table of rows of cells."""
    lines = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<table border="0" {attributes}>{lines}</table>'


def joined(attributes: dict[str, str]) -> str:
    """Return attributes as DOT spells them."""
    return " ".join(f'{name}="{value}"' for name, value in attributes.items())


def bold(text: str) -> str:
    """Return a text for a title."""
    return f"<b>{escaped(text)}</b>"


def wrapped(text: str, width: int = 44) -> str:
    """Return a text for small print on several lines, each flush left."""
    lines = textwrap.wrap(text, width)[:12] or [text]
    return "<br/>".join(map(small, lines))


def alarm(text: str) -> str:
    """Return a text for small print that is to be seen."""
    return f'<font point-size="9" color="{ALARM}"><b>{escaped(text)}</b></font>'


def tint(weight: float) -> str:
    """Return the colour of a weight from 0 to 1, white to orange; darker in grey print too."""
    if math.isinf(weight):
        return "#F4B6A0"
    ends = (0xFF, 0xFF, 0xFF), (0xF5, 0xA6, 0x3C)
    mixed = (round(a + (b - a) * min(max(weight, 0), 1)) for a, b in zip(*ends, strict=True))
    return "#" + "".join(f"{c:02X}" for c in mixed)


def small(text: str) -> str:
    """Return a text for small print."""
    return f'<font point-size="9" color="{DARK}">{escaped(text)}</font>'


def escaped(text: str) -> str:
    """Return a text without meaning to DOT or HTML: as `repr` spells it, where it must."""
    spelled = (repr(c)[1:-1] if c == "\\" or not c.isprintable() else c for c in text)
    return html.escape("".join(spelled)) or "&#160;"
