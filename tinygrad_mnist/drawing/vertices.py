"""What a picture is made of: vertices, and the boxes around them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ELSEWHERE = "\N{HORIZONTAL ELLIPSIS}"  # stands for an argument that the graph does not keep
MULTIPLE = "\N{MULTIPLICATION SIGN}"
LEAVES = frozenset({"parameter", "constant"})
FLOW = frozenset({"input", "operation", "part"})  # what may depend on an input
NODES = frozenset({"operation", "module", "gap"})  # what stands for operations


@dataclass(slots=True, eq=False)
class Scope:
    """A box around nodes: one call of a module, or a block that repeats."""

    path: str
    kind: str = ""  # the class, or which modules repeat
    parameters: int = 0  # how many numbers they hold
    parent: Scope | None = None
    times: int = 0  # a block that repeats: how often


@dataclass(slots=True, eq=False)
class Vertex:
    """A value and the operation that made it; in the picture a node, or shown by another one."""

    kind: str  # parameter, input, constant, operation, part, output, module or gap
    name: str
    shape: tuple[int, ...] = ()
    dtype: Any = None
    sources: Sequence[Vertex] = ()
    roles: Sequence[str] = ()  # what the operation calls each source
    formula: Any = None  # (operation, arguments): each a formula, a Vertex or a text
    elementwise: bool = False
    notes: tuple[str, ...] = ()  # static arguments
    site: str = ""  # the user's file and line
    scope: Scope | None = None
    into: Vertex | None = None  # the vertex that shows this one
    listed: tuple[Vertex, ...] = ()  # the leaves that stand inside its node
    operations: int = 1  # how many it stands for
    number: int = -1  # its place in the graph


@dataclass(slots=True)
class Graph:
    """All vertices, each behind its sources, and what the caption has to say."""

    vertices: list[Vertex] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def keep(self, flow: Iterable[Vertex]) -> None:
        """Drop every vertex but `flow`, the outputs, and the leaves that these need."""
        kept = {*flow, *(v for v in self.vertices if v.kind == "output")}
        kept |= {s for v in kept for s in v.sources if s.kind not in FLOW}
        self.vertices = [v for v in self.vertices if v in kept]


def shown(vertex: Vertex) -> Vertex:
    """Return the vertex that shows this one."""
    while vertex.into is not None:
        vertex = vertex.into
    return vertex


def visible(graph: Graph) -> list[Vertex]:
    """Return the vertices that are nodes of the picture."""
    return [v for v in graph.vertices if v.into is None]


def around(scope: Scope | None) -> list[Scope]:
    """Return a scope and those around it, the outermost first."""
    scopes: list[Scope] = []
    while scope is not None:
        scopes.append(scope)
        scope = scope.parent
    return scopes[::-1]


def common(a: Scope | None, b: Scope | None) -> Scope | None:
    """Return the innermost scope that holds both."""
    if a is b:
        return a
    shared = None
    for one, other in zip(around(a), around(b), strict=False):
        if one is not other:
            break
        shared = one
    return shared


def facts(scope: Scope) -> tuple[str, ...]:
    """Return what is known of a scope besides its path."""
    found = [scope.kind] if scope.kind else []
    if scope.parameters:
        found.append(counted(scope.parameters, "parameter"))
    return tuple(found)


def counted(number: int, noun: str) -> str:
    """Return a number of things in words."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def short(text: str, length: int) -> str:
    """Return a text, cut off if it is longer than `length`."""
    return text if len(text) <= length else text[: length - 1] + ELSEWHERE
