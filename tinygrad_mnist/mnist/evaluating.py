"""How well a network does on images that it does not learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_mnist import no_grad, ops

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_mnist.mnist.images import Examples
    from tinygrad_mnist.nn import Module

_CHUNK = 1000  # images at a time: enough for BLAS, and little memory


@dataclass(frozen=True)
class Evaluation:
    """What a network makes of labelled images.

    Attributes
    ----------
    logits : ndarray
        The network's output, float64 of shape ``(N, classes)``.
    labels : ndarray
        What the images show, integers of shape ``(N,)``.
    """

    logits: NDArray[np.float64]
    labels: NDArray[np.intp]

    @property
    def loss(self) -> float:
        """The mean cross-entropy, in nats (the paper's equation 5)."""
        return float(ops.cross_entropy(self.logits, self.labels))

    @property
    def accuracy(self) -> float:
        """The share of images whose likeliest class is right, 0 to 1."""
        return float(np.mean(self.predictions == self.labels))

    @property
    def losses(self) -> NDArray[np.float64]:
        """The cross-entropy of each image, in nats."""
        return -np.log(self.probabilities[np.arange(len(self.labels)), self.labels])

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """What the network thinks: softmax of the logits."""
        probabilities: NDArray[np.float64] = ops.softmax(self.logits)
        return probabilities

    @property
    def predictions(self) -> NDArray[np.intp]:
        """The likeliest class of each image."""
        predictions: NDArray[np.intp] = self.logits.argmax(axis=1)
        return predictions

    @property
    def confusion(self) -> NDArray[np.intp]:
        """How often each class (row) was taken for each class (column)."""
        classes = self.logits.shape[1]
        pairs = self.labels * classes + self.predictions
        return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def evaluate(model: Module, examples: Examples) -> Evaluation:
    """Run a network on labelled images, without dropout and without recording a graph.

    Parameters
    ----------
    model : Module
        Maps rows ``(n, 784)`` to logits ``(n, classes)``. Its mode, training or not, is left as it
        was.
    examples : Examples
        The images and their labels.
    """
    training = model.training
    model.eval()
    try:
        with no_grad():
            logits = [
                model(examples.x[start : start + _CHUNK]).data
                for start in range(0, len(examples.x), _CHUNK)
            ]
    finally:
        model.train(training)
    return Evaluation(np.concatenate(logits).astype(np.float64), examples.labels)
