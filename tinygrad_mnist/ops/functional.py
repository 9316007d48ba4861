"""Functions that call a function for each entry, each vector or each axis of an array."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tinygrad_mnist.graph import Box, unboxed
from tinygrad_mnist.ops.composing import arrayed
from tinygrad_mnist.ops.shape import astype
from tinygrad_mnist.protocols import implements

if TYPE_CHECKING:
    from collections.abc import Callable


@implements(np.apply_along_axis)
def apply_along_axis(
    func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any
) -> Any:
    """Return what a function makes of each vector along an axis, in that axis's place."""
    arr = arrayed(arr)
    axis = normalize_axis_index(axis, arr.ndim)
    vectors = np.moveaxis(arr, axis, -1)
    lead = vectors.shape[:-1]
    if 0 in lead:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    results = [arrayed(func1d(vectors[k], *args, **kwargs)) for k in np.ndindex(lead)]
    stacked = np.reshape(np.stack(results), (*lead, *results[0].shape))
    new = range(len(lead), stacked.ndim)
    return np.moveaxis(stacked, tuple(new), tuple(k - len(lead) + axis for k in new))


@implements(np.apply_over_axes)
def apply_over_axes(func: Callable[..., Any], a: Any, axes: Any) -> Any:
    """Call ``func(a, axis)`` for axis after axis; an axis that it reduces stays with length 1."""
    a = arrayed(a)
    for axis in np.atleast_1d(axes):
        axis = int(axis) % a.ndim  # noqa: PLW2901
        result = func(a, axis)
        if result.ndim != a.ndim:
            result = np.expand_dims(result, axis)
            if result.ndim != a.ndim:
                raise ValueError("function is not returning an array of the correct shape")
        a = result
    return a


class vectorize(np.vectorize):  # noqa: N801 - NumPy's name
    """A function of numbers, as a function of arrays that calls it for each entry.

    Takes what ``np.vectorize`` takes, which lets no Tensor through. Here results for Tensors are
    Tensors, recorded call by call.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function for each entry, or for each array that the signature says."""
        if not any(isinstance(value, Box) for value in (*args, *kwargs.values())):
            return super().__call__(*args, **kwargs)
        looped = [k for k in range(len(args)) if k not in self.excluded]
        names = [name for name in kwargs if name not in self.excluded]
        values = [arrayed(v) for v in (*(args[k] for k in looped), *(kwargs[n] for n in names))]
        ranks = _core_ranks(self.signature, len(values))
        shapes = [v.shape[: v.ndim - rank] for v, rank in zip(values, ranks, strict=True)]
        lead = np.broadcast_shapes(*shapes)
        if 0 in lead:
            raise ValueError("cannot call `vectorize` on size 0 inputs")
        spread = [
            np.broadcast_to(v, (*lead, *v.shape[len(shape) :]))
            for v, shape in zip(values, shapes, strict=True)
        ]

        def call(index: Any, arrays: list[Any]) -> Any:
            entries = [array[index] for array in arrays]
            every: list[Any] = list(args)
            for k, entry in zip(looped, entries, strict=False):
                every[k] = entry
            return self.pyfunc(
                *every, **{**kwargs, **dict(zip(names, entries[len(looped) :], strict=True))}
            )

        first = call((0,) * len(lead), spread)
        several = isinstance(first, tuple)
        dtypes = self._dtypes(first if several else (first,))
        if self.signature is None:  # NumPy passes Python's floats
            narrow = (np.float16, np.float32)
            spread = [astype(v, np.float64) if v.dtype in narrow else v for v in spread]
        results = [call(index, spread) for index in np.ndindex(lead)]
        columns = zip(*results, strict=True) if several else [results]
        outputs = tuple(
            _joined(column, lead, dtype) for column, dtype in zip(columns, dtypes, strict=True)
        )
        return outputs if several else outputs[0]

    def _dtypes(self, first: tuple[Any, ...]) -> list[Any]:
        """Return the dtype of each result: those asked for, or those of the first call's."""
        if self.otypes is not None:
            return list(self.otypes)
        return [arrayed(result).dtype for result in first]


def _core_ranks(signature: str | None, n: int) -> list[int]:
    """Return how many axes of each argument the function takes at once."""
    if signature is None:
        return [0] * n
    groups = re.findall(r"\(([^)]*)\)", signature.split("->")[0])
    return [len([name for name in group.split(",") if name.strip()]) for group in groups]


def _joined(column: Any, lead: tuple[int, ...], dtype: Any) -> Any:
    """Return the results of all calls as one array."""
    results = [arrayed(result) for result in column]
    joined = np.reshape(np.stack(results), (*lead, *results[0].shape))
    return joined if unboxed(joined).dtype == dtype else astype(joined, dtype)
