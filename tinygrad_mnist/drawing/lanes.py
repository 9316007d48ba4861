"""Passes of reverse mode as lanes of a picture: which rule recorded what, beside what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.drawing.ruletext import rule_text
from tinygrad_mnist.drawing.vertices import LEAVES, Graph, Scope, Vertex, around
from tinygrad_mnist.drawing.walking import behind
from tinygrad_mnist.engine import leading, propagate
from tinygrad_mnist.graph import Output
from tinygrad_mnist.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from tinygrad_mnist.drawing.tracing import RuleCall

LANES = ("forward", "backward", "backward of backward")
D = "\N{PARTIAL DIFFERENTIAL}"
WORDS = 36  # characters of a rule that stand in the title of its box


def differentiate(
    results: Sequence[Tensor], order: int, is_input: Callable[[Any], bool]
) -> tuple[list[tuple[Any, int, Tensor]], list[tuple[int, Tensor]]]:
    """Go back through the graph of `results`, and through what that recorded.

    Parameters
    ----------
    results : sequence of Tensor
    order : int
        How often.
    is_input : callable
        Says of a leaf whether it is an argument of the call that is drawn: then it gets no
        gradient, unless there are no other leaves.

    Returns
    -------
    gradients : list of (Leaf, int, Tensor)
        Of every leaf, in every pass.
    seeds : list of (int, Tensor)
        What each pass started with.
    """
    seeded: list[tuple[int, Tensor]] = []
    roots = [t for t in results if t._node is not None and t.dtype.kind == "f"]
    if not order:
        return [], []
    leaves = [node for node in behind(t._node for t in roots) if node.plan is None]
    leaves.sort(key=lambda leaf: leaf.index)
    leaves = [leaf for leaf in leaves if not is_input(leaf)] or leaves
    found: list[tuple[Any, int, Tensor]] = []
    for turn in range(1, order + 1):
        letter = "1" if turn == 1 else "v" if turn == 2 else f"v{turn - 1}"
        seeds = []
        for k, t in enumerate(roots, 1):
            name = letter if len(roots) == 1 or turn == 1 else f"{letter}[{k}]"
            ones = np.ones_like(t._value)
            seeds.append((t._node, Tensor(ones, requires_grad=True, name=name)))
        leads, _ = leading([node for node, _ in seeds], leaves, 0)
        seeds = [(node, g) for node, g in seeds if node in leads]
        seeded += [(turn, g) for _, g in seeds]
        with np.errstate(all="ignore"):  # the forward has said what there is to be warned of
            reached = propagate(seeds, leaves, leads, record=True)
        roots = [g for leaf in leaves if isinstance(g := reached.get(leaf), Tensor)]
        found += [(leaf, turn, g) for leaf in leaves if isinstance(g := reached.get(leaf), Tensor)]
    return found, seeded


class Passes:
    """Finds the lane of each vertex, and the operation whose rule recorded it.

    Parameters
    ----------
    calls : sequence of RuleCall
        Every rule that was called, in order.
    vertices : mapping
        Node -> vertex, of all nodes that were read so far.
    """

    def __init__(self, calls: Sequence[RuleCall], vertices: Mapping[Any, Vertex]) -> None:
        self.rule_calls = calls
        self.vertices = vertices
        self.rules: dict[Any, tuple[Any, int]] = {}  # node -> whose rule recorded it, its order
        self.words: dict[Vertex, str] = {}  # what the rules of an operation say of themselves
        self.given: dict[Any, Any] = {}  # node of a cotangent -> the node that it belongs to
        before, low, order = None, -1, 0
        for call in calls:
            if before is None or call.node.index > before.node.index:  # another pass
                order = 1 + self._order(call.node)
            if before is None or call.node is not before.node:
                low = max(call.node.index, before.end if before else -1)
            stack = [t._node for t in _each(call.gi)]
            cotangents = {t._node for t in _each(call.g)}
            for node in cotangents:
                self.given.setdefault(node, call.node)
            while stack:
                node = stack.pop()
                fresh = node.index > low and node not in cotangents and node not in self.rules
                if fresh and not isinstance(node, Output):
                    self.rules[node] = call.node, order
                    stack += node.parents
            before = call

    def _order(self, root: Any) -> int:
        """Return through how many passes a node was computed."""
        met = behind([root], self.rules)
        return max((self.rules[node][1] for node in met if node in self.rules), default=0)

    def place(self, vertex: Vertex) -> None:
        """Say of a vertex, whose sources have been placed, which lane it is in and why."""
        if not self.rule_calls:
            return
        node = vertex.node
        vertex.order = max((s.order for s in vertex.sources), default=0)
        if node in self.rules:
            origin, vertex.order = self.rules[node]
            vertex.origin = self.vertices.get(origin)
        elif vertex.name in {"sum", "reshape", "astype"} and vertex.sources:
            vertex.origin = vertex.sources[0].origin  # the engine fits what a rule returned
        owner = self.vertices.get(self.given.get(node))
        name = owner.variable if owner else ""
        if name and not vertex.variable:
            vertex.variable = f"{D}{name}"

    def keep(self, targets: Collection[Any]) -> None:
        """Say of each operation that a pass went through what its rules used; see `Vertex.keeps`.

        Parameters
        ----------
        targets : collection of Leaf
            Where gradients were asked for.
        """
        visited = {call.node for call in self.rule_calls}
        for node in visited:
            v = self.vertices.get(node)
            if v is None or isinstance(node, Output):
                continue
            names: set[str] = set()
            words: dict[str, str] = {}
            operands = (node.plan.op.names[k] for k, _ in node.plan.operands)
            for rule, parent, operand in zip(node.plan.table, node.parents, operands, strict=True):
                if parent in visited or parent in targets or (not targets and parent.plan is None):
                    names.update(rule.names)
                    words[operand] = rule_text(rule).replace("np.", "")
            used = [
                s for role, s in zip(v.roles, v.sources, strict=True) if role.split("[")[0] in names
            ]
            v.keeps = [*used, v] if "out" in names else used
            self.words[v] = _words(words)

    def box(self, graph: Graph) -> None:
        """Put every lane into a box, and inside it what one rule recorded."""
        top = max((v.order for v in graph.vertices), default=0)
        if top == 0:
            return
        titles = [*LANES, *(f"pass {k} of reverse mode" for k in range(len(LANES), top + 1))]
        lanes = [Scope(title, what="lane") for title in titles[: top + 1]]
        boxes: dict[Any, Scope] = {}
        for v in graph.vertices:
            lane = lanes[v.order]
            if v.kind in LEAVES:
                continue
            if v.origin is not None:
                key = (v.order, v.origin)
                if key not in boxes:
                    words = self.words.get(v.origin, "")
                    boxes[key] = Scope(f"{D} of {v.origin.name}", words, 0, lane, what="rule")
                v.scope = boxes[key]
            elif v.scope is None or v.order > 0:
                v.scope = lane
            elif (outer := around(v.scope)[0]) not in lanes:
                outer.parent = lane


def _words(rules: Mapping[str, str]) -> str:
    """Return the gradient rules of an operation in their own words, if these are few."""
    several = len(rules) > 1
    text = ", ".join(f"{D}{name} = {said}" if several else said for name, said in rules.items())
    return text if all(rules.values()) and len(text) <= WORDS else ""


def _each(value: Any) -> list[Tensor]:
    """Return the tracked Tensors of a cotangent, which may be a tuple of them."""
    values = value if isinstance(value, tuple) else (value,)
    return [v for v in values if isinstance(v, Tensor) and v._node is not None]
