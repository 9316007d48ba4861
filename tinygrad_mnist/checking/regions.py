"""Where a derivative is wrong, if it is right elsewhere: a half line, an index, unequal entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tinygrad_mnist.checking.sample import Sample

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Region:
    """Where claims are right.

    Attributes
    ----------
    kind : str
        ``"index"``, ``"equal"``, ``"sign"``, ``"small"``, ``"large"`` or ``"threshold"``.
    sentence : str
        In words.
    bound : float or None
        The threshold, about midway between the nearest points on both sides.
    """

    kind: str
    sentence: str
    bound: float | None = None

    def __str__(self) -> str:
        return self.sentence


def find_region(samples: Sequence[Sample]) -> Region | None:
    """Return where claims are right and where wrong, if one rule tells all of them apart."""
    wrong: list[Array] = [np.asarray(s.wrong.any(axis=0)) for s in samples]
    if all(w.all() for w in wrong) or not any(w.any() for w in wrong):
        return None
    return _index(samples, wrong) or _equal(samples, wrong) or _interval(samples, wrong)


def _index(samples: Sequence[Sample], wrong: Sequence[Array]) -> Region | None:
    """Return the one place, the same in all samples, where claims are wrong."""
    pairs = [(s, w) for s, w in zip(samples, wrong, strict=True) if w.size > 1 and w.any()]
    if not pairs or any(w.sum() != 1 for _, w in pairs):
        return None
    places = [np.unravel_index(int(np.argmax(w)), s.shape) for s, w in pairs]
    first = {tuple(int(k) for k in place) for place in places}
    last = {
        tuple(int(k) - n for k, n in zip(place, s.shape, strict=True))
        for place, (s, _) in zip(places, pairs, strict=True)
    }
    for found in (first, last):
        if len(found) == 1:
            index = ", ".join(map(str, found.pop()))
            return Region("index", f"it is wrong at index [{index}] alone")
    return None


def _equal(samples: Sequence[Sample], wrong: Sequence[Array]) -> Region | None:
    """Return whether claims are right exactly where all entries of an input are equal."""
    known = [(s, w) for s, w in zip(samples, wrong, strict=True) if s.x is not None and w.size > 1]
    equal = [np.ptp(np.asarray(s.x, float)) == 0 for s, _ in known]
    if not any(equal) or all(equal):
        return None
    if all(e != w.any() for e, (_, w) in zip(equal, known, strict=True)):
        return Region("equal", "it is right only where all entries of the input are equal")
    return None


def _interval(samples: Sequence[Sample], wrong: Sequence[Array]) -> Region | None:
    """Return the half line, of the input or of another number of the same place, that is right."""
    bad = np.concatenate(wrong)
    for name, values in _variables(samples):
        right, off = values[~bad], values[bad]
        if right.size < 2:
            continue
        for kind, text, v in (("above", "{} >", values), ("below", "{} <", -values)):
            low, high = v[~bad].min(), v[bad].max()
            if low > high:
                bound = _between(high, low)
                sign = 1 if kind == "above" else -1
                where = text.format(name)
                if bound == 0:
                    return Region("sign", f"it is right only where {where} 0", 0.0)
                sentence = f"it is right only where {where} {sign * bound:.3g} or so"
                return Region("threshold", sentence, sign * bound)
        if np.abs(right).max() < np.abs(off).min():
            bound = _between(np.abs(right).max(), np.abs(off).min())
            return Region("small", f"it is right only where |{name}| < {bound:.3g} or so", bound)
        if np.abs(right).min() > np.abs(off).max():
            bound = _between(np.abs(off).max(), np.abs(right).min())
            if not np.abs(off).max():
                return Region("large", f"it is right only where {name} is not 0", 0.0)
            return Region("large", f"it is right only where |{name}| > {bound:.3g} or so", bound)
    return None


def _between(low: float, high: float) -> float:
    """Return 0 if it lies between, else a number midway."""
    if low <= 0 <= high:
        return 0.0
    if low > 0:
        return float(np.sqrt(low * high))
    return float((low + high) / 2)


def _variables(samples: Sequence[Sample]) -> Iterator[tuple[str, Array]]:
    """Yield what a region may be told by: a number for each entry of the input."""
    if any(s.x is None for s in samples):
        return
    yield "x", np.concatenate([np.ravel(np.asarray(s.x, float)) for s in samples])
    for name in samples[0].others:
        if all(name in s.others and s.others[name][0].shape in {s.shape, ()} for s in samples):
            yield (
                name,
                np.concatenate(
                    [
                        np.broadcast_to(np.asarray(s.others[name][0], float), s.shape).ravel()
                        for s in samples
                    ]
                ),
            )
    if all(s.out is not None and s.out.shape == s.shape for s in samples):
        yield "out", np.concatenate([np.ravel(np.asarray(s.out, float)) for s in samples])
