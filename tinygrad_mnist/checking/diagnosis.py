"""What is wrong with a derivative: patterns that are tested for on numbers, never guessed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_mnist.checking.cotangents import (
    cotangent_used,
    not_linear,
    right_for_ones,
    rounded,
)
from tinygrad_mnist.checking.missing import missing_part
from tinygrad_mnist.checking.patterns import (
    EVERYWHERE,
    FEW,
    STILL,
    factor,
    flat,
    not_finite,
    sign,
    zero,
)
from tinygrad_mnist.checking.regions import find_region
from tinygrad_mnist.checking.sample import Diagnosis, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

UNKNOWN = Diagnosis("unknown", "no known pattern")
RIGHT = Diagnosis("right", "nothing is wrong at these points")


def diagnose(samples: Sequence[Sample]) -> Diagnosis:
    """Return the most specific pattern that explains all claims, to the noise of the measurement.

    Failing that, one that explains all claims for one of several results, or at shapes like those
    of the first sample.

    Parameters
    ----------
    samples : sequence of Sample
        Of the same input at one point or, which tells more patterns apart, at several.

    Examples
    --------
    >>> diagnose([Sample.of_gradient([2.0, 4.0, -6.0], [1.0, 2.0, -3.0])]).sentence
    'it is 2 times too large'
    """
    if not any(s.wrong.any() or s.pulls_wrong() for s in samples):
        return RIGHT
    alone = _of_one_result(samples)
    if alone is not None and alone.pattern != "result":
        return alone
    return _pattern(samples) or alone or _at_some_shapes(samples) or UNKNOWN


def _pattern(samples: Sequence[Sample]) -> Diagnosis | None:
    """Return the most specific pattern that explains all claims."""
    for look in (not_finite, zero, rounded, cotangent_used, not_linear):
        found = look(samples)
        if found is not None:
            return found
    if not any(s.wrong.any() for s in samples):
        return None
    if flat(samples):
        return flat(samples)
    region = _in_a_region(samples)
    if region is not None and region.factor is not None:  # all is said
        return sign(samples) or factor(samples) or region
    for look in EVERYWHERE:
        found = look(samples)
        if found is not None:
            return found
    return region or right_for_ones(samples) or missing_part(samples)


def _of_one_result(samples: Sequence[Sample]) -> Diagnosis | None:
    """Say what is wrong about one of several results, if the others are right."""
    count = max((len(s.results) for s in samples), default=0)
    wrong = [
        k
        for k in range(count)
        if any(len(s.results) > k and s.results[k].wrong.any() for s in samples)
    ]
    if len(wrong) != 1 or count < 2:
        return None
    found = _pattern([s.results[wrong[0]] for s in samples if len(s.results) == count])
    what = f"what comes from result [{wrong[0]}] alone is wrong"
    if found is None:
        return Diagnosis("result", what)
    return replace(found, sentence=f"{what}: {found.sentence}")


def _at_some_shapes(samples: Sequence[Sample]) -> Diagnosis | None:
    """Say what is wrong at shapes like those of the first sample, which is another thing elsewhere.

    First of those of as many axes, then of just those.
    """
    kinds: tuple[Callable[[Sample], object], ...] = (
        lambda s: tuple(map(len, s.shapes)),
        lambda s: s.shapes,
    )
    for kind in kinds:
        like = [s for s in samples if kind(s) == kind(samples[0])]
        found = _pattern(like) if FEW <= len(like) < len(samples) else None
        if found is not None:
            what = STILL if found.pattern == "flat" else found.sentence
            where = f"at shapes such as {samples[0].shapes_in_words}"
            return replace(found, sentence=f"{what}, {where}")
    return None


def _in_a_region(samples: Sequence[Sample]) -> Diagnosis | None:
    """Say where claims are wrong, if elsewhere they are right, and what is wrong there."""
    region = find_region(samples)
    if region is None:
        return None
    there = [s for s in (_restricted(s) for s in samples) if s is not None]
    inside = zero(there)
    if region.bound != 0 or region.kind != "large":  # at a point, a kink, factors say nothing
        inside = inside or sign(there) or factor(there)
    where = "there" if region.kind in {"index", "tied"} else "elsewhere"
    more = f"; {where} {inside.sentence}" if inside else ""
    return Diagnosis("region", f"{region}{more}", inside.factor if inside else None, region)


def _restricted(s: Sample) -> Sample | None:
    """Return a sample of its wrong numbers alone: of columns, unless it is pointwise."""
    if s.entries.pointwise and s.entries.wrong.any():
        e, wrong = s.entries, s.entries.wrong
        return Sample.of_gradient(e.claimed[wrong], e.measured[wrong], e.tolerance[wrong])
    columns = s.wrong.any(axis=0)
    if not columns.any():
        return None
    error = np.broadcast_to(s.error, s.claimed.shape)
    return Sample(s.claimed[:, columns], s.measured[:, columns], error[:, columns])
