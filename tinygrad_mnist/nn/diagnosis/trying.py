"""Short trainings of a borrowed model: does it learn, and what, and how long are its steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_mnist.nn.diagnosis.borrowing import borrowed, twin
from tinygrad_mnist.nn.diagnosis.observing import checked
from tinygrad_mnist.optim import Adam
from tinygrad_mnist.tensor import raw

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinygrad_mnist.nn.diagnosis.observing import Batch
    from tinygrad_mnist.nn.module import Module
    from tinygrad_mnist.optim import Optimizer

    Loss = Callable[[Any, Any], Any]

BY_HEART = 32  # examples to learn by heart
BY_HEART_STEPS = 200
FOLDS = 8
FOLD_STEPS = 60
RELATED = 256  # examples to ask whether labels belong to inputs
RATE_STEPS = 20
_RATES = (0.003, 0.03, 0.0003)  # of Adam: one of them suits nearly every network


class Trial(NamedTuple):
    """A few steps on one batch with one learning rate."""

    factor: float  # of the user's learning rate
    start: float
    end: float  # the mean of the last losses; infinite if one was not finite
    peak: float
    moved: dict[str, float]  # |change of a step| / |weight|, the median over steps


def losses(
    model: Module,
    batch: Batch,
    loss: Loss,
    optimizer: Optimizer,
    steps: int,
    enough: float,
    look: Callable[[], None] = lambda: None,
) -> list[float]:
    """Train on one batch; return the loss before each step, and at the end.

    Stop when the loss is `enough`, or not finite. `look` is called before each step and at the end.
    """
    found = []
    for _ in range(steps):
        look()
        value = loss(model(*batch.inputs), batch.targets)
        found.append(checked(value))
        if not math.isfinite(found[-1]) or found[-1] <= enough or not value.requires_grad:
            return found
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    look()
    found.append(checked(loss(model(*batch.inputs), batch.targets)))
    return found


def by_heart(model: Module, batch: Batch, loss: Loss, enough: float) -> tuple[float, int, int]:
    """Learn a few examples by heart; return the lowest loss, the number of steps and examples."""
    size = sum(p.size for p in model.parameters() if p.requires_grad)
    width = max(1, raw(model(*batch.inputs)).size // len(batch))
    # as many as the network has room for: half as many results as numbers to set
    few = batch.take(slice(max(1, min(BY_HEART, len(batch), size // (2 * width)))))
    best, steps = math.inf, 0
    for rate in _RATES:
        with borrowed(model):
            run = losses(model, few, loss, _adam(model, rate), BY_HEART_STEPS, enough)
        if min(run) < best:
            best, steps = min(run), len(run) - 1
        if best <= enough:
            break
    return best, steps, len(few)


def held_out(model: Module, batch: Batch, loss: Loss) -> tuple[int, int]:
    """Learn part of the batch and name the labels of the rest, by turns; return right and all."""
    order = np.random.default_rng(0).permutation(len(batch))[:RELATED]
    right = total = 0
    for fold in np.array_split(order, FOLDS):
        others = np.setdiff1d(order, fold)
        with borrowed(model):
            rate = _RATES[0]
            losses(model, batch.take(others), loss, _adam(model, rate), FOLD_STEPS, 0.0)
            named = raw(model(*batch.take(fold).inputs)).argmax(axis=-1)
        right += int(np.count_nonzero(named == batch.targets[fold]))
        total += named.size
    return right, total


def steps_with(
    model: Module, batch: Batch, loss: Loss, optimizer: Optimizer, factor: float
) -> Trial:
    """Make a few steps as the user's optimizer would, its learning rate times `factor`."""
    few = batch.take(slice(RELATED))
    weights = {name: p for name, p in model.named_parameters() if p.ndim >= 2}
    before: dict[str, Any] = {}
    ratios: dict[str, list[float]] = {}

    def measure() -> None:
        for name, p in weights.items():
            if size := np.linalg.norm(before.get(name, 0.0)):
                moved = np.linalg.norm(p._value - before[name]) / size
                ratios.setdefault(name, []).append(float(moved))
            before[name] = p._value.copy()

    with borrowed(model, optimizer.parameters):
        run = losses(model, few, loss, twin(optimizer, factor), RATE_STEPS, -math.inf, measure)
    finite = all(map(math.isfinite, run))
    return Trial(
        factor=factor,
        start=run[0],
        end=float(np.mean(run[-3:])) if finite else math.inf,
        peak=max(run) if finite else math.inf,
        moved={name: float(np.median(some)) for name, some in ratios.items()},
    )


def _adam(model: Module, rate: float) -> Optimizer:
    return Adam([p for p in model.parameters() if p.requires_grad], lr=rate)
