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
    if not entries.pointwise and any(len(s.measured) > 1 for s in samples):
        return _rank_one(samples)
    if entries.claimed.size < FEW:
        return None
    claimed, measured, allowed = entries.claimed, entries.measured, entries.tolerance
    for name, part in _parts(entries.values):
        number = _is_multiple(claimed * part, measured, allowed)
        if number:
            return Diagnosis("factor missing", f"the factor {_times(number, name)} is missing")
        if _is_multiple(claimed, measured * part, allowed * np.abs(part)):
            return Diagnosis("factor missing", f"a factor that goes like 1 / {name} is missing")
    for name, part in [("1", np.ones_like(claimed)), *_parts(entries.values)]:
        coefficient = _is_multiple(part, measured - claimed, allowed)
        if coefficient:
            term = f"g * ({_times(coefficient, name)})"
            return Diagnosis("term dropped", f"a term is missing: {term}")
    return None


def _times(number: float, name: str) -> str:
    """Return a product in words."""
    if name == "1":
        return f"{number:.6g}"
    return name if f"{number:.6g}" == "1" else f"{number:.6g} * {name}"


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
    """Say that a term made of two vectors is missing, as where a sum over g is forgotten.

    Along one axis, the others being a batch of which each has a term of its own.
    """
    axes = max((len(s.shape) for s in samples), default=0)
    for axis in (None, *range(-1, -axes - 1, -1)):
        blocks = [_blocks(s, axis) for s in samples if s.wrong.any()]
        blocks = [b for b in blocks if b is not None and min(b[0].shape[1:]) > 2]
        if blocks and all(_is_rank_one(*b) for b in blocks if b is not None):
            text = "a term is missing that all entries share, as a sum over g * out is"
            return Diagnosis("term dropped", text if axis is None else f"{text}, along axis {axis}")
    return None


def _blocks(s: Sample, axis: int | None) -> tuple[Array, Array] | None:
    """Return what a Jacobian lacks, and its tolerance: a matrix for each member of the batch."""
    missing, allowed = s.measured - s.claimed, s.tolerance
    if axis is None:
        return missing[np.newaxis], allowed[np.newaxis]
    if s.shape != s.out_shape or axis < -len(s.shape):
        return None
    n, whole = s.shape[axis], s.out_shape + s.shape
    place = len(s.shape) + axis
    batch = s.measured.shape[0] // n
    parts = []
    for matrix in (missing, allowed):
        moved = np.moveaxis(matrix.reshape(whole), (place, len(s.shape) + place), (-2, -1))
        moved = moved.reshape(batch, batch, n, n)
        parts.append(moved[np.arange(batch), np.arange(batch)])
    inside = np.abs(parts[0]).sum()
    if np.abs(missing).sum() - inside > allowed.sum() + NOISE * inside:
        return None  # something is missing between members of the batch
    return parts[0], parts[1]


def _is_rank_one(missing: Array, allowed: Array) -> bool:
    left, sizes, right = np.linalg.svd(missing)
    first = left[:, :, :1] * sizes[:, :1, np.newaxis] * right[:, :1, :]
    return bool((np.abs(missing - first) <= allowed + NOISE * np.abs(missing).max()).all())
