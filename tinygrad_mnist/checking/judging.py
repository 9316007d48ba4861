"""Claims of the rules beside what differences measure, entry by entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_mnist.checking.measuring import TINY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinygrad_mnist.checking.inputs import Vector
    from tinygrad_mnist.checking.measuring import Check

STEPS = tuple(0.05 / 8**k for k in range(12))  # of one measurement after another
SHARP = 1e-2  # a measurement with a larger error than this, relative to the number, says nothing
CLEAR = 1e-4  # after one with a smaller error than this no other is needed
WILD = 1e3  # an error that grows more than rounding's by this speaks against the larger step
NOTHING = 1e-4  # of the scale of a number: as good as 0


@dataclass(frozen=True)
class Verdicts:
    """A claim beside its measurement, for each of some entries.

    Attributes
    ----------
    rows, claimed, measured, tolerance : (k,) array
    scale : (k,) array
        How large such numbers are around here.
    known : (k,) array of bool
        Whether the measurement says anything.
    rough : (k,) array of bool
        Whether the values jump about even over the smallest step.
    wrong : (k,) array of bool
    turned : (k,) array of bool
        Whether a smaller step contradicts a larger one that said something: beside a kink, or where
        rounding swallows what moves.
    """

    rows: Vector
    claimed: Vector
    measured: Vector
    tolerance: Vector
    scale: Vector
    known: Vector
    rough: Vector
    wrong: Vector
    turned: Vector

    def difference(self) -> Vector:
        """Return how far each claim is off, relative to the number or its scale."""
        size = np.maximum(np.abs(self.measured), self.scale) + TINY
        difference: Vector = np.abs(self.claimed - self.measured) / size
        return np.nan_to_num(difference, nan=np.inf)

    def only(self, some: Vector) -> Verdicts:
        """Return those on some of the entries, given as an array of bool."""
        return Verdicts(*(getattr(self, name)[some] for name in self.__dataclass_fields__))

    def taking(self, again: Verdicts) -> Verdicts:
        """Return these with second opinions on some entries in place of the first."""
        places = np.searchsorted(self.rows, again.rows)
        merged = {name: getattr(self, name).copy() for name in self.__dataclass_fields__}
        for name in merged.keys() - {"scale"}:
            merged[name][places] = getattr(again, name)
        return Verdicts(**merged)


def judge(
    check: Check,
    x: Vector,
    rows: Vector,
    steps: Iterable[float] = STEPS,
    least: float = NOTHING,
) -> Verdicts:
    """Measure with smaller and smaller steps until the claim is clearly seen to be right.

    What a larger step measured stands as long as smaller ones do not contradict it: beside a kink
    or a pole a large step is often sure and wrong. An entry is wrong if no step confirms it, unless
    the function is so rough that the smallest step is still too large to see a slope. NaN is wrong
    wherever it is claimed; an infinity is where differences measure a number. What is less than
    `least` of the scale of a number is as good as 0.
    """
    claimed = check.claim(x)[rows]
    finite = np.isfinite(claimed)
    nothing = least * check.scale[rows]
    measured, tolerance = np.zeros(rows.size), np.full(rows.size, np.inf)
    known, right, rough, turned = np.zeros((4, rows.size), bool)
    best = np.ones(rows.size)  # steps
    pending = np.arange(rows.size)
    for step in steps:
        value, error, jumps, span = check.measure(x, rows[pending], step)
        rough[pending] = np.where(np.isfinite(error), jumps, rough[pending])
        agrees = np.abs(claimed[pending] - value) <= error
        nothing[pending] = np.maximum(nothing[pending], NOTHING * span)
        size = np.maximum(np.abs(value), np.where(finite, np.abs(claimed), 0)[pending])
        sharp = error <= np.maximum(SHARP * size, nothing[pending])
        sharp &= agrees | ~rough[pending]
        before, trust = measured[pending], tolerance[pending]
        contradicts = np.abs(value - before) > error + trust
        wild = np.isfinite(error) & (error > WILD * trust * best[pending] / step)
        contradicts |= known[pending] & wild
        turned[pending] |= contradicts & known[pending]
        confirms = sharp & (error <= 1.5 * trust) & agrees
        better = contradicts | (error < trust) | confirms
        measured[pending] = np.where(better, value, before)
        tolerance[pending] = np.where(better, error, trust)
        best[pending] = np.where(better, step, best[pending])
        known[pending] = np.where(better, sharp, known[pending])
        agrees = np.abs(claimed - measured)[pending] <= tolerance[pending]
        right[pending] = known[pending] & agrees
        clear = tolerance[pending] <= np.maximum(CLEAR * size, nothing[pending])
        pending = pending[~(right[pending] & clear)]
        if not pending.size:
            break
    known &= right | ~rough
    wrong = np.isnan(claimed) | (known & ~right)
    scale = nothing / NOTHING
    return Verdicts(rows, claimed, measured, tolerance, scale, known, rough, wrong, turned)
