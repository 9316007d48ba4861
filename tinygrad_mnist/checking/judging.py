"""gradcheck: what the rules claim beside what differences measure, entry by entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.autograd import jvp
from tinygrad_mnist.checking.measuring import EPS, RELATIVE, TINY, Check, First, Second
from tinygrad_mnist.checking.problem import Problem, function_name, joined, quiet
from tinygrad_mnist.checking.report import GradientError, Mismatch, Report
from tinygrad_mnist.checking.sampling import Call, draw_call
from tinygrad_mnist.operation import Op

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tinygrad_mnist.checking.problem import Vector

STEPS = tuple(0.05 / 8**k for k in range(12))  # of one measurement after another
SHARP = 1e-2  # a measurement with a larger error than this, relative to the number, says nothing
CLEAR = 1e-4  # after one with a smaller error than this no other is needed
NOTHING = 1e-4  # of the scale of a number: as good as 0
AROUND = (1e-3, 1e-6, 1e-9)  # how far from a kink, relative to a step, its sides are looked at
SIDES = 64  # how many points around a kink are looked at before a claim is called wrong


def gradcheck(
    f: Callable[..., Any] | Call, *inputs: Any, order: int = 2, seed: int = 0, examples: int = 50
) -> Report:
    """Compare the gradient of `f` with differences of its values.

    Every entry is compared, under a random cotangent, in float64, with steps relative to the
    entry that stay inside an op's domain. At order 2 so is the gradient of the gradient along a
    random vector, and forward mode with reverse mode. An entry at a kink agrees if it lies among
    the derivatives around the kink; NaN agrees with nothing.

    Parameters
    ----------
    f : callable, Op or Call
        Takes and returns arrays, or nested lists, tuples and dicts of them. A `Call` of an op
        brings its inputs.
    *inputs
        Where: arrays, Tensors, floats, or nested structures. What is not of floating-point
        numbers, or has no gradient rule, is constant. An op needs none: they are drawn from its
        `domain`, `shapes` and `cases`.
    order : {1, 2}, optional
    seed : int, optional
        Of the random cotangents, and of what is drawn.
    examples : int, optional
        At how many inputs to check an op that was given none.

    Returns
    -------
    Report

    Raises
    ------
    GradientError
        If a gradient is wrong, has another shape or dtype than its input, or if a rule changes
        an array that it was given.
    TypeError
        If there is nothing to check at, or nothing to differentiate.
    ValueError
        If `f` is random, is not finite there, or is an op that lacks data to draw inputs from.

    Examples
    --------
    >>> gradcheck(lambda x, y: np.exp(x) * y, 0.5, np.array([1.0, 2.0])).compared
    6
    """
    if order not in {1, 2}:
        raise ValueError(f"gradcheck knows order 1 and order 2; got order={order}")
    random = np.random.default_rng(seed)
    if isinstance(f, Call):
        return _check(f.problem(), order, random)
    if inputs:
        return _check(Problem(f, inputs), order, random)
    if not isinstance(f, Op):
        raise TypeError(
            f"gradcheck of the function {function_name(f)} needs inputs to check it at: "
            "gradcheck(f, x, ...); only an op, made with @op, brings its own"
        )
    report = Report(f.name, order)
    for n in range(examples):
        call = draw_call(f, lambda some: some[int(random.integers(len(some)))], n % len(f.cases))
        report += _check(call.problem(), order, random)
    return report


def _check(problem: Problem, order: int, random: np.random.Generator) -> Report:
    """Check a function at one point."""
    report = Report(problem.name, order, points=1)
    with quiet():
        first = First(problem, _generic(random, problem.out.size))
        report += _compare(problem, first, random)
        if order == 2:
            v = problem.steps * _generic(random, problem.x.size)
            compare_modes(problem, first, v)
            report += _compare(problem, Second(first, v), random)
    return report


def _generic(random: np.random.Generator, shape: int | tuple[int, ...]) -> Vector:
    """Return numbers of both signs, none of them special, small or large."""
    signs: Vector = random.choice((-1.0, 1.0), shape)
    return signs * random.uniform(0.5, 1.5, shape)


@dataclass(frozen=True)
class Verdict:
    """A claim beside its measurement, for each entry."""

    claimed: Vector
    measured: Vector
    tolerance: Vector
    known: Vector  # whether the measurement says anything
    wrong: Vector


def judge(check: Check, x: Vector, rows: Vector, steps: Sequence[float] = STEPS) -> Verdict:
    """Measure with smaller and smaller steps until the claim is clearly seen to be right.

    What a larger step measured stands as long as smaller ones do not contradict it: beside a kink
    or a pole a large step is often sure and wrong. An entry is wrong if no step confirms it, unless
    the function is so rough that the smallest step is still too large to see a slope.
    """
    claimed = check.claim(x)[rows]
    finite = np.isfinite(claimed)
    nothing = NOTHING * check.scale[rows]
    measured, tolerance = np.zeros(rows.size), np.full(rows.size, np.inf)
    known, right, rough = np.zeros((3, rows.size), bool)
    pending = np.arange(rows.size)
    for step in steps:
        value, error, rough[pending] = check.measure(x, rows[pending], step)
        size = np.maximum(np.abs(value), np.where(finite, np.abs(claimed), 0)[pending])
        sharp = error <= np.maximum(SHARP * size, nothing[pending])
        before, trust = measured[pending], tolerance[pending]
        contradicts = np.abs(value - before) > error + trust
        better = contradicts | (error < trust)
        measured[pending] = np.where(better, value, before)
        tolerance[pending] = np.where(better, error, trust)
        known[pending] = np.where(better, sharp, known[pending])
        agrees = np.abs(claimed - measured)[pending] <= tolerance[pending]
        right[pending] = known[pending] & agrees
        clear = tolerance[pending] <= np.maximum(CLEAR * size, nothing[pending])
        pending = pending[~(right[pending] & clear)]
        if not pending.size:
            break
    known &= right | ~rough
    return Verdict(claimed, measured, tolerance, known, ~finite | (known & ~right))


def _compare(problem: Problem, check: Check, random: np.random.Generator) -> Report:
    """Judge every entry; raise if one is wrong."""
    verdict = judge(check, problem.x, np.arange(problem.x.size))
    suspects = np.flatnonzero(verdict.wrong)
    if suspects.size:
        suspects = suspects[judge(check.lenient(), problem.x, suspects).wrong]
    if suspects.size and not _is_kink(problem, check, verdict, suspects, random):
        raise _refuted(problem, check, verdict, suspects)
    judged = verdict.known & ~verdict.wrong
    return Report(
        problem.name,
        check.order,
        compared=int(verdict.known.sum()),
        kinks=suspects.size,
        unjudged=int((~verdict.known).sum()),
        worst=float(_difference(check, verdict)[judged].max(initial=0.0)),
    )


def _difference(check: Check, verdict: Verdict) -> Vector:
    """Return how far each claim is off, relative to the number or its scale."""
    size = np.maximum(np.abs(verdict.measured), check.scale) + TINY
    difference: Vector = np.abs(verdict.claimed - verdict.measured) / size
    return np.nan_to_num(difference, nan=np.inf)


def _is_kink(
    problem: Problem, check: Check, verdict: Verdict, rows: Vector, random: np.random.Generator
) -> bool:
    """Return whether claims lie between those at points around x, which are right there.

    Every convex combination of the derivatives around a kink is a subgradient, so equal shares at
    ties pass. A smooth function has one derivative around x, and a claim far from it is wrong.
    """
    claimed = verdict.claimed[rows]
    if not np.isfinite(claimed).all():
        return False
    off = np.abs(claimed - verdict.measured[rows])
    for around in AROUND:
        shifts = around * _generic(random, (SIDES // 2, problem.x.size))
        shifts[1::2] = np.abs(shifts[1::2])
        if _is_surrounded(problem, check, claimed, off, rows, shifts):
            return True
    return False


def _is_surrounded(
    problem: Problem, check: Check, claimed: Vector, off: Vector, rows: Vector, shifts: Vector
) -> bool:
    """Return whether claims lie between those to both sides of x.

    Of these the first two are measured, so well that what is off at x would be seen.
    """
    low, high = np.full(rows.size, np.inf), np.full(rows.size, -np.inf)
    within = np.abs(shifts).min() / 100 * np.array((1.0, 0.1, 0.01))
    for n, shift in enumerate(shifts * problem.steps):
        for x in (problem.x + shift, problem.x - shift):
            if n == 0:
                side = judge(check, x, rows, within)
                if side.wrong.any() or not (side.known & (side.tolerance < off / 10)).all():
                    return False
            beside = check.claim(x)[rows]
            low, high = np.minimum(low, beside), np.maximum(high, beside)
        slack = NOTHING * (np.abs(claimed) + np.abs(low))
        if ((low - slack <= claimed) & (claimed <= high + slack)).all():
            return True
    return False


def _refuted(problem: Problem, check: Check, verdict: Verdict, rows: Vector) -> GradientError:
    """Return the error that tells of the worst entry."""
    row = int(rows[np.argmax(_difference(check, verdict)[rows])])
    part = next(part for part in problem.parts if part.start <= row < part.stop)
    mismatch = Mismatch(
        problem.name,
        part.name,
        check.order,
        tuple(int(k) for k in np.unravel_index(row - part.start, part.shape)),
        float(problem.x[row]),
        float(verdict.claimed[row]),
        float(verdict.measured[row]),
        float(verdict.tolerance[row]),
        int(((part.start <= rows) & (rows < part.stop)).sum()),
        part.stop - part.start,
    )
    return GradientError(mismatch, mismatch)


def compare_modes(problem: Problem, first: First, v: Vector) -> None:
    """Raise unless <u, J v> of forward mode is <Jᵀ u, v> of reverse mode."""
    _, pushed = jvp(
        lambda *inputs: problem.call(inputs), problem.split(problem.x), problem.split(v)
    )
    forward = first.cotangent * joined(pushed)
    reverse = problem.pull(problem.x, first.cotangent) * v
    allowed = RELATIVE * (np.abs(forward).sum() + np.abs(reverse).sum())
    cancelling = first.weights @ np.abs(problem.out) * np.abs(v).max(initial=1.0)  # in a rule
    allowed += 100 * EPS * cancelling
    if not abs(forward.sum() - reverse.sum()) <= allowed:
        raise GradientError(
            f"forward mode of {problem.name} disagrees with reverse mode: <u, J v> is "
            f"{forward.sum():.9g}, <Jᵀ u, v> is {reverse.sum():.9g}: a rule is not linear in g"
        )
