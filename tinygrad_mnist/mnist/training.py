"""Training: step by step, and `train`, which does all steps and leaves a folder."""

from __future__ import annotations

import math
import subprocess
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist import ops, optim
from tinygrad_mnist.mnist import environment
from tinygrad_mnist.mnist.config import OPTIMIZERS, Config
from tinygrad_mnist.mnist.errors import InputError
from tinygrad_mnist.mnist.evaluating import evaluate
from tinygrad_mnist.mnist.images import load_examples
from tinygrad_mnist.mnist.models import PIXELS, build_model
from tinygrad_mnist.mnist.progress import Progress
from tinygrad_mnist.mnist.runs import CONFUSION, CURVES, GRAPH, GRAPH_SOURCE, WEIGHTS, Epoch, Run

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from tinygrad_mnist.mnist.images import DataSet, Examples
    from tinygrad_mnist.nn import Module


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
    shuffle : Generator
        What the order of the images comes from; masks of dropout come from the model's own.
    epoch : int
        The number of the present epoch, from 1; 0 before the first.
    order : ndarray
        The order of the images in this epoch.
    position : int
        How many of them were learned from.
    """

    def __init__(self, config: Config, examples: Examples) -> None:
        seeds = np.random.SeedSequence(config.seed).spawn(2)
        parameters, self.shuffle = (np.random.default_rng(seed) for seed in seeds)
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
        self._start_sums()

    def _start_sums(self) -> None:
        self.position = 0
        self._loss = 0.0
        self._right = 0
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
        labels = self.examples.labels[rows]
        logits = self.model(self.examples.x[rows])
        loss = ops.cross_entropy(logits, labels)
        value = loss.item()
        self.check(value)
        loss.backward()
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


def train(
    config: Config | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Train a network, and leave a folder with all that is to be known of it.

    All that could go wrong for reasons outside is tried before the first step. After each epoch
    `metrics.csv` and `model.safetensors` are as it left them; the pictures are drawn at the end.

    Parameters
    ----------
    config : Config, optional
        What to train, and how.
    out : path, optional
        The folder; by default a fresh one in `runs`, named after date and time.
    force : bool, optional
        Whether to write into a folder that exists, and replace the run in it.
    progress : Progress, optional
        What tells the user how it goes; by default nothing does.

    Returns
    -------
    Run
        The folder.

    Raises
    ------
    InputError
        If the data or the folder can't be used, or the learning rate was too large.
    """
    import tinygrad_mnist.mnist.pictures  # noqa: F401 - else its absence shows at the end

    config = Config() if config is None else config
    progress = Progress() if progress is None else progress
    data = load_examples(config)
    # a network that diverges is known by its loss, and needs no warnings besides
    with np.errstate(over="ignore", invalid="ignore"):
        threads = config.threads or _faster_threads(config, data.train, progress)
        with environment.blas_threads(threads):
            run = Run.create(config, environment.describe() | {"threads": threads}, out, force)
            training = Training(config, data.train)
            progress.begin(run, training)
            _draw_graph(run, training, progress)
            epochs = _run_epochs(run, training, data, progress)
            _finish(run, training.model, data, epochs)
    return run


def _run_epochs(run: Run, training: Training, data: DataSet, progress: Progress) -> list[Epoch]:
    epochs: list[Epoch] = []
    while training.epoch < run.config.epochs:
        epochs.append(_run_epoch(training, data, progress))
        run.save_epochs(epochs)
        run.save_model(training.model)
        progress.end_epoch(epochs[-1])
    return epochs


def _run_epoch(training: Training, data: DataSet, progress: Progress) -> Epoch:
    """Learn from every image once, then look at the images set aside, or else the test images."""
    lr = training.optimizer.lr
    training.start_epoch()
    while training.in_epoch:
        training.step()
        progress.step(training)
    seconds = training.seconds
    watched = evaluate(training.model, data.validation or data.test)
    training.check(watched.loss)
    name = "validation" if data.validation else "test"
    return Epoch(
        epoch=training.epoch,
        train_loss=training.loss,
        train_accuracy=training.accuracy,
        **{f"{name}_loss": watched.loss, f"{name}_accuracy": watched.accuracy},
        lr=lr,
        seconds=round(seconds, 3),
    )


def _finish(run: Run, model: Module, data: DataSet, epochs: Sequence[Epoch]) -> None:
    """Write what came out in the end, and draw it."""
    from tinygrad_mnist.mnist import pictures

    evaluation = evaluate(model, data.test)
    run.save_results(
        {
            "loss": evaluation.loss,
            "accuracy": evaluation.accuracy,
            "epochs": len(epochs),
            "seconds": round(sum(epoch.seconds for epoch in epochs), 3),
        }
    )
    run.write(CURVES, pictures.curves(epochs))
    run.write(CONFUSION, pictures.confusion(evaluation.confusion))
    run.write(WEIGHTS, pictures.weights(_first_weights(model)))


def _first_weights(model: Module) -> np.ndarray[Any, Any]:
    """Return the weights of the first layer, of shape ``(784, units)``."""
    return next(p.data for p in model.parameters() if p.ndim == 2 and p.shape[0] == PIXELS)


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


def _faster_threads(config: Config, examples: Examples, progress: Progress) -> int:
    """Try the first steps of the run, on a network that is thrown away."""
    if environment.most_threads() == 1:
        return 1
    trial = Training(config, examples)

    def step() -> None:
        if not trial.in_epoch:
            trial.start_epoch()
        trial.step()

    speeds = environment.thread_speeds(step)
    faster, slower = sorted(speeds, key=lambda threads: -speeds[threads])
    progress.say(
        f"BLAS threads: {faster}, which makes {speeds[faster]:,.0f} steps per second here; "
        f"{slower} made {speeds[slower]:,.0f}"
    )
    return faster


def _draw_graph(run: Run, training: Training, progress: Progress) -> None:
    """Draw the first step's graph; a machine that can't render it gets its source."""
    from tinygrad_mnist.drawing import NoRenderer, draw

    examples = training.examples.take(slice(training.config.batch_size))

    def compute_loss(images: Any, labels: Any) -> Any:
        loss = ops.cross_entropy(training.model(images), labels)
        loss.name = "loss"
        return loss

    picture = draw(compute_loss, *examples)
    try:
        run.write(GRAPH, picture.pipe("svg"))
    except (NoRenderer, subprocess.CalledProcessError) as error:
        run.write(GRAPH_SOURCE, picture.source.encode())
        progress.say(f"No {GRAPH}, but {GRAPH_SOURCE}: {error}")
