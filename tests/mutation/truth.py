"""What a mutant really is: wrong, no different, another choice at a kink, or refused.

No checker is asked. Both rules are called at many points, and what they return is compared. Where
they differ at special points alone there is more to ask: every convex combination of the
derivatives around a kink is a subgradient, so a mutant that returns one is not wrong.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import nnls

from tinygrad_mnist import Tensor, jvp, vjp
from tinygrad_mnist.checking import draw_call
from tinygrad_mnist.checking.matrices import SYMMETRIC, matrices_of, symmetric_part
from tinygrad_mnist.nested import flatten
from tinygrad_mnist.tensor import raw

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.mutation.mutants import Mutant
    from tinygrad_mnist.operation import Op

Arrays = list[np.ndarray[Any, Any]]

RELATIVE = 1e-6  # how far a derivative must be off to count
GENERIC, SPECIAL = 40, 40  # points of each kind, at least
LARGEST = 1e60  # of results, gradients, and how much they depend on the point

WRONG, SAME, SUBGRADIENT, BREAKS = "wrong", "same", "subgradient", "breaks"


@dataclass
class Point:
    """Inputs of an op, and what the right rules say there."""

    arguments: dict[str, Any]
    names: list[str]  # of the parameters that arrays were drawn for
    arrays: Arrays
    special: bool  # zeros, ties and whole numbers, where a kink may be
    cotangents: Arrays
    first: np.ndarray[Any, Any]
    second: np.ndarray[Any, Any]
    case: int = 0
    mode: str = ""  # how numbers were drawn
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)


def classify(mutant: Mutant, points: list[Point]) -> str:
    """Return whether a mutant is wrong, the same, a subgradient too, or raises somewhere."""
    op = mutant.build()
    verdict = SAME
    for point in points:
        try:
            first = gradient(op, point, point.arrays)
        except Exception:  # noqa: BLE001 - whatever a mutant raises
            verdict = BREAKS
            continue
        if differs(first, point.first):
            if not point.special or not _is_subgradient(mutant.op, point, first):
                return WRONG
            verdict = SUBGRADIENT if verdict == SAME else verdict
        elif point.second.size and not point.special:
            try:
                second = curvature(op, point)
            except Exception:  # noqa: BLE001
                return WRONG
            if differs(second, point.second):
                return WRONG
    return verdict


def differs(mine: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> bool:
    """Return whether a number is off by more than `RELATIVE`, and by more than rounding."""
    if mine.shape != right.shape:
        return True
    largest = np.abs(right).max(initial=0.0)
    with np.errstate(all="ignore"):
        off = np.abs(mine - right)
        return bool((~(off <= RELATIVE * np.abs(right) + 1e-11 * largest)).any())


# Points ------------------------------------------------------------------------------------------


def points(op: Op, seed: int = 0, generic: int = GENERIC, special: int = SPECIAL) -> list[Point]:
    """Return points all over an op's domain, those without kinks first."""
    random = np.random.default_rng(seed)
    found = []
    for at_kinks, wanted in ((False, generic), (True, special)):
        each = max(4, wanted // len(op.cases))
        for case in range(len(op.cases)):
            for _ in range(each):
                with np.errstate(all="ignore"), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    point = _point(op, case, at_kinks, random)
                if point is not None:
                    found.append(point)
    return found


def _point(op: Op, case: int, special: bool, random: np.random.Generator) -> Point | None:
    """Return a point of a case, unless the function or its gradient is not finite there."""
    try:
        call = draw_call(op, lambda some: some[int(random.integers(len(some)))], case)
    except ValueError:
        return None
    arguments, names = dict(call.arguments), list(call.drawn)
    arrays: Arrays = []
    mode = str(
        random.choice(
            ("whole", "zeros", "ties") if special else ("normal", "scales", "scale", "even")
        )
    )
    power = random.uniform(-5, 4)
    for name in names:
        drawn, rebuild = flatten(arguments[name])
        filled = [_filled(np.shape(a), call.drawn[name], mode, power, random) for a in drawn]
        if name in op.matrices:
            filled = [matrices_of(a, op.matrices[name]) for a in filled]
        elif special and arrays and random.random() < 0.5:  # operands that tie
            filled = [_tied(a, arrays[0], call.drawn[name]) for a in filled]
        arrays += filled
        arguments[name] = rebuild(filled)
    nothing = np.empty(0)
    special = special or _has_ties(arrays)  # at the ends of an interval, for one
    point = Point(arguments, names, arrays, special, [], nothing, nothing, case, mode, call.drawn)
    try:
        results = _results(op, point, arrays)
        point.cotangents = [
            random.choice((-1.0, 1.0), r.shape) * random.uniform(0.5, 1.5, r.shape) for r in results
        ]
        point.first = gradient(op, point, arrays)
        point.second = curvature(op, point)
    except (ValueError, IndexError, ArithmeticError):
        return None
    every = [*results, point.first, point.second]
    if not all((np.abs(r) < LARGEST).all() for r in every) or not point.first.size:
        return None
    return point


def _tied(
    array: np.ndarray[Any, Any], other: np.ndarray[Any, Any], interval: tuple[float, float]
) -> np.ndarray[Any, Any]:
    """Return an array that equals another one, where shape and interval allow it."""
    if array.shape != other.shape:
        return array
    low, high = interval
    return np.where((low < other) & (other < high), other, array)


def _has_ties(arrays: Arrays) -> bool:
    """Return whether some entries are equal, or almost."""
    entries = np.sort(np.concatenate([np.ravel(a) for a in arrays]))
    return bool((np.diff(entries) <= 1e-9 * np.abs(entries[1:])).any())


def _filled(
    shape: tuple[int, ...],
    interval: tuple[float, float],
    mode: str,
    power: float,
    random: np.random.Generator,
) -> np.ndarray[Any, Any]:
    """Return an array of a shape, within an open interval."""
    low, high = interval
    signs = random.choice((-1.0, 1.0), shape)
    made = {
        "normal": lambda: 2 * random.normal(size=shape),
        "scales": lambda: signs * 10 ** random.uniform(-5, 4, shape),
        "scale": lambda: 10**power * random.normal(size=shape),
        "even": lambda: random.uniform(-4, 4, shape),
        "whole": lambda: random.integers(-3, 4, shape).astype(float),
        "zeros": lambda: random.normal(size=shape) * random.integers(0, 2, shape),
        "ties": lambda: random.choice(random.normal(size=2), shape),
    }[mode]()
    array = np.asarray(made, dtype=float)
    if np.isfinite(low) and np.isfinite(high):
        return np.asarray(low + (high - low) / (1 + np.exp(-array)))
    inside = (array > low) & (array < high)
    if np.isfinite(low):
        return np.where(inside, array, low + np.abs(array - low) + 1e-3)
    if np.isfinite(high):
        return np.where(inside, array, high - np.abs(array - high) - 1e-3)
    return array


# Derivatives, as the rules give them --------------------------------------------------------------


def placed(point: Point, arrays: Any) -> dict[str, Any]:
    """Return a point's arguments with other arrays."""
    arguments, at = dict(point.arguments), 0
    for name in point.names:
        leaves, rebuild = flatten(point.arguments[name])
        arguments[name] = rebuild(list(arrays[at : at + len(leaves)]))
        at += len(leaves)
    return arguments


def _results(op: Op, point: Point, arrays: Any) -> list[Any]:
    """Return the floating-point results of an op at a point, as Tensors."""
    arguments = placed(point, arrays)
    for name in point.names:
        if op.matrices.get(name) in SYMMETRIC:  # of which the symmetric part alone counts
            arguments[name] = symmetric_part(arguments[name])
    bound = op.signature.bind_partial()
    bound.arguments.update({n: arguments[n] for n in op.names if n in arguments})
    results, _ = flatten(op(*bound.args, **bound.kwargs))
    complex_step = any(np.asarray(raw(a)).dtype.kind == "c" for a in arrays)
    found = []
    for r in results:
        kind = getattr(r, "dtype", np.dtype(int)).kind
        if kind == "c" and not complex_step:
            found += [np.real(r), np.imag(r)]
        elif kind in "fcO":
            found.append(r)
    return found


def at(op: Op, point: Point) -> Callable[..., Any]:
    """Return the op as a function of the point's arrays alone."""
    return lambda *arrays: _results(op, point, arrays)


def gradient(op: Op, point: Point, arrays: Arrays) -> np.ndarray[Any, Any]:
    """Return the gradient of <cotangents, results>, all inputs' as one vector."""
    with np.errstate(all="ignore"):
        _, pull = vjp(lambda *xs: _results(op, point, xs), *arrays)
        return _joined(pull(point.cotangents))


def curvature(op: Op, point: Point) -> np.ndarray[Any, Any]:
    """Return the gradient of <v, gradient> for a fixed v, and the results' derivative along v."""

    def first(*xs: Any) -> Any:
        _, pull = vjp(lambda *ys: _results(op, point, ys), *xs)
        return pull(point.cotangents)

    with np.errstate(all="ignore"):
        _, pull = vjp(first, *point.arrays)
        v = [1 + np.cos(np.arange(a.size)).reshape(a.shape) / 4 for a in point.arrays]
        _, pushed = jvp(lambda *xs: _results(op, point, xs), point.arrays, v)
        return _joined([*pull(tuple(v)), *pushed])


def _joined(arrays: Any) -> np.ndarray[Any, Any]:
    plain = [np.ravel(a.data if isinstance(a, Tensor) else a) for a in arrays]
    return np.concatenate([np.empty(0), *plain])


# Kinks -------------------------------------------------------------------------------------------


def _is_subgradient(op: Op, point: Point, claim: np.ndarray[Any, Any]) -> bool:
    """Return whether a claim is a convex combination of the right gradients around the point.

    Where results depend on different entries, each may choose for itself.
    """
    random = np.random.default_rng(0)
    around, places = [], []
    for k in range(80):
        shifts = [random.normal(size=a.shape) for a in point.arrays]
        if k % 2:
            shifts = [np.abs(s) * random.choice((-1.0, 1.0)) for s in shifts]
        step = 1e-7 * max(1.0, *(np.abs(a).max(initial=0.0) for a in point.arrays))
        moved = [a + step * s for a, s in zip(point.arrays, shifts, strict=True)]
        try:
            near = gradient(op, point, moved)
        except (ValueError, ArithmeticError):
            continue
        if np.isfinite(near).all():
            around.append(near)
            places.append(moved)
    if not around or not np.isfinite(claim).all():
        return False
    corners = np.array(around).T
    if _is_inside(claim, corners):
        return True
    groups = _groups(op, point, places[:6])
    return len(groups) > 1 and all(_is_inside(claim[some], corners[some]) for some in groups)


def _is_inside(claim: np.ndarray[Any, Any], corners: np.ndarray[Any, Any]) -> bool:
    """Return whether a vector is a convex combination of columns."""
    scale = np.abs(corners).max(initial=0.0) or 1.0
    heavy = 1e3
    matrix = np.vstack([corners / scale, np.full((1, corners.shape[1]), heavy)])
    _, residual = nnls(matrix, np.append(claim / scale, heavy))
    return bool(residual < 1e-4)


def _groups(op: Op, point: Point, places: list[Arrays]) -> list[np.ndarray[Any, Any]]:
    """Return groups of entries of the inputs such that no result depends on two of them."""
    group = np.arange(point.first.size)
    for n, cotangent in enumerate(point.cotangents):
        for k in range(cotangent.size):
            one = [np.zeros_like(c) for c in point.cotangents]
            one[n].flat[k] = 1.0
            alone = replace(point, cotangents=one)
            used = np.any([gradient(op, alone, place) != 0 for place in places], axis=0)
            joined = np.isin(group, group[used])
            group[joined] = group[joined].min(initial=group.size)
    return [np.flatnonzero(group == g) for g in np.unique(group)]
