"""Derivatives measured by differences, and the claims that are held against them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from tinygrad_mnist.autograd import vjp
from tinygrad_mnist.checking.floors import (
    EPS,
    curvature_noise,
    gradient_noise,
    total_noise,
    value_noise,
)
from tinygrad_mnist.checking.inputs import joined
from tinygrad_mnist.checking.problem import OtherShapes, RuleError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tinygrad_mnist.checking.inputs import Vector
    from tinygrad_mnist.checking.problem import Problem

TINY = float(np.finfo(float).tiny)
LEVELS = 4  # steps in one measurement, each half of the one before
RELATIVE = 1e-6  # what rounding in a rule may cost, relative to the terms of a sum
AMONG = 4  # points whose claims are compared
LOOSE = 32  # how many times its bound a claim may be off: one op may round several times
NEGLIGIBLE = 1e-6  # a number so much smaller than others beside it may be all rounding
SMALL = 1e-8  # the least step, where nothing is said of the scale
BENT = 16  # by how much bends shrink over the steps of a measurement at a kink: 8; elsewhere 64
ROOM = 1 << 20  # numbers that a table of differences may hold


def slopes(
    value: Callable[[Vector], Vector],
    x: Vector,
    directions: Iterable[Vector | Axis],
    step: float,
    eps: Vector | float = EPS,
    noise: Vector | float = 0.0,
    near: Callable[[Vector], Vector] = lambda x: x,
    here: Vector | None = None,
) -> Slopes:
    """Return the derivatives of a function along directions, and how far to trust them.

    Central differences at `step` times each direction, a half, a quarter and an eighth of it,
    extrapolated to 0 in the square of the step [1]_. The error is four times the distance to what
    fewer steps give, and not less than what rounding may do to the differences.

    Parameters
    ----------
    value : callable
        From vectors of length n to vectors of length m.
    x : (n,) array
    directions : k arrays of length n, or axes
    step : float
    eps : (m,) array or float, optional
        Precision of the values, relative to them.
    noise : (m,) array or float, optional
        What else is uncertain in the values.
    near : callable, optional
        The nearest vector to a given one that the function takes.
    here : (m,) array, optional
        The values at `x`, if they are known.

    References
    ----------
    .. [1] C. J. F. Ridders, "Accurate computation of F'(x) and F'(x) F''(x)", 1982.
    """
    here = value(x) if here is None else here
    values, apart, lengths = [], [], step / 2.0 ** np.arange(LEVELS)
    for direction in directions:
        ahead, behind, distance = to_both_sides(x, direction, lengths, near)
        values += [*map(value, ahead), *map(value, behind)]
        apart.append(distance)
    above, below = np.array(values).reshape(len(apart), 2, LEVELS, here.size).transpose(1, 2, 0, 3)
    table = (above - below) / np.array(apart).T[:, :, np.newaxis]
    bend = np.abs(above - 2 * here + below)
    span = np.maximum(np.abs(above[0] - here), np.abs(here - below[0])) / step
    moves = (table != 0).any(axis=0)
    for n in range(1, LEVELS):
        before = table
        table = before[1:] + (before[1:] - before[:-1]) / (4.0**n - 1)
    slope, error = table[0], 4 * np.abs(table[0] - before).max(axis=0)
    smallest = step / 2 ** (LEVELS - 1)
    size = np.abs(here) + np.sum(np.abs(slope), axis=0, where=np.isfinite(slope))
    error += moves * (rounding(size, smallest, eps) + TINY)
    error += rounding(noise, smallest, 1.0)
    finite = np.isfinite(error)
    lonely = bend[-1] > np.maximum(0.5 * bend[0], 0.1 * step * span)
    bent = (bend[-1] > bend.max(axis=0) / BENT) & (bend[-1] > smallest * error)
    slope, error = np.where(finite, slope, 0), np.where(finite, error, np.inf)
    return Slopes(slope, error, np.nan_to_num(span, posinf=0.0), lonely, bent)


class Slopes(NamedTuple):
    """Derivatives along directions: of k directions and m values, (k, m) arrays.

    Attributes
    ----------
    slope, error : array
    span : array
        The largest slope to one side, at the largest step: also at a kink it tells how large the
        numbers are.
    lonely : array of bool
        Whether the point stands alone: values at all steps differ from its own as much.
    bent : array of bool
        Whether slopes to both sides differ as much at the smallest step as at the largest, as they
        do at a kink.
    """

    slope: Vector
    error: Vector
    span: Vector
    lonely: Vector
    bent: Vector


class Axis(NamedTuple):
    """The direction of one entry: inputs may be many, and of most nothing changes."""

    row: int
    length: float


def to_both_sides(
    x: Vector, direction: Vector | Axis, steps: Vector, near: Callable[[Vector], Vector]
) -> tuple[Vector, Vector, Vector]:
    """Return the points some steps ahead and behind, and how many directions they are apart."""
    if isinstance(direction, Axis):
        row, length = direction
        points = np.empty((2, steps.size, x.size))
        points[:] = x
        points[0, :, row] += steps * length
        points[1, :, row] -= steps * length
        ahead, behind = near(points)
        return ahead, behind, (ahead[:, row] - behind[:, row]) / length
    moves = steps[:, np.newaxis] * direction
    ahead, behind = near(x + moves), near(x - moves)
    return ahead, behind, (ahead - behind) @ direction / (direction @ direction)


def rounding(size: Vector | float, step: float, eps: Vector | float = EPS) -> Vector | float:
    """Return what rounding numbers of some size may do to their differences over a step."""
    return 8 * eps * size / step


def _is_rough(slope: Vector, error: Vector, size: Vector, step: float) -> Vector:
    """Return whether differences do not shrink with the step, as across jumps, or teeth of a saw.

    A smooth function's error over a step is much less than the size of what moves, or than how far
    it moves; a step of less than 1e-9 is taken for that, because of rounding.
    """
    size = np.abs(size)
    size = np.maximum(size, NEGLIGIBLE * size.max(initial=0.0))
    span = np.maximum(size * (error > 0), np.abs(slope) * (step + 1e-9))
    rough: Vector = error * step > 1e-3 * span
    return rough


class Measured(NamedTuple):
    """What differences say: numbers, how far to trust them, and how the function moves.

    Attributes
    ----------
    value, tolerance : (k,) arrays
    rough : (k,) array of bool
        Whether the function jumps about over the step: then differences say nothing.
    span : (k,) array
        How large such numbers are around here.
    bent : (k,) array of bool
        Whether there is a kink, at the point or nearer to it than the smallest step.
    """

    value: Vector
    tolerance: Vector
    rough: Vector
    span: Vector
    bent: Vector


class Check(Protocol):
    """A derivative that the rules claim, a number for each entry of x, and how to measure it.

    Attributes
    ----------
    order : int
    problem : Problem
    scale : (n,) array
        A size for each number; a ten-thousandth of it is as good as 0.
    """

    order: int
    problem: Problem
    scale: Vector

    def claim(self, x: Vector, /) -> Vector:
        """Return what the rules say."""

    def measure(self, x: Vector, rows: Vector, step: float, /) -> Measured:
        """Return what differences say for some of the entries."""

    def lenient(self) -> Check:
        """Return the check with allowance for rounding in the function and in its rules."""

    def closer(self) -> Check | None:
        """Return the check with steps as small as each entry, if some are far below others."""


def _closer(problem: Problem) -> Problem | None:
    """Return the problem with steps as small as each entry, if some are far below the others.

    Beside large entries a small one is moved on their scale, far over the kinks that lie beside it.
    """
    own = np.where(problem.x == 0, 1.0, np.maximum(np.abs(problem.x), SMALL))
    if not (own < NEGLIGIBLE * problem.steps).any():
        return None
    closer = copy.copy(problem)
    closer.steps = np.minimum(problem.steps, own)
    closer.noise = 0.0  # of all values: what moves here is told by differences
    return closer


class First:
    """The gradient of <cotangent, results>, against differences of each result by each entry."""

    order = 1

    def __init__(self, problem: Problem, cotangent: Vector) -> None:
        self.problem, self.cotangent = problem, cotangent
        self.weights = np.abs(cotangent)
        self.scale = self.weights @ np.abs(problem.out) / problem.steps
        self.relative = max(RELATIVE, 16 * problem.coarse)
        self.as_given: Vector | None = None
        self._rule_noise = np.zeros(problem.x.size)  # what rounding does to each gradient

    def claim(self, x: Vector) -> Vector:
        """Return the gradient; at the point itself, from the inputs as they were given."""
        if x is not self.problem.x:
            return self.problem.pull(x, self.cotangent)
        if self.as_given is None:
            self.as_given = self.problem.pull(x, self.cotangent)
        return self.as_given

    def measure(self, x: Vector, rows: Vector, step: float) -> Measured:
        """Return weighted columns of the Jacobian, every number of which is measured."""
        problem = self.problem
        several = max(1, ROOM // max(1, LEVELS * problem.out.size))
        measured = [
            self._measure(x, some, step)
            for some in (rows[k : k + several] for k in range(0, max(1, rows.size), several))
        ]
        found = Measured(*map(np.concatenate, zip(*measured, strict=True)))
        return found._replace(tolerance=found.tolerance + LOOSE * self._rule_noise[rows])

    def _measure(self, x: Vector, rows: Vector, step: float) -> Measured:
        problem, steps = self.problem, self.problem.steps[rows]
        axes = map(Axis, rows.tolist(), steps.tolist())
        here = problem.out if x is problem.x else None
        slope, error, span, lonely, bent = slopes(
            problem.value, x, axes, step, problem.eps, problem.noise, problem.near, here
        )
        rough = np.any(_is_rough(slope, error, problem.out, step) | lonely, axis=1)
        tolerance = (error + self.relative * np.abs(slope)) @ self.weights / steps
        value, span = slope @ self.cotangent / steps, span @ self.weights / steps
        return Measured(value, tolerance, np.asarray(rough), span, np.asarray(bent.any(axis=1)))

    def lenient(self) -> First:
        """Return the check with allowance for rounding in the function and in its rules."""
        check = copy.copy(self)
        check.problem = copy.copy(self.problem)
        check.problem.noise = np.maximum(self.problem.noise, value_noise(self.problem))
        check._rule_noise = self._noise_of_rules()
        check.scale = np.maximum(self.scale, check._rule_noise / EPS)  # terms, which may cancel
        return check

    def closer(self) -> First | None:
        """Return the check with steps as small as each entry, if some are far below others."""
        problem = _closer(self.problem)
        if problem is None:
            return None
        check = copy.copy(self)
        check.problem, check._rule_noise = problem, np.zeros(problem.x.size)
        return check

    def _noise_of_rules(self) -> Vector:
        """Return what rounding does to each gradient; unseen, as if terms were like the results."""
        problem = self.problem
        seen = gradient_noise(problem, self.cotangent)
        if seen is not None:
            return seen
        terms = np.abs(problem.pull(problem.x, self.cotangent))
        size = self.weights @ np.abs(problem.out) * np.maximum(1, 1 / problem.steps)
        unseen: Vector = problem.coarse * np.maximum(np.where(np.isfinite(terms), terms, 0.0), size)
        return unseen


class Along:
    """Derivatives of <cotangent, results> along directions, each of which moves many entries."""

    order = 1

    def __init__(self, first: First, directions: Vector) -> None:
        self.first, self.directions, self.problem = first, directions, first.problem
        size = float(first.weights @ np.abs(first.problem.out))
        self.scale = np.full(len(directions), size)
        self._noise = 0.0

    def claim(self, x: Vector) -> Vector:
        """Return the gradient along each direction."""
        claimed: Vector = self.directions @ self.first.claim(x)
        return claimed

    def measure(self, x: Vector, rows: Vector, step: float) -> Measured:
        """Return how the number <cotangent, results> changes along each direction."""
        p, cotangent = self.problem, self.first.cotangent
        uncertain = self.first.weights @ (p.eps * np.abs(p.out) + p.noise) + self._noise
        slope, error, span, lonely, bent = slopes(
            lambda x: np.atleast_1d(cotangent @ p.value(x)),
            x,
            self.directions[rows],
            step,
            0.0,
            float(uncertain),
            p.near,
        )
        rough = (_is_rough(slope, error, self.scale[:1], step) | lonely)[:, 0]
        slope, error = slope[:, 0], error[:, 0]
        error += self.first.relative * np.abs(slope)
        return Measured(slope, error, rough, span[:, 0], bent[:, 0])

    def closer(self) -> None:
        """Return None: directions move entries on the scale of all."""

    def lenient(self) -> Along:
        """Return the check with allowance for rounding in the function."""
        check = copy.copy(self)
        check._noise = total_noise(self.problem, self.first.cotangent)
        return check


class Second:
    """The gradient of <v, gradient>, against differences of the gradient along v.

    The gradient was compared before, so the Hessian of <cotangent, results> is symmetric, and one
    direction measures a number for every entry.
    """

    order = 2

    def __init__(self, first: First, v: Vector) -> None:
        self.problem, self.cotangent, self.v = first.problem, first.cotangent, v
        self.gradient = first.claim
        self._here = self.gradient(self.problem.x)
        self._claimed: Vector | None = None  # at the point itself
        self.scale = np.maximum(first.scale, np.abs(self._here))
        self._size = self.scale
        self.relative = first.relative
        self.noise: Vector | float = 0.0  # of each gradient
        self._noise_of_rules = np.zeros(v.size)  # of each claim

    def claim(self, x: Vector) -> Vector:
        """Return the gradient of <v, gradient>, by the rules' own rules; NaN as in `pull`."""
        if x is not self.problem.x:
            return self._pulled(x)
        if self._claimed is None:
            self._claimed = self._pulled(x)
        return self._claimed

    def _pulled(self, x: Vector) -> Vector:
        problem, cotangents = self.problem, self.problem.outputs(self.cotangent)
        try:
            _, pull = vjp(lambda *arrays: problem.gradients(arrays, cotangents), *problem.split(x))
        except OtherShapes:
            return np.full_like(problem.x, np.nan)
        try:
            return joined(pull(tuple(problem.split(self.v))))
        except Exception as error:
            raise RuleError(f"{type(error).__name__}: {error}") from error

    def measure(self, x: Vector, rows: Vector, step: float) -> Measured:
        """Return how each entry of the gradient changes along v."""
        eps, near = self.problem.coarse, self.problem.near
        here = self._here if x is self.problem.x else None
        found = slopes(self.gradient, x, [self.v], step, eps, self.noise, near, here)
        rough = (_is_rough(found.slope, found.error, self._size, step) | found.lonely)[0, rows]
        slope, error = found.slope[0, rows], found.error[0, rows]
        error += 8 * self._noise_of_rules[rows] + self.relative * np.abs(slope)
        return Measured(slope, error, rough, found.span[0, rows], found.bent[0, rows])

    def lenient(self) -> Second:
        """Return the check with allowance for rounding in the rules."""
        problem, check = self.problem, copy.copy(self)
        seen = gradient_noise(problem, self.cotangent)
        own = problem.coarse * np.abs(self._here)
        if seen is None:
            size = float(np.abs(self.cotangent) @ np.abs(problem.out))
            seen = problem.coarse * np.maximum(self.scale, size)
        check.noise = np.maximum(self.noise, np.fmax(seen, own))
        own = np.maximum(check.noise * np.abs(self.v).sum(), self._spread())
        seen = curvature_noise(problem, self.cotangent, self.v)
        check._noise_of_rules = own if seen is None else np.fmax(own, seen)
        check.scale = np.maximum(self.scale, check.noise / EPS)
        return check

    def closer(self) -> Second | None:
        """Return the check along a direction as small as each entry, if some are far below."""
        problem = _closer(self.problem)
        if problem is None:
            return None
        check = copy.copy(self)
        check.problem, check.v = problem, self.v * problem.steps / self.problem.steps
        check._claimed = None
        check.noise, check._noise_of_rules = 0.0, np.zeros(problem.x.size)
        return check

    def _spread(self) -> Vector:
        """Return how claims differ among points that are not told apart but by their last digit."""
        random, x = np.random.default_rng(0), self.problem.x
        digits = EPS * random.choice((-1.0, 1.0), (AMONG, x.size))
        claims = [self.claim(x * (1 + digit)) for digit in digits]
        spread: Vector = np.nan_to_num(np.ptp(claims, axis=0), posinf=0.0)
        return spread
