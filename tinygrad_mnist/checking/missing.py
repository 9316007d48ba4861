"""Factors and terms that a rule lacks, made of what it may name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.checking.sample import NOISE, Diagnosis, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Array = np.ndarray[Any, Any]


def missing_part(samples: Sequence[Sample]) -> Diagnosis | None:
    """Say which factor or term, made of what the rule may name, a pointwise rule lacks."""
    known = [s for s in samples if s.x is not None and s.is_pointwise()]
    if not known or len(known) < len(samples):
        return _rank_one_missing(samples)
    claimed = np.concatenate([np.diag(s.claimed) for s in known])
    measured = np.concatenate([np.diag(s.measured) for s in known])
    allowed = np.concatenate([np.diag(s.tolerance) for s in known])
    if claimed.size < 4:
        return None
    for name, part in _parts(known):
        if _is_multiple(claimed * part, measured, allowed):
            return Diagnosis("factor missing", f"a factor that goes like {name} is missing")
        if _is_multiple(claimed, measured * part, allowed * np.abs(part)):
            return Diagnosis("factor missing", f"a factor that goes like 1 / {name} is missing")
    parts = [("a constant", np.ones_like(claimed)), *_parts(known)]
    for name, part in parts:
        coefficient = _is_multiple(part, measured - claimed, allowed)
        if coefficient:
            sign = "" if name == "a constant" else f"{coefficient:.6g} * "
            term = f"{coefficient:.6g}" if name == "a constant" else f"{sign}{name}"
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
    return coefficient if bool(fits.all()) else None


def _parts(samples: Sequence[Sample]) -> Iterator[tuple[str, Array]]:
    """Yield what a factor or term may be made of, by name."""
    x = np.concatenate([np.ravel(np.asarray(s.x, float)) for s in samples])
    named = {"x": x}
    if all(s.out is not None for s in samples):
        named["out"] = np.concatenate([np.ravel(np.asarray(s.out, float)) for s in samples])
    for name in samples[0].others:
        values = [s.others.get(name, (None,))[0] for s in samples]
        pairs = zip(samples, values, strict=True)
        if all(v is not None and v.shape in {s.shape, ()} for s, v in pairs):
            named[name] = np.concatenate(
                [
                    np.broadcast_to(np.asarray(v, float), s.shape).ravel()
                    for s, v in zip(samples, values, strict=True)
                ]
            )
    yield from named.items()
    with np.errstate(all="ignore"):
        for one, two in ((a, b) for a in named for b in named if a <= b):
            yield f"{one} * {two}" if one != two else f"{one}²", named[one] * named[two]
        for name, value in named.items():
            for function in (np.exp, np.sin, np.cos, np.tanh):
                yield f"{function.__name__}({name})", function(value)
            yield f"log({name})", np.log(np.abs(value))
            yield f"1 / {name}", 1 / value


def _rank_one_missing(samples: Sequence[Sample]) -> Diagnosis | None:
    """Say that a term made of two vectors is missing, as where a sum over g is forgotten."""
    telling = [s for s in samples if min(s.claimed.shape) > 2 and s.wrong.any()]
    if not telling:
        return None
    for s in telling:
        missing = s.measured - s.claimed
        left, sizes, right = np.linalg.svd(missing)
        rest = missing - sizes[0] * np.outer(left[:, 0], right[0])
        if not (np.abs(rest) <= s.tolerance + NOISE * np.abs(missing).max()).all():
            return None
    return Diagnosis(
        "term dropped",
        "a term is missing that takes one sum over g, as of g * out, for all entries",
    )
