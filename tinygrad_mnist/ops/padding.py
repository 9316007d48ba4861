"""Padding: an array with a margin around it, in each of NumPy's modes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.operation import op
from tinygrad_mnist.ops.creation import array as as_array
from tinygrad_mnist.ops.indexing import along
from tinygrad_mnist.protocols import implements

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinygrad_mnist.graph import Array

    Widths = tuple[tuple[int, int], ...]  # before and after, along each axis


def _pairs(value: Any, ndim: int) -> Any:
    """Return a value before and a value after, for each axis; NumPy takes fewer for the same."""
    if value is None:
        return [(None, None)] * ndim
    value = as_array(value, copy=None)
    return np.broadcast_to(value if value.ndim < 2 or value.size > 1 else value.ravel(), (ndim, 2))


def _widths(pad_width: Any, ndim: int) -> Widths:
    if isinstance(pad_width, dict):
        given = {axis % ndim: _pairs(width, 1)[0] for axis, width in pad_width.items()}
        pad_width = [given.get(axis, (0, 0)) for axis in range(ndim)]
    pairs = _pairs(pad_width, ndim)
    if pairs.dtype.kind != "i":
        raise TypeError(f"pad_width is {pad_width!r}; it must hold integers")
    if (pairs < 0).any():
        raise ValueError(f"pad_width is {pad_width!r}; it can't be negative")
    return tuple((int(before), int(after)) for before, after in pairs)


# A margin of constants --------------------------------------------------------------------------


def _inside(widths: Widths, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return where the array is in the padded one."""
    pairs = zip(widths, shape, strict=True)
    return tuple(slice(before, n - after) for (before, after), n in pairs)


def _margins(g: Any, widths: Widths) -> Any:
    """Return the sum of `g` over each margin: axis by axis, the later cover the corners."""
    inside = _inside(widths, g.shape)
    sums = [
        np.sum(g[(*[slice(None)] * axis, margin, *inside[axis + 1 :])])
        for axis, ((before, after), n) in enumerate(zip(widths, g.shape, strict=True))
        for margin in (slice(before), slice(n - after, n))
    ]
    return np.reshape(np.stack(sums), (g.ndim, 2)) if sums else np.zeros_like(g, shape=(0, 2))


@op(
    cases=(
        {"widths": ((1, 2),), "shapes": "(n),(1,2)"},
        {"widths": ((0, 1), (2, 0)), "shapes": "(n,m),(2,2)"},
    )
)
def pad_with_constants(array: Array, constant_values: Array, widths: Widths) -> Array:
    """Return an array with margins of given widths, filled with values of the same layout."""
    return np.pad(array, widths, constant_values=constant_values)


pad_with_constants.defvjp(
    array=lambda g, widths: g[_inside(widths, g.shape)],
    constant_values=_margins,
    widths=None,
)

# A margin made of the array: of each axis, what stands before it and after it ---------------------


def _take(array: Any, places: Any, axis: int) -> Any:
    return array[along(axis, array.ndim, places)]


def _repeats(array: Any, axis: int, widths: tuple[int, int], mode: str) -> Any:
    """Return an axis that goes on as the edge, a reflection, or from the other end."""
    return _take(array, np.pad(np.arange(array.shape[axis]), widths, mode=mode), axis)  # type: ignore[call-overload]


def _odd(array: Any, axis: int, widths: tuple[int, int], mode: str) -> Any:
    """Return an axis that is reflected at the point of its edge, as often as it takes."""
    before, after = widths
    edge = int(mode == "symmetric")  # whether the edge itself is reflected too
    period = array.shape[axis] - 1 + edge
    if not period:
        return _repeats(array, axis, widths, "edge")
    while before > 0 or after > 0:
        n = array.shape[axis]
        reach = (n - 1 + edge) // period * period
        parts = [array]
        if before > 0:
            near = np.arange(min(reach, before)) + 1 - edge
            parts.insert(0, 2 * _take(array, slice(1), axis) - _take(array, near[::-1], axis))
        if after > 0:
            near = n - 2 + edge - np.arange(min(reach, after))
            parts.append(2 * _take(array, slice(n - 1, n), axis) - _take(array, near, axis))
        array = np.concatenate(parts, axis)
        before, after = before - reach, after - reach
    return array


def _ramps(array: Any, axis: int, widths: tuple[int, int], ends: Any) -> Any:
    """Return an axis with straight lines from the given ends to its edges."""
    edges = (_take(array, 0, axis), _take(array, -1, axis))
    before, after = (
        np.linspace(end, edge, width, endpoint=False, dtype=array.dtype, axis=axis)
        for end, edge, width in zip(ends, edges, widths, strict=True)
    )
    return np.concatenate([before, array, np.flip(after, axis)], axis)


def _statistics(
    array: Any, axis: int, widths: tuple[int, int], lengths: Any, statistic: Callable[..., Any]
) -> Any:
    """Return an axis with a statistic of all its entries, or of some near the edge, around it."""
    n = array.shape[axis]
    first, last = (n if length is None else min(int(length), n) for length in lengths)
    parts = [array]
    if widths[0]:
        before = statistic(_take(array, slice(first), axis), axis=axis, keepdims=True)
        parts.insert(0, np.repeat(before, widths[0], axis))
    if widths[1]:
        after = statistic(_take(array, slice(n - last, n), axis), axis=axis, keepdims=True)
        parts.append(np.repeat(after, widths[1], axis))
    return np.concatenate(parts, axis)


_STATISTICS: dict[str, Callable[..., Any]] = {
    "maximum": np.max,
    "mean": np.mean,
    "median": np.median,
    "minimum": np.min,
}
_OPTIONS = {  # of each mode: the only option that it has
    "constant": "constant_values",
    "edge": "",
    "empty": "",
    "linear_ramp": "end_values",
    **dict.fromkeys(_STATISTICS, "stat_length"),
    "reflect": "reflect_type",
    "symmetric": "reflect_type",
    "wrap": "",
}


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **options: Any) -> Any:
    """Return an array with margins around it, which a mode says how to fill."""
    if callable(mode):
        raise TypeError(
            "np.pad of a Tensor takes no function as mode, for it would write in place: use one of "
            f"{', '.join(_OPTIONS)}, or np.concatenate"
        )
    if mode not in _OPTIONS or set(options) - {_OPTIONS[mode]}:
        raise ValueError(
            f"np.pad got mode={mode!r} with {', '.join(options) or 'no options'}; the modes are "
            f"{', '.join(_OPTIONS)}, and this one takes {_OPTIONS.get(mode) or 'nothing'}"
        )
    if not np.ndim(array):
        return np.copy(array)
    option = options.get(_OPTIONS[mode])
    widths = _widths(pad_width, np.ndim(array))
    if mode in {"constant", "empty"}:
        values = _pairs(0 if option is None else option, array.ndim).astype(array.dtype)
        return pad_with_constants(array, values, widths)
    for axis, pair in enumerate(widths):
        if not any(pair):
            continue
        if not array.shape[axis]:
            raise ValueError(f"np.pad can't extend the empty axis {axis} in mode {mode!r}")
        if mode == "linear_ramp":
            ends = as_array(0 if option is None else option)
            if ends.size > 2 and array.dtype.kind == "f":  # NumPy makes Python's numbers of them
                ends = ends.astype(array.dtype)
            array = _ramps(array, axis, pair, _pairs(ends, array.ndim)[axis])
        elif mode in _STATISTICS:
            lengths = _pairs(option, array.ndim)[axis]
            array = _statistics(array, axis, pair, lengths, _STATISTICS[mode])
        elif option == "odd":
            array = _odd(array, axis, pair, mode)
        else:
            array = _repeats(array, axis, pair, mode)
    return array
