"""What comes of claims that differ from what was measured: second opinions, and the report."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_mnist.checking.floors import EPS, FAINT
from tinygrad_mnist.checking.judging import STEPS, Verdicts, judge
from tinygrad_mnist.checking.kinks import kinks_at, on_its_side
from tinygrad_mnist.checking.measuring import First, Second
from tinygrad_mnist.checking.noise import goes_in_stairs, noise_of, what_is_there
from tinygrad_mnist.checking.report import Mismatch, Report

if TYPE_CHECKING:
    from tinygrad_mnist.checking.inputs import Vector

WIDER = tuple(8**k * STEPS[0] for k in range(1, 7))  # which may confirm what rounding swallows


class Wrong(Exception):  # noqa: N818 - it is caught before anyone sees it
    """Claims that differ from what was measured: what a `GradientError` is made of."""

    def __init__(self, check: First | Second, verdicts: Verdicts, rows: Vector) -> None:
        super().__init__()
        self.check, self.verdicts, self.rows = check, verdicts, rows

    def mismatch(self) -> Mismatch:
        """Return the worst entry."""
        check, verdicts = self.check, self.verdicts
        places = np.searchsorted(verdicts.rows, self.rows)
        worst = places[np.argmax(verdicts.difference()[places])]
        row, problem = int(verdicts.rows[worst]), check.problem
        part = problem.part_of(row)
        inside = (part.start <= verdicts.rows) & (verdicts.rows < part.stop)
        return Mismatch(
            problem.name,
            part.name,
            check.order,
            part.index(row),
            float(problem.x[row]),
            float(verdicts.claimed[worst]),
            float(verdicts.measured[worst]),
            float(verdicts.tolerance[worst]),
            int(((part.start <= self.rows) & (self.rows < part.stop)).sum()),
            int(inside.sum()),
        )


def decided(
    check: First | Second, verdicts: Verdicts, random: np.random.Generator, notes: tuple[str, ...]
) -> Report:
    """Return what is to be said of claims, after second opinions of those that look wrong.

    Raises
    ------
    Wrong
    """
    opinions = _Opinions(check, verdicts, random)
    for opinion in (
        opinions.of_rounding,
        opinions.of_wider_steps,
        opinions.of_noise,
        opinions.of_closer_steps,
        opinions.of_kinks,
        opinions.of_steps_on_its_side,
    ):
        opinion()
    return opinions.report(notes)


class _Opinions:
    """Claims, and what remains of those that look wrong after one opinion and another.

    Attributes
    ----------
    plain, check : First or Second
        As it is, and with allowance for rounding once something looks wrong, or is not known.
    verdicts : Verdicts
    suspects : array
        Entries that look wrong still.
    kinks : int
        How many claims are subgradients.
    share : float
        How uncertain the function's values are, relative to them.
    """

    def __init__(
        self, check: First | Second, verdicts: Verdicts, random: np.random.Generator
    ) -> None:
        self.plain = self.check = check
        self.problem, self.verdicts, self.random = check.problem, verdicts, random
        self.suspects: Vector = verdicts.rows[verdicts.wrong & ~_is_nothing(check, verdicts)]
        self.kinks, self.share = int(verdicts.kinked.sum()), 0.0
        self._views = [(check, verdicts)]  # beside which kinks are sought
        self._refuted = False  # by steps that are as small as an entry

    def _take(self, again: Verdicts) -> None:
        """Let an opinion of all suspects stand."""
        self.verdicts, self.suspects = self.verdicts.taking(again), self.suspects[again.wrong]

    def of_rounding(self) -> None:
        """Ask whether rounding in the function or in its rules explains what is off."""
        if self.suspects.size or _vague(self.verdicts).size:
            self.check = self.plain.lenient()
        if self.suspects.size:
            self._take(judge(self.check, self.problem.x, self.suspects))

    def of_wider_steps(self) -> None:
        """Ask other steps to confirm what is not known."""
        for steps in (STEPS, tuple(step for step in WIDER if step < self.problem.reach)):
            vague = _vague(self.verdicts)
            if vague.size:
                again = judge(self.check, self.problem.x, vague, steps)
                self.verdicts = self.verdicts.taking(again.only(again.known & ~again.wrong))

    def of_noise(self) -> None:
        """Ask whether the function is noisy beyond rounding, or its gradient goes in stairs."""
        if self.suspects.size and not np.isnan(self.verdicts.claimed).any():
            flat = not self.verdicts.measured[self.verdicts.wrong].any()
            noise = noise_of(self.check, self.suspects, scale=self.plain.scale, flat=flat)
            again = self.verdicts.only(np.isin(self.verdicts.rows, self.suspects))
            if noise is not None:
                self.share = noise.share
                again = judge(noise.check, self.problem.x, self.suspects)
            lost = goes_in_stairs(self.check, self.suspects, again)
            self._take(replace(again, wrong=again.wrong & ~lost, known=again.known & ~lost))
        self._views = [(self.plain, self.verdicts)]

    def of_closer_steps(self) -> None:
        """Ask steps that are as small as an entry, if that is far below the others."""
        closer = self.plain.closer() if self.suspects.size else None
        if closer is not None:
            again = judge(closer, self.problem.x, self.suspects, least=0.0)
            self._views.append((closer, self.verdicts.taking(again)))
            right = again.known & ~again.wrong
            stands_still = again.tolerance == 0  # for rounding swallows what moves
            self._refuted = bool((again.wrong & ~stands_still).any())
            self.verdicts = self.verdicts.taking(again.only(right))
            self.suspects = self.suspects[~right]

    def of_kinks(self) -> None:
        """Ask whether a kink is at the point."""
        for view in self._views if self.suspects.size else ():
            found = kinks_at(*view, self.suspects, self.random)
            if found is not None:
                self.kinks, self.suspects = self.kinks + int(found.sum()), self.suspects[:0]
                return

    def of_steps_on_its_side(self) -> None:
        """Ask steps that do not go over a kink beside the point whether they refute a claim.

        Raises
        ------
        Wrong
            As soon as one claim is refuted.
        """
        off = np.abs(self.verdicts.claimed - self.verdicts.measured)
        off = off[np.searchsorted(self.verdicts.rows, self.suspects)]
        for row, far in sorted(zip(self.suspects, off, strict=True), key=lambda one: -one[1]):
            again = None
            if isinstance(self.check, First) and not self._refuted:  # else one step moves all
                again = on_its_side(self.check, int(row), far)
            if again is None or again.wrong[0]:
                raise Wrong(self.check, self.verdicts, self.suspects)
            self.verdicts = self.verdicts.taking(again)

    def report(self, notes: tuple[str, ...]) -> Report:
        """Return what is known, and what keeps the rest from being known."""
        verdicts, kinks, share = self.verdicts, self.kinks, self.share
        judged = verdicts.known & ~verdicts.wrong
        compared, unknown = int(verdicts.known.sum()), verdicts.rows[~verdicts.known]
        if unknown.size:
            there = what_is_there(self.check, verdicts)
            unknown = np.setdiff1d(unknown, there.without)
            found = None
            if unknown.size and not there.jump:
                found = kinks_at(self.plain, verdicts, unknown, self.random)
            if found is None:
                notes, share = (*notes, *there.sentences), max(share, there.share)
            else:
                kinks, compared = kinks + int(found.sum()), compared + found.size
                unknown = unknown[:0]
        return Report(
            self.problem.name,
            self.check.order,
            compared=compared,
            kinks=kinks,
            unjudged=unknown.size,
            vague=int(unknown.size > compared),
            worst=float(verdicts.difference()[judged].max(initial=0.0)),
            noise=share,
            notes=notes,
        )


def _vague(verdicts: Verdicts) -> Vector:
    """Return entries that are not known, but for jumps."""
    vague = ~verdicts.known & np.isfinite(verdicts.claimed + verdicts.tolerance)
    rows: Vector = verdicts.rows[vague]
    return rows


def _is_nothing(check: First | Second, verdicts: Verdicts) -> Vector:
    """Return where a claim and what moves are less than numbers like 1 could show in an op.

    That is their last digit, where nothing moves at all, and else what products of a few of them
    can hold.
    """
    x, steps = check.problem.x, check.problem.steps[verdicts.rows]
    unit = max(1.0, np.abs(x).max(initial=0.0)) * np.abs(check.cotangent).sum()
    claimed, measured = np.abs(verdicts.claimed) * steps, np.abs(verdicts.measured) * steps
    nothing: Vector = np.maximum(claimed, measured) <= FAINT * unit
    if isinstance(check, First):
        nothing |= (measured == 0) & (claimed <= EPS * unit)
    return nothing
