"""A counterexample made simpler: short axes, plain memory, and numbers one would write by hand."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.checking.deciding import Wrong
from tinygrad_mnist.nested import flatten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tinygrad_mnist.checking.report import GradientError
    from tinygrad_mnist.checking.sampling import Call
    from tinygrad_mnist.checking.searching import Found

    Failure = Callable[[Call, int, int], Wrong | GradientError | None]
    Array = np.ndarray[Any, Any]

MOST = 120  # calls that are tried
PLAIN = (1.0, 2.0, -1.0, 0.5, -2.0, 3.0)


def simplified(found: Found, failure: Failure) -> Found:
    """Return a call at which the same check fails, with simpler numbers where there are any."""
    order = found.error.check.order if isinstance(found.error, Wrong) else 2
    _with_plain_seed(found, failure, order)
    tries = 0
    for step in (_shorter, _memory, _whole, _each):
        for arguments in step(found):
            call = replace(found.call, arguments=arguments)
            if tries == MOST or not _inside(call):
                continue
            tries += 1
            try:
                error = failure(call, found.seed, order)
            except Exception:  # noqa: BLE001, S112 - it is no call that can be made
                continue
            if type(error) is type(found.error) and _same_input(error, found.error):
                found.call, found.error = call, error
    return found


def _with_plain_seed(found: Found, failure: Failure, order: int) -> None:
    """Let the check fail with the seed that goes without saying, if it does."""
    try:
        error = failure(found.call, 0, order)
    except Exception:  # noqa: BLE001 - it is no call that can be made
        return
    if type(error) is type(found.error) and _same_input(error, found.error):
        found.seed, found.error = 0, error


def _same_input(error: Any, before: Any) -> bool:
    """Return whether two failures are of one kind: the gradient by the same input."""
    if not isinstance(error, Wrong):
        return True
    names = {e.mismatch().parameter.split("[")[0] for e in (error, before)}
    return len(names) == 1


def _inside(call: Call) -> bool:
    """Return whether all arrays lie in their intervals."""
    return all(
        bool(((low < array) & (array < high)).all())
        for name, (low, high) in call.drawn.items()
        for array in flatten(call.arguments[name])[0]
    )


def _changed(found: Found, change: Callable[[Array], Array]) -> dict[str, Any]:
    """Return the arguments with all drawn arrays changed."""
    arguments = dict(found.call.arguments)
    for name in found.call.drawn:
        arrays, rebuild = flatten(arguments[name])
        arguments[name] = rebuild([change(array) for array in arrays])
    return arguments


def _shorter(found: Found) -> Iterator[dict[str, Any]]:
    """Yield the arguments with all axes of one length cut to a part of it."""
    tried: set[tuple[int, int]] = set()
    while True:
        arrays = [a for name in found.call.drawn for a in flatten(found.call.arguments[name])[0]]
        lengths = sorted({n for array in arrays for n in array.shape if n > 1}, reverse=True)
        ways = [(n, k) for n in lengths for k in range(n) if (n, k) not in tried]
        if not ways:
            return
        tried.add(ways[0])
        length, kept = ways[0]
        yield _changed(found, partial(_cut, length=length, kept=kept))


def _cut(array: Array, length: int, kept: int) -> Array:
    """Return an array with one index alone of every axis of a length."""
    return array[tuple(slice(kept, kept + 1) if n == length else slice(None) for n in array.shape)]


def _memory(found: Found) -> Iterator[dict[str, Any]]:
    """Yield the arguments in float64, and in plain memory."""
    yield _changed(found, lambda array: np.array(array, np.float64, order="C"))
    yield _changed(found, lambda array: np.array(array, order="C"))


def _whole(found: Found) -> Iterator[dict[str, Any]]:
    """Yield the arguments with all their numbers simpler."""
    yield _changed(found, lambda a: (1 + np.arange(a.size)).reshape(a.shape).astype(a.dtype))
    yield _changed(found, np.ones_like)
    for digits in (0, 1, 2, 3):
        yield _changed(found, partial(_rounded, digits=digits))


def _each(found: Found) -> Iterator[dict[str, Any]]:
    """Yield the arguments with one number simpler."""
    for name in found.call.drawn:
        arrays, _ = flatten(found.call.arguments[name])
        for k, array in enumerate(arrays):
            for place in range(array.size):
                old = float(array.flat[place])
                for new in (*PLAIN, *(float(_rounded(np.array(old), n)) for n in (0, 1))):
                    if _length(new) < _length(old):
                        yield _with(found, name, k, place, new)


def _with(found: Found, name: str, k: int, place: int, new: float) -> dict[str, Any]:
    """Return the arguments, as they are by now, with one number replaced."""
    arrays, rebuild = flatten(found.call.arguments[name])
    arrays = list(arrays)
    arrays[k] = arrays[k].copy()
    arrays[k].flat[place] = new
    return {**found.call.arguments, name: rebuild(arrays)}


def _rounded(array: Array, digits: int) -> Array:
    """Return numbers with few significant digits."""
    return np.array([float(f"{v:.{digits}e}") for v in array.ravel()], array.dtype).reshape(
        array.shape
    )


def _length(value: float) -> int:
    """Return how long a number is to write."""
    return len(repr(abs(value))) + (value < 0)
