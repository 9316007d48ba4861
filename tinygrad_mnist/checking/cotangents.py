"""Patterns of a rule that does not make of its cotangent what a linear rule makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.checking.sample import Diagnosis, Sample, fits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Array = np.ndarray[Any, Any]

    Use = tuple[str, str, Callable[[Array], Array]]


def _all_get(number: Callable[[Array], Any]) -> Callable[[Array], Array]:
    """Return the function that gives all entries of a cotangent one number made of it."""
    return lambda g: np.full_like(g, number(g))


# What may be made of g, from the plainest on.
USES: tuple[Use, ...] = (
    ("cotangent forgotten", "the cotangent g is forgotten", np.ones_like),
    ("cotangent's sign", "only the sign of the cotangent g is used", np.sign),
    ("cotangent's size", "the sign of the cotangent g is lost", np.abs),
    ("cotangent squared", "the cotangent g is squared: a rule is linear in g", np.square),
    (
        "cotangent mixed",
        "all entries get the mean of the cotangent g, not each its own",
        _all_get(np.mean),
    ),
    (
        "cotangent mixed",
        "all entries get the sum of the cotangent g, not each its own",
        _all_get(np.sum),
    ),
    (
        "cotangent mixed",
        "all entries get the first entry of the cotangent g, not each its own",
        _all_get(lambda g: g[0] if g.size else 0),
    ),
    (
        "cotangent mixed",
        "all entries get the last entry of the cotangent g, not each its own",
        _all_get(lambda g: g[-1] if g.size else 0),
    ),
)


def cotangent_used(samples: Sequence[Sample]) -> Diagnosis | None:
    """Look for something else that is used in place of the cotangent."""
    pairs = _pulls(samples)
    for name, sentence, use in USES if pairs else ():
        told = [g for _, g, _ in pairs if not np.allclose(use(g), g)]
        if told and fits(
            (p, use(g) @ s.measured, np.abs(use(g)) @ s.tolerance) for s, g, p in pairs
        ):
            return Diagnosis(name, sentence)
    return None


def rounded(samples: Sequence[Sample]) -> Diagnosis | None:
    """Look whether right numbers lost digits, as in an array of another dtype."""
    pairs = [(s, g @ s.measured, p) for s, g, p in _pulls(samples)]
    if not any(p.any() for _, _, p in pairs):
        return None
    for what, spacing in (("whole numbers", None), ("half precision", np.float16)):
        if all(_is_rounded(s, right, p, spacing) for s, right, p in pairs):
            return Diagnosis("rounded", f"its numbers are rounded to {what}: mind the dtype")
    return None


def _is_rounded(s: Sample, right: Array, pulled: Array, dtype: Any) -> bool:
    """Return whether what was pulled are right numbers, of which an array kept the first digits."""
    with np.errstate(all="ignore"):
        kept = np.trunc(pulled) if dtype is None else pulled.astype(dtype)
        apart = np.ones_like(right) if dtype is None else np.spacing(np.abs(kept)).astype(float)
        allowed = np.abs(np.ones(len(s.measured))) @ s.tolerance + apart
        return bool((kept == pulled).all() and (np.abs(pulled - right) <= allowed).all())


def not_linear(samples: Sequence[Sample]) -> Diagnosis | None:
    """Look whether a sum of cotangents gives something else than the sum of what each gives."""
    pairs = _pulls(samples)
    if all(_is_linear(*pair) for pair in pairs):
        return None
    ones = [(s, s.pulled_ones) for s in samples if s.pulled_ones is not None]
    right = ones and fits(
        (np.asarray(p), s.measured.sum(axis=0), s.tolerance.sum(axis=0)) for s, p in ones
    )
    more = "; it is right only for a cotangent of ones" if right else ""
    return Diagnosis("not linear", f"the rule is not linear in the cotangent g{more}")


def _is_linear(s: Sample, g: Array, pulled: Array) -> bool:
    with np.errstate(invalid="ignore"):
        size = np.abs(g) @ (np.abs(s.claimed) + np.abs(s.measured))
        allowed = np.abs(g) @ s.tolerance + 1e-6 * (size + size.max(initial=0.0))
        return bool((np.abs(pulled - g @ s.claimed) <= allowed).all())


def right_for_ones(samples: Sequence[Sample]) -> Diagnosis | None:
    """Look whether claims are right where all entries of the cotangent are equal."""
    several = [s for s in samples if s.claimed.shape[0] > 1 and s.wrong.any()]
    if not several or not fits(
        (s.claimed.sum(axis=0), s.measured.sum(axis=0), s.tolerance.sum(axis=0)) for s in samples
    ):
        return None
    return Diagnosis("ones", "it is right only where all entries of the cotangent g are equal")


def _pulls(samples: Sequence[Sample]) -> list[tuple[Sample, Array, Array]]:
    """Return the samples that have a generic cotangent, with it and what the rule makes of it."""
    return [
        (s, s.cotangent, s.pulled)
        for s in samples
        if s.pulled is not None and s.cotangent is not None
    ]
