"""Functions whose values are uncertain beyond rounding, and functions that jump."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_mnist.checking.digits import SINGLE
from tinygrad_mnist.checking.floors import gradient_noise, is_loud, value_noise
from tinygrad_mnist.checking.measuring import NEGLIGIBLE, TINY, First, Second, to_both_sides

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinygrad_mnist.checking.inputs import Vector
    from tinygrad_mnist.checking.judging import Verdicts
    from tinygrad_mnist.checking.problem import Problem

POINTS = 9  # in a row, for each estimate
APART = 1e-5  # of them, relative to a step: a smooth function is a parabola on this scale
WINDOWS = (-0.013, 0.0, 0.017)  # where rows of points are laid, relative to a step
CLOSE = np.array((2e-15, 1e-14, 1e-13, 1e-12))  # steps that move the last few digits
NEARER = (0.3, 0.1)  # to 0, where a function is not flat and its noise shows
ASIDE = (-0.01, 0.01, -0.013, 0.017, -0.03, 0.023)  # where there is no jump, and noise as anywhere
FAR_OUT = 1e4
LOUD = 30  # how many times its rounding a function's noise is worth a word
NAMED = 3  # how many entries are named


@dataclass(frozen=True)
class Noise:
    """A check that allows for the noise of the function, and how large that is, relative."""

    check: First | Second
    share: float


def noise_of(
    check: First | Second, rows: Vector, *, scale: Vector | None = None, flat: bool = False
) -> Noise | None:
    """Return the check with allowance for the noise of its function, if there is any to speak of.

    A gradient's noise is compared with `scale`, by default that of the check.

    The noise is estimated from differences of high order over points close together, where a smooth
    function has none left [1]_. It is sought beside the point too, for a kink is no noise, and
    nearer to 0 if nothing moves at the point.

    References
    ----------
    .. [1] J. J. Moré and S. M. Wild, "Estimating computational noise", 2011.
    """
    problem = check.problem
    direction = np.zeros(problem.x.size)
    direction[rows] = problem.steps[rows]
    if isinstance(check, Second):
        direction = check.v
        noise = _estimate(check.gradient, problem.x, direction)
        size = check.scale if scale is None else scale
        loud = noise > LOUD * problem.coarse * size
    else:
        aside = np.abs(np.nan_to_num(problem.value(problem.x + direction / 64)))
        size = np.maximum(np.abs(problem.out), aside)
        size = np.maximum(size, NEGLIGIBLE * size.max(initial=0.0))
        noise = _estimate(problem.value, problem.x, direction)
        for nearer in NEARER if flat and not noise.any() else ():
            there = np.abs(np.nan_to_num(problem.value(nearer * problem.x)))
            share = _estimate(problem.value, nearer * problem.x, nearer * direction) / (
                there + TINY
            )
            noise = np.maximum(noise, np.where(share < 1, share, 0.0) * size)
        loud = noise > LOUD * problem.eps * size
    if not loud.any():
        return None
    share = float(np.max(noise[loud] / (size[loud] + 1e-300)))
    allowing = copy.copy(check)
    if isinstance(allowing, Second):
        allowing.noise = np.maximum(allowing.noise, noise)
    else:
        allowing.problem = copy.copy(problem)
        allowing.problem.noise = np.maximum(problem.noise, noise)
    return Noise(allowing, share)


def above_noise(check: First | Second, verdicts: Verdicts) -> tuple[First | Second, Vector] | None:
    """Return the check with allowance for noise, if small steps may have fallen below it.

    That may be where only they confirm a claim, against larger ones, and where 0 is claimed and
    nothing moves. Mostly it is not, and None is returned. Beside the check stand the rows that it
    can't call wrong: their noise is no rounding, that of float32 inside the function neither, so it
    may be stairs, which are as flat as is claimed.
    """
    turned = verdicts.turned & ~verdicts.wrong
    still = verdicts.known & (verdicts.claimed == 0) & (verdicts.measured == 0)
    if isinstance(check, First):
        loud = bool((turned | still).any()) and is_loud(check.problem)
    else:
        seen = gradient_noise(check.problem, check.cotangent) if turned.any() else None
        loud = seen is not None and bool((seen > LOUD * check.problem.coarse * check.scale).any())
    if loud:
        return check.lenient(), verdicts.rows[:0]
    unseen = verdicts.rows[turned & still]
    noise = noise_of(check, unseen) if unseen.size else None
    if noise is None:
        return None
    return noise.check, unseen[:0] if _is_single(check.problem, noise) else unseen


def _is_single(problem: Problem, noise: Noise) -> bool:
    """Return whether noise is that of float32: further out, whole numbers are as far apart."""
    modest = np.abs(problem.x).max(initial=0.0) < FAR_OUT
    rounded = np.array_equal(problem.out, problem.out.astype(np.float32))
    return bool(modest and rounded and noise.share <= SINGLE)


def goes_in_stairs(check: First | Second, rows: Vector, verdicts: Verdicts) -> Vector:
    """Return which gradients go in stairs, too narrow for the steps of a measurement to see.

    Over steps of a few digits they move otherwise than the measured slope says, by more than their
    own digits: so does the remainder of a large number divided by a small one. A second derivative
    says little there.
    """
    problem, stairs = check.problem, np.zeros(rows.size, bool)
    if isinstance(check, Second):
        for points in zip(*to_both_sides(problem.x, check.v, CLOSE, problem.near), strict=True):
            ahead, behind, apart = points
            above, below = check.gradient(ahead), check.gradient(behind)
            digits = 64 * problem.coarse * np.abs(above).max()
            stairs |= np.abs((above - below)[rows] - verdicts.measured * apart) > digits
    return stairs


def _estimate(value: Callable[[Vector], Vector], x: Vector, direction: Vector) -> Vector:
    """Return the standard deviation of each value's noise: the middle one of several estimates."""
    found = []
    for window in WINDOWS:
        table = np.array(
            [value(x + (window + APART * k) * direction) for k in range(-(POINTS // 2), 5)]
        )
        estimates = []
        for n in range(1, POINTS - 2):
            table = table[1:] - table[:-1]
            if n >= 4:
                gamma = math.factorial(n) ** 2 / math.factorial(2 * n)
                estimates.append(np.sqrt(gamma * np.mean(table**2, axis=0)))
        found.append(np.min(estimates, axis=0))
    middle: Vector = np.nan_to_num(np.median(found, axis=0), posinf=0.0)
    return middle


@dataclass(frozen=True)
class Obstacle:
    """What keeps entries from being judged.

    Attributes
    ----------
    sentences : tuple of str
    jump : bool
        Whether the values jump.
    without : list of int
        Entries that have no second derivative, for the gradient jumps: nothing is left to judge.
    share : float
        How uncertain rounding makes the values, relative to them, if that is it.
    """

    sentences: tuple[str, ...]
    jump: bool
    without: list[int]
    share: float = 0.0


def what_is_there(check: First | Second, verdicts: Verdicts) -> Obstacle:
    """Return what keeps entries from being judged: a jump, an infinite slope, noise."""
    problem, said, jump, without, share = check.problem, [], False, [], 0.0
    unknown = np.flatnonzero(~verdicts.known)
    noise = value_noise(problem) if isinstance(check, First) else 0.0
    if isinstance(check, Second):
        across = jumps(check, verdicts.rows[unknown])
        without = [int(row) for row in verdicts.rows[unknown][across]]
    for place in unknown:
        row = int(verdicts.rows[place])
        part = problem.part_of(row)
        index = ", ".join(map(str, part.index(row)))
        at = f"{part.name}[{index}]" if index else part.name
        at += f" = {problem.x[row]:.9g}"
        order = "" if check.order == 1 else ", at order 2"
        if np.isinf(verdicts.claimed[place]):
            said.append(f"an infinite slope is claimed at {at}, and differences grow there{order}")
        elif isinstance(check, First) and _changes_shape(check, row):
            jump = True
            said.append(f"results of another shape beside {at}: a derivative does not apply there")
        elif isinstance(check, First) and _values_jump(check, row, noise):
            jump = True
            said.append(f"a jump at {at}: a derivative does not apply there")
        elif row in without:
            said.append(f"a kink at {at}: there is no second derivative")
        else:
            share = share or _lost_to_rounding(check)
            said.append(
                f"differences are too uncertain at {at}{order}: claimed "
                f"{verdicts.claimed[place]:.3g}, measured {verdicts.measured[place]:.3g} ± "
                f"{verdicts.tolerance[place]:.1g}"
            )
        if len(said) == NAMED and unknown.size > NAMED:
            said.append(f"and so at {unknown.size - NAMED:,} more")
            break
    return Obstacle(tuple(said), jump, without, share)


def _lost_to_rounding(check: First | Second) -> float:
    """Return how far rounding moves the values that are differentiated, relative to them."""
    problem = check.problem
    if isinstance(check, Second):
        noise, size = gradient_noise(problem, check.cotangent), np.abs(check.gradient(problem.x))
    else:
        noise, size = np.maximum(value_noise(problem), problem.noise), np.abs(problem.out)
    if noise is None or not (noise > LOUD * problem.coarse * size).any():
        return 0.0
    return float(np.max(noise / (size + 1e-300)))


def jumps(check: First | Second, rows: Vector) -> Vector:
    """Return for which entries a jump is at the point: of the values, or of the gradient."""
    problem = check.problem
    if isinstance(check, Second):
        return _jumps(check.gradient, problem.x, check.v, problem.coarse, check.noise)[rows]
    found = np.array([_values_jump(check, int(row), problem.noise) for row in rows])
    if found.any():
        noise = value_noise(problem)
        found[found] = [_values_jump(check, int(row), noise) for row in rows[found]]
    return found


def _values_jump(first: First, row: int, noise: Vector | float) -> bool:
    problem = first.problem
    return bool(_jumps(problem.value, problem.x, _axis(first, row), problem.coarse, noise).any())


def _changes_shape(first: First, row: int) -> bool:
    """Return whether the results have another shape right beside a point, where `value` is NaN."""
    axis = _axis(first, row)
    beside = [first.problem.value(first.problem.x + step * axis) for step in (-1e-8, 1e-8)]
    return bool(np.isnan(beside).all(axis=1).any() and not np.isnan(first.problem.out).any())


def _axis(first: First, row: int) -> Vector:
    axis = np.zeros(first.problem.x.size)
    axis[row] = first.problem.steps[row]
    return axis


def _jumps(
    value: Callable[[Vector], Vector],
    x: Vector,
    direction: Vector,
    coarse: float,
    noise: Vector | float,
) -> Vector:
    """Return which values differ across the point, however close to it, and not beside it."""

    def across(x: Vector, step: float) -> Vector:
        apart: Vector = np.abs(value(x + step * direction) - value(x - step * direction))
        return apart

    near, nearer = across(x, 1e-8), across(x, 1e-13)
    rounding = 100 * coarse * np.abs(value(x)).max(initial=0.0) + 8 * noise
    found: Vector = (nearer > rounding) & (nearer > near / 2)
    for side in ASIDE:
        if found.any():
            found &= nearer > 10 * across(x + side * direction, 1e-13)
    return found
