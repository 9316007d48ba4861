"""Judging what was measured: each finding with its plain cause and its remedy."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.nn.diagnosis.report import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tinygrad_mnist.graph import Array
    from tinygrad_mnist.nn.diagnosis.observing import Batch, Pass, Use
    from tinygrad_mnist.nn.diagnosis.trying import Trial
    from tinygrad_mnist.nn.module import Module
    from tinygrad_mnist.optim import Optimizer

# Where healthy networks of many sizes, activations and seeds, before and after training, lie well
# inside, and those broken on purpose well outside: tests/nn/diagnosis holds both.
_LARGE_INPUT = 10.0  # root mean square
_LARGE_GAIN = 6.0  # He's initialisation has 1.4, and training makes it 2 or 3
_SMALL_GAIN = 0.05
_LARGE_LOSS = 2.0  # above ln C
_FADED = 1e-4  # the first layer's gradient, in entries of the last one's
_SMALL_STEP = 3e-4  # update / weight
BY_HEART = 0.1  # of the loss of a network that knows nothing
FEWEST = 48  # examples from which to tell whether labels belong to inputs


def not_finite(model: Module, batch: Batch, seen: Pass) -> Iterator[Finding]:
    """Find NaN and infinity: beside them nothing else can be measured."""
    say = "{} of {} numbers are NaN or infinite."
    for x in batch.inputs:
        if bad := _bad(x):
            yield Finding(
                "not finite", "inputs", bad, say.format(bad, np.size(x)),
                "The data has missing or broken entries.",
                "Look at the examples that hold them, and repair or leave them out.",
            )  # fmt: skip
    for name, p in model.named_parameters():
        if bad := _bad(p.data):
            yield Finding(
                "not finite", name, bad, say.format(bad, p.size),
                "An earlier step was too large, or had a gradient that was not finite.",
                "Build the model anew, with a learning rate ten times smaller; train under "
                "detect_anomaly() to see where the first one comes from.",
            )  # fmt: skip
    if seen.not_finite:
        yield Finding(
            "not finite", seen.not_finite, math.nan,
            f"{seen.not_finite} makes NaN or infinity of finite numbers.",
            "A logarithm or root of 0 or less, a division by 0, or numbers that overflow.",
            "Run it under detect_anomaly(), which names the line; ops.log_softmax, ops.logsumexp "
            "and ops.cross_entropy don't overflow.",
        )  # fmt: skip
    if not math.isfinite(seen.loss):
        return
    for name, g in seen.gradients.items():
        if g is not None and (bad := _bad(g)):
            yield Finding(
                "not finite", f"gradient of {name}", bad, say.format(bad, g.size),
                "A derivative that is infinite at this point, or an op's rule that is wrong.",
                "Run backward under detect_anomaly(), which names the op; gradcheck a rule of "
                "your own.",
            )  # fmt: skip
            return


def _bad(x: Any) -> int:
    """Return how many numbers of an array are not finite."""
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
        return 0
    return int(x.size - np.count_nonzero(np.isfinite(x)))


def inputs(uses: Sequence[Use]) -> Iterator[Finding]:
    """Find numbers that are far from 1."""
    if not uses:
        return
    x = np.asarray(uses[0].entered, float)
    size = float(np.sqrt(np.mean(x * x)))
    if size > _LARGE_INPUT:
        low, high = float(x.min()), float(x.max())
        pixels = low >= 0 and high <= 255
        yield Finding(
            "large inputs", f"inputs of {uses[0].name}", size,
            f"What meets the first weights lies between {low:.4g} and {high:.4g}, {size:.3g} in "
            "the root mean square.",
            "Pixels from 0 to 255 were not divided by 255." if pixels else
            "The inputs are not scaled; weights are drawn for numbers of about 1.",
            "Divide by 255, for training and use alike: x.astype(np.float32) / 255." if pixels else
            "Subtract the mean of the training data and divide by its standard deviation.",
        )  # fmt: skip


def weights(model: Module, uses: Sequence[Use]) -> Iterator[Finding]:
    """Find weights that are all the same, too large or too small."""
    arrays = {name: p.data for name, p in model.named_parameters()}
    last = uses[-1].weight if uses else ""
    for use in {use.weight: use for use in uses}.values():
        weight = np.asarray(arrays[use.weight])
        gain = gain_of(weight, use)
        if np.ptp(weight) == 0:
            if use.weight == last:
                continue  # its units get different gradients: they meet different inputs
            value = float(weight.flat[0])
            yield Finding(
                "equal weights" if value else "zero weights", use.weight, value,
                f"All {weight.size:,} entries are {value:g}.",
                "Units with equal weights compute the same and get the same gradient: the layer "
                "is one unit, or nothing passes.",
                'Draw weights at random, with init="he" or "glorot"; only biases start at 0.',
            )  # fmt: skip
        elif gain > _LARGE_GAIN:
            yield Finding(
                "large weights", use.weight, gain,
                f"Weights are {weight.std():.3g} in the standard deviation; each result is a sum "
                f"of {use.fan_in}, and so about {gain:.3g} times as large as its inputs.",
                "The weights were not scaled to the number of inputs: logits start far too large, "
                "sigmoid and tanh saturate.",
                f"Draw them with variance 2 / fan_in, here a standard deviation of "
                f'{math.sqrt(2 / use.fan_in):.2g}: nn.Linear(..., init="he").',
            )  # fmt: skip
        elif gain < _SMALL_GAIN and use.weight != last:
            yield Finding(
                "small weights", use.weight, gain,
                f"Weights are {weight.std():.3g} in the standard deviation; each result is a sum "
                f"of {use.fan_in}, and so about {gain:.2g} times as large as its inputs.",
                "The weights were drawn too small: the signal fades from layer to layer, and so "
                "does the gradient.",
                f"Draw them with variance 2 / fan_in, here a standard deviation of "
                f'{math.sqrt(2 / use.fan_in):.2g}: nn.Linear(..., init="he").',
            )  # fmt: skip


def gain_of(weight: Array, use: Use) -> float:
    """Return by what factor a weight enlarges inputs that are independent."""
    return float(np.sqrt(np.mean(np.square(weight, dtype=float)) * use.fan_in))


def units(uses: Sequence[Use]) -> Iterator[Finding]:
    """Find layers most of whose units say the same for every example."""
    for use, after in pairwise(uses):
        table = rows_of_units(after.entered)
        rows, count = table.shape
        # at the start half of the units may be off for a whole batch, by chance a little more
        many = min(1.0, 0.5 + 1.5 / math.sqrt(count)) if rows >= 16 else 1.0
        dead = float(np.mean((table == 0).all(axis=0)))
        stuck = float(np.mean(np.ptp(table, axis=0) <= 1e-6 * np.abs(table).max(axis=0))) - dead
        if rows >= 8 and dead >= many:
            yield Finding(
                "dead units", use.name, dead,
                f"{dead:.0%} of {count} units are 0 for all {rows} examples.",
                "Their inputs to ReLU are negative for every example, so no gradient reaches "
                "them: a step that was too large, or large negative biases.",
                "Lower the learning rate and build the model anew; biases start at 0; or use "
                "leaky_relu.",
            )  # fmt: skip
        elif rows >= 8 and stuck >= many:
            yield Finding(
                "saturated units", use.name, stuck,
                f"{stuck:.0%} of {count} units give the same number for all {rows} examples.",
                "Their activation is flat where its inputs lie, so no gradient passes: inputs, "
                "weights or biases are too large, or the layer before says always the same.",
                'Scale the inputs, draw weights with init="glorot", start biases at 0.',
            )  # fmt: skip


def rows_of_units(x: Array) -> Array:
    """Return what units said as a table with a column for each; images have a unit per channel."""
    x = np.moveaxis(x, 1, -1) if x.ndim == 4 else x
    return x.reshape(-1, x.shape[-1])


def outputs(logits: Any) -> Iterator[Finding]:
    """Find results that are no logits: softmax or another activation was applied to them."""
    z = np.asarray(logits, float)
    if np.ptp(z) == 0:
        return
    if (z >= 0).all() and np.allclose(z.sum(axis=-1), 1, atol=1e-3):
        yield Finding(
            "softmax twice", "outputs", float(z.max()),
            "Each row of the model's output is non-negative and sums to 1.",
            "The model ends in softmax, and cross_entropy applies it again: the loss can't fall "
            "below that of a nearly even guess.",
            "Return logits: leave softmax out of forward, and apply ops.softmax to show "
            "probabilities.",
        )  # fmt: skip
    elif z.size >= 20 and (z >= 0).all() and np.mean(z == 0) > 0.1:
        yield Finding(
            "activation on outputs", "outputs", float(np.mean(z == 0)),
            f"No logit is negative, and {np.mean(z == 0):.0%} are exactly 0.",
            "ReLU was applied to the last layer: it can't vote against a class.",
            "Return what the last linear layer gives.",
        )  # fmt: skip
    elif z.size >= 20 and (z > 0).all() and (z < 1).all():
        yield Finding(
            "activation on outputs", "outputs", float(z.max()),
            "All logits lie between 0 and 1.",
            "A sigmoid was applied to the last layer: the loss can't come near 0.",
            "Return what the last linear layer gives.",
        )  # fmt: skip


def first_loss(loss: float, expected: float) -> Iterator[Finding]:
    """Find a network that is sure of wrong answers."""
    if loss > expected + _LARGE_LOSS:
        yield Finding(
            "large first loss", "loss", loss,
            f"The loss is {loss:.4g}; a network that knows nothing and knows that has "
            f"ln C = {expected:.3f}.",
            "It is sure of wrong answers. Before training: inputs or weights are too large. After "
            "training: these labels do not belong to these inputs, or the inputs were prepared "
            "otherwise than in training.",
            "See to large inputs and weights first; then compare some examples with their labels "
            "by eye.",
            "warning",
        )  # fmt: skip


def gradients(
    uses: Sequence[Use], seen: Pass, before: dict[str, Array], healthy: bool
) -> Iterator[Finding]:
    """Find gradients that do not arrive, fade, grow, or were there before."""
    yield from _missing(seen)
    if seen.outside:
        yield Finding(
            "parameters outside the model", "model", len(seen.outside),
            f"The loss depends on {len(seen.outside)} Tensors that require a gradient and are not "
            "among model.parameters().",
            "They are no attributes of a module, nor in its lists, tuples and dicts, so an "
            "optimizer of model.parameters() leaves them as they are.",
            "Keep them as attributes; or make them constants with requires_grad=False.",
            "warning",
        )  # fmt: skip
    sizes = [_size(seen.gradients.get(use.weight)) for use in uses]
    if healthy and len(sizes) > 1 and sizes[0] > 0 and sizes[-1] > 0:
        ratio = sizes[0] / sizes[-1]
        measured = (
            f"An entry of the gradient of {uses[0].weight} is {ratio:.1g} times that of "
            f"{uses[-1].weight}."
        )
        if ratio < _FADED:
            yield Finding(
                "vanishing gradient", uses[0].name, ratio, measured,
                "Each layer on the way back makes the gradient smaller: saturating activations, "
                "or weights that are too small.",
                'Use relu with init="he", or fewer layers.',
                "warning",
            )  # fmt: skip
        if ratio > 0.1 / _FADED:
            yield Finding(
                "exploding gradient", uses[0].name, ratio, measured,
                "Each layer on the way back makes the gradient larger: weights are too large.",
                'Draw weights with init="he" or "glorot"; clip gradients with '
                "optim.clip_grad_norm.",
                "warning",
            )  # fmt: skip
    yield from _left_over(seen, before)


def _missing(seen: Pass) -> Iterator[Finding]:
    missing = [name for name, g in seen.gradients.items() if g is None]
    if missing:
        every = len(missing) == len(seen.gradients)
        yield Finding(
            "no gradient", _some(missing), len(missing),
            f"No gradient reaches {len(missing)} of {len(seen.gradients)} parameters.",
            "The loss is computed from plain arrays (.data, .detach(), no_grad, argmax)."
            if every else
            "forward does not use them, or passes on a plain array (.data, .detach(), argmax).",
            "Compute with Tensors from the parameter to the loss; draw(loss) shows where the "
            "graph ends.",
            "error" if every else "warning",
        )  # fmt: skip


def _left_over(seen: Pass, before: dict[str, Array]) -> Iterator[Finding]:
    """Find gradients of several passes, lying there before this one."""
    pairs = [(before[n].ravel(), g.ravel()) for n, g in seen.gradients.items()
             if g is not None and n in before]  # fmt: skip
    if not pairs:
        return
    old, new = (np.concatenate(parts).astype(float) for parts in zip(*pairs, strict=True))
    size, size_old = float(np.linalg.norm(new)), float(np.linalg.norm(old))
    if size and size_old > 1.9 * size and old @ new > 0.9 * size * size_old:
        yield Finding(
            "gradients not cleared", "gradients", size_old / size,
            f"The gradients that lie in .grad point where this batch's point, and are "
            f"{size_old / size:.3g} times as large.",
            "backward() adds to .grad, and several calls have added up.",
            "Call optimizer.zero_grad(), or set .grad = None, before each backward(). If they add "
            "up on purpose, divide the loss by the number of batches.",
            "warning",
        )  # fmt: skip


def _size(g: Array | None) -> float:
    return 0.0 if g is None else float(np.sqrt(np.mean(np.square(g, dtype=float))))


def optimizer_of(model: Module, optimizer: Optimizer) -> Iterator[Finding]:
    """Find an optimizer that changes something else, or met gradients twice."""
    held = {id(p) for p in optimizer.parameters}
    left = [n for n, p in model.named_parameters() if p.requires_grad and id(p) not in held]
    if left:
        every = not held & {id(p) for p in model.parameters()}
        yield Finding(
            "parameters not optimized", _some(left), len(left),
            f"{'None' if every else 'Some'} of the model's parameters "
            f"{'is' if every else 'are not'} among the optimizer's.",
            "The optimizer was made for another model, or before layers were added or replaced.",
            "Make it anew: optim.SGD(model.parameters(), lr=...).",
            "error" if every else "warning",
        )  # fmt: skip
    if optimizer.uncleared:
        yield Finding(
            "gradients not cleared", "optimizer", optimizer.uncleared,
            "A step met gradients that an earlier step had used already.",
            "backward() adds to .grad: each step moves along the sum of all gradients so far.",
            "Call optimizer.zero_grad() before each backward().",
        )  # fmt: skip


def learning_rate(
    optimizer: Optimizer, try_factor: Callable[[float], Trial], own: Trial, scale: float
) -> Iterator[Finding]:
    """Find a learning rate at which the loss does not fall, while it does at another."""
    lr, fall = optimizer.lr, own.start - own.end
    ratios = list(own.moved.values())
    moved = f" Steps move weights by {np.median(ratios):.1g} of their size;" if ratios else ""
    moved += " about 0.001 is usual." if moved else ""
    measured = f"With lr = {lr:g} the loss goes from {own.start:.3g} to {own.end:.3g}"
    size = abs(own.start)
    leaps = own.peak > own.start + 0.5 * size and own.peak > 0.9 * scale
    left = size > 0.2 * scale  # to learn
    if leaps or (left and fall < 0.1 * size):
        best = _best(try_factor, 0.1, 0.01, 0.001)
        if leaps or own.start - best.end > max(0.2 * size, 4 * fall):
            yield Finding(
                "learning rate too large", "optimizer", lr,
                f"{measured}, and up to {own.peak:.3g} between; with {lr * best.factor:g} it goes "
                f"to {best.end:.3g}.{moved}",
                "Steps are so long that they leap over the valley.",
                f"Try lr = {lr * best.factor:g}.",
            )  # fmt: skip
            return
    slow = fall < 0.05 * size or (ratios and np.median(ratios) < _SMALL_STEP)
    if left and fall < 0.15 * size and slow:
        best = _best(try_factor, 10.0, 100.0, 1000.0)
        if own.start - best.end > 0.5 * size:
            yield Finding(
                "learning rate too small", "optimizer", lr,
                f"{measured}; with {lr * best.factor:g} it goes to {best.end:.3g}.{moved}",
                "Steps are so short that training takes forever.",
                f"Try lr = {lr * best.factor:g}, or a third of it.",
            )  # fmt: skip
        elif not lr:
            yield Finding(
                "learning rate too small", "optimizer", lr, "lr is 0.",
                "A schedule has reached its end, or lr was set to 0.",
                "Set optimizer.lr, or make a new schedule.",
            )  # fmt: skip


def _best(try_factor: Callable[[float], Trial], *factors: float) -> Trial:
    return min(map(try_factor, factors), key=lambda trial: trial.end)


def by_heart(loss: float, steps: int, examples: int, enough: float) -> Iterator[Finding]:
    """Find a network that can't learn a few examples by heart."""
    if loss > enough:
        yield Finding(
            "does not learn by heart", "model", loss,
            f"On {examples} examples, the loss is still {loss:.3g} after {steps} steps of Adam.",
            "What is said above, if anything is. Else: a wrong gradient, a graph that is cut, an "
            "activation on the outputs, examples that are equal but have different labels, or a "
            "network that is too small or too deep.",
            "gradcheck your own ops, look at draw(model, x), and start from nn.MLP.",
        )  # fmt: skip


def labels(right: int, total: int, chance: float) -> Iterator[Finding]:
    """Find labels that have nothing to do with the inputs."""
    spread = math.sqrt(chance * (1 - chance) / total)
    if right / total <= chance + 2.5 * spread:
        yield Finding(
            "labels unrelated to inputs", "labels", right / total,
            f"A copy that learned part of the batch names {right} of the {total} other labels "
            f"right; {chance * total:.0f} would be chance.",
            "Labels and inputs were shuffled apart, or sorted differently; or this task can't be "
            "learned from so few examples.",
            "Shuffle both with one permutation: x[order], y[order]; look at examples beside their "
            "labels; then diagnose a larger batch.",
            "warning",
        )  # fmt: skip


def _some(names: Sequence[str]) -> str:
    return ", ".join([*names[:3], *(["…"] if len(names) > 3 else [])])
