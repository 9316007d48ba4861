"""Patterns of a derivative that is wrong in all its entries alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.checking.arranging import along_another, diagonal, one_copy, rearranged
from tinygrad_mnist.checking.sample import NOISE, Diagnosis, Entries, Sample, fits, telling

if TYPE_CHECKING:
    from collections.abc import Sequence

    Array = np.ndarray[Any, Any]

FEW = 3  # samples of one kind tell a pattern
SAME = 1e-5  # factors that differ by less are one
STILL = "the function stands still, so its derivative is 0"
SATURATED = 1e-14  # what rounding may leave of 1 - 1


def not_finite(samples: Sequence[Sample]) -> Diagnosis | None:
    """Look for NaN and infinities, where measured numbers are finite."""
    bad = [s for s in samples if not np.isfinite(s.claimed).all()]
    if not bad:
        return None
    pulls = [s.pulled for s in bad if s.pulled is not None]
    if pulls and all(np.isfinite(p).all() for p in pulls):
        made = "the rule makes NaN or infinity of entries of the cotangent g that are 0"
        return Diagnosis("not finite", f"{made}: it is linear in g")
    numbers = pulls or [s.claimed for s in bad]
    what = "NaN" if any(np.isnan(p).any() for p in numbers) else "infinity"
    return Diagnosis("not finite", f"the rule gives {what}, where differences measure a number")


def zero(samples: Sequence[Sample]) -> Diagnosis | None:
    """Look whether nothing at all is claimed."""
    pulls = [s.pulled for s in samples if s.pulled is not None]
    if any(s.claimed.any() for s in samples) or any(p.any() for p in pulls):
        return None
    return Diagnosis("zero", "zero is returned")


def flat(samples: Sequence[Sample]) -> Diagnosis | None:
    """Look whether the function stands still wherever something is claimed."""
    if any((np.abs(s.measured) > s.tolerance).any() for s in samples):
        return None
    return Diagnosis(
        "flat", f"{STILL}; another one that is meant to pass goes through map_gradient"
    )


def sign(samples: Sequence[Sample]) -> Diagnosis | None:
    """Look whether claims have the opposite sign."""
    if fits((s.claimed, -s.measured, s.tolerance) for s in samples):
        return Diagnosis("sign", "the sign is flipped", -1.0)
    return None


def _result_for_input(samples: Sequence[Sample]) -> Diagnosis | None:
    if not _known_at_result(samples):
        return None
    known = [s for s in samples if s.at_result is not None]
    if known and fits((s.claimed, np.asarray(s.at_result), s.tolerance) for s in known):
        return Diagnosis("result for input", "the result is used where the input belongs")
    known = [s for s in samples if s.claimed_at_result is not None]
    if known and fits(
        (np.asarray(s.claimed_at_result), s.measured, s.tolerance + SATURATED) for s in known
    ):
        return Diagnosis("input for result", "the input is used where the result belongs")
    return None


def _known_at_result(samples: Sequence[Sample]) -> bool:
    """Return whether most wrong claims can be looked at where the input has the result's values.

    What can't is to be explained too.
    """
    wrong = [s for s in samples if s.wrong.any()]
    return 2 * sum(s.at_result is not None for s in wrong) >= len(wrong)


def _inverse(samples: Sequence[Sample]) -> Diagnosis | None:
    if not all(s.entries.pointwise for s in samples):
        return None
    here = Entries.joined(samples)
    allowed = here.tolerance * np.abs(here.claimed) + NOISE
    found = bool((np.abs(here.claimed * here.measured - 1) <= allowed).all())
    there = [s for s in samples if s.claimed_at_result is not None]
    if there and not found and _known_at_result(samples):
        claimed = np.concatenate([np.diag(np.asarray(s.claimed_at_result)) for s in there])
        here = Entries.joined(there)
        allowed = here.tolerance * np.abs(claimed) + NOISE
        found = bool((np.abs(claimed * here.measured - 1) <= allowed).all())
    return Diagnosis("inverse", "it is the derivative of the inverse function") if found else None


def _swapped(samples: Sequence[Sample]) -> Diagnosis | None:
    for name in samples[0].others:
        if all(name in s.others and _is_swapped(s, name) for s in samples):
            return Diagnosis("swapped", f"it is the derivative by {name}: operands are swapped")
    return None


def _is_swapped(s: Sample, name: str) -> bool:
    """Return whether the claim is the measured derivative by another input."""
    other = s.others[name][1]
    if other.shape == s.claimed.shape:
        return fits([(s.claimed, other, s.tolerance)])
    entries, key = s.entries, f"derivative by {name}"
    if not entries.pointwise or key not in entries.values:
        return False
    return fits([(entries.claimed, entries.values[key], entries.tolerance)])


def factor(samples: Sequence[Sample]) -> Diagnosis | None:
    """Look whether claims are too large by one number, or by one size at each sample."""
    found = [_one_factor(s) for s in telling(samples)]
    if not found or any(f is None for f in found):
        return None
    factors = [f for f in found if f is not None]
    sized = _size_of(telling(samples), factors)
    if sized:
        return sized
    number = _one_number(telling(samples), factors)
    return None if number is None else Diagnosis("factor", _in_words(number), number)


def factor_of_shapes(samples: Sequence[Sample]) -> Diagnosis | None:
    """Look whether claims are too large by one number at all points of the same shapes."""
    groups: dict[Any, list[tuple[Sample, float]]] = {}
    for s in telling(samples):
        found = _one_factor(s)
        if found is None:
            return None
        groups.setdefault(s.shapes, []).append((s, found))
    numbers = {shapes: _one_number(*zip(*g, strict=True)) for shapes, g in groups.items()}
    here = samples[0].shapes
    if any(n is None for n in numbers.values()) or len(groups.get(here, ())) < FEW:
        return None
    elsewhere = [f for shapes, g in groups.items() if shapes != here for s, f in g if _shows(s)]
    number = numbers[here]
    if not elsewhere or number is None or abs(number - 1) < SAME:
        return None
    right = all(abs(f - 1) < SAME for f in elsewhere)
    more = "" if right else "; the factor varies with the shapes"
    return Diagnosis(
        "factor",
        f"{_in_words(number)}, at shapes such as {samples[0].shapes_in_words}{more}",
        number,
    )


def _shows(s: Sample) -> bool:
    """Return whether several numbers of a sample show that it has one factor."""
    return int((np.abs(s.measured) > s.tolerance).sum()) > 1


def _one_number(samples: Sequence[Sample], factors: Sequence[float]) -> float | None:
    """Return the one number that factors of samples are, to their uncertainty, if they are one."""
    uncertain = max(SAME, *(_uncertainty(s) for s in samples))
    if np.ptp(factors) > uncertain * abs(factors[0]):
        return None
    whole = float(np.round(factors[0], 2))
    near = whole and abs(whole - factors[0]) <= uncertain * abs(whole)
    return whole if near else factors[0]


def _uncertainty(s: Sample) -> float:
    """Return how well the largest number of a sample is known, relative to it, up to 1 %."""
    largest = np.argmax(np.abs(s.measured))
    size = np.abs(s.measured.flat[largest])
    return min(1e-2, float(s.tolerance.flat[largest] / size)) if size else 0.0


def _one_factor(s: Sample) -> float | None:
    """Return the number that measured derivatives were multiplied with, if there is one."""
    if not np.isfinite(s.claimed).all():
        return None
    if not (np.abs(s.measured) > 10 * s.tolerance).any():
        return None
    weight = 1 / (s.tolerance + 1e-300)
    square = np.sum((weight * s.measured) ** 2)
    factor = float(np.sum(weight * s.measured * (weight * s.claimed)) / square) if square else 0.0
    if not factor:
        return None
    allowed = s.tolerance * max(1.0, abs(factor))
    return factor if fits([(s.claimed, factor * s.measured, allowed)]) else None


def _size_of(samples: Sequence[Sample], factors: Sequence[float]) -> Diagnosis | None:
    """Return which size the factors are, or one over which."""
    if max(abs(f - 1) for f in factors) < 1e-5:
        return None
    names = dict.fromkeys(name for s in samples for name in _sizes(s))
    for name in names:
        sizes = [_sizes(s).get(name, 0) for s in samples]
        if min(sizes) < 1 or max(sizes) == 1 or (len(set(sizes)) == 1 and max(sizes) < 3):
            continue
        for power, what in ((1, "large"), (-1, "small")):
            if np.allclose(factors, np.array(sizes, float) ** power, rtol=1e-5):
                n = next(size for size in sizes if size > 1)  # of the counterexample, if it tells
                return Diagnosis("size", _size_in_words(n, name, what, sizes), float(n) ** power)
    return None


def _sizes(s: Sample) -> dict[str, int]:
    """Return what has a size at a sample, by name."""
    m, n = s.claimed.shape
    sizes = {**s.sizes, "the number of entries of the input": n}
    if m and n:
        sizes["the number of copies that broadcasting makes"] = max(1, m // n)
    sizes["the number of entries of the result"] = m
    if m and n:
        sizes["the number of entries that each result is made of"] = max(1, n // m)
    for k, length in enumerate(s.shape):
        sizes[f"the length of the input's axis {k}"] = length
    for k, length in enumerate(s.out_shape):
        sizes[f"the length of the result's axis {k}"] = length
    added = len(s.out_shape) > len(s.shape)
    sizes["the length of the axis that broadcasting adds"] = s.out_shape[0] if added else 1
    return sizes


def _size_in_words(n: int, name: str, what: str, sizes: Sequence[int]) -> str:
    """Return that a factor is a size, or where all have one size, that it may be."""
    if len({*sizes} - {1}) == 1 and not name.startswith("the batch"):
        return f"it is {n} times too {what}, and {n} is {name}"
    kinds, done = ("mean", "sum"), "multiplied"
    if what == "small":
        kinds, done = ("sum", "mean"), "divided"
    why = f"a {kinds[0]} is taken for a {kinds[1]}, or it is {done} once too often"
    return f"it is {n} times too {what}, {n} being {name}: {why}"


def _in_words(factor: float) -> str:
    """Return by how much something is too large."""
    if factor == -1:
        return "the sign is flipped"
    if factor < 0:
        return f"it is to be multiplied with {1 / factor:.6g}"
    for few, word in ((2, "half"), (3, "a third"), (4, "a quarter")):
        if abs(factor * few - 1) < 1e-5:
            return f"it is {word} of what it should be"
    if abs(factor - 1) < 0.2:
        return f"it is {100 * abs(factor - 1):.3g} % too {'large' if factor > 1 else 'small'}"
    if factor > 1:
        return f"it is {factor:.6g} times too large"
    return f"it is {1 / factor:.6g} times too small"


# From the most specific to what fits most easily.
EVERYWHERE = (
    sign,
    _result_for_input,
    _swapped,
    rearranged,
    along_another,
    one_copy,
    diagonal,
    _inverse,
    factor,
    factor_of_shapes,
)
