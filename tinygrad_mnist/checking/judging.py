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
    kinked : (k,) array of bool
        Whether a claim was taken as one of several subgradients, whatever was measured.
    smooth : (k,) array
        How far from the point there is no kink along an entry, as far as that is known: the step
        that measured it, if slopes to both sides agree over it.
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
    kinked: Vector
    smooth: Vector

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
        right = places[again.known & ~again.wrong]  # as good as 0, perhaps, on this scale alone
        merged["scale"][right] = again.scale[again.known & ~again.wrong]
        return Verdicts(**merged)


class Judging:
    """Claims for some entries, while they are measured with smaller and smaller steps.

    What a larger step measured stands as long as smaller ones do not contradict it: beside a kink
    or a pole a large step is often sure and wrong.

    Attributes
    ----------
    rows : (k,) array
        The entries.
    pending : array
        Places in `rows` of claims that are not yet clearly seen to be right.
    """

    def __init__(self, check: Check, x: Vector, rows: Vector, least: float = NOTHING) -> None:
        self.check, self.x, self.rows = check, x, rows
        self.pending = np.arange(rows.size)
        self._claimed = check.claim(x)[rows]
        self._size = np.where(np.isfinite(self._claimed), np.abs(self._claimed), 0)
        self._nothing = least * check.scale[rows]
        self._measured, self._tolerance = np.zeros(rows.size), np.full(rows.size, np.inf)
        self._known, self._right, self._rough, self._turned = np.zeros((4, rows.size), bool)
        self._bent, self._kinked, self._sure = np.zeros((3, rows.size), bool)
        self._best = np.ones(rows.size)  # steps

    def measure(self, steps: Iterable[float]) -> None:
        """Measure what is pending, with one step after the other until nothing is left."""
        for step in steps:
            if not self.pending.size:
                break
            self._measure(step)

    def _measure(self, step: float) -> None:
        places = self.pending
        value, error, jumps, span, bent = self.check.measure(self.x, self.rows[places], step)
        claimed = self._claimed[places]
        before, trust = self._measured[places], self._tolerance[places]
        nothing = np.maximum(self._nothing[places], NOTHING * span)
        size = np.maximum(np.abs(value), self._size[places])
        agrees = np.abs(claimed - value) <= error
        rough = np.where(np.isfinite(error), jumps, self._rough[places])
        sharp = (error <= np.maximum(SHARP * size, nothing)) & (agrees | ~rough)
        contradicts = np.abs(value - before) > error + trust
        wild = np.isfinite(error) & (error > WILD * trust * self._best[places] / step)
        contradicts |= self._known[places] & wild
        confirms = sharp & (error <= 1.5 * trust) & agrees
        refutes = np.isfinite(error) & ~agrees
        refuted = np.isfinite(trust) & (np.abs(claimed - before) > trust)
        self._sure[places] = ~contradicts & (self._sure[places] | (refutes & refuted))
        self._turned[places] |= contradicts & self._known[places]
        better = contradicts | (error < trust) | confirms
        measured, tolerance = np.where(better, value, before), np.where(better, error, trust)
        known = np.where(better, sharp, self._known[places])
        bent = np.where(better, bent, self._bent[places])
        right = known & (np.abs(claimed - measured) <= tolerance)
        self._measured[places], self._tolerance[places] = measured, tolerance
        self._best[places] = np.where(better, step, self._best[places])
        self._known[places], self._right[places], self._bent[places] = known, right, bent
        self._rough[places], self._nothing[places] = rough, nothing
        self.pending = places[~(right & (tolerance <= self._clearly(places)) & ~bent)]

    def kinks(self, step: float) -> Vector:
        """Return places of pending claims that only a kink at the point can make right.

        It shows over a small step as well, or it is one of several entries together, and no slope
        by this one. Claims that the small step confirms, for the kink is further away, are settled.
        """
        places = self.pending
        refuted = self._known[places] & ~self._right[places] & ~self._bent[places]
        refuted &= self._tolerance[places] <= self._clearly(places)
        flat, places = places[refuted], places[self._bent[places]]
        if not places.size:
            return flat
        value, error, _, _, bent = self.check.measure(self.x, self.rows[places], step)
        right = ~bent & (np.abs(self._claimed[places] - value) <= error)
        right &= error <= self._clearly(places)
        self._turned[places[right]] = True
        self.settle(places[right], kinked=False)
        return np.sort(np.concatenate([flat, places[bent]]))

    def _clearly(self, places: Vector) -> Vector:
        """Return how well a measurement must be known for no other to be needed."""
        size = np.maximum(np.abs(self._measured[places]), self._size[places])
        return np.maximum(CLEAR * size, self._nothing[places])

    @property
    def rough(self) -> Vector:
        """Places of claims that are pending where the values jump about."""
        return self.pending[self._rough[self.pending]]

    def settle(self, places: Vector, *, kinked: bool) -> None:
        """Let claims be right, at kinks or not, as if they had been measured."""
        self._measured[places] = self._claimed[places]
        self._known[places] = self._right[places] = True
        self._kinked[places] = kinked
        self.pending = np.setdiff1d(self.pending, places)

    def drop(self, places: Vector) -> None:
        """Measure some claims no more: nothing is to be known of them."""
        self._known[places], self._tolerance[places] = False, np.inf
        self.pending = np.setdiff1d(self.pending, places)

    def verdicts(self) -> Verdicts:
        """Return what is to be said of the claims.

        An entry is wrong if no step confirms it and two of them refute it alike, unless the
        function is so rough that the smallest step is still too large to see a slope. NaN is wrong
        wherever it is claimed; an infinity is where differences measure a number.
        """
        known = self._known & (self._right | (self._sure & ~self._rough))
        return Verdicts(
            self.rows,
            self._claimed,
            self._measured,
            self._tolerance,
            self._nothing / NOTHING,
            known,
            self._rough,
            np.isnan(self._claimed) | (known & ~self._right),
            self._turned,
            self._kinked,
            np.where(known & ~self._bent, self._best, 0.0),
        )


def judge(
    check: Check,
    x: Vector,
    rows: Vector,
    steps: Iterable[float] = STEPS,
    least: float = NOTHING,
) -> Verdicts:
    """Measure with smaller and smaller steps until each claim is clearly seen to be right.

    What is less than `least` of the scale of a number is as good as 0.
    """
    judging = Judging(check, x, rows, least)
    judging.measure(steps)
    return judging.verdicts()
