"""The application: MNIST, and a network trained on it."""

from tinygrad_mnist.mnist.config import Config
from tinygrad_mnist.mnist.errors import InputError
from tinygrad_mnist.mnist.evaluating import Evaluation, evaluate
from tinygrad_mnist.mnist.idx import load, load_idx
from tinygrad_mnist.mnist.images import Examples, load_examples
from tinygrad_mnist.mnist.interrupting import Interrupted
from tinygrad_mnist.mnist.loop import resume, train
from tinygrad_mnist.mnist.runs import Run

__all__ = [
    "Config",
    "Evaluation",
    "Examples",
    "InputError",
    "Interrupted",
    "Run",
    "evaluate",
    "load",
    "load_examples",
    "load_idx",
    "resume",
    "train",
]
