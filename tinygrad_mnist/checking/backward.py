"""A recorded loss whose cotangents can be asked for at every node, and sent on from any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.engine import propagate
from tinygrad_mnist.graph import Node, Output
from tinygrad_mnist.switches import Switch
from tinygrad_mnist.tensor import raw

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinygrad_mnist.tensor import Tensor

    Array = np.ndarray[Any, Any]


class Backward:
    """One reverse pass through the graph of a loss, that remembers what reached each node.

    Attributes
    ----------
    calls : list of (Node, cotangent)
        The calls that were passed, the latest first.
    """

    def __init__(self, loss: Tensor) -> None:
        self._root = (loss._node, np.ones(loss.shape, loss.dtype))
        reached: dict[int, tuple[Node, Any]] = {}
        with Switch(watch=lambda node, g, _: reached.setdefault(id(node), (node, g))):
            leaves = propagate([self._root])
        self.calls = list(reached.values())
        self._cotangents = {key: g for key, (_, g) in reached.items()}
        self._cotangents |= {id(leaf): g for leaf, g in leaves.items()}

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
        found = {id(t): np.zeros(t.shape) for t in targets}
        for target in targets:  # one by one, for no cotangent goes on behind a target
            if target is node:
                found[id(target)] = given
            elif target.index < node.index:
                g = propagate([(node, given)], [target])[target]
                if g is not None:
                    found[id(target)] = raw(g)
        return found
