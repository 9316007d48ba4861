"""Factors and terms that a rule lacks, made of what it may name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.checking.sample import NOISE, Diagnosis, Entries, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Array = np.ndarray[Any, Any]

FEW = 5  # numbers: of fewer, anything is a multiple of something


def missing_part(samples: Sequence[Sample]) -> Diagnosis | None:
    """Say which factor or term, made of what the rule may name, a rule lacks."""
    entries = Entries.joined(samples)
    if not entries.pointwise:
        return _rank_one(samples)
    if entries.claimed.size < FEW:
        return None
    claimed, measured, allowed = entries.claimed, entries.measured, entries.tolerance
    for name, part in _parts(entries.values):
        if _is_multiple(claimed * part, measured, allowed):
            return Diagnosis("factor missing", f"a factor that goes like {name} is missing")
        if _is_multiple(claimed, measured * part, allowed * np.abs(part)):
            return Diagnosis("factor missing", f"a factor that goes like 1 / {name} is missing")
    for name, part in [("1", np.ones_like(claimed)), *_parts(entries.values)]:
        coefficient = _is_multiple(part, measured - claimed, allowed)
        if coefficient:
            number = f"{coefficient:.6g}"
            term = number if name == "1" else name if number == "1" else f"{number} * {name}"
            return Diagnosis("term dropped", f"a term is missing: g * ({term})")
    return None


def _is_multiple(part: Array, wanted: Array, allowed: Array) -> float | None:
    """Return the number that a part has to be multiplied with to be what is wanted, if any."""
    with np.errstate(all="ignore"):
        weight = 1 / (allowed + 1e-300)
        coefficient = float(
            np.sum(weight * part * (weight * wanted)) / np.sum((weight * part) ** 2)
        )
        if not np.isfinite(coefficient) or not coefficient:
            return None
        fits = np.abs(coefficient * part - wanted) <= allowed + NOISE * np.abs(wanted)
        tells = np.abs(wanted) > 10 * allowed
    return coefficient if bool(fits.all()) and tells.sum() >= FEW else None


def _parts(values: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
    """Yield what a factor or term may be made of, by name."""
    values = {name: v for name, v in values.items() if not name.startswith("derivative")}
    yield from values.items()
    with np.errstate(all="ignore"):
        for one in values:
            for two in values:
                if one == two:
                    yield f"{one}²", values[one] ** 2
                elif one < two:
                    yield f"{one} * {two}", values[one] * values[two]
        for name, value in values.items():
            for function in (np.exp, np.sin, np.cos, np.tanh):
                yield f"{function.__name__}({name})", function(value)
                yield f"{name} * {function.__name__}({name})", value * function(value)
            yield f"log |{name}|", np.log(np.abs(value))
            yield f"1 / {name}", 1 / value


def _rank_one(samples: Sequence[Sample]) -> Diagnosis | None:
    """Say that a term made of two vectors is missing, as where a sum over g is forgotten."""
    known = [s for s in samples if min(s.claimed.shape) > 2 and s.wrong.any()]
    if not known:
        return None
    for s in known:
        missing = s.measured - s.claimed
        left, sizes, right = np.linalg.svd(missing)
        rest = missing - sizes[0] * np.outer(left[:, 0], right[0])
        if not (np.abs(rest) <= s.tolerance + NOISE * np.abs(missing).max()).all():
            return None
    return Diagnosis(
        "term dropped", "a term is missing that all entries share, as a sum over g * out is"
    )
