"""What each call of an op was given, what it returned, and the cotangent that reached it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.engine import propagate
from tinygrad_mnist.graph import Node, Output
from tinygrad_mnist.switches import Switch, user_site
from tinygrad_mnist.tensor import raw

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tinygrad_mnist.operation import Op

    Array = np.ndarray[Any, Any]


class Site(str):  # noqa: SLOT000 - a str can't have slots of its own
    """The user's file and line, and the values of the call that was made there."""

    inputs: list[Any]
    out: Any


@dataclass(frozen=True)
class Visit:
    """A call of an op, as a reverse pass came by.

    Attributes
    ----------
    node : Node
        The record of the call.
    op : Op
    inputs : list or None
        A value for each parameter of the op, where they were kept.
    results : list of (cotangent, result) pairs
        For each result that a cotangent reached; the result is None where it was not kept.
    site : str
        The user's file and line, where it was kept.
    cotangent : array, or tuple of them
        As it reached the node: what its rules are given.
    """

    node: Node
    op: Op
    inputs: list[Any] | None
    results: list[tuple[Array, Array | None]]
    site: str
    cotangent: Any

    @property
    def gradients(self) -> dict[int, Array]:
        """What its rules make of the cotangents, by the place of the operand in `inputs`."""
        found = propagate([(self.node, self.cotangent)], self.node.parents)
        places = [k for k, _ in self.node.plan.operands]
        return {
            k: np.asarray(raw(found[parent]))
            for k, parent in zip(places, self.node.parents, strict=True)
            if found[parent] is not None
        }


def keeping(*, sites: bool = True) -> Switch:
    """Keep the values of every call that is recorded, for `visits` to tell; lines too, or not."""
    return Switch(check=_keep if sites else _keep_values)


def _keep(op: Op, inputs: list[Any], out: Any) -> Site:
    return _keep_values(op, inputs, out, user_site())


def _keep_values(_: Op, inputs: list[Any], out: Any, line: str = "") -> Site:
    site = Site(line)
    site.inputs, site.out = list(inputs), out
    return site


def visits(seeds: Sequence[tuple[Any, Any]]) -> list[Visit]:
    """Return every call that the seeds' cotangents reach, the latest first.

    Parameters
    ----------
    seeds : pairs of a node and its cotangent

    Raises
    ------
    RuntimeError
        If the graph was freed by an earlier backward.
    """
    return passed(seeds)[0]


def passed(seeds: Sequence[tuple[Any, Any]]) -> tuple[list[Visit], dict[Any, Any]]:
    """Return the visits of a reverse pass, and the cotangent of each leaf that it reached."""
    reached: dict[int, tuple[Node, Any]] = {}

    def watch(node: Node, g: Any, _: Any) -> None:
        reached[id(node)] = (node, g)

    with Switch(watch=watch):
        leaves = propagate(seeds)
    kept = all(hasattr(getattr(node, "site", None), "out") for node, _ in reached.values())
    known = {} if kept else _known_results(seeds)
    return [_visit(node, g, known) for node, g in reached.values()], leaves


def _visit(node: Node, g: Any, known: dict[int, Array]) -> Visit:
    site = getattr(node, "site", "")
    inputs = getattr(site, "inputs", None)
    out = getattr(site, "out", known.get(id(node)))
    cotangents = g if isinstance(g, tuple) else (g,)
    outs = out if isinstance(out, (tuple, list)) else (out,) * len(cotangents)
    pairs = [
        (raw(c), None if o is None else np.asarray(raw(o)))
        for c, o in zip(cotangents, outs, strict=False)
        if c is not None
    ]
    return Visit(node, node.plan.op, inputs, pairs, str(site), g)


def _known_results(seeds: Iterable[tuple[Any, Any]]) -> dict[int, Array]:
    """Return the results that a graph saved for its rules, by the id of the node that made each.

    A rule of a later call saved it as its input, or one of its own as its result.
    """
    known: dict[int, Array] = {}
    stack = [node for node, _ in seeds]
    seen = set(map(id, stack))
    while stack:
        node = stack.pop()
        if node.plan is not None and not node.plan.unusual:
            known.update(_saved_results(node))
        for parent in node.parents:
            if id(parent) not in seen:
                seen.add(id(parent))
                stack.append(parent)
    return known


def _saved_results(node: Node) -> dict[int, Array]:
    """Return what one call saved of results: its own, and those that were its inputs."""
    op, found = node.plan.op, {}
    makers: dict[str, list[tuple[int | None, Any]]] = {}
    for parent, (k, i) in zip(node.parents, node.plan.operands, strict=True):
        makers.setdefault(op.names[k], []).append((i, parent))
    for rule, values in zip(node.plan.table, node.saved or (), strict=False):  # tokens follow
        for name, value in zip(
            rule.names, values if len(rule.names) > 1 else (values,), strict=False
        ):
            if name == "out":
                found[id(node)] = value
            for i, parent in makers.get(name, ()):
                one = value if i is None else value[i]
                if not isinstance(parent, Output):
                    found[id(parent)] = one
    return found
