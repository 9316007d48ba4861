"""One forward and backward pass, watched: what goes into each layer's weights and comes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_mnist.nn.diagnosis.borrowing import gradients_apart
from tinygrad_mnist.switches import Switch
from tinygrad_mnist.tensor import Tensor, raw

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinygrad_mnist.graph import Array, Leaf
    from tinygrad_mnist.nn.module import Module
    from tinygrad_mnist.operation import Op

# a weight is used as itself after these
_REARRANGING = {"astype", "copy", "moveaxis", "reshape", "swapaxes", "transpose"}


class Batch(NamedTuple):
    """Examples: what the model is called with, and what the loss compares its result with."""

    inputs: tuple[Any, ...]
    targets: Any

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, rows: Any) -> Batch:
        """Return some examples."""
        return Batch(tuple(x[rows] for x in self.inputs), self.targets[rows])


@dataclass
class Use:
    """One use of a weight: what it was applied to, and what came of it."""

    name: str  # of the layer
    weight: str  # the parameter's path
    entered: Array
    left: Array
    fan_in: int  # how many products each result is the sum of


@dataclass
class Pass:
    """What one forward and backward pass showed."""

    uses: list[Use] = field(default_factory=list)
    outputs: Any = None
    loss: float = np.nan
    not_finite: str = ""  # the first op that made NaN or infinity of finite numbers
    gradients: dict[str, Array | None] = field(default_factory=dict)
    outside: list[Leaf] = field(default_factory=list)  # leaves that are not the model's


def observe(model: Module, batch: Batch, loss: Callable[[Any, Any], Any]) -> Pass:
    """Call a borrowed model, and look at every op on the way; then at the gradients."""
    seen = Pass()
    watcher = _Watcher(model, seen)
    with Switch(check=watcher):
        outputs = model(*batch.inputs)
        value = loss(outputs, batch.targets)
    seen.outputs = raw(outputs)
    seen.loss = checked(value)
    if isinstance(value, Tensor) and value.requires_grad:
        own = {p._node for p in model.parameters()}
        seen.outside = [leaf for leaf in _leaves(value) if leaf not in own]
        with gradients_apart(seen.outside):
            value.backward()
    seen.gradients = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
    return seen


def checked(loss: Any) -> float:
    """Return a loss as a number; refuse anything else."""
    if np.size(loss) != 1:
        raise ValueError(
            f"diagnose needs a loss that is one number; it has the shape {np.shape(loss)}: take "
            "its mean"
        )
    return float(raw(loss).item() if hasattr(raw(loss), "item") else loss)


class _Watcher:
    """Is told of every op while a model is called, as `graph.Mode.check`."""

    def __init__(self, model: Module, seen: Pass) -> None:
        self.seen = seen
        self.names = {id(p._value): n for n, p in model.named_parameters()}
        self.owners = [name for name, _ in model.named_modules()]
        self.alive: list[Any] = [p._value for p in model.parameters()]  # so that ids stay theirs

    def __call__(self, op: Op, inputs: list[Any], out: Any) -> str:
        out = out[0] if isinstance(out, tuple) else out
        arrays = [x for x in inputs if isinstance(x, np.ndarray) and x.dtype.kind in "fiu"]
        weights = [x for x in arrays if id(x) in self.names]
        data = [x for x in arrays if id(x) not in self.names]
        if weights and not data and op.name in _REARRANGING:
            self.names[id(out)] = self.names[id(weights[0])]
            self.alive.append(out)
        elif weights and data and isinstance(out, np.ndarray):
            self._weighted(op, weights, data, out, arrays)
        if not self.seen.not_finite and not _finite(out) and all(map(_finite, arrays)):
            where = f" in {self.seen.uses[-1].name}" if self.seen.uses else ""
            self.seen.not_finite = f"{op.name}{where}"
        return ""

    def _weighted(
        self, op: Op, weights: list[Array], data: list[Array], out: Array, arrays: list[Array]
    ) -> None:
        uses = self.seen.uses
        if op.pointwise or weights[0].ndim < 2:
            if uses and data[0] is uses[-1].left:
                uses[-1].left = out  # a bias belongs to its layer
            return
        weight, name = weights[0], self.names[id(weights[0])]
        if weight.ndim > 2:
            fan_in = weight.size // len(weight)  # convolutions: (out, in, height, width)
        else:
            fan_in = weight.shape[1] if arrays[0] is weight else weight.shape[0]
        uses.append(Use(self._layer(name), name, data[0], out, fan_in))

    def _layer(self, path: str) -> str:
        """Return the module that a parameter belongs to, or its own name in the outermost."""
        owner = path
        while owner not in self.owners:
            owner = owner.rpartition(".")[0]
        return owner or path


def _finite(x: Any) -> bool:
    return not isinstance(x, np.ndarray) or x.dtype.kind != "f" or bool(np.isfinite(x).all())


def _leaves(value: Tensor) -> list[Leaf]:
    """Return every leaf that a Tensor was computed from."""
    seen, stack = {value._node}, [value._node]
    leaves = []
    while stack:
        node = stack.pop()
        if node.plan is None:
            leaves.append(node)
        for parent in node.parents:
            if parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return leaves
