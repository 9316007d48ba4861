"""A check at one point: every entry if they are few, samples and projections if they are many."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_mnist.checking.deciding import Wrong, decided
from tinygrad_mnist.checking.inputs import generic
from tinygrad_mnist.checking.judging import STEPS, Judging, Verdicts, judge
from tinygrad_mnist.checking.kinks import kinks_at
from tinygrad_mnist.checking.measuring import LEVELS, Along, First, Second
from tinygrad_mnist.checking.noise import above_noise, jumps
from tinygrad_mnist.checking.outside import outside, overflows
from tinygrad_mnist.checking.problem import RuleError, quiet
from tinygrad_mnist.checking.promises import (
    check_each_result,
    check_linear,
    check_modes,
    check_promises,
)
from tinygrad_mnist.checking.report import GradientError, Report
from tinygrad_mnist.operation import Op

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinygrad_mnist.checking.inputs import Vector
    from tinygrad_mnist.checking.problem import Problem

PROJECTIONS = 6  # random directions that see all entries, where there are too many to see each
FOLLOWED = 2  # of them, if they lead to entries: to follow one takes longest
AT_ONCE = 256  # entries between two looks at the clock
SOON = 2  # steps, after which a kink shows
NARROW = 2e-8  # a step, within which there is a kink then
TOO_LARGE = "a second derivative overflows at these inputs"
PATIENCE = 2.0  # seconds without a word


def check_point(problem: Problem, order: int, seed: int, max_evaluations: int) -> Report:
    """Check a function at one point.

    Raises
    ------
    Wrong
        If a number is.
    GradientError
        If something else is.
    """
    with quiet():
        random = np.random.default_rng(seed)
        first = First(problem, generic(random, problem.out.size))
        return _checked(first, order, random, max_evaluations)


def _checked(first: First, order: int, random: np.random.Generator, max_evaluations: int) -> Report:
    """Check what rules promise and the numbers that they claim, order by order."""
    problem, at = first.problem, 1
    report = Report(problem.name, order, points=1)
    try:
        check_promises(problem, first)
        check_each_result(problem, first)
        report += _compare(first, random, max_evaluations)
        check_linear(problem, first)
        if order == 2 and np.isfinite(first.claim(problem.x)).all():  # else it is a pole
            at = 2
            v = problem.steps * generic(random, problem.x.size)
            check_modes(problem, first, v)
            second = Second(first, v)
            if overflows(problem, second.claim):
                report += Report(
                    problem.name, order, unjudged=problem.x.size, vague=1, notes=(TOO_LARGE,)
                )
            else:
                report += _compare(second, random, max_evaluations)
    except (Wrong, RuleError) as error:
        said = outside(problem)
        if said is not None:
            report += Report(problem.name, order, unjudged=problem.x.size, notes=(said,))
            return replace(report, vague=1)
        if isinstance(error, Wrong):
            raise
        raise GradientError(f"a rule of {problem.name} {_said(error, problem, at)}") from error
    return replace(report, vague=min(report.vague, 1))


def _said(error: RuleError, problem: Problem, order: int) -> str:
    """Return what to say of a rule that raised something."""
    if "read-only" in str(error):
        return f"writes to an array that it was given ({error}): write to a copy"
    text = f"raises at order {order}: {error}"
    alone = isinstance(problem.f, Op) and len(problem.out_shapes) == 1 and not problem.f.hidden
    if "NoneType" in str(error) and not alone:
        text += "; of several results, hidden ones too, g is None where no cotangent came"
    return text


def _compare(check: First | Second, random: np.random.Generator, max_evaluations: int) -> Report:
    """Judge every entry, or as many as the evaluations allow; raise if one is wrong."""
    size = check.problem.x.size
    notes: tuple[str, ...] = ()
    rows = np.arange(size)
    if isinstance(check, First) and 2 * LEVELS * size > max_evaluations:
        suspects, notes = _project(check, random)
        rows = _sampled(check, suspects, max_evaluations // (4 * LEVELS), random)
        notes = (f"{rows.size:,} of {size:,} entries were looked at one by one", *notes)
    verdicts = _judge_all(check, rows, random)
    above = above_noise(check, verdicts)
    if above is not None:
        check, stairs = above
        verdicts = _judge_all(check, rows, random)
        sure = ~(verdicts.wrong & np.isin(rows, stairs))
        verdicts = replace(verdicts, wrong=verdicts.wrong & sure, known=verdicts.known & sure)
    return decided(check, verdicts, random, notes)


def _judge_all(check: First | Second, rows: Vector, random: np.random.Generator) -> Verdicts:
    """Judge entries, and say how far it is if that takes long and someone watches."""
    parts = [
        _judged(check, some, random) for some in _watched(check.problem.name, rows, check.order)
    ]
    if len(parts) == 1:
        return parts[0]
    fields = Verdicts.__dataclass_fields__
    return Verdicts(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))


def _judged(check: First | Second, rows: Vector, random: np.random.Generator) -> Verdicts:
    """Judge entries; ask soon whether there is a kink or a jump: smaller steps see no more."""
    judging = Judging(check, check.problem.x, rows)
    judging.measure(STEPS[:SOON])
    rough = judging.rough
    if rough.size:
        judging.drop(rough[jumps(check, rows[rough])])
    places = judging.kinks(NARROW)
    if places.size:
        kinks = kinks_at(check, judging.verdicts(), rows[places], random)
        if kinks is not None:
            judging.settle(places[kinks], kinked=True)
    judging.measure(STEPS[SOON:])
    return judging.verdicts()


def _watched(name: str, rows: Vector, order: int) -> Iterator[Vector]:
    if order == 2 or rows.size <= AT_ONCE:  # one direction measures all
        yield rows
        return
    start, shown = time.monotonic(), False
    for done in range(0, rows.size, AT_ONCE):
        if sys.stderr.isatty() and time.monotonic() - start > PATIENCE:
            sys.stderr.write(f"\rgradcheck of {name}: {done:,} of {rows.size:,} entries")
            shown = True
        yield rows[done : done + AT_ONCE]
    if shown:
        sys.stderr.write("\r\033[K")


# Many entries -------------------------------------------------------------------------------------


def _project(first: First, random: np.random.Generator) -> tuple[list[int], tuple[str, ...]]:
    """Return entries that random directions through all of them lead to, if claims differ there."""
    problem = first.problem
    found: list[int] = []
    followed = 0
    for _ in range(PROJECTIONS):
        direction = problem.steps * generic(random, problem.x.size)
        if _differs(first, direction):
            found += _narrowed(first, direction)
            followed += 1
            if followed == FOLLOWED:
                break
    return found, (f"all of them by {PROJECTIONS} random directions",)


def _differs(first: First, direction: Vector) -> bool:
    along = Along(first, direction[np.newaxis])
    one = np.zeros(1, int)
    return bool(
        judge(along, first.problem.x, one).wrong[0]
        and judge(along.lenient(), first.problem.x, one).wrong[0]
    )


def _narrowed(first: First, direction: Vector) -> list[int]:
    """Return where along a direction the claim differs: by halves, as long as one of them shows."""
    here = np.flatnonzero(direction)
    while here.size > 1:
        for half in np.array_split(here, 2):
            part = np.zeros_like(direction)
            part[half] = direction[half]
            if _differs(first, part):
                here = half
                break
        else:
            break
    return [int(k) for k in here[:AT_ONCE]]


def _sampled(first: First, suspects: list[int], count: int, random: np.random.Generator) -> Vector:
    """Return entries to look at: suspects, ends and extremes of each input, and some at random."""
    chosen = set(suspects)
    claimed = np.abs(first.claim(first.problem.x))
    for part in first.problem.parts:
        size = part.stop - part.start
        if size:
            inside = claimed[part.start : part.stop]
            chosen |= {part.start, part.stop - 1}
            chosen |= {part.start + int(np.argmax(inside)), part.start + int(np.argmin(inside))}
            some = max(1, count // len(first.problem.parts))
            picks = random.choice(size, min(size, some), replace=False)
            chosen |= {part.start + int(k) for k in picks}
    return np.array(sorted(chosen))
