"""Edges between lanes: drawn over a layout that they have no part in.

Left to dot they go around whole lanes, and pull these out of shape. So lanes are laid out without
them; then each is one curve, from the right side of what it starts at to the left side of what it
ends at, behind the nodes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinygrad_mnist.drawing.looks import ACROSS, LINK, NODE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_COMMENT = "\t//"
_EDGE = re.compile(rf"(?:{_COMMENT})?\t(n\d+) -> (n\d+) \[(.*)\]\n")
# what dot says of a layout: quotes inside labels and tooltips are escaped, and lines are not cut
_NODE = re.compile(r'^\s*(n\d+)\s+\[(.*?\bpos="[^"]*".*?)\];$', re.MULTILINE | re.DOTALL)
_BOX = re.compile(r'subgraph (cluster_\d+) \{\s*graph \[bb="([^"]*)"')
_NUMBERS = re.compile(r'\b(pos|width|height)="?([^",\s]+(?:,[^",\s]+)?)')
_LABEL = re.compile("<.*>", re.DOTALL)
_TIP = 6.0  # length of an arrowhead, in points
_GAP = 4.0  # between a curve and a node that it must not run through


@dataclass(frozen=True)
class Area:
    """Where a node or a box is, in points; `up` is positive, as in dot."""

    left: float
    down: float
    right: float
    up: float

    @property
    def center(self) -> tuple[float, float]:
        """The point in its middle."""
        return (self.left + self.right) / 2, (self.down + self.up) / 2

    def holds(self, other: Area) -> bool:
        """Return whether another area's center is inside."""
        x, y = other.center
        return self.left < x < self.right and self.down < y < self.up


_Layout = tuple[dict[str, Area], dict[str, Area]]  # nodes and boxes, by name


@dataclass
class End:
    """One end of a curve: on which side of what, and where on that side."""

    name: str
    area: Area
    side: str  # left, right, up, down
    other: tuple[float, float]  # the center of what is at the other end
    share: float = 0.5  # of the side's length

    def point(self) -> tuple[float, float]:
        """Return where the curve meets the side."""
        a = self.area
        if self.side in {"left", "right"}:
            x = a.left if self.side == "left" else a.right
            return x, a.up - self.share * (a.up - a.down)
        return a.left + self.share * (a.right - a.left), a.up if self.side == "up" else a.down

    def out(self, length: float) -> tuple[float, float]:
        """Return the point that far out from the side."""
        x, y = self.point()
        dx, dy = {"left": (-1, 0), "right": (1, 0), "up": (0, 1), "down": (0, -1)}[self.side]
        return x + dx * length, y + dy * length


def commented(line: str) -> str:
    """Return the line of an edge between lanes so that dot does not see it."""
    return f"{_COMMENT}{line}"


def part(body: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the lines of a picture without the edges between lanes, and the lines of these."""
    rest: list[str] = []
    across: list[str] = []
    for line in body:
        (across if ACROSS in line else rest).append(line)
    return rest, across


def routed(laid: str, across: Sequence[str]) -> str:
    """Return a layout, in DOT as dot writes it, with edges between lanes added."""
    nodes = dict(_nodes(laid))
    boxes = {name: Area(*map(float, bb.split(","))) for name, bb in _BOX.findall(laid)}
    found: list[tuple[str, End, End]] = []
    for line in across:
        match = _EDGE.match(line)
        assert match is not None
        tail, head, attributes = match.groups()
        whole = re.search(r'lhead="(\w+)"', attributes)
        target = whole[1] if whole else head
        start, end = nodes[tail], boxes[target] if whole else nodes[head]
        sides = "right", "left"
        if LINK not in line:
            layout = nodes, boxes
            sides = _side(start, end, "right", layout), _side(end, start, "left", layout)
        ends = End(tail, start, sides[0], end.center), End(target, end, sides[1], start.center)
        found.append((line, *ends))
    _spread([end for _, *ends in found for end in ends])
    curves = "".join(_curve(*one) for one in found)
    first, _, rest = laid.rpartition("}")[0].partition("graph [")
    return f"{first}graph [outputorder=edgesfirst, {rest}{curves}}}\n"


def _nodes(laid: str) -> Iterator[tuple[str, Area]]:
    for name, attributes in _NODE.findall(laid):
        found = NODE | dict(_NUMBERS.findall(_LABEL.sub("", attributes)))
        x, y = map(float, found["pos"].split(","))
        w, h = (36 * float(found[key]) for key in ("width", "height"))
        yield name, Area(x - w, y - h, x + w, y + h)


def _side(area: Area, other: Area, side: str, layout: _Layout) -> str:
    """Return this side; or where other nodes of the lane are in the way, up or down."""
    nodes, boxes = layout
    around = [box for box in boxes.values() if box.holds(area) and not box.holds(other)]
    lane = max(around, key=lambda box: box.right - box.left, default=area)
    y = area.center[1]
    for node in nodes.values():
        beside = node.left >= area.right if side == "right" else node.right <= area.left
        if beside and lane.holds(node) and node.down - _GAP < y < node.up + _GAP:
            return "down" if other.center[1] < y else "up"
    return side


def _spread(ends: Iterable[End]) -> None:
    """Give each curve that meets one side a place of its own there."""
    sides: dict[tuple[str, str], list[End]] = defaultdict(list)
    for end in ends:
        sides[end.name, end.side].append(end)
    for (_, side), several in sides.items():
        beside = side in {"left", "right"}
        several.sort(key=lambda end: -end.other[1] if beside else end.other[0])
        for k, end in enumerate(several, 1):
            end.share = k / (len(several) + 1)
            if not beside:  # on the half that is nearer, and not where edges of the lane are
                half = 0.1 if end.other[0] < end.area.center[0] else 0.55
                end.share = half + 0.35 * end.share


def _curve(line: str, tail: End, head: End) -> str:
    """Return the line of an edge with its curve, and its letter at the end that it is read at."""
    pointed = LINK not in line
    (x0, _), (x1, y1) = tail.point(), head.point()
    far = max(24.0, 0.4 * abs(x1 - x0))
    reach = [far if end.side in {"left", "right"} else min(far, 40.0) for end in (tail, head)]
    points = [tail.point(), tail.out(reach[0]), head.out(reach[1]), head.out(_TIP * pointed)]
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    pos = f"e,{x1:.1f},{y1:.1f} {text}" if pointed else text
    x, y = head.out(16)
    edge = line.rstrip().removeprefix(_COMMENT).removesuffix("]")
    return f'{edge} pos="{pos}" lp="{x:.1f},{y + 5:.1f}"]\n'
