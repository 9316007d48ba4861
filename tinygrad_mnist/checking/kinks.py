"""Points on a kink: a claim there must lie among the derivatives around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tinygrad_mnist.checking.inputs import generic
from tinygrad_mnist.checking.judging import NOTHING, STEPS, judge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinygrad_mnist.checking.inputs import Vector
    from tinygrad_mnist.checking.judging import Verdicts
    from tinygrad_mnist.checking.measuring import Check

AROUND = (1e-6, 1e-9, 1e-3)  # how far from a kink, relative to a step, its sides are looked at
DIRECTIONS = 8  # that move several entries at once
NEARER = 8  # times, where the sides of a kink must be as far apart
FAR = 100  # times what is off at a kink: then claims around differ
DISTANCES = tuple(8.0**k for k in range(-17, 0))  # at which claims beside a point are compared
SIDES = 32  # pairs of points around a kink, and one for each entry, before a claim is called wrong


def kinks_at(
    check: Check, verdicts: Verdicts, rows: Vector, random: np.random.Generator
) -> Vector | None:
    """Return where there is a kink; None unless claims lie among those around x, right there.

    Every convex combination of the derivatives around a kink is a subgradient in Clarke's sense
    [1]_, so equal shares at ties pass. A smooth function has one derivative around x, and a claim
    far from it is wrong; so are claims whose sum differs where all around agree on the sum, as when
    both of two equal entries are given the whole gradient.

    Returns
    -------
    (k,) array of bool or None
        For each of the rows. What is close to x counts, for there may be a kink further away.

    References
    ----------
    .. [1] F. H. Clarke, "Generalized gradients and applications", 1975.
    """
    places = np.searchsorted(verdicts.rows, rows)
    claimed, measured = verdicts.claimed[places], verdicts.measured[places]
    if not np.isfinite(claimed).all():
        return None
    here, smooth = _Here(claimed, measured, verdicts.tolerance[places]), verdicts.smooth[places]
    nearest = smooth.min(initial=np.inf, where=smooth > 0)
    for around in AROUND:
        if around < nearest:
            seen = _looked_around(check, here, rows, around, random)
            if seen is not None:
                return seen.kinks if seen.surround else None
    return None


def on_its_side(check: Check, row: int, off: float) -> Verdicts | None:
    """Judge a claim again by steps within which claims stay as they are, if they soon change.

    Beside a kink a wide step is sure and wrong, and where numbers are large rounding may keep the
    steps that stay on the point's side from telling so.

    Parameters
    ----------
    off : float
        How far the claim is off: what changes by less is no kink that matters.

    Returns
    -------
    Verdicts or None
        None if claims stay as they are over all steps, or change right at the point.
    """
    problem = check.problem
    axis = np.zeros(problem.x.size)
    axis[row] = problem.steps[row]
    here, same = check.claim(problem.x)[row], 0.0
    for distance in DISTANCES:
        ahead, behind = (check.claim(problem.x + s * distance * axis)[row] for s in (1.0, -1.0))
        if not abs(ahead - 2 * here + behind) <= off / 4:  # else it is a curve
            break
        same = distance
    if not DISTANCES[1] <= same < STEPS[0]:
        return None
    return judge(check, problem.x, np.array([row]), same / np.array((1.0, 8.0, 64.0)), least=0.0)


class _Here(NamedTuple):
    """Claims at the point itself, and what was measured there, to a tolerance."""

    claimed: Vector
    measured: Vector
    tolerance: Vector

    @property
    def off(self) -> Vector:
        """How far claims are off."""
        off: Vector = np.abs(self.claimed - self.measured)
        return off

    def explained(self, beside: Vector) -> Vector:
        """Return where claims around differ so that a kink explains what is off."""
        low, high = beside.min(axis=0), beside.max(axis=0)
        between = (low - self.tolerance <= self.measured) & (self.measured <= high + self.tolerance)
        apart = high - low
        explained: Vector = (apart >= FAR * self.off) | (between & (apart >= self.off))
        return explained


class _Sides(NamedTuple):
    """What claims around a point say of those there."""

    surround: bool  # whether those there lie among them
    kinks: Vector  # where they differ among each other


def _looked_around(
    check: Check,
    here: _Here,
    rows: Vector,
    around: float,
    random: np.random.Generator,
) -> _Sides | None:
    """Return what claims to both sides of x say, each and together; None if they don't tell.

    Of these the first few are measured, so well that what is off at x would be seen; if not, claims
    around must explain it. At last it must be no curve.
    """
    problem = check.problem
    points: list[Vector] = []
    within = around / 200 * np.array((1.0, 0.1, 0.01))
    found: list[Vector] = []
    vague, alone = np.zeros((2, rows.size), bool)
    uphill = check.claim(problem.x) * problem.steps
    for n, shift in enumerate(_shifts(uphill, rows, random)):
        for side in (1.0, -1.0):
            x = problem.x + side * around * shift * problem.steps
            if n < 2:
                one = judge(check, x, rows, within)
                if one.wrong.any() or not one.known.all():
                    if n:
                        continue  # on the kink still
                    return None
                vague |= one.tolerance >= here.off / 3
            beside = check.claim(x)
            if np.isfinite(beside).all():
                found.append(beside)
                points.append(x)
        if n >= 3 and found:
            every = np.array(found)
            spread = np.ptp(every[:, rows], axis=0)
            if not here.explained(every[:, rows])[vague].all():
                continue
            inside = _inside(here.claimed, every[:, rows], 0.0)
            kinks = spread > NOTHING * np.abs(every[:, rows]).max(axis=0)
            if inside.all() and _together(check, every, random):
                apart = _stays_apart(check, every, points, rows[kinks])
                return _Sides(True, kinks) if apart else None
            alone = ~inside & ~kinks
    return _Sides(False, kinks) if alone.any() else None


def _stays_apart(check: Check, beside: Vector, points: list[Vector], rows: Vector) -> bool:
    """Return whether claims differ as much nearer to x; where a function curves, they do not."""
    here = check.problem.x
    nearer = np.array([check.claim(here + (x - here) / NEARER)[rows] for x in points])
    return bool((np.ptp(nearer, axis=0) >= np.ptp(beside[:, rows], axis=0) / 2).all())


def _inside(claimed: Vector, beside: Vector, wider: float, size: Vector | float = 0.0) -> Vector:
    """Return which claims lie between the smallest and the largest around; `size` is of terms."""
    low, high = beside.min(axis=0), beside.max(axis=0)
    slack = NOTHING * (np.abs(claimed) + np.abs(low) + size) + wider * (high - low)
    within: Vector = (low - slack <= claimed) & (claimed <= high + slack)
    return within


def _together(check: Check, beside: Vector, random: np.random.Generator) -> bool:
    """Return whether claims lie inside along directions that move several entries too.

    A random direction may be one of the few in which nothing that was looked at goes as far as the
    claim may, so there is some room; all entries together must lie inside as they are.
    """
    claimed, steps = check.claim(check.problem.x), check.problem.steps
    spread = np.ptp(beside, axis=0)
    kinked = np.flatnonzero(spread > NOTHING * np.abs(beside).max(axis=0))
    if kinked.size < 2:
        return True
    beside, claimed, steps = beside[:, kinked], claimed[kinked], steps[kinked]
    alike = np.array([np.ones(kinked.size), steps]).T
    least = np.abs(claimed) @ np.abs(alike)  # sums of them may be 0
    mixed = generic(random, kinked.size * DIRECTIONS).reshape(kinked.size, DIRECTIONS)
    mixed *= steps[:, np.newaxis]
    return bool(
        _inside(claimed @ alike, beside @ alike, 0.0, least).all()
        and _inside(claimed @ mixed, beside @ mixed, 0.5).all()
    )


def _shifts(uphill: Vector, rows: Vector, random: np.random.Generator) -> Iterator[Vector]:
    """Yield ways to leave a kink: in a random direction, in the order of entries, one by one.

    One is along the claim itself, where no other derivative around may be as large. At last every
    one of some rows comes first once, last once, and at each place between, so that each of many
    equal entries is the largest, or the middle one, somewhere.
    """
    size = uphill.size
    yield generic(random, size)
    yield uphill / (np.abs(uphill).max(initial=0.0) or 1.0)
    rising = 0.5 + np.arange(size) / max(1, size)
    yield rising
    yield 2 - rising
    for n in range(SIDES):
        shift = generic(random, size)
        if n % 2:
            shift = np.abs(shift)
        if n % 4 > 1:  # what happens where one entry stands out, or stays
            shift[random.choice(rows)] *= random.choice((0.01, 3.0))
        yield shift
    order = random.permutation(rows.size)
    for n in range(rows.size):
        shift = generic(random, size)
        shift[rows] = 0.5 + (order + n) % rows.size / rows.size
        yield shift
