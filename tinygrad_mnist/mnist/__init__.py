"""The application: MNIST, and a network trained on it."""

from tinygrad_mnist.mnist.idx import load, load_idx

__all__ = ["load", "load_idx"]
