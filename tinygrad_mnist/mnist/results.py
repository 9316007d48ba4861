"""What a run leaves to look at: graph and diagnosis first; numbers, pictures, report at its end."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

from tinygrad_mnist import ops
from tinygrad_mnist.mnist.evaluating import evaluate
from tinygrad_mnist.mnist.models import PIXELS
from tinygrad_mnist.mnist.runs import (
    CONFUSION,
    CURVES,
    DIAGNOSIS,
    GRAPH,
    GRAPH_SOURCE,
    MISTAKES,
    REPORT,
    WEIGHTS,
)
from tinygrad_mnist.mnist.training import best_epoch
from tinygrad_mnist.nn import diagnose

if TYPE_CHECKING:
    import numpy as np

    from tinygrad_mnist.mnist.evaluating import Evaluation
    from tinygrad_mnist.mnist.images import DataSet
    from tinygrad_mnist.mnist.progress import Progress
    from tinygrad_mnist.mnist.runs import Run
    from tinygrad_mnist.mnist.training import Training
    from tinygrad_mnist.nn import Module


_EXAMINED = 256  # images that a diagnosis looks at


def draw_graph(run: Run, training: Training, progress: Progress) -> None:
    """Draw the first step's graph; a machine that can't render it gets its source."""
    from tinygrad_mnist.drawing import NoRenderer, draw

    if (run.folder / GRAPH).exists():
        return
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


def write_diagnosis(run: Run, training: Training, progress: Progress) -> None:
    """Look for what may keep the network from learning, before the first step."""
    examples = training.examples.take(slice(_EXAMINED))
    diagnosis = diagnose(training.model, examples, optimizer=training.optimizer)
    run.write(DIAGNOSIS, f"{diagnosis}\n".encode())
    progress.say(f"{diagnosis}\n")


def finish(run: Run, training: Training, data: DataSet) -> None:
    """Look at the test images, and write and draw what came out in the end.

    Raises
    ------
    InputError
        If the loss is not finite.
    """
    evaluation = evaluate(training.model, data.test)
    training.check(evaluation.loss)
    results = {
        "loss": evaluation.loss,
        "accuracy": evaluation.accuracy,
        "epochs": len(training.history),
        "seconds": round(sum(epoch.seconds for epoch in training.history), 3),
    }
    if best := best_epoch(training.history):
        results["best_epoch"] = best.epoch
    run.save_results(results)
    _draw(run, training, data, evaluation)


def _draw(run: Run, training: Training, data: DataSet, evaluation: Evaluation) -> None:
    from tinygrad_mnist.mnist import pictures, report

    names = run.config.class_names
    run.write(CURVES, pictures.curves(training.history))
    run.write(CONFUSION, pictures.confusion(evaluation.confusion, names))
    run.write(WEIGHTS, pictures.weights(_first_weights(training.model)))
    run.write(MISTAKES, pictures.mistakes(data.test.x, evaluation, names))
    run.write(REPORT, report.render(run))


def _first_weights(model: Module) -> np.ndarray[Any, Any]:
    """Return the weights of the first layer, of shape ``(784, units)``."""
    return next(p.data for p in model.parameters() if p.ndim == 2 and p.shape[0] == PIXELS)
