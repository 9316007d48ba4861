"""What a picture is made of: vertices, and the boxes around them.

A picture is made in four steps, each with a module of its own, and each looks at these classes
alone: `reading` makes vertices of what was recorded, `folding` decides which vertex shows which,
`measuring` adds what is to be known of those that are shown, `writing` puts it into words. A fifth,
`crossing`, belongs to the layout: it draws edges between lanes over what dot makes of the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ELSEWHERE = "\N{HORIZONTAL ELLIPSIS}"  # stands for an argument that the graph does not keep
MULTIPLE = "\N{MULTIPLICATION SIGN}"
SIDE_BY_SIDE = ", side by side"  # ends the title of equal blocks that do not feed each other
LEAVES = frozenset({"parameter", "constant"})
OUTSIDE = LEAVES | {"input"}  # what no operation made
FLOW = frozenset({"input", "operation", "part", "failure"})  # what may depend on an input
NODES = frozenset({"operation", "module", "gap", "failure"})  # what stands for operations


@dataclass(slots=True, eq=False)
class Scope:
    """A box around vertices.

    Attributes
    ----------
    path : str
        Of a module: ``layers.0``, empty for the outermost. Of another box: its title.
    kind : str
        Of a module: its class. Of a block that repeats: which modules repeat.
    parameters : int
        How many numbers the module holds.
    parent : Scope or None
        The box around this one.
    times : int
        How often a block repeats; 0 for every other box.
    what : str
        ``module``, one call of it; ``repeat``, a block that repeats; ``lane``, one pass of reverse
        mode, or what came before it; ``rule``, the operations of one gradient rule; ``column``, a
        part of what is too tall for one.
    root : str
        What the user's code calls the module that its path starts from.
    """

    path: str
    kind: str = ""
    parameters: int = 0
    parent: Scope | None = None
    times: int = 0
    what: str = "module"
    root: str = ""

    @property
    def title(self) -> str:
        """What a picture calls it."""
        return self.path or self.root


@dataclass(slots=True, eq=False)
class Measured:
    """What is to be known of a vertex's value; each is None where it was not asked for.

    Attributes
    ----------
    value : array
        What the operation returned, or the leaf holds; `NOT_KEPT` where nothing keeps it.
    gradient : array
        The leaf's `grad`; `NOT_KEPT` where none was computed.
    kept : int
        Bytes that are kept for backward because of this operation, each array counted once.
    weight : float
        What the vertex is coloured by, from 0 to 1; None where that is not known.
    amount : str
        The same in words, such as ``1.2 ms``.
    times : int
        Of how many equal blocks this is from the first.
    last : Measured
        What is to be known in the last of them.
    """

    value: Any = None
    gradient: Any = None
    kept: int | None = None
    weight: float | None = None
    amount: str = ""
    times: int = 1
    last: Measured | None = None


class _NotKept:
    def __repr__(self) -> str:
        return "not kept"


NOT_KEPT: Any = _NotKept()


@dataclass(slots=True, eq=False)
class Vertex:
    """A value and the operation that made it; in the picture a node, or shown by another one.

    Attributes
    ----------
    kind : str
        ``input``, ``parameter``, ``constant``, ``operation``, ``part`` (one result of an operation
        that has several), ``output``, ``failure`` (the call that raised), ``module`` (a box that
        is folded) or ``gap`` (what is left out).
    name : str
        Of an operation the op's name, of anything else what its value is called.
    variable : str
        What the user's code calls the result of an operation; ``∂x`` for the cotangent of ``x``.
    shape, dtype
        Of the value.
    sources : sequence of Vertex
        The arguments that have vertices, and `roles` what the operation calls them.
    formula : (str, tuple), Vertex or str
        ``(operation, arguments)`` with formulas for arguments; None where none can be written.
    elementwise : bool
        Whether the operation works on each entry by itself.
    notes : tuple of str
        Static arguments, or what else is to be said.
    site : str
        The user's line of code, as ``file:line``.
    order : int
        0: forward; 1: recorded by a pass of reverse mode; 2: by a pass through that.
    origin : Vertex or None
        The operation whose gradient rule recorded this one.
    keeps : sequence of Vertex
        Of an operation that a pass of reverse mode went through: whose values its rules used.
    node : Node or Leaf or None
        The engine's record of it.
    scope : Scope or None
        The innermost box around it.
    into : Vertex or None
        The vertex that shows this one; see `shown`.
    entering : tuple of (Vertex, Vertex)
        The sources that only the first of equal blocks has from outside, each with what the last
        has from the block before instead.
    root : str
        What the user's code calls the module that a parameter's path starts from.
    last : Vertex or None
        The same in the last of equal blocks, of which the picture shows the first.
    listed : tuple of Vertex
        The leaves that stand inside its node.
    operations : int
        How many operations it stands for.
    number : int
        Its place in the graph; in a picture, that of its node.
    value : array or None
        What it is, where something keeps that.
    borrowed : bool
        Whether it is an input that is tracked for the drawing alone.
    measured : Measured or None
    change : str
        In a comparison: ``added``, ``removed`` or ``changed``.
    was : str
        What was said of one that is changed.
    """

    kind: str
    name: str
    shape: tuple[int, ...] = ()
    dtype: Any = None
    sources: Sequence[Vertex] = ()
    roles: Sequence[str] = ()
    formula: Any = None
    elementwise: bool = False
    notes: tuple[str, ...] = ()
    site: str = ""
    variable: str = ""
    order: int = 0
    origin: Vertex | None = None
    keeps: Sequence[Vertex] = ()
    node: Any = None
    scope: Scope | None = None
    into: Vertex | None = None
    entering: tuple[tuple[Vertex, Vertex], ...] = ()
    last: Vertex | None = None
    listed: tuple[Vertex, ...] = ()
    operations: int = 1
    number: int = -1
    value: Any = None
    borrowed: bool = False
    measured: Measured | None = None
    change: str = ""
    was: str = ""
    root: str = ""


@dataclass(slots=True)
class Graph:
    """All vertices, each behind its sources, and what the caption has to say."""

    vertices: list[Vertex] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    failure: Exception | None = None  # what the call that is drawn raised
    compares: bool = False  # whether vertices say what has changed
    scale: tuple[str, str, str] | None = None  # what colours mean: the measure and its ends

    def keep(self, flow: Iterable[Vertex]) -> None:
        """Drop every vertex but `flow`, the outputs, and the leaves that these need."""
        kept = {*flow, *(v for v in self.vertices if v.kind == "output")}
        kept |= {s for v in kept for s in v.sources if s.kind not in FLOW}
        self.vertices = [v for v in self.vertices if v in kept]

    def forget(self) -> None:
        """Let go of nodes and arrays: vertices refer to each other, so they may outlive us."""
        for v in self.vertices:
            v.node = v.measured = v.value = v.last = None
            v.site = str(v.site)


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
