"""Borrowing a model: whatever is done to it inside, it is afterwards as it was."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tinygrad_mnist.graph import Leaf
from tinygrad_mnist.nn.layers import Dropout

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tinygrad_mnist.nn.module import Module
    from tinygrad_mnist.optim import Optimizer
    from tinygrad_mnist.tensor import Tensor


@contextmanager
def borrowed(model: Module, others: Iterable[Tensor] = ()) -> Iterator[None]:
    """Let a model be changed: its own arrays and objects are put aside, and put back at the end.

    Inside, parameters have copies of their arrays and no gradients; generators, buffers and
    containers are copies; modules behave as in training, but for dropout, which is off. `others`
    are Tensors outside the model that an optimizer changes.
    """
    modules = model.modules()
    tensors = list({id(t): t for t in (*model.parameters(), *others)}.values())
    attributes = [(module, dict(vars(module))) for module in modules]
    slots = [(t, t._value, t._node) for t in tensors]
    same: dict[int, Any] = {id(part): part for part in (*modules, *tensors)}
    try:
        for module, own in attributes:
            vars(module).update({name: _copied(value, same) for name, value in own.items()})
            module.training = not isinstance(module, Dropout)
        for t, value, node in slots:
            t._value = value.copy()
            t._node = None if node is None else Leaf(t._value, node.name)
        yield
    finally:
        for module, own in attributes:
            vars(module).clear()
            vars(module).update(own)
        for t, value, node in slots:
            t._value, t._node = value, node


def _copied(value: Any, same: dict[int, Any]) -> Any:
    """Return a deep copy in which `same` are not copied; what can't be copied is shared."""
    try:
        return copy.deepcopy(value, same)
    except Exception:  # noqa: BLE001 - a file, a lock, whatever a user keeps in a module
        return value


def twin(optimizer: Optimizer, factor: float = 1.0) -> Optimizer:
    """Return a copy of an optimizer for the same Tensors, its learning rate times `factor`."""
    other = copy.deepcopy(optimizer, {id(t): t for t in optimizer.parameters})
    other.lr = optimizer.lr * factor
    other.accumulate = True  # it has nothing to warn of
    return other


@contextmanager
def gradients_apart(leaves: Iterable[Leaf]) -> Iterator[None]:
    """Let backward write gradients to leaves that are not the model's, and forget them."""
    kept = [(leaf, leaf.grad, leaf.used) for leaf in leaves]
    for leaf, _, _ in kept:
        leaf.grad = None
    try:
        yield
    finally:
        for leaf, grad, used in kept:
            leaf.grad, leaf.used = grad, used
