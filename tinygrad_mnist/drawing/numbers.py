"""Numbers in words: arrays, bytes, seconds."""

from __future__ import annotations

from typing import Any

import numpy as np

FULL = 6  # entries of an array that is shown in full
SEVERAL = 4  # results of one call that are shown


def summary(value: Any) -> tuple[str, bool]:
    """Return an array, or several, in a few words, and whether one holds a NaN or an infinity.

    Examples
    --------
    >>> summary(np.array([1.0, 2.5]))
    ('[1, 2.5]', False)
    >>> summary(np.linspace(0, 1, 101))
    ('0 to 1, mean 0.5', False)
    """
    if isinstance(value, (tuple, list)):
        if len(value) > SEVERAL:
            return f"{len(value)} results", False
        texts = [("\N{EN DASH}", False) if one is None else summary(one) for one in value]
        return "; ".join(text for text, _ in texts), any(odd for _, odd in texts)
    array = np.asarray(value)
    if array.dtype.kind not in "fc":
        if array.size <= FULL:
            return _in_full(array), False
        if array.dtype.kind not in "iu":
            return f"{array.dtype}", False
    if array.size <= FULL:
        return _in_full(array), not np.isfinite(array).all()
    if array.dtype.kind == "c":
        array = np.abs(array)
    finite = array[np.isfinite(array)]
    odd = {"NaN": int(np.isnan(array).sum()), "inf": int(np.isinf(array).sum())}
    words = [f"{count:,} {name}" for name, count in odd.items() if count]
    if finite.size:
        low, mean, high = (number(f(finite)) for f in (np.min, np.mean, np.max))
        words.append(f"all {low}" if low == high else f"{low} to {high}, mean {mean}")
    return ", ".join(words), len(finite) < array.size


def _in_full(array: Any) -> str:
    if array.ndim == 0:
        return number(array.item())
    return f"[{', '.join(_in_full(row) for row in array)}]"


def number(value: Any) -> str:
    """Return a number with three digits after the first."""
    if isinstance(value, (bool, np.bool_)):
        return str(value)
    if isinstance(value, complex):
        return f"{value:.3g}"
    return f"{float(value):.4g}"


def size_text(count: int) -> str:
    """Return a number of bytes in words."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{count:,} bytes" if unit == "bytes" else f"{size:.3g} {unit}"


def time_text(seconds: float) -> str:
    """Return a time in words."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} \N{MICRO SIGN}s"
