"""Evidence for a diagnosis: claimed and measured Jacobians at the counterexample and elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_mnist.checking.floors import EPS, value_noise
from tinygrad_mnist.checking.inputs import generic
from tinygrad_mnist.checking.judging import STEPS
from tinygrad_mnist.checking.measuring import Axis, First, Second, slopes
from tinygrad_mnist.checking.problem import Problem
from tinygrad_mnist.checking.report import Curve
from tinygrad_mnist.checking.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tinygrad_mnist.checking.deciding import Wrong
    from tinygrad_mnist.checking.inputs import Part, Vector

WHOLE = 1024  # entries of a Jacobian that is measured whole
COLUMNS = 48  # that are looked at in a larger one
SUSPECTS = 16  # of them, at most, that were found wrong
ROWS = 3  # random cotangents that stand for a larger one's rows
SCALES = (1.0, 1.0, 0.3, 3.0, 0.03, 10.0, 1.0, 1.0)  # of other points, relative to this one
ENOUGH = 6  # samples
SURE = 1e-3  # samples measured worse than this tell nothing
POINTS = 81  # of a curve


def samples_of(wrong: Wrong, others: Iterable[Problem]) -> list[Sample]:
    """Return claimed and measured derivatives by the input that was found wrong.

    Parameters
    ----------
    wrong : Wrong
    others : iterable of Problem
        The same function at other points, also of other shapes.
    """
    random = np.random.default_rng(0)
    problem, name, order = wrong.check.problem, wrong.mismatch().parameter, wrong.check.order
    suspects = wrong.rows[:SUSPECTS]
    found = []
    elsewhere = (
        there
        for n, other in enumerate(others)
        for there in _at(other, _generic_point(other, SCALES[n % len(SCALES)], n, random))
    )
    for there in (problem, *_moved(problem, name, random), *elsewhere):
        part = next((part for part in there.parts if part.name == name), None)
        if part is None or part.start == part.stop or not there.out.size:
            continue
        try:
            rows = suspects if there.x.size == problem.x.size else suspects[:0]
            look = _first if order == 1 else _second
            sample = look(there, part, random, rows)
        except Exception:  # noqa: BLE001, S112 - it may refuse a point in any way, or its rules may
            continue
        if sample is not None and _is_sure(sample, 1.0 if np.any(problem.noise) else 1e-3):
            found.append(sample)
    whole = [s for s in found if s.out is not None]  # which tell more
    return whole if len(whole) >= ENOUGH else found


def resized(problem: Problem) -> Iterator[Problem]:
    """Yield the function at inputs of other sizes, where it takes them: shorter along some axes.

    All axes of one length are cut, for they may hang together.
    """
    if problem.x.size * problem.out.size > WHOLE:
        return
    for args, kwargs in problem.inputs.shorter():
        try:
            yield Problem(problem.f, args, kwargs, problem.domain, problem.chosen)
        except Exception:  # noqa: BLE001, S112 - the user's function may refuse them in any way
            continue


def _moved(problem: Problem, name: str, random: np.random.Generator) -> Iterator[Problem]:
    """Yield the function at generic points of several scales, then where entries are equal."""
    for n, scale in enumerate(SCALES):
        x = _generic_point(problem, scale, n, random)
        yield from _at(problem, x)
    for part in problem.parts:
        if part.name == name and part.stop - part.start > 1:
            x = x.copy()  # the last point has the other one
            x[part.start : part.stop] = x[part.start]
            yield from _at(problem, x)


def _generic_point(problem: Problem, scale: float, n: int, random: np.random.Generator) -> Vector:
    """Return numbers of one scale for all inputs."""
    return np.concatenate([_within(part, scale, n, random) for part in problem.parts])


def _at(problem: Problem, x: Vector) -> Iterator[Problem]:
    try:
        yield problem.moved(x)
    except Exception:  # noqa: BLE001 - the user's function may refuse a point in any way
        return


def _within(part: Part, scale: float, n: int, random: np.random.Generator) -> Vector:
    """Return generic numbers inside an input's interval, all positive in one of three."""
    low, high = part.interval
    size = part.stop - part.start
    sign = 1.0 if n % 3 == 1 else random.choice((-1.0, 1.0), size)
    numbers: Vector = scale * sign * np.exp(random.uniform(-1.0, 1.0, size))
    if np.isfinite(low) and np.isfinite(high):
        numbers = low + (high - low) / (1 + np.abs(numbers))
    elif np.isfinite(low):
        numbers = low + np.abs(numbers)
    elif np.isfinite(high):
        numbers = high - np.abs(numbers)
    return numbers


def _is_sure(sample: Sample, small: float) -> bool:
    """Return whether errors are small, beside each number or this part of the largest."""
    size = np.abs(sample.measured) + np.abs(np.nan_to_num(sample.claimed))
    return bool((sample.error <= SURE * (size + small * size.max(initial=0.0))).all())


# One sample ---------------------------------------------------------------------------------------


def _first(
    problem: Problem, part: Part, random: np.random.Generator, suspects: Vector
) -> Sample | None:
    n, m = part.stop - part.start, problem.out.size
    cotangent = generic(random, m)
    pulled = problem.pull(problem.x, cotangent)[part.start : part.stop]
    if n * m > WHOLE:
        return _large(problem, part, random, suspects)
    claimed = _claimed(problem, part)
    measured, error = _columns(problem.value, problem, part, noise=_noise(problem))
    one = len(problem.out_shapes) == 1
    others = {
        other.name: (_values(problem, other), _columns(problem.value, problem, other)[0])
        for other in problem.parts
        if other.name != part.name and m * (other.stop - other.start) <= 8 * WHOLE
    }
    out = problem.out.reshape(problem.out_shapes[0]) if one else None
    at_result, claimed_at_result = _at_result(problem, part, out)
    whole = Sample(
        claimed,
        measured,
        error,
        x=_values(problem, part),
        out=out,
        cotangent=cotangent,
        pulled=pulled,
        pulled_ones=problem.pull(problem.x, np.ones(m))[part.start : part.stop],
        others=others,
        at_result=at_result,
        claimed_at_result=claimed_at_result,
        name=part.name,
    )
    return whole if one else replace(whole, results=_of_each_result(whole, problem, part))


def _of_each_result(whole: Sample, problem: Problem, part: Part) -> tuple[Sample, ...]:
    """Return the rows of a sample that belong to each of several results."""
    found, stop = [], 0
    for shape in problem.out_shapes:
        start, stop = stop, stop + int(np.prod(shape, dtype=int))
        alone = np.zeros(problem.out.size)
        alone[start:stop] = np.asarray(whole.cotangent)[start:stop]
        found.append(
            Sample(
                whole.claimed[start:stop],
                whole.measured[start:stop],
                np.broadcast_to(whole.error, whole.measured.shape)[start:stop],
                x=whole.x,
                out=problem.out[start:stop].reshape(shape),
                cotangent=alone[start:stop],
                pulled=problem.pull(problem.x, alone)[part.start : part.stop],
                name=part.name,
            )
        )
    return tuple(found)


def _claimed(problem: Problem, part: Part) -> Vector:
    """Return the Jacobian that the rules claim: a row for each entry of the results."""
    rows = [
        problem.pull(problem.x, row)[part.start : part.stop] for row in np.eye(problem.out.size)
    ]
    return np.array(rows).reshape(problem.out.size, part.stop - part.start)


def _values(problem: Problem, part: Part) -> Vector:
    return problem.x[part.start : part.stop].reshape(part.shape)


def _at_result(
    problem: Problem, part: Part, out: Vector | None
) -> tuple[Vector | None, Vector | None]:
    """Return the Jacobian where the input has the values of the result, measured and claimed."""
    low, high = part.interval
    if out is None or out.shape != part.shape or not ((low < out) & (out < high)).all():
        return None, None
    x = problem.x.copy()
    x[part.start : part.stop] = out.ravel()
    for there in _at(problem, x):
        measured, error = _columns(problem.value, there, part)
        if not np.isfinite(error).all():
            return None, None
        return measured, _claimed(there, part)
    return None, None


def _picked(part: Part, random: np.random.Generator, suspects: Vector) -> Vector:
    """Return some entries of an input, suspects among them."""
    n = part.stop - part.start
    own = suspects[(part.start <= suspects) & (suspects < part.stop)] - part.start
    picks: Vector = np.union1d(own, random.choice(n, min(n, COLUMNS), replace=False)).astype(int)
    return picks


def _large(problem: Problem, part: Part, random: np.random.Generator, suspects: Vector) -> Sample:
    """Return some columns of a Jacobian, under random cotangents."""
    picks = _picked(part, random, suspects)
    cotangents = np.array([generic(random, problem.out.size) for _ in range(ROWS)])
    claimed = [problem.pull(problem.x, c)[part.start + picks] for c in cotangents]
    measured, error = _columns(
        lambda x: cotangents @ problem.value(x),
        problem,
        part,
        picks,
        noise=np.abs(cotangents) @ np.broadcast_to(_noise(problem), problem.out.shape),
    )
    return Sample(
        np.array(claimed),
        measured,
        error,
        x=problem.x[part.start + picks],
        name=part.name,
        places=[part.index(part.start + int(k)) for k in picks],
        whole=part.shape,
    )


def _second(
    problem: Problem, part: Part, random: np.random.Generator, suspects: Vector
) -> Sample | None:
    """Return the Hessian of <cotangent, results> by one input, claimed and measured."""
    n = part.stop - part.start
    picks = _picked(part, random, suspects)
    first = First(problem, generic(random, problem.out.size))
    rows = []
    for k in picks:
        v = np.zeros(problem.x.size)
        v[part.start + k] = 1.0
        rows.append(Second(first, v).claim(problem.x)[part.start + picks])
    measured, error = _columns(
        lambda x: problem.pull(x, first.cotangent)[part.start + picks], problem, part, picks
    )
    x = _values(problem, part) if n == picks.size else problem.x[part.start + picks]
    return Sample(np.array(rows), measured, error, x=x, name=part.name)


def _noise(problem: Problem) -> Vector | float:
    """Return how uncertain the values are here, where they were found to be at the first point."""
    return value_noise(problem) if np.any(problem.noise) else 0.0


def _columns(
    value: Callable[[Vector], Vector],
    problem: Problem,
    part: Part,
    picks: Vector | None = None,
    noise: Vector | float = 0.0,
) -> tuple[Vector, Vector]:
    """Return the measured columns of a Jacobian, each with the step that measures it best."""
    rows = part.start + (np.arange(part.stop - part.start) if picks is None else picks)
    axes = [Axis(int(row), float(problem.steps[row])) for row in rows]
    best, least = None, None
    for step in STEPS[:4]:
        slope, error, *_ = slopes(
            value, problem.x, axes, step, problem.coarse, noise, near=problem.near
        )
        if best is None or least is None:
            best, least = slope, error
        else:
            better = error < least
            best, least = np.where(better, slope, best), np.where(better, error, least)
    assert best is not None
    assert least is not None
    scale = problem.steps[rows]
    size = np.abs(value(problem.x))  # what moves by less than its last digit stands still
    least = least + (best == 0) * (EPS * size / STEPS[0])
    return (best / scale[:, np.newaxis]).T, (least / scale[:, np.newaxis]).T


# Curves -------------------------------------------------------------------------------------------


def curve_of(wrong: Wrong) -> Curve | None:
    """Return claimed and measured derivative by the worst entry, along that entry."""
    check, mismatch = wrong.check, wrong.mismatch()
    problem = check.problem
    part = next(part for part in problem.parts if part.name == mismatch.parameter)
    row = part.start + int(np.ravel_multi_index(mismatch.index, part.shape) if part.shape else 0)
    at, reach, (low, high) = mismatch.at, 2 * problem.steps[row], part.interval
    start, stop = max(at - reach, (low + at) / 2), min(at + reach, (high + at) / 2)
    t = np.unique([*np.linspace(start, stop, POINTS), at])
    claimed, measured, error = [], [], []
    for value in t:
        x = problem.x.copy()
        x[row] = value
        try:
            one = check.claim(x)[row]
            slope, wide, *_ = check.measure(x, np.array([row]), 1e-3)
        except Exception:  # noqa: BLE001 - the user's function may refuse a point in any way
            one, slope, wide = np.nan, np.array([np.nan]), np.array([np.nan])
        claimed.append(float(one))
        measured.append(float(slope[0]) if np.isfinite(wide[0]) else np.nan)
        error.append(float(wide[0]))
    return Curve(mismatch.entry, at, t, np.array(claimed), np.array(measured), np.array(error))
