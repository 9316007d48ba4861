"""A recorded loss whose cotangents can be asked for at every node, and sent on from any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.engine import propagate
from tinygrad_mnist.graph import Node, Output
from tinygrad_mnist.switches import Switch
from tinygrad_mnist.tensor import raw

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tinygrad_mnist.tensor import Tensor

    Array = np.ndarray[Any, Any]


class Backward:
    """One reverse pass through the graph of a loss, that remembers what reached each node.

    Parameters
    ----------
    loss : Tensor
    instead : sequence of (Node, cotangent), optional
        Nodes that send on another cotangent than what reached them.

    Attributes
    ----------
    calls : list of (Node, cotangent)
        The calls that were passed, the latest first.
    """

    def __init__(self, loss: Tensor, instead: Sequence[tuple[Any, Array]] = ()) -> None:
        self.loss, self.instead = loss, tuple(instead)
        self._calls: dict[int, tuple[Node, Any]] = {}
        self._cotangents: dict[int, Any] = {}
        root = (loss._node, np.ones(loss.shape, loss.dtype))
        for node, g in (root, *self.instead):
            self._pass(node, np.asarray(g, node.dtype).reshape(node.shape))
        for node, g in self.instead:
            self._cotangents[id(node)] = np.asarray(g, node.dtype).reshape(node.shape)
            if id(node) in self._calls:
                self._calls[id(node)] = (node, self._cotangents[id(node)])
        self.calls = sorted(self._calls.values(), key=lambda call: -call[0].index)

    def _pass(self, start: Any, g: Array) -> None:
        """Add what a cotangent at a node makes on its way, as far as other ones are sent on."""
        reached: dict[int, tuple[Node, Any]] = {}
        stops = [node for node, _ in self.instead if node is not start]
        with Switch(watch=lambda node, g, _: reached.setdefault(id(node), (node, g))):
            found = propagate([(start, g)], stops)
        for key, (node, cotangent) in reached.items():
            before = self._calls.get(key)
            whole = cotangent if before is None else _added(before[1], cotangent)
            self._calls[key] = node, whole
            self._cotangents[key] = whole
        for leaf, cotangent in found.items():
            if cotangent is not None:
                before_it = self._cotangents.get(id(leaf))
                self._cotangents[id(leaf)] = (
                    cotangent if before_it is None else before_it + cotangent
                )

    def cotangent(self, node: Any) -> Array | None:
        """Return what reached a node, None if nothing did."""
        if isinstance(node, Output):
            several = self._cotangents.get(id(node.parents[0]))
            return None if several is None else raw(several[node.number])
        g = self._cotangents.get(id(node))
        return raw(g[0] if isinstance(g, tuple) else g) if g is not None else None

    def onwards(self, node: Any, cotangent: Any, targets: Iterable[Any]) -> dict[int, Array]:
        """Return what a cotangent at a node makes at others, by the id of each."""
        given = np.asarray(cotangent, dtype=node.dtype).reshape(node.shape)
        targets = list(targets)
        stops = [other for other, _ in self.instead if other is not node]
        found = {id(t): np.zeros(t.shape) for t in targets}
        for target in targets:  # one by one, for no cotangent goes on behind a target
            if target is node:
                found[id(target)] = given
            elif target.index < node.index:
                g = propagate([(node, given)], [target, *stops])[target]
                if g is not None:
                    found[id(target)] = raw(g)
        return found


def _added(one: Any, other: Any) -> Any:
    """Return the sum of two cotangents, or of those of several results."""
    if not isinstance(one, tuple):
        return one + other
    pairs = zip(one, other, strict=True)
    return tuple(a if b is None else b if a is None else a + b for a, b in pairs)
