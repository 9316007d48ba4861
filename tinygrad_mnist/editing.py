"""Changing what backward does: `map_gradient` edits it, `checkpoint` trades time for memory."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.engine import freed, leading
from tinygrad_mnist.graph import (
    Array,
    Node,
    current_mode,
    hold,
    next_index,
    output,
    read_only,
)
from tinygrad_mnist.nested import flatten
from tinygrad_mnist.operation import Op, op
from tinygrad_mnist.recording import box
from tinygrad_mnist.switches import Switch
from tinygrad_mnist.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def map_gradient(x: Any, f: Callable[[Any], Any]) -> Any:
    """Return `x`; its gradient passes through ``f`` on the way back.

    Parameters
    ----------
    x : Tensor
    f : callable
        Takes the cotangent, an array of `x`'s shape (read-only), and returns what takes its
        place: scaled, clipped, reversed, zeros to stop it. If it returns None (it only looks),
        the cotangent goes on unchanged.

    Examples
    --------
    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> map_gradient(x, lambda g: -g).sum().backward()
    >>> x.grad
    array([-1., -1.])
    """
    return _mapped(x, f, np.geterr())


@op
def _mapped(x: Array, f: Any, errors: Any) -> Array:  # noqa: ARG001 - the rule names them
    return x


def _map(g: Any, f: Any, errors: Any) -> Any:
    with np.errstate(**errors):  # f is the user's: it warns as the user wants
        mapped = f(read_only(g))
    if mapped is None:
        return g
    if np.shape(mapped) != g.shape:
        raise ValueError(
            f"map_gradient's function took a gradient of shape {g.shape} and returned one of shape "
            f"{np.shape(mapped)}: they must agree (np.zeros_like(g) stops it)"
        )
    return mapped


_mapped.defvjp(x=_map, f=None, errors=None)
_mapped.name = "map_gradient"


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``f`` without memory: what its rules need is computed again in backward.

    Results and gradients are the same, also of Tensors that `f` reaches through its closure, and
    with dropout inside: generators are set back for the second run.

    Parameters
    ----------
    f : callable
        Its results must depend on its arguments and on what it reaches alone.
    """

    @functools.wraps(f)
    def wrapped(*args: Any, **keywords: Any) -> Any:
        outer = current_mode()
        if not outer.recording:
            return f(*args, **keywords)
        start = next_index()
        generators: dict[int, Any] = {}
        inputs, rebuild_inputs = flatten([args, keywords])
        args, keywords = rebuild_inputs(inputs)  # lists of our own: the user's may change
        held: list[Any] = [
            (None, hold(None, v._value if isinstance(v, Tensor) else v)) for v in inputs
        ]
        with Switch(generators=generators, held=held):
            result = f(*args, **keywords)
        for generator, state in generators.values():
            if outer.generators is not None:
                outer.generators.setdefault(id(generator), (generator, state))
        if outer.held is not None:
            outer.held.extend(held)
        leaves, rebuild = flatten(result)
        places = [
            j
            for j, leaf in enumerate(leaves)
            if isinstance(leaf, Tensor) and leaf._node is not None and leaf._node.index > start
        ]
        parents = _border([leaves[j]._node for j in places], start)
        if not parents:
            return result
        main = Node()
        main.index = next_index()
        main.plan = _Recomputed(f, args, keywords, generators, places)
        main.parents = tuple(parents)
        main.saved = tuple(held)
        main.shape, main.dtype = (len(places),), None
        for number, j in enumerate(places):
            leaves[j] = box(leaves[j]._value, output(main, number, leaves[j]._value))
        return rebuild(leaves)

    return wrapped


def _border(nodes: list[Any], start: int) -> list[Any]:
    """Return the tracked nodes older than `start` that `nodes` were computed from."""
    seen, stack, border = set(nodes), list(nodes), []
    while stack:
        node = stack.pop()
        if node.index < start:
            border.append(node)
            continue
        for parent in node.parents:
            if parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(border, key=lambda node: node.index)


class _Recomputed:
    """The plan of a checkpoint: run the function again, and let backward go through that."""

    unusual = True

    def __init__(
        self, f: Any, args: Any, keywords: Any, generators: dict[int, Any], places: list[int]
    ) -> None:
        self.op = _recompute
        self.operands = ()
        self.call: tuple[Any, ...] = (f, args, keywords)
        self.generators = list(generators.values())
        self.places = places

    def run_again(
        self, node: Node, g: list[Any], leads: set[Any] | None, free: bool
    ) -> list[tuple[Any, Any]]:
        """Record the call for good; return its results' nodes with their cotangents."""
        if node.saved is None:
            raise freed("checkpoint")
        start = next_index()
        f, args, keywords = self.call
        now = [(generator, generator.bit_generator.state) for generator, _ in self.generators]
        try:
            for generator, state in self.generators:
                generator.bit_generator.state = state
            held: list[Any] = []
            with Switch(recording=True, generators=None, held=held):
                leaves, _ = flatten(f(*args, **keywords))
        finally:
            for generator, state in now:
                generator.bit_generator.state = state
        first, second = _arrays(node.saved), _arrays(held)
        if any(array is not first.get(leaf, array) for leaf, array in second.items()):
            raise RuntimeError(
                "the data of a parameter was replaced between a checkpointed function and its "
                "backward, which runs it again: call backward before the optimizer's step"
            )
        if free:
            node.saved = None
            self.call = ()
        for j in self.places:
            if len(leaves) <= j or not isinstance(leaves[j], Tensor) or leaves[j]._node is None:
                raise RuntimeError(
                    "a function under checkpoint returned something else when it was run again: "
                    "its results may depend on its arguments and on what it reaches alone"
                )
        pairs = [
            (leaves[j]._node, gj) for j, gj in zip(self.places, g, strict=True) if gj is not None
        ]
        if leads is not None:
            leading([n for n, _ in pairs], (), start, leads)
        return [(n, gj) for n, gj in pairs if leads is None or n in leads]


def _arrays(held: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """Return the array that each leaf had when it was read."""
    return {leaf: token.array for leaf, token in held if leaf is not None and token}


def _recompute() -> None:
    """Stand for a checkpointed function in drawings."""


_recompute = Op(_recompute)
_recompute.name = "checkpoint"
