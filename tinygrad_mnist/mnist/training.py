"""Training: a network on its way, step by step, and its whole state as plain arrays and numbers."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist import ops, optim
from tinygrad_mnist.mnist.augmenting import augment
from tinygrad_mnist.mnist.config import OPTIMIZERS
from tinygrad_mnist.mnist.errors import InputError
from tinygrad_mnist.mnist.models import build_model
from tinygrad_mnist.mnist.runs import Epoch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tinygrad_mnist.mnist.config import Config
    from tinygrad_mnist.mnist.evaluating import Evaluation
    from tinygrad_mnist.mnist.images import Examples

    State = dict[str, Any]

_NORM_STEPS = 64  # between two looks at the gradients' norm, which costs as much as a layer


class Training:
    """A training between two steps: all that decides what the next step will do.

    Parameters
    ----------
    config : Config
        What to train, and how.
    examples : Examples
        What to learn from.

    Attributes
    ----------
    model, optimizer, schedule
        What a step changes.
    shuffle, warp : Generator
        What the order of the images and their augmentation come from; masks of dropout come from
        the model's own.
    epoch : int
        The number of the present epoch, from 1; 0 before the first.
    order : ndarray
        The order of the images in this epoch.
    position : int
        How many of them were learned from.
    history : list of Epoch
        The epochs that are over.
    best : dict or None
        The parameters after the epoch that did best on the validation images, if there are any.
    """

    def __init__(self, config: Config, examples: Examples) -> None:
        seeds = np.random.SeedSequence(config.seed).spawn(3)
        parameters, self.shuffle, self.warp = (np.random.default_rng(seed) for seed in seeds)
        self.config = config
        self.examples = examples
        self.model = build_model(config, parameters)
        settings: dict[str, Any] = {
            name: getattr(config, name) for name in OPTIMIZERS[config.optimizer]
        }
        self.optimizer = _OPTIMIZERS[config.optimizer](self.model.parameters(), **settings)
        self.schedule = _schedule(config, self.optimizer, config.epochs * self.steps_per_epoch)
        self.epoch = 0
        self.order = np.arange(0)
        self.history: list[Epoch] = []
        self.best: dict[str, np.ndarray[Any, Any]] | None = None
        self._start_sums()

    def _start_sums(self) -> None:
        self.position = 0
        self._lr = self.optimizer.lr
        self._loss = 0.0
        self._right = 0
        self._norms: list[float] = []
        self._began = time.perf_counter()

    @property
    def steps_per_epoch(self) -> int:
        """How many batches an epoch has; the last one may be smaller."""
        return -(-len(self.examples.x) // self.config.batch_size)

    @property
    def in_epoch(self) -> bool:
        """Whether images of the present epoch are left."""
        return self.position < len(self.order)

    @property
    def loss(self) -> float:
        """The mean loss of the images of this epoch, each as the network was at its step."""
        return self._loss / max(self.position, 1)

    @property
    def accuracy(self) -> float:
        """The share of them that the network got right at their step, 0 to 1."""
        return self._right / max(self.position, 1)

    @property
    def seconds(self) -> float:
        """How long this epoch has taken so far."""
        return time.perf_counter() - self._began

    def start_epoch(self) -> None:
        """Shuffle the images anew."""
        self.epoch += 1
        self.order = self.shuffle.permutation(len(self.examples.x))
        self._start_sums()

    def step(self) -> None:
        """Learn from the next batch.

        Raises
        ------
        InputError
            If the loss is not finite any more: the learning rate was too large.
        """
        rows = self.order[self.position : self.position + self.config.batch_size]
        images, labels = self.examples.x.take(rows, axis=0), self.examples.labels[rows]
        if self.config.augment:
            images = augment(images, self.warp)
        logits = self.model(images)
        loss = ops.cross_entropy(logits, labels)
        value = loss.item()
        self.check(value)
        loss.backward()
        if self.position % (_NORM_STEPS * self.config.batch_size) == 0:
            self._norms.append(_norm(self.optimizer.parameters))
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.schedule.step()
        self.position += len(rows)
        self._loss += value * len(rows)
        self._right += int(np.count_nonzero(logits.data.argmax(axis=1) == labels))

    def check(self, loss: float) -> None:
        """Raise `InputError` if a loss is not finite."""
        if not math.isfinite(loss):
            lr = self.schedule.base_lr
            raise InputError(
                f"the loss became {loss} in epoch {self.epoch}, after {self.position:,} images: "
                f"the learning rate {lr:g} is too large; try {lr / 10:g}"
            )

    def end_epoch(self, validation: Evaluation | None, test: Evaluation | None) -> Epoch:
        """Add this epoch to the history, with how well the network does by now.

        Raises
        ------
        InputError
            If a loss is not finite.
        """
        seconds = self.seconds
        measured: dict[str, float] = {}
        for name, evaluation in (("validation", validation), ("test", test)):
            if evaluation is not None:
                self.check(evaluation.loss)
                measured[f"{name}_loss"] = evaluation.loss
                measured[f"{name}_accuracy"] = evaluation.accuracy
        epoch = Epoch(
            epoch=self.epoch,
            train_loss=self.loss,
            train_accuracy=self.accuracy,
            **measured,
            lr=self._lr,
            gradient_norm=sum(self._norms) / len(self._norms),
            seconds=round(seconds, 3),
        )
        self.history.append(epoch)
        if validation is not None and best_epoch(self.history) is epoch:
            self.best = self.model.state_dict()
        return epoch

    # The whole state

    def state_dict(self) -> State:
        """Return all that going on needs: arrays, and values that JSON can hold."""
        state: State = {
            "config": self.config.to_dict(),
            "epoch": self.epoch,
            "order": self.order.astype(np.int32),
            "position": self.position,
            "lr": self._lr,
            "loss": self._loss,
            "right": self._right,
            "norms": list(self._norms),
            "seconds": self.seconds,
            "history": [asdict(epoch) for epoch in self.history],
            "generators": {
                name: generator.bit_generator.state for name, generator in self._generators()
            },
        }
        parts = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        parts |= {"schedule": self.schedule.state_dict(), "best": self.best or {}}
        for part, values in parts.items():
            state |= {f"{part}.{name}": value for name, value in values.items()}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` returned.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is not the state of a training like this one.
        """
        order = state["order"].astype(np.intp)
        if not np.array_equal(np.sort(order), np.arange(len(self.examples.x) * (order.size > 0))):
            raise ValueError("its order of images is none of these images")
        history = [Epoch(**epoch) for epoch in state["history"]]
        epoch, position = int(state["epoch"]), int(state["position"])
        if not (0 <= position <= len(order) and len(history) <= epoch <= len(history) + 1):
            raise ValueError("its epoch and position do not fit its order and history")
        self.model.load_state_dict(_part(state, "model"))
        self.optimizer.load_state_dict(_part(state, "optimizer"))
        self.schedule.load_state_dict(_part(state, "schedule"))
        for name, generator in self._generators():
            generator.bit_generator.state = state["generators"][name]
        self.best = _part(state, "best") or None
        self.history = history
        self.epoch, self.order, self.position = epoch, order, position
        self._lr, self._loss, self._right = state["lr"], state["loss"], state["right"]
        self._norms = list(state["norms"])
        self._began = time.perf_counter() - state["seconds"]

    def _generators(self) -> Iterable[tuple[str, np.random.Generator]]:
        yield "shuffle", self.shuffle
        yield "warp", self.warp
        for name, generator in self.model.generators():
            yield f"model.{name}", generator


def _part(state: Mapping[str, Any], part: str) -> State:
    """Return what stands under one name of a state."""
    prefix = f"{part}."
    return {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}


def best_epoch(history: Iterable[Epoch]) -> Epoch | None:
    """Return the first of the epochs with the highest validation accuracy; None without any."""
    measured = [epoch for epoch in history if epoch.validation_accuracy is not None]
    return max(measured, key=lambda epoch: epoch.validation_accuracy or 0.0, default=None)


def _norm(parameters: Iterable[Any]) -> float:
    """Return the Euclidean norm of all gradients, as one vector."""
    return math.sqrt(sum(float(np.vdot(p.grad, p.grad)) for p in parameters if p.grad is not None))


_OPTIMIZERS: dict[str, type[optim.Optimizer]] = {
    "sgd": optim.SGD,
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "rmsprop": optim.RMSprop,
}


def _schedule(config: Config, optimizer: optim.Optimizer, steps: int) -> optim.Schedule:
    if config.schedule == "cosine":
        return optim.CosineLR(optimizer, steps)
    return optim.Schedule(optimizer)
