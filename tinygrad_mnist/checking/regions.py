"""Where a derivative is wrong, if it is right elsewhere: a half line, an index, unequal entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.checking.sample import NOTHING, Entries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tinygrad_mnist.checking.sample import Sample

    Array = np.ndarray[Any, Any]

FEW = 3  # numbers that are right make a region


@dataclass(frozen=True)
class Region:
    """Where claims are right.

    Attributes
    ----------
    kind : str
        ``"index"``, ``"equal"``, ``"tied"``, ``"sign"``, ``"small"``, ``"large"``, ``"threshold"``.
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
    wrong = [np.asarray(s.wrong.any(axis=0)) for s in samples]
    if all(w.all() for w in wrong) or not any(w.any() for w in wrong):
        return None
    entries = Entries.joined(samples)
    return (
        _index(samples, wrong)
        or _slice(samples, wrong)
        or _equal(samples, wrong)
        or _tied(samples, wrong)
        or _interval(entries)
        or _row(samples)
    )


def _index(samples: Sequence[Sample], wrong: Sequence[Array]) -> Region | None:
    """Return the one place, the same in all samples, where claims are wrong."""
    pairs = [(s, w) for s, w in zip(samples, wrong, strict=True) if w.any()]
    telling = sum(w.size > 1 for _, w in pairs)  # the one entry of others is at any index
    if not telling or any(w.sum() != 1 for _, w in pairs):
        return None
    if telling < sum(w.size > 1 for w in wrong) / 2:
        return None  # it is something else that tells right from wrong
    places = [_place(s, int(np.argmax(w))) for s, w in pairs]
    first = set(places)
    last = {
        tuple(k - n for k, n in zip(place, s.whole or s.shape, strict=True))
        for place, (s, _) in zip(places, pairs, strict=True)
    }
    for found, which in ((first, "first"), (last, "last")):
        if len(found) == 1:
            index = ", ".join(map(str, found.pop()))
            return Region("index", f"it is wrong at index [{index}] alone")
        if {k for place in found for k in place} == {0 if which == "first" else -1}:
            return Region("index", f"it is wrong at the {which} entry alone")  # of any shape
    return None


def _place(s: Sample, k: int) -> tuple[int, ...]:
    """Return the index of an entry in the input."""
    return s.places[k] if s.places else tuple(map(int, np.unravel_index(k, s.shape)))


def _slice(samples: Sequence[Sample], wrong: Sequence[Array]) -> Region | None:
    """Return the one index along an axis, the same in all samples, where claims are wrong."""
    pairs = [(s, w.reshape(s.shape)) for s, w in zip(samples, wrong, strict=True) if w.any()]
    axes = {w.ndim for _, w in pairs}
    for axis in range(axes.pop() if len(axes) == 1 else 0):
        others = [w.any(axis=tuple(k for k in range(w.ndim) if k != axis)) for _, w in pairs]
        telling = sum(w.size > 1 for w in others)  # along shorter axes nothing shows
        if telling < 2 or any(w.sum() != 1 for w in others):
            continue
        first = {int(np.argmax(w)) for w in others}
        last = {int(np.argmax(w)) - w.size for w in others}
        for found in (first, last):
            if len(found) == 1:
                return Region("index", f"it is wrong at index {found.pop()} of axis {axis} alone")
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


def _tied(samples: Sequence[Sample], wrong: Sequence[Array]) -> Region | None:
    """Return whether claims are wrong exactly where an entry is equal to another one."""
    for s, w in zip(samples, wrong, strict=True):
        if s.x is None:
            return None
        values, place, count = np.unique(np.ravel(s.x), return_inverse=True, return_counts=True)
        place = place.ravel()
        tied = count[place] > 1
        ends = (np.ones_like(tied), place == values.size - 1, place == 0)
        if not any(np.array_equal(w, tied & some) for some in ends):
            return None
    return Region("tied", "it is wrong where entries of the input are equal")


def _interval(entries: Entries) -> Region | None:
    """Return the half line, of the input or of another value of the same place, that is right.

    Where derivatives are 0 they are right by any rule but one that adds something: those count at
    first only.
    """
    zeros = (entries.measured == 0) & (entries.claimed == 0)
    for counts in (entries.tells | zeros, entries.tells & ~zeros):
        wrong = entries.wrong[counts]
        values = {name: v[counts] for name, v in entries.values.items()}
        region = _half_line(values, wrong) if wrong.any() else None
        if region is not None:
            return region
    return None


def _row(samples: Sequence[Sample]) -> Region | None:
    """Return where results have to lie for all derivatives of them to be right."""
    known = [s for s in samples if s.out is not None]
    if len(known) < len(samples) or not known:
        return None
    wrong = np.concatenate([s.wrong.any(axis=1) for s in known])
    tells = np.concatenate([_rows_that_tell(s) for s in known])
    values = np.concatenate([np.ravel(np.asarray(s.out, float)) for s in known])
    if not wrong[tells].any() or wrong[tells].all():
        return None
    return _half_line({"out": values[tells]}, wrong[tells])


def _rows_that_tell(s: Sample) -> Array:
    """Return of which results some derivative is claimed or measured that is not all but 0."""
    size = np.maximum(np.abs(s.measured), np.abs(s.claimed)).max(axis=1, initial=0.0)
    tells: Array = size > NOTHING * size.max(initial=0.0)
    return tells


def _half_line(variables: Mapping[str, Array], wrong: Array) -> Region | None:
    """Return the half line of one of some values that tells right from wrong."""
    for name, values in _variables(variables):
        right, off = values[~wrong], values[wrong]
        if right.size < FEW:
            continue
        for sign, mark in ((1, ">"), (-1, "<")):
            low, high = (sign * right).min(), (sign * off).max()
            if low > high:
                bound = sign * _between(high, low)
                if bound == 0:
                    return Region("sign", f"it is right only where {name} {mark} 0", 0.0)
                where = f"it is right only where {name} {mark} {bound:.3g} or so"
                return Region("threshold", where, bound)
        right, off = np.abs(right), np.abs(off)
        if right.max() < off.min():
            bound = _between(right.max(), off.min())
            return Region("small", f"it is right only where |{name}| < {bound:.3g} or so", bound)
        if right.min() > off.max():
            bound = _between(off.max(), right.min())
            if not off.max():
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


def _variables(values: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
    """Yield what a region may be told by: values, and differences of two of them."""
    values = {name: v for name, v in values.items() if not name.startswith("derivative")}
    yield from values.items()
    names = [name for name in values if name != "out"]
    for k, one in enumerate(names):
        for other in names[k + 1 :]:
            yield f"{one} - {other}", values[one] - values[other]
