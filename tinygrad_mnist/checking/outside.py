"""Points where a derivative does not apply, so that no rule is at fault for what it claims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.checking.digits import one_tracked
from tinygrad_mnist.checking.floors import FAINT, value_noise
from tinygrad_mnist.checking.inputs import generic
from tinygrad_mnist.checking.matrices import SYMMETRIC, are_of
from tinygrad_mnist.nested import flatten
from tinygrad_mnist.switches import Switch
from tinygrad_mnist.tensor import raw

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinygrad_mnist.checking.inputs import Vector
    from tinygrad_mnist.checking.problem import Problem
    from tinygrad_mnist.operation import Op

NEAR, NEARER = 1e-2, 1e-13  # distances, in steps


def outside(problem: Problem) -> str | None:
    """Return why a derivative does not apply at a point, if it does not.

    An op inside was given a matrix of a kind that it says it does not take, the results have
    another shape all around the point, or the point stands alone between values that differ.
    """
    direction = problem.steps * generic(np.random.default_rng(0), problem.x.size)
    aside = problem.x + NEAR * direction
    found = _refused(problem, problem.x) or _refused(problem, aside, SYMMETRIC)
    if found is not None:
        return found
    if any(problem.changes_shape(problem.x + s * direction) for s in (-NEARER, NEARER)):
        return "results of another shape beside these inputs: a derivative does not apply there"
    if _stands_alone(problem, direction):
        return "results jump at these inputs: a derivative does not apply there"
    return None


def overflows(problem: Problem, derivative: Callable[[Vector], Vector]) -> bool:
    """Return whether a derivative is not finite at a point because numbers on its way overflow.

    Then numbers that are nearly too large are on its way as well, and at a tenth of the inputs it
    is finite. What is NaN at a tie or beyond a bound is NaN by its rules.
    """
    if np.isfinite(derivative(problem.x)).all():
        return False
    huge: list[str] = []

    def look(op: Op, inputs: list[Any], out: Any) -> None:
        for leaf in flatten([inputs, out])[0]:
            number = np.asarray(raw(leaf))
            if number.dtype.kind in "fc" and _is_huge(np.abs(number)).any():
                huge.append(op.name)

    with Switch(check=look):
        derivative(problem.x.copy())  # computed anew, though it is known at the point itself
    if not huge:
        return False
    smaller = problem.near(problem.x / 10)
    return bool(
        np.isfinite(problem.value(smaller)).all() and np.isfinite(derivative(smaller)).all()
    )


def _is_huge(size: Vector) -> Vector:
    """Return which sizes are finite, and such that a product of a few is not."""
    huge: Vector = (size > 1 / FAINT) & (size < np.inf)
    return huge


def _refused(problem: Problem, x: Vector, kinds: set[str] | None = None) -> str | None:
    """Return what an op inside says that it takes, if at `x` it was given something else."""
    found: list[str] = []

    def look(op: Op, inputs: list[Any], _: Any) -> None:
        for name, kind in op.matrices.items():
            given = np.asarray(inputs[op.names.index(name)])
            if (kinds is None or kind in kinds) and not are_of(given, kind):
                found.append(
                    f"{op.name} takes matrices of the kind {kind!r}, and is given others here: it "
                    "has no derivative there"
                )

    with Switch(check=look):
        problem.call([one_tracked(array) for array in problem.split(x)])
    return found[0] if found else None


def _stands_alone(problem: Problem, direction: Vector) -> bool:
    """Return whether a value is another one than on both sides, however close they are."""

    def away(x: Vector, step: float) -> Vector:
        here, *sides = (problem.value(x + s * direction) for s in (0.0, -step, step))
        return np.abs([side - here for side in sides])

    jump = away(problem.x, NEARER).min(axis=0)
    alone = jump > 100 * problem.coarse * np.abs(problem.out).max(initial=0.0)
    alone &= jump > away(problem.x, 16 * NEARER).max(axis=0) / 2  # no slope
    alone &= jump > 10 * away(problem.x + NEAR * direction, NEARER).max(axis=0)
    return bool(alone.any() and (alone & (jump > 8 * value_noise(problem))).any())
