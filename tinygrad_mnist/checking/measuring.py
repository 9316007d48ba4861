"""Derivatives measured by differences, and the claims that are held against them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tinygrad_mnist.autograd import vjp
from tinygrad_mnist.checking.problem import Problem, joined

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinygrad_mnist.checking.problem import Vector

EPS, TINY = float(np.finfo(float).eps), float(np.finfo(float).tiny)
LEVELS = 4  # steps in one measurement, each half of the one before
RELATIVE = 1e-6  # what rounding in a rule may cost, relative to the terms of a sum


def slopes(
    value: Callable[[Vector], Vector], x: Vector, directions: Vector, step: float
) -> tuple[Vector, Vector]:
    """Return the derivatives of a function along directions, and how far to trust them.

    Central differences at `step` times each direction, a half, a quarter and an eighth of it,
    extrapolated to 0 in the square of the step [1]_. The error is four times the distance to what
    fewer steps give, and not less than what rounding may do to the differences.

    Parameters
    ----------
    value : callable
        From vectors of length n to vectors of length m.
    x : (n,) array
    directions : (k, n) array
    step : float

    Returns
    -------
    slopes, errors : (k, m) arrays

    References
    ----------
    .. [1] C. J. F. Ridders, "Accurate computation of F'(x) and F'(x) F''(x)", 1982.
    """
    here = value(x)
    table = np.empty((LEVELS, len(directions), here.size))
    for k, direction in enumerate(directions):
        unit = direction / (direction @ direction)
        for level in range(LEVELS):
            shift = step / 2**level * direction
            ahead, behind = x + shift, x - shift
            table[level, k] = (value(ahead) - value(behind)) / ((ahead - behind) @ unit)
    moves = (table != 0).any(axis=0)
    for n in range(1, LEVELS):
        before = table
        table = before[1:] + (before[1:] - before[:-1]) / (4.0**n - 1)
    slope, error = table[0], 4 * np.abs(table[0] - before).max(axis=0)
    size = np.abs(here) + np.abs(slope).sum(axis=0)
    error += moves * (rounding(size, step / 2 ** (LEVELS - 1)) + TINY)
    finite = np.isfinite(error)
    return np.where(finite, slope, 0), np.where(finite, error, np.inf)


def rounding(size: Vector, step: float) -> Vector:
    """Return what rounding numbers of some size may do to their differences over a step."""
    return 8 * EPS * size / step


def _is_rough(slope: Vector, error: Vector, size: Vector, step: float) -> Vector:
    """Return whether differences do not shrink with the step, as across jumps, or teeth of a saw.

    A smooth function's error over a step is much less than the size of what moves, or than how far
    it moves; a step of less than 1e-9 is taken for that, because of rounding.
    """
    span = np.maximum(np.abs(size) * (error > 0), np.abs(slope) * (step + 1e-9))
    rough: Vector = error * step > 1e-3 * span
    return rough


class Check(Protocol):
    """A derivative that the rules claim, a number for each entry of x, and how to measure it.

    Attributes
    ----------
    order : int
    scale : (n,) array
        A size for each number; a ten-thousandth of it is as good as 0.
    """

    order: int
    scale: Vector

    def claim(self, x: Vector, /) -> Vector:
        """Return what the rules say."""

    def measure(self, x: Vector, rows: Vector, step: float, /) -> tuple[Vector, Vector, Vector]:
        """Return what differences say for some of the entries, tolerances, and whether it is rough.

        Where the function is rough at the smallest step, differences say nothing.
        """

    def lenient(self) -> Check:
        """Return the check with allowance for rounding where terms as large as inputs cancel."""


class First:
    """The gradient of <cotangent, results>, against differences of each result by each entry."""

    order = 1

    def __init__(self, problem: Problem, cotangent: Vector) -> None:
        self.problem, self.cotangent = problem, cotangent
        self.weights = np.abs(cotangent)
        self.scale = self.weights @ np.abs(problem.out) / problem.steps
        self._terms = np.zeros(cotangent.size)  # that may cancel in each result
        self._rule_terms = np.zeros(problem.x.size)  # that may cancel in each gradient

    def claim(self, x: Vector) -> Vector:
        """Return the gradient; at the point itself, from the inputs as they were given."""
        if x is self.problem.x:
            as_given = self.problem.pull_as_given(self.cotangent)
            if all(array.dtype == np.float64 for array in self.problem.given):
                return as_given
        return self.problem.pull(x, self.cotangent)

    def measure(self, x: Vector, rows: Vector, step: float) -> tuple[Vector, Vector, Vector]:
        """Return weighted columns of the Jacobian, every number of which is measured."""
        steps = self.problem.steps[rows]
        directions = np.zeros((rows.size, x.size))
        directions[np.arange(rows.size), rows] = steps
        slope, error = slopes(self.problem.value, x, directions, step)
        rough = np.asarray(np.any(_is_rough(slope, error, self.problem.out, step), axis=1))
        error += rounding(self._terms, step)
        tolerance = (error + RELATIVE * np.abs(slope)) @ self.weights / steps
        return slope @ self.cotangent / steps, tolerance + 8 * EPS * self._rule_terms[rows], rough

    def lenient(self) -> First:
        """Let terms of the results be as large as the inputs, those of the gradient as 1."""
        x, out = self.problem.x, self.problem.out
        check = copy.copy(self)
        check._terms = np.maximum(np.abs(out), max(1.0, np.abs(x).max(initial=0.0)))
        check._rule_terms = np.maximum(np.abs(self.problem.pull(x, self.cotangent)), 1.0)
        check.scale = np.maximum(self.scale, check._rule_terms)
        return check


class Second:
    """The gradient of <v, gradient>, against differences of the gradient along v.

    The gradient was compared before, so the Hessian of <cotangent, results> is symmetric, and one
    direction measures a number for every entry.
    """

    order = 2

    def __init__(self, first: First, v: Vector) -> None:
        self.problem, self.cotangent, self.v = first.problem, first.cotangent, v
        self.scale = np.maximum(first.scale, np.abs(self._gradient(self.problem.x)))
        self._terms = np.zeros(v.size)  # that may cancel in each gradient

    def _gradient(self, x: Vector) -> Vector:
        return self.problem.pull(x, self.cotangent)

    def claim(self, x: Vector) -> Vector:
        """Return the gradient of <v, gradient>, by the rules' own rules."""
        problem, cotangents = self.problem, self.problem.outputs(self.cotangent)
        _, pull = vjp(lambda *arrays: problem.gradients(arrays, cotangents), *problem.split(x))
        return joined(pull(tuple(problem.split(self.v))))

    def measure(self, x: Vector, rows: Vector, step: float) -> tuple[Vector, Vector, Vector]:
        """Return how each entry of the gradient changes along v."""
        slope, error = slopes(self._gradient, x, self.v[np.newaxis], step)
        rough = _is_rough(slope, error, self.scale, step)[0, rows]
        slope, error = slope[0, rows], error[0, rows]
        error += rounding(self._terms[rows], step / 2 ** (LEVELS - 1))
        error += 8 * EPS * self._terms[rows] * np.abs(self.v).max(initial=0.0)  # in the claim
        return slope, error + RELATIVE * np.abs(slope), rough

    def lenient(self) -> Second:
        """Let terms of the gradient be as large as 1."""
        check = copy.copy(self)
        check.scale = check._terms = np.maximum(self.scale, 1.0)
        return check
