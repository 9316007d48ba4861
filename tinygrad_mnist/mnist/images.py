"""Images as the network sees them: rows of float32 from 0 (paper) to 1 (ink), with their labels."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_mnist.mnist.errors import InputError
from tinygrad_mnist.mnist.idx import load

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from tinygrad_mnist.mnist.config import Config
    from tinygrad_mnist.mnist.idx import Split

_VALIDATION_SEED = 28  # any number, but always the same: runs are compared on the same images


class Examples(NamedTuple):
    """Images as rows, float32 of shape ``(N, 784)``, and their labels, integers ``(N,)``."""

    x: NDArray[np.float32]
    labels: NDArray[np.intp]

    def take(self, index: Any) -> Examples:
        """Return the images at `index`, an array of positions or a slice."""
        return Examples(self.x[index], self.labels[index])


class DataSet(NamedTuple):
    """What a run learns from, what it is watched on, and what it is judged by at the end.

    The checksum is that of all files' images and labels.
    """

    train: Examples
    validation: Examples | None
    test: Examples
    checksum: str


def as_rows(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return images ``(N, 28, 28)``, 0 to 255, as rows ``(N, 784)``, 0 to 1."""
    rows = images.reshape(len(images), -1).astype(np.float32)
    rows /= np.float32(255)
    return rows


def load_examples(config: Config) -> DataSet:
    """Load the data set of a run, with its validation images set aside.

    Raises
    ------
    InputError
        If the data set can't be read, or has too few images to set so many aside.
    """
    try:
        splits = load(config.data, classes=len(config.class_names))
    except (OSError, ValueError) as error:
        raise InputError(str(error)) from error
    train, test = map(_examples, splits)
    checksum = _checksum(splits)
    if not config.validation:
        return DataSet(train, None, test, checksum)
    count = len(train.x) - config.validation
    if count < 1:
        raise InputError(
            f"validation is {config.validation}, and there are {len(train.x)} training images: "
            f"leave some to learn from"
        )
    order = np.random.default_rng(_VALIDATION_SEED).permutation(len(train.x))
    return DataSet(train.take(order[:count]), train.take(order[count:]), test, checksum)


def _examples(split: Split) -> Examples:
    images, labels = split
    return Examples(as_rows(images), labels.astype(np.intp))


def _checksum(splits: Iterable[Split]) -> str:
    checksum = 0
    for split in splits:
        for array in split:
            checksum = zlib.crc32(array.data, checksum)
    return f"{checksum:08x}"
