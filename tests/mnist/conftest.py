"""A data set small enough to train on in a moment, and a run that was trained on it."""

import struct
from pathlib import Path

import pytest

from tinygrad_mnist.mnist import Config, load, train

TRAIN, TEST = 300, 120


def idx(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture(scope="session")
def root():
    """Where another process finds the package and the tests."""
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A folder with the first images of MNIST."""
    folder = tmp_path_factory.mktemp("data")
    for name, count, (images, labels) in zip(("train", "t10k"), (TRAIN, TEST), load(), strict=True):
        (folder / f"{name}-images-idx3-ubyte").write_bytes(idx(images[:count]))
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(idx(labels[:count]))
    return folder


@pytest.fixture(scope="session")
def config(data):
    """A network that learns from it in a moment."""
    return Config(hidden=(16, 8), epochs=2, threads=1, data=str(data))


@pytest.fixture(scope="session")
def run(config, tmp_path_factory):
    """That network, trained; to be looked at, not to be changed."""
    return train(config, out=tmp_path_factory.mktemp("runs") / "run")
