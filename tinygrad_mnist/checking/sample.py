"""Claimed and measured derivatives as plain numbers, and what a diagnosis says of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tinygrad_mnist.checking.regions import Region

    Array = np.ndarray[Any, Any]

NOISE = 1e-6  # what rounding in a rule may do, relative to its numbers
NOTHING = 1e-9  # of the largest number: what rounding leaves where terms cancel


@dataclass(frozen=True)
class Sample:
    """Claimed and measured derivatives by one input at one point.

    A gradient, of a function with one result, is a Jacobian with one row.

    Attributes
    ----------
    claimed, measured : (m, n) array
        Of the m entries of the results by the n entries of the input.
    error : (m, n) array or float
        How far the measured numbers can be trusted.
    x : array or None
        The input, of any shape with n entries.
    out : array or None
        The results, of any shape with m entries, where they are one array.
    cotangent, pulled : (m,) and (n,) arrays or None
        A generic cotangent, and what the rule makes of it.
    pulled_ones : (n,) array or None
        What it makes of a cotangent of ones.
    results : tuple of Sample
        Of each result by itself, where there are several.
    others : dict
        Other inputs by name: each its value and its measured Jacobian.
    at_result, claimed_at_result : (m, n) arrays or None
        The Jacobian where the input has the values of the result, measured and claimed.
    sizes : dict
        Names for numbers that a factor may be, beside those that the shapes give: ``{"the batch
        size": 32}``.
    name : str
        What the input is called.
    places : list of tuple of int, optional
        The indices of the n entries, if they are some of a larger input,
    whole : tuple of int, optional
        and its shape.
    """

    claimed: Array
    measured: Array
    error: Array | float = 0.0
    x: Array | None = None
    out: Array | None = None
    cotangent: Array | None = None
    pulled: Array | None = None
    pulled_ones: Array | None = None
    results: tuple[Sample, ...] = ()
    others: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)
    at_result: Array | None = None
    claimed_at_result: Array | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    name: str = "x"
    places: Sequence[tuple[int, ...]] = ()
    whole: tuple[int, ...] = ()

    @classmethod
    def of_gradient(cls, claimed: Any, measured: Any, error: Any = 0.0, **more: Any) -> Sample:
        """Return the sample of a gradient, in the shape of its input."""
        claimed, measured = np.asarray(claimed, float), np.asarray(measured, float)
        error = np.broadcast_to(np.asarray(error, float), measured.shape).reshape(1, -1)
        more = {"x": np.full(measured.shape, np.nan), **more}
        return cls(claimed.reshape(1, -1), measured.reshape(1, -1), error, **more)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the input."""
        return (self.claimed.shape[1],) if self.x is None else self.x.shape

    @property
    def out_shape(self) -> tuple[int, ...]:
        """Shape of the result."""
        return (self.claimed.shape[0],) if self.out is None else self.out.shape

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the result, of the input, and of other inputs."""
        return self.out_shape, self.shape, *(value.shape for value, _ in self.others.values())

    @property
    def shapes_in_words(self) -> str:
        """Shapes of all inputs."""
        return " and ".join(map(str, self.shapes[1:]))

    @cached_property
    def tolerance(self) -> Array:
        """How far two derivatives may differ and still be the same."""
        size = np.abs(self.measured)
        floor = 1e-13 * size.max(initial=0.0)
        allowed: Array = np.broadcast_to(self.error, size.shape) + NOISE * size + floor
        return allowed

    @cached_property
    def wrong(self) -> Array:
        """Which claims are wrong."""
        with np.errstate(invalid="ignore"):
            found: Array = ~(np.abs(self.claimed - self.measured) <= self.tolerance)
        return found

    def pulls_wrong(self) -> bool:
        """Return whether the rule makes of the cotangent what it should not."""
        if self.pulled is None or self.cotangent is None:
            return False
        allowed = np.abs(self.cotangent) @ self.tolerance
        return not (np.abs(self.pulled - self.cotangent @ self.measured) <= allowed).all()

    @cached_property
    def entries(self) -> Entries:
        """What is claimed and measured, number by number, with what it may depend on.

        Of a function that works on each entry by itself, on what is broadcast too, there is one
        number for each entry of the result; of others one for each entry of the input.
        """
        return self._pointwise() or self._by_column()

    def _pointwise(self) -> Entries | None:
        m, n = self.measured.shape
        try:
            if self.x is None or self.out is None or n == 0:
                return None
            column = np.broadcast_to(np.arange(n).reshape(self.shape), self.out_shape).ravel()
            values = {self.name: self.x, **{k: v for k, (v, _) in self.others.items()}}
            values = {
                k: np.broadcast_to(np.asarray(v, float), self.out_shape).ravel()
                for k, v in values.items()
            }
        except ValueError:
            return None
        row = np.arange(m)
        off = np.ones((m, n), bool)
        off[row, column] = False
        floor = NOISE * np.abs(self.measured).max(initial=0.0)
        for jacobian in (self.measured, self.claimed):
            if not (np.abs(jacobian[off]) <= self.tolerance[off] + floor).all():
                return None
        for name, (value, jacobian) in self.others.items():
            across = np.broadcast_to(np.arange(value.size).reshape(value.shape), self.out_shape)
            values[f"derivative by {name}"] = jacobian[row, across.ravel()]
        values["out"] = np.ravel(np.asarray(self.out, float))
        at = (row, column)
        return Entries.of(
            self.claimed[at], self.measured[at], self.tolerance[at], self.wrong[at], values, True
        )

    def _by_column(self) -> Entries:
        values = {} if self.x is None else {self.name: np.ravel(np.asarray(self.x, float))}
        for name, (value, _) in self.others.items():
            if value.shape == self.shape:
                values[name] = np.ravel(np.asarray(value, float))
        wrong = np.asarray(self.wrong.any(axis=0))
        return Entries.of(
            self.claimed.sum(axis=0),
            self.measured.sum(axis=0),
            self.tolerance.sum(axis=0),
            wrong,
            values,
            False,
        )


@dataclass(frozen=True)
class Entries:
    """Numbers of a sample in a row, with the values that they may depend on, by name."""

    claimed: Array
    measured: Array
    tolerance: Array
    wrong: Array
    values: Mapping[str, Array]
    pointwise: bool
    tells: Array  # which are not all but nothing beside others of their sample

    @classmethod
    def of(
        cls,
        claimed: Array,
        measured: Array,
        tolerance: Array,
        wrong: Array,
        values: Mapping[str, Array],
        pointwise: bool,
    ) -> Entries:
        """Return the numbers of one sample."""
        size = np.maximum(np.abs(measured), np.nan_to_num(np.abs(claimed), nan=np.inf))
        finite = size[np.isfinite(size)]
        tells = size > (NOTHING * finite.max() if finite.size else 0.0)
        return cls(claimed, measured, tolerance, wrong, values, pointwise, tells)

    @classmethod
    def joined(cls, samples: Sequence[Sample]) -> Entries:
        """Return the numbers of several samples, with the values that all of them have."""
        some = [s.entries for s in samples]
        names = [name for name in some[0].values if all(name in e.values for e in some)]
        return cls(
            np.concatenate([e.claimed for e in some]),
            np.concatenate([e.measured for e in some]),
            np.concatenate([e.tolerance for e in some]),
            np.concatenate([e.wrong for e in some]),
            {name: np.concatenate([e.values[name] for e in some]) for name in names},
            all(e.pointwise for e in some),
            np.concatenate([e.tells for e in some]),
        )


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong, as far as numbers tell.

    Attributes
    ----------
    pattern : str
        A name: ``"sign"``, ``"factor"``, … or ``"unknown"``.
    sentence : str
        The same in words.
    factor : float or None
        By how much the claim is too large, where that is a number.
    region : Region or None
        Where the claim is wrong, if it is right elsewhere.
    """

    pattern: str
    sentence: str
    factor: float | None = None
    region: Region | None = None

    def __str__(self) -> str:
        return self.sentence

    def __bool__(self) -> bool:
        return self.pattern != "unknown"


def fits(pairs: Iterable[tuple[Array, Array, Array]]) -> bool:
    """Return whether claims equal what a pattern expects, within tolerances."""
    with np.errstate(invalid="ignore"):
        return all(
            claimed.shape == expected.shape
            and bool((np.abs(claimed - expected) <= allowed + _slack(np.abs(expected))).all())
            for claimed, expected, allowed in pairs
        )


def _slack(size: Array) -> Array:
    """Return how far numbers of some sizes may be off by rounding in a rule."""
    slack: Array = NOISE * size + NOTHING * size.max(initial=0.0, where=np.isfinite(size))
    return slack


def same(samples: Sequence[Sample], expected: Callable[[Array, Sample], Array]) -> bool:
    """Return whether all claims are the measured Jacobians, changed in some way."""
    return fits((s.claimed, expected(s.measured, s), expected(s.tolerance, s)) for s in samples)


def telling(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples that have something to tell: not all their numbers are 0."""
    return [s for s in samples if (np.abs(s.measured) > s.tolerance).any() or s.claimed.any()]
