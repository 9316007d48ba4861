"""Diagnosing a network: why it does not learn, said with cause and remedy."""

from __future__ import annotations

import math
import warnings
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist import ops
from tinygrad_mnist.nn.diagnosis import judging, trying
from tinygrad_mnist.nn.diagnosis.borrowing import borrowed, gradients_apart
from tinygrad_mnist.nn.diagnosis.observing import Batch, Pass, checked, observe
from tinygrad_mnist.nn.diagnosis.report import Diagnosis, Finding, Layer
from tinygrad_mnist.nn.losses import CrossEntropyLoss
from tinygrad_mnist.nn.module import Module
from tinygrad_mnist.optim import Optimizer
from tinygrad_mnist.switches import Switch
from tinygrad_mnist.tensor import raw

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinygrad_mnist.graph import Array
    from tinygrad_mnist.nn.diagnosis.trying import Trial

    Loss = Callable[[Any, Any], Any]

__all__ = ["Diagnosis", "Finding", "Layer", "diagnose"]


def diagnose(
    model: Module,
    batch: tuple[Any, Any],
    *,
    loss: Loss | None = None,
    optimizer: Optimizer | None = None,
) -> Diagnosis:
    """Say why a network does not learn, or will not: findings with cause and remedy.

    One forward and backward pass is watched, and copies of the network are trained for a few
    hundred steps on the batch. Model and optimizer are left as they were: parameters, gradients,
    buffers, generators, mode, and the optimizer's state.

    Parameters
    ----------
    model : Module
        Fresh, or trained.
    batch : tuple of two
        Inputs and labels, arrays of N examples: what training would take, prepared as there. 32
        examples are enough for most of it, some hundreds tell more. A tuple of inputs is for a
        model that takes several.
    loss : callable, optional
        ``loss(model(inputs), labels)`` is one number; by default `ops.cross_entropy`. For that one
        alone are the first loss, what logits look like, and whether labels belong to inputs.
    optimizer : Optimizer, optional
        That of the training, to look at its learning rate and its steps too.

    Returns
    -------
    Diagnosis
        Print it. `findings` has them as data, and `ok` says whether there are none.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If the model has no parameter to learn, the batch is empty or of unequal lengths, or the
        loss is no single number. What `model` and `loss` raise passes through.

    Examples
    --------
    >>> x = np.random.default_rng(0).uniform(0, 255, (64, 20))
    >>> y = (x[:, 0] > x[:, 1]).astype(int)
    >>> [finding.what for finding in diagnose(MLP((20, 16, 2), rng=0), (x, y)).findings]
    ['large inputs', 'large first loss']
    """
    examples = _checked_batch(batch)
    _check_model(model, optimizer)
    loss = ops.cross_entropy if loss is None else loss
    before = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
    generators: dict[int, tuple[Any, Any]] = {}
    switch = Switch(
        recording=True, check=None, watch=None, scopes=None, held=None, generators=generators
    )
    with np.errstate(all="ignore"), warnings.catch_warnings(), switch:
        # it is among the findings
        warnings.filterwarnings("ignore", "cross_entropy was given probabilities")
        try:
            with borrowed(model):
                return _Examination(model, examples, loss, optimizer).run(
                    {n: g for n, g in before.items() if g is not None}
                )
        finally:
            for generator, state in generators.values():
                generator.bit_generator.state = state


class _Examination:
    """The steps of a diagnosis, and what they have found so far."""

    def __init__(
        self, model: Module, batch: Batch, loss: Loss, optimizer: Optimizer | None
    ) -> None:
        self.model = model
        self.batch = batch
        self.loss = loss
        self.optimizer = optimizer
        self.findings: list[Finding] = []
        self.seen = observe(model, batch, loss)
        classes = loss is ops.cross_entropy or isinstance(loss, CrossEntropyLoss)
        self.expected = math.log(np.shape(self.seen.outputs)[-1]) if classes else None
        self.facts: dict[str, Any] = {}
        self.moved: dict[str, float] = {}

    @property
    def healthy(self) -> bool:
        """Whether nothing was found so far that keeps the network from learning."""
        return all(finding.severity != "error" for finding in self.findings)

    def run(self, before: dict[str, Array]) -> Diagnosis:
        self.findings += judging.not_finite(self.model, self.batch, self.seen)
        if self.healthy:
            self._look(before)
            with gradients_apart(self.seen.outside):
                self._try()
        return Diagnosis(
            findings=tuple(self.findings),
            layers=tuple(_layers(self.model, self.seen, self.moved)),
            model=type(self.model).__name__,
            examples=len(self.batch),
            first_loss=self.seen.loss,
            expected_loss=self.expected,
            **self.facts,
        )

    def _look(self, before: dict[str, Array]) -> None:
        """Judge the one pass that was watched."""
        seen, uses = self.seen, self.seen.uses
        self.findings += judging.inputs(uses)
        self.findings += judging.weights(self.model, uses)
        self.findings += judging.units(uses)
        if self.expected is not None:
            self.findings += judging.outputs(seen.outputs)
            self.findings += judging.first_loss(seen.loss, self.expected)
        self.findings += judging.gradients(uses, seen, before, self.healthy)

    def _try(self) -> None:
        """Train copies, and judge what becomes of them."""
        if self.optimizer is not None:
            self.findings += judging.optimizer_of(self.model, self.optimizer)
            own = self._trial(1.0)
            self.moved = own.moved
            if self.healthy:
                self.findings += judging.learning_rate(
                    self.optimizer, self._trial, own, self._scale()
                )
        if any(g is not None for g in self.seen.gradients.values()):
            self._learn()

    def _learn(self) -> None:
        scale = self._scale()
        enough = judging.BY_HEART * scale
        lowest, steps, few = trying.by_heart(self.model, self.batch, self.loss, enough)
        self.facts |= {"learned_loss": lowest, "learned_steps": steps, "learned_examples": few}
        if self.expected is None and lowest < 0.9 * self.seen.loss:
            return  # it falls; how far a loss of the user's own can fall is not known
        stuck = list(judging.by_heart(lowest, steps, few, enough))
        self.findings += stuck
        if self.expected is not None and self.healthy:
            self._relate()

    def _relate(self) -> None:
        """Ask whether labels can be told from inputs."""
        counts = np.unique(self.batch.targets, return_counts=True)[1]
        if len(self.batch) < judging.FEWEST or len(counts) < 2:
            return
        chance = float(np.sum((counts / counts.sum()) ** 2))
        right, total = trying.held_out(self.model, self.batch, self.loss)
        self.facts |= {"related": right / total, "related_by_chance": chance}
        self.findings += judging.labels(right, total, chance)

    def _trial(self, factor: float) -> Trial:
        assert self.optimizer is not None
        return trying.steps_with(self.model, self.batch, self.loss, self.optimizer, factor)

    def _scale(self) -> float:
        """Return the loss of predictions that know nothing of the targets."""
        if self.expected is not None:
            return self.expected
        mixed = np.roll(np.arange(len(self.batch)), 1)
        unrelated = checked(self.loss(self.model(*self.batch.inputs), self.batch.targets[mixed]))
        return max(abs(unrelated), abs(self.seen.loss))


def _layers(model: Module, seen: Pass, moved: dict[str, float]) -> list[Layer]:
    arrays = {name: p.data for name, p in model.named_parameters()}
    layers = []
    for use, after in zip_longest(seen.uses, seen.uses[1:]):
        weight, g = arrays[use.weight], seen.gradients.get(use.weight)
        size = float(np.linalg.norm(weight))
        norm = None if g is None else float(np.linalg.norm(g))
        dead = None
        if after is not None:
            dead = float(np.mean((judging.rows_of_units(after.entered) == 0).all(axis=0)))
        layers.append(
            Layer(
                name=use.name,
                weight=use.weight,
                input_mean=float(use.entered.mean()),
                input_std=float(use.entered.std()),
                output_mean=float(use.left.mean()),
                output_std=float(use.left.std()),
                dead=dead,
                gain=judging.gain_of(weight, use),
                gradient=norm,
                gradient_ratio=norm / size if norm is not None and size else None,
                update_ratio=moved.get(use.weight),
            )
        )
    return layers


def _checked_batch(batch: Any) -> Batch:
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise TypeError(
            "diagnose takes a batch as a pair, (inputs, labels); got "
            + (f"{len(batch)} parts" if isinstance(batch, (tuple, list)) else type(batch).__name__)
        )
    inputs, targets = batch
    several = inputs if isinstance(inputs, tuple) else (inputs,)
    arrays = [_array(x) for x in (*several, targets)]
    lengths = [len(x) if x.ndim else 0 for x in arrays]
    if len(set(lengths)) > 1 or not lengths[0]:
        raise ValueError(
            "diagnose takes inputs and labels of as many examples, at least one; got "
            f"{', '.join(map(str, lengths))}"
        )
    return Batch(tuple(arrays[:-1]), arrays[-1])


def _array(x: Any) -> Array:
    x = raw(x)
    return x if hasattr(x, "dtype") else np.asarray(x)


def _check_model(model: Any, optimizer: Any) -> None:
    if not isinstance(model, Module):
        raise TypeError(f"diagnose takes an nn.Module; got {type(model).__name__}")
    if not any(p.requires_grad for p in model.parameters()):
        raise ValueError(
            f"{type(model).__name__} has no parameter that requires a gradient: there is nothing "
            "to learn"
        )
    if optimizer is not None and not isinstance(optimizer, Optimizer):
        raise TypeError(f"diagnose takes an optimizer of optim; got {type(optimizer).__name__}")
