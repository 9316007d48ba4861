"""What is wrong with a derivative: patterns that are tested for on numbers, never guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinygrad_mnist.checking.missing import missing_part
from tinygrad_mnist.checking.patterns import EVERYWHERE, factor, not_finite, sign, zero
from tinygrad_mnist.checking.regions import find_region
from tinygrad_mnist.checking.sample import Diagnosis, Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

UNKNOWN = Diagnosis("unknown", "no known pattern")
RIGHT = Diagnosis("right", "nothing is wrong at these points")


def diagnose(samples: Sequence[Sample]) -> Diagnosis:
    """Return the most specific pattern that explains all claims, to the noise of the measurement.

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
    for pattern in (not_finite, *EVERYWHERE):
        found = pattern(samples)
        if found is not None:
            return found
    return _in_a_region(samples) or missing_part(samples) or UNKNOWN


def _in_a_region(samples: Sequence[Sample]) -> Diagnosis | None:
    """Say where claims are wrong, if elsewhere they are right, and what is wrong there."""
    region = find_region(samples)
    if region is None:
        return None
    there = [s for s in (_restricted(s) for s in samples) if s is not None]
    inside = None
    for pattern in (zero, sign, factor):
        inside = inside or pattern(there)
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
