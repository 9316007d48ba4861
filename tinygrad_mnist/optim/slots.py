"""What an optimizer keeps for each parameter: running means, a count, and room to compute in."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinygrad_mnist.graph import Array
    from tinygrad_mnist.tensor import Tensor


class Slot:
    """What an optimizer keeps for one parameter: arrays, a count, and room to compute in."""

    __slots__ = ("data", "kept", "lr", "parameter", "rate", "scratch", "spare", "steps")
    rate: Any  # the learning rate as an array of no axis: a product takes 0.2 us less
    lr: float | None  # the number that it was made of
    scratch: Array
    spare: Array

    def __init__(self, parameter: Tensor, buffers: Iterable[str]) -> None:
        self.parameter = parameter
        self.data = parameter.data  # for which the arrays below have the right shape and dtype
        self.kept: dict[str, Array] = {name: np.zeros_like(parameter.data) for name in buffers}
        self.steps = 0
        self.lr = None

    def refit(self, data: Array) -> None:
        """Follow a parameter that was given another array, perhaps of another dtype."""
        if data.shape != self.scratch.shape:
            raise ValueError(
                f"a parameter of shape {self.scratch.shape} was given data of shape {data.shape} "
                "since its optimizer was made: make a new optimizer"
            )
        self.data = data
        if data.dtype == self.scratch.dtype:
            return
        self.scratch, self.spare = np.empty_like(data), np.empty_like(data)
        self.lr = None
        self.kept = {name: array.astype(data.dtype) for name, array in self.kept.items()}

    def flush(self) -> None:
        """Set to 0 what has faded to almost nothing in the running means of gradients.

        An entry whose gradient has become 0, such as the weight of a pixel that no image of late
        has lit, fades towards 0, and rounding stops it at a subnormal number, with which processors
        are several times slower. Below `_faded` it changes no parameter but one that is as small.
        """
        for name in _FADING & self.kept.keys():
            limit = _faded(self.kept[name].dtype)
            if limit:
                kept = self.kept[name]
                np.multiply(kept, np.abs(kept, out=self.scratch) >= limit, out=kept)


FLUSH_STEPS = 64  # in which momentum 0.9 makes a number 1,000 times smaller: none gets past unseen
_FADING = {"momentum_buffer", "exp_avg", "grad_avg"}  # not mean squares: they are small by nature


@functools.cache
def _faded(dtype: np.dtype[Any]) -> float:
    """Return below what a number is 0 for all purposes: 1e-31 for float32, 0 for float16."""
    info = np.finfo(dtype)
    return float(info.tiny / info.eps) if info.bits > 16 else 0.0


def share_scratch(slots: list[Slot]) -> None:
    """Give parameters of one dtype the same two arrays to compute in: little, so in the cache."""
    groups: dict[Any, list[Slot]] = {}
    for slot in slots:
        data = slot.parameter.data
        groups.setdefault((type(data), data.dtype), []).append(slot)
    for group in groups.values():
        most = max(slot.parameter.size for slot in group)
        scratch, spare = (np.empty_like(group[0].parameter.data, shape=most) for _ in range(2))
        for slot in group:
            size, shape = slot.parameter.size, slot.parameter.shape
            slot.scratch, slot.spare = scratch[:size].reshape(shape), spare[:size].reshape(shape)
