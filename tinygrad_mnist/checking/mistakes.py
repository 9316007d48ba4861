"""The classical mistakes of backpropagation by hand, each made on purpose and compared.

A gradient is linear in every cotangent on its way. So what a mistake at one call does to all
gradients is known from what it does there: the right gradients, less what came through that call,
and what comes through it with the mistake instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.autograd import vjp
from tinygrad_mnist.checking.backward import Backward
from tinygrad_mnist.graph import unboxed
from tinygrad_mnist.ops.neural import softmax

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tinygrad_mnist.graph import Node

    Array = np.ndarray[Any, Any]

LOSSES = {"cross_entropy", "log_softmax"}  # ops that have a softmax inside
MOST = 200  # calls of a graph; in a larger one no mistakes are tried


@dataclass(frozen=True)
class Mistake:
    """What a cotangent would be behind a call if it were computed in some wrong way.

    Attributes
    ----------
    pattern, sentence : str
    node : Node or Leaf
        Whose cotangent is wrong: an input of the call.
    right, wrong : array
        That cotangent as it comes through the call, and with the mistake.
    free : bool
        Whether any positive multiple of the difference is the same mistake.
    """

    pattern: str
    sentence: str
    node: Any
    right: Array
    wrong: Array
    free: bool = False


def mistakes(backward: Backward, names: Mapping[int, str]) -> Iterator[Mistake]:
    """Yield what may go wrong at each call.

    Parameters
    ----------
    backward : Backward
    names : dict
        Of nodes by their id, as the user calls them.
    """
    if len(backward.calls) > MOST:
        return
    for node, g in backward.calls:
        if isinstance(g, tuple):
            yield from _of_softmax(backward, node, names)
            continue
        for parent in set(node.parents):
            if parent.shape == node.shape and node.parents.count(parent) == 1:
                yield from _of_derivative(backward, node, parent, g, names)
        yield from _of_softmax(backward, node, names)
        yield from _of_order(backward, node, g, names)
        yield from _of_operand(backward, node, g, names)


def _called(node: Node, names: Mapping[int, str]) -> str:
    """Return what a call is named: its op, and its result where that has a name."""
    name = names.get(id(node))
    return f"{node.plan.op.name} (in {name})" if name else str(node.plan.op.name)


def everywhere(backward: Backward, names: Mapping[int, str]) -> Iterator[tuple[str, str, Backward]]:
    """Yield what may go wrong at all calls of an activation alike: pattern, sentence, and result.

    Each call's mistake is made on what comes back through those after it, with theirs.
    """
    ops = [node.plan.op.name for node, _ in backward.calls if _is_activation(node)]
    if len(backward.calls) > MOST:
        return
    for name in {op for op in ops if ops.count(op) > 1}:
        for k, pattern in enumerate(_patterns(backward, name, names)):
            changed = backward
            for node, _ in backward.calls:
                if node.plan.op.name != name:
                    continue
                g = next(g for other, g in changed.calls if other is node)
                parent = node.parents[0]
                made = list(_of_derivative(changed, node, parent, g, {}))
                if k < len(made):
                    instead = (*changed.instead, (parent, made[k].wrong))
                    changed = Backward(changed.loss, instead)
            what = f"the derivative of {name}"
            sentence = pattern.sentence.replace(pattern.sentence.partition(" is ")[0], what, 1)
            yield pattern.pattern, f"{sentence}, everywhere", changed


def _patterns(backward: Backward, name: str, names: Mapping[int, str]) -> list[Mistake]:
    """Return the mistakes that may be made at the first call of an activation."""
    node, g = next(call for call in backward.calls if call[0].plan.op.name == name)
    return list(_of_derivative(backward, node, node.parents[0], g, names))


def _is_activation(node: Node) -> bool:
    return (
        node.plan.op.pointwise and len(node.parents) == 1 and (node.parents[0].shape == node.shape)
    )


def _of_derivative(
    backward: Backward, node: Node, parent: Any, g: Any, names: Mapping[int, str]
) -> Iterator[Mistake]:
    """Yield the derivative of a pointwise call left out, taken twice, or replaced by another."""
    right = backward.onwards(node, g, [parent])[id(parent)]
    if np.array_equal(right, g):
        return
    what = f"the derivative of {_called(node, names)}"
    mask = ", its mask," if node.plan.op.name == "relu" else ""
    yield Mistake("left out", f"{what}{mask} is left out", parent, right, np.asarray(g))
    twice = backward.onwards(node, right, [parent])[id(parent)]
    yield Mistake("twice", f"{what}{mask} is taken twice", parent, right, twice)
    site = getattr(node, "site", None)
    inputs, out = getattr(site, "inputs", None), getattr(site, "out", None)
    if inputs is None or not _is_activation(node):
        return
    z, a = np.asarray(unboxed(inputs[0])), np.asarray(unboxed(out))
    with np.errstate(all="ignore"):
        for text, wrong in _other_derivatives(node, np.asarray(g), z, a):
            if wrong is not None and np.isfinite(wrong).all():
                yield Mistake("derivative", f"{what} is {text}", parent, right, wrong)


def _other_derivatives(
    node: Node, g: Array, z: Array, a: Array
) -> Iterator[tuple[str, Array | None]]:
    """Yield what is taken for the derivative of an activation, of z with the result a."""
    yield "taken at its result, not at its input", _pulled(node, g, [a], 0, {})
    rules, name = node.plan.op.rules, node.plan.op.names[0]
    rule = rules.get(name)
    if rule is not None and rule.place is None and set(rule.names) <= {"out", name}:
        values = [z for _ in rule.names]
        yield "made of its input where its result belongs", rule.call(g, *values)
    yield "replaced by the activation itself", g * a
    yield "replaced by that of sigmoid, a (1 - a)", g * a * (1 - a)
    yield "replaced by that of tanh, 1 - a²", g * (1 - a * a)
    yield "replaced by that of relu, its mask", g * (z > 0)
    yield "replaced by 1 - a", g * (1 - a)
    yield "turned round: it passes where it should not", g * (z <= 0)


def _of_softmax(backward: Backward, node: Node, names: Mapping[int, str]) -> Iterator[Mistake]:
    """Yield what goes wrong before a loss that has a softmax inside."""
    inputs = _inputs_of(node)
    if node.plan.op.name not in LOSSES or inputs is None or len(node.parents) != 1:
        return
    parent = node.parents[0]
    right = backward.cotangent(parent)
    if right is None or right.shape != np.shape(inputs[0]):
        return
    p = softmax(inputs[0])
    where = f" (behind {names[id(parent)]})" if id(parent) in names else ""
    twice = f"the derivative of softmax is taken twice{where}: p - y has it already"
    yield Mistake(
        "softmax twice", twice, parent, right, p * (right - np.sum(right * p, -1, keepdims=True))
    )
    yield Mistake("softmax twice", twice, parent, right, right * p * (1 - p))
    if node.plan.op.name == "cross_entropy":
        count = max(1, p.size // p.shape[-1])
        text = f"the labels are not subtracted from softmax{where}"
        yield Mistake("labels", text, parent, right, p / count)
        with np.errstate(divide="ignore", invalid="ignore"):
            of_p = (right - p / count) / p  # of the loss by the probabilities: -y / p
        text = f"the derivative of softmax is left out{where}: -y / p is that by p alone"
        yield Mistake("softmax left out", text, parent, right, of_p)


def _inputs_of(node: Node) -> Any:
    """Return what a call was given, where that was kept."""
    return getattr(getattr(node, "site", None), "inputs", None)


def _is_product(node: Node) -> bool:
    """Return whether a call may be a product of arrays: of lists, or entry by entry, it is none."""
    return not node.plan.op.pointwise and all(i is None for _, i in node.plan.operands)


def _of_order(
    backward: Backward, node: Node, g: Any, names: Mapping[int, str]
) -> Iterator[Mistake]:
    """Yield a parameter that was updated before backward had come past it."""
    inputs, operands = _inputs_of(node), node.plan.operands
    if inputs is None or not _is_product(node):
        return
    for parameter, (k, _) in zip(node.parents, operands, strict=True):
        if parameter.plan is not None or id(parameter) not in names:
            continue
        step = backward.cotangent(parameter)
        for parent, (j, _) in zip(node.parents, operands, strict=True):
            if j == k or step is None:
                continue
            moved = _pulled(node, g, inputs, j, {k: step})
            still = _pulled(node, g, inputs, j, {k: np.zeros_like(step)})
            if moved is None or still is None or np.array_equal(moved, still):
                continue
            right = backward.onwards(node, g, [parent])[id(parent)]
            name = names[id(parameter)]
            text = (
                f"it was computed when {name} had been updated already, by {{}} times its "
                "gradient: compute all gradients before any step"
            )
            yield Mistake("too late", text, parent, right, right - (moved - still), free=True)


def _of_operand(
    backward: Backward, node: Node, g: Any, names: Mapping[int, str]
) -> Iterator[Mistake]:
    """Yield what went into an activation in the place of what came out of it."""
    inputs, operands = _inputs_of(node), node.plan.operands
    if inputs is None or not _is_product(node):
        return
    for after, (k, _) in zip(node.parents, operands, strict=True):
        if after.plan is None or after.plan.unusual or not _is_activation(after):
            continue
        before = _inputs_of(after)
        if before is None:
            continue
        for parent, (j, _) in zip(node.parents, operands, strict=True):
            wrong = _pulled(node, g, inputs, j, {k: unboxed(before[0])}) if j != k else None
            if wrong is None:
                continue
            right = backward.onwards(node, g, [parent])[id(parent)]
            z = names.get(id(after.parents[0]), f"what goes into {after.plan.op.name}")
            a = names.get(id(after), f"the result of {after.plan.op.name}")
            yield Mistake("operand", f"{z} is used where {a} belongs", parent, right, wrong)


def _pulled(
    node: Node, g: Any, inputs: list[Any], place: int, changed: Mapping[int, Any]
) -> Array | None:
    """Return the gradient of one input of a call, had others been different."""
    op = node.plan.op
    values = [changed.get(k, unboxed(value)) for k, value in enumerate(inputs)]
    try:
        _, pull = vjp(lambda x: op(*values[:place], x, *values[place + 1 :]), values[place])
        gradient: Array = pull(g)[0]
    except (TypeError, ValueError):
        return None
    return gradient
