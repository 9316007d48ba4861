"""Claims beside exact derivatives: the forward runs on numbers of sixty digits, by mpmath.

A central difference over a step of 1e-20 is then exact to forty digits, so there is no step to
choose, and what a claim may be off by is what rounding can do in the rule itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_mnist.checking.deciding import Wrong
from tinygrad_mnist.checking.exact import DIGITS, exact, is_exact, load_mpmath
from tinygrad_mnist.checking.floors import Traced
from tinygrad_mnist.checking.inputs import generic
from tinygrad_mnist.checking.judging import Verdicts
from tinygrad_mnist.checking.measuring import First, Second
from tinygrad_mnist.checking.problem import quiet
from tinygrad_mnist.checking.promises import check_modes, check_promises
from tinygrad_mnist.checking.report import Report

if TYPE_CHECKING:
    from tinygrad_mnist.checking.inputs import Vector
    from tinygrad_mnist.checking.problem import Problem

STEP = 1e-20  # relative to the scale of an entry; the error of a central difference is its square
SECOND_STEPS = (1e-18, 5e-19)  # of differences of differences: those of a kink depend on it
APART = 1e-9  # one-sided slopes that differ by more of their size are those of a kink
ROUNDING = 16  # how many times its bound a claim may be off
FLOOR = 1e-12  # and how much of its size, for what rules do out of sight
AROUND = 1e-9  # how far from a kink its sides are looked at
SIDES = 24


def check_exactly(problem: Problem, order: int, seed: int) -> Report:
    """Check a function at one point against exact derivatives.

    Raises
    ------
    TypeError
        If the forward does not run on mpmath's numbers, or loses their digits.
    Wrong
        If a number is wrong.
    """
    random = np.random.default_rng(seed)
    report = Report(problem.name, order, points=1)
    with quiet(), load_mpmath().workdps(DIGITS):
        exactly = Exactly(problem)
        first = First(problem, generic(random, problem.out.size))
        check_promises(problem, first)
        report += _compare(first, exactly.slopes(exactly.x, first.cotangent), exactly, random)
        if order == 2:
            v = problem.steps * generic(random, problem.x.size)
            check_modes(problem, first, v)
            second = Second(first, v)
            report += _compare(second, exactly.curvature(first.cotangent, v), exactly, random)
    return report


class Slopes(NamedTuple):
    """Exact derivatives, those to both sides at a kink; NaN where there are none."""

    low: Vector
    high: Vector


class Exactly:
    """A function at a point, on numbers of sixty digits.

    Raises
    ------
    TypeError
        If the function does not run on them, or loses their digits.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.x = [load_mpmath().mpf(float(entry)) for entry in problem.x]
        self.here = self.value(self.x)
        self._look()

    def value(self, x: list[Any]) -> Any:
        """Return all results at a vector, as one."""
        arrays = [
            exact(np.zeros(part.shape)) if part.start == part.stop else _filled(x, part)
            for part in self.problem.parts
        ]
        try:
            results = self.problem.call(arrays)
        except Exception as error:
            raise self._refusal(f"it stopped at {type(error).__name__}: {error}") from error
        for result in results:
            if not is_exact(result):
                raise self._refusal("a result has become an array of floats")
        return np.concatenate(
            [np.empty(0, object), *(np.ravel(r).view(np.ndarray) for r in results)]
        )

    def _refusal(self, why: str) -> TypeError:
        return TypeError(
            f'oracle="mpmath" needs a forward that runs on numbers of {DIGITS} digits, and '
            f"{self.problem.name} does not: {why}. Leave oracle away to check it by differences"
        )

    def _look(self) -> None:
        """Refuse a function that loses digits on the way, whose differences would all be 0."""
        if len(self.here) != self.problem.out.size:
            raise self._refusal("on them it returns fewer numbers")
        moved = self._moved(self.x, self.problem.steps, 1e-25)
        far = self.problem.value(self.problem.x + 1e-3 * self.problem.steps)
        stays = self.value(moved) == self.here
        moves = np.abs(far - self.problem.out) > 1e-9 * np.abs(self.problem.out)
        smooth = self.value(self._moved(self.x, self.problem.steps, 1e-6)) != self.here
        if (stays & moves & smooth).any():
            raise self._refusal("it does not move with the last digits of its inputs")

    @staticmethod
    def _moved(x: list[Any], direction: Vector, step: float) -> list[Any]:
        h = load_mpmath().mpf(step)
        return [xi + h * float(d) for xi, d in zip(x, direction, strict=True)]

    def slopes(self, x: list[Any], cotangent: Vector) -> Slopes:
        """Return the derivatives of <cotangent, results>, to both sides of a point."""
        problem, here, h = self.problem, self.value(x), load_mpmath().mpf(STEP)
        low, high = np.zeros((2, problem.x.size))
        for row in range(problem.x.size):
            step = h * float(problem.steps[row])
            ahead, behind = list(x), list(x)
            ahead[row], behind[row] = x[row] + step, x[row] - step
            above, below = self.value(ahead), self.value(behind)
            central = (above - below) / (2 * step) * cotangent
            right, left = (above - here) / step * cotangent, (here - below) / step * cotangent
            kinks = np.abs(right - left) > APART * (np.abs(right) + np.abs(left))
            low[row] = float(np.sum(np.where(kinks, np.minimum(left, right), central)))
            high[row] = float(np.sum(np.where(kinks, np.maximum(left, right), central)))
        return Slopes(low, high)

    def curvature(self, cotangent: Vector, v: Vector) -> Slopes:
        """Return the derivatives along v of the gradient of <cotangent, results>; NaN at kinks."""
        found = np.zeros(self.problem.x.size)
        for row in range(found.size):
            axis = np.zeros(found.size)
            axis[row] = self.problem.steps[row]
            wide, narrow = (self._mixed(axis, v, h) @ cotangent / axis[row] for h in SECOND_STEPS)
            apart = abs(wide - narrow) > APART * (abs(narrow) + self.problem.coarse)
            found[row] = np.nan if apart else float(narrow)
        return Slopes(found, found)

    def _mixed(self, axis: Vector, v: Vector, step: float) -> Any:
        """Return the second derivative of each result, along two directions."""
        h = load_mpmath().mpf(step)
        corners = [
            self.value(self._moved(self._moved(self.x, one * v, step), other * axis, step))
            for one in (1, -1)
            for other in (1, -1)
        ]
        return ((corners[0] - corners[1]) - (corners[2] - corners[3])) / (4 * h * h)

    def is_outside(
        self, claimed: Vector, kinks: Vector, cotangent: Vector, random: np.random.Generator
    ) -> bool:
        """Return whether claims at kinks differ in sum from all derivatives around.

        So they do where both of two equal entries are given the whole gradient, which neither of
        them shows by itself.
        """
        weights = np.where(kinks, self.problem.steps, 0.0)
        totals = []
        for k in range(SIDES):
            shift = generic(random, weights.size)
            if k < 4:  # all to one side
                shift = np.abs(shift) * (1, -1)[k % 2]
            there = self._moved(self.x, shift * self.problem.steps, AROUND)
            totals.append(float(weights @ self.slopes(there, cotangent).low))
        slack = 1e-6 * float(weights @ np.abs(claimed))
        return not min(totals) - slack <= float(weights @ claimed) <= max(totals) + slack


def _filled(x: list[Any], part: Any) -> Any:
    array = exact(np.zeros(part.shape))
    plain = array.view(np.ndarray).reshape(-1)
    plain[:] = x[part.start : part.stop]
    return array


# Judging ------------------------------------------------------------------------------------------


def _compare(
    check: First | Second, slopes: Slopes, exactly: Exactly, random: np.random.Generator
) -> Report:
    """Judge every entry; raise if one is wrong."""
    problem = check.problem
    claimed = check.claim(problem.x)
    known = np.isfinite(slopes.low)
    middle = np.where(known, (slopes.low + slopes.high) / 2, 0)
    tolerance = _allowed(check, claimed, middle)
    with np.errstate(invalid="ignore"):
        inside = (slopes.low - tolerance <= claimed) & (claimed <= slopes.high + tolerance)
    kinks = known & (slopes.high > slopes.low)
    wrong = known & ~inside
    if kinks.any() and not wrong.any() and isinstance(check, First):
        wrong = kinks & exactly.is_outside(claimed, kinks, check.cotangent, random)
    rows = np.arange(problem.x.size)
    # of a kink the nearer side is what was measured
    measured = np.clip(
        np.nan_to_num(claimed), np.nan_to_num(slopes.low), np.nan_to_num(slopes.high)
    )
    measured = np.where(kinks & wrong & inside, middle, measured)
    no = np.zeros_like(wrong)
    verdicts = Verdicts(
        rows, claimed, measured, tolerance, check.scale, known, ~known, wrong, no, kinks, 0.0 * rows
    )
    if wrong.any():
        raise Wrong(check, verdicts, rows[wrong])
    notes: tuple[str, ...] = ("derivatives are exact, by mpmath",)
    if not known.all():
        notes = (*notes, f"{int((~known).sum())} at kinks have no second derivative")
    return Report(
        problem.name,
        check.order,
        compared=int(known.sum()),
        kinks=int(kinks.sum()),
        worst=float(verdicts.difference()[known].max(initial=0.0)),
        notes=notes,
    )


def _allowed(check: First | Second, claimed: Vector, measured: Vector) -> Vector:
    """Return how far rounding in the rules can move each claim."""
    problem = check.problem
    size = np.abs(measured) + np.where(np.isfinite(claimed), np.abs(claimed), 0)
    cotangents = problem.outputs(check.cotangent)
    eps = max(problem.coarse, float(np.finfo(float).eps)) / np.finfo(float).eps
    call = Traced(lambda *xs: problem.gradients(xs, cotangents), problem.split(problem.x))
    moved = call.each()
    if isinstance(check, Second):
        moved = np.full(size.shape, moved.max(initial=0.0) + 1e-12 * check.scale.max(initial=0.0))
    digits = DIGITS - (20 if check.order == 1 else 30)  # that differences over such steps have
    unseen = 10.0**-digits * (1 + np.abs(problem.out).max(initial=0.0)) / problem.steps
    allowed: Vector = eps * (ROUNDING * moved + FLOOR * size) + unseen
    return allowed
