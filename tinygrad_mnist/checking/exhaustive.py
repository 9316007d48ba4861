"""A function of one number, checked at every number that there is in a precision."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.autograd import vjp
from tinygrad_mnist.checking.diagnosis import diagnose
from tinygrad_mnist.checking.floors import EPS
from tinygrad_mnist.checking.inputs import LINE, generic, is_float
from tinygrad_mnist.checking.judging import judge
from tinygrad_mnist.checking.measuring import RELATIVE, Measured, slopes
from tinygrad_mnist.checking.problem import quiet
from tinygrad_mnist.checking.report import Fault, GradientError, Mismatch, Report
from tinygrad_mnist.checking.sample import Sample
from tinygrad_mnist.checking.subjects import Subject
from tinygrad_mnist.tensor import raw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tinygrad_mnist.checking.inputs import Interval, Vector

AT_ONCE = 1 << 20  # numbers that are looked at together
AROUND = (1e-3, 1e-6, 1e-9)  # how far from a kink, relative to a step, its sides are looked at
NAMES = {True: "float16", "float16": "float16", "float32": "float32"}


def every_number(name: str, interval: Interval) -> Iterator[Vector]:
    """Yield all finite numbers of a precision inside an open interval, as float64, in parts."""
    patterns = 1 << np.dtype(name).itemsize * 8
    for start in range(0, patterns, AT_ONCE):
        yield numbers_of(name, range(start, min(start + AT_ONCE, patterns)), interval)


def numbers_of(name: str, patterns: range, interval: Interval) -> Vector:
    """Return the finite numbers with these patterns of bits, inside an open interval."""
    low, high = interval
    unsigned = f"u{np.dtype(name).itemsize}"
    numbers = np.arange(patterns.start, patterns.stop, dtype=unsigned).view(name)
    finite: Vector = numbers[np.isfinite(numbers)].astype(float)  # to cast a NaN may warn
    return finite[(low < finite) & (finite < high)]


def check_every_number(
    f: Callable[..., Any], which: bool | str, order: int, seed: int, domain: Any
) -> Report:
    """Check a function of one number, entry by entry, at every number of a precision.

    Raises
    ------
    GradientError
        If a derivative is wrong at one of them.
    TypeError
        If the function does not take one array.
    ValueError
        If the precision is unknown, or an entry of the result depends on others.
    """
    if which not in NAMES:
        raise ValueError(f'exhaustive is True, "float16" or "float32"; got {which!r}')
    name = NAMES[which]
    subject = Subject.of(f).given(domain, None)
    required = subject.drawn[:1]
    if not required:
        raise TypeError(f"exhaustive needs a function of one array; {subject.name} takes none")
    interval = subject.domain.get(required[0], LINE)
    report = Report(subject.name, order)
    total, start, shown = 1 << np.dtype(name).itemsize * 8, time.monotonic(), False
    random = np.random.default_rng(seed)
    for n, numbers in enumerate(every_number(name, interval)):
        with quiet():
            report += _check_part(f, subject.name, required[0], numbers, order, random, interval)
        if sys.stderr.isatty() and time.monotonic() - start > 2:
            done = min((n + 1) * AT_ONCE, total)
            sys.stderr.write(f"\rgradcheck of {subject.name}: {done:,} of {total:,} numbers")
            shown = True
    if shown:
        sys.stderr.write("\r\033[K")
    looked = report.points + report.skipped
    return replace(report, notes=(f"all {looked:,} finite numbers of {name} in its domain",))


def _check_part(
    f: Callable[..., Any],
    name: str,
    parameter: str,
    numbers: Vector,
    order: int,
    random: np.random.Generator,
    interval: Interval,
) -> Report:
    function = Pointwise(f, name, random)
    numbers = np.asarray(numbers)
    finite = np.isfinite(function.value(numbers))
    x = numbers[finite]
    report = Report(name, order, points=x.size, skipped=numbers.size - x.size)
    if not x.size:
        return report
    function.look(x)
    first = NumberCheck(function, x, interval, 1)
    report += _compare(first, name, parameter)
    if order == 2:
        report += _compare(NumberCheck(function, x, interval, 2), name, parameter)
    return report


class Pointwise:
    """A function of an array each entry of whose result depends on one entry of it.

    Raises
    ------
    ValueError
        By `look`, if one depends on others.
    """

    def __init__(self, f: Callable[..., Any], name: str, random: np.random.Generator) -> None:
        self._f, self.name, self._random = f, name, random

    def _call(self, x: Any) -> Any:
        result = self._f(x)
        if not is_float(result) or np.shape(raw(result)) != np.shape(raw(x)):
            raise ValueError(
                f"exhaustive checks functions of each entry by itself; {self.name} makes "
                f"{np.shape(raw(result))} of an array of shape {np.shape(raw(x))}"
            )
        return result

    def value(self, x: Vector) -> Vector:
        """Return the function of each entry."""
        return np.asarray(raw(self._call(x)), dtype=float)

    def slope(self, x: Any) -> Any:
        """Return the derivative that the rules claim at each entry."""
        c = self._cotangent(np.shape(raw(x)))
        _, pull = vjp(self._call, x)
        return pull(c)[0] / c

    def curvature(self, x: Vector) -> Vector:
        """Return the second derivative that the rules' own rules claim."""
        c = self._cotangent(x.shape)
        _, pull = vjp(self.slope, x)
        return np.asarray(pull(c)[0] / c)

    def _cotangent(self, shape: tuple[int, ...]) -> Vector:
        """Return a generic cotangent, the same at each call."""
        size = int(np.prod(shape))
        return generic(np.random.default_rng(size), size).reshape(shape)

    def look(self, x: Vector) -> None:
        """Refuse a function whose entries depend on each other, or that is random."""
        some = self._random.permutation(x.size)[: max(1, x.size // 2)]
        here, there = self.value(x)[some], self.value(x[some])
        if not np.allclose(here, there, rtol=1e-9, atol=0, equal_nan=True):
            raise ValueError(
                f"exhaustive checks functions of each entry by itself; entries of {self.name} "
                "depend on others, or on chance"
            )


class NumberCheck:
    """The derivative of each entry, first or second, against differences of what it derives."""

    def __init__(self, function: Pointwise, x: Vector, interval: Interval, order: int) -> None:
        self.function, self.x, self.order = function, x, order
        room = np.minimum(x - interval[0], interval[1] - x)
        self.steps = np.minimum(np.maximum(np.abs(x), 1.0), 2 * room)
        self.value = function.value if order == 1 else function.slope
        self.scale = np.abs(self.value(x)) / self.steps
        self.terms: Vector | float = 0.0  # that may cancel in a value

    def claim(self, x: Vector) -> Vector:
        """Return what the rules say."""
        return np.asarray(self.function.slope(x) if self.order == 1 else self.function.curvature(x))

    def measure(self, x: Vector, rows: Vector, step: float) -> Measured:
        """Return what differences say for some of the entries."""
        steps = self.steps[rows]
        terms = np.broadcast_to(self.terms, x.shape)[rows]
        slope, error, span, _, bent = slopes(
            self.value, x[rows], steps[np.newaxis], step, EPS, EPS * terms
        )
        tolerance = (error[0] + RELATIVE * np.abs(slope[0])) / steps
        rough = np.zeros(rows.size, bool)
        return Measured(slope[0] / steps, tolerance, rough, span[0] / steps, bent[0])

    def lenient(self) -> NumberCheck:
        """Return the check with allowance for rounding where terms as large as inputs cancel."""
        check = NumberCheck.__new__(NumberCheck)
        check.__dict__.update(self.__dict__)
        check.terms = np.maximum(np.abs(self.value(self.x)), np.maximum(np.abs(self.x), 1.0))
        check.scale = np.maximum(self.scale, check.terms)
        return check

    def is_between(self, rows: Vector, claimed: Vector) -> Vector:
        """Return whether claims lie between the measured derivatives to both sides."""
        found = np.zeros(rows.size, bool)
        for around in AROUND:
            sides, sure = [], np.ones(rows.size, bool)
            for sign in (-1, 1):
                x = self.x + sign * around * self.steps
                measured = self.measure(x, rows, around / 200)
                sides.append(measured.value)
                sure &= measured.tolerance <= 1e-2 * np.maximum(np.abs(measured.value), 1e-3)
            low, high = np.minimum(*sides), np.maximum(*sides)
            slack = 1e-4 * np.maximum(np.abs(low), np.abs(high))
            kink = high - low > 10 * slack
            found |= sure & kink & (low - slack <= claimed) & (claimed <= high + slack)
        return found


def _compare(check: NumberCheck, name: str, parameter: str) -> Report:
    """Judge the derivative at every number; raise if one is wrong."""
    every = np.arange(check.x.size)
    verdicts = judge(check, check.x, every)  # type: ignore[arg-type]
    suspects = every[verdicts.wrong]
    if suspects.size:
        suspects = suspects[judge(check.lenient(), check.x, suspects).wrong]  # type: ignore[arg-type]
    kinks = np.zeros(suspects.size, bool)
    if suspects.size:
        kinks = check.is_between(suspects, verdicts.claimed[suspects])
    wrong = suspects[~kinks]
    if wrong.size:
        raise _refuted(check, verdicts, wrong, name, parameter)
    judged = verdicts.known & ~verdicts.wrong
    return Report(
        name,
        check.order,
        compared=int(verdicts.known.sum()),
        kinks=int(kinks.sum()),
        unjudged=int((~verdicts.known).sum()),
        worst=float(verdicts.difference()[judged].max(initial=0.0)),
    )


def _refuted(
    check: NumberCheck, verdicts: Any, wrong: Vector, name: str, parameter: str
) -> GradientError:
    """Return the error that tells of the worst number, and of the pattern of all."""
    worst = int(wrong[np.argmax(verdicts.difference()[wrong])])
    mismatch = Mismatch(
        name,
        parameter,
        check.order,
        (),
        float(check.x[worst]),
        float(verdicts.claimed[worst]),
        float(verdicts.measured[worst]),
        float(verdicts.tolerance[worst]),
        wrong.size,
        check.x.size,
    )
    size = np.abs(verdicts.measured)
    right = np.flatnonzero(verdicts.known & ~verdicts.wrong & (size <= 100 * size[wrong].max()))
    some = np.sort(np.concatenate([_few(wrong), _few(right)]))
    samples = [_sample(check, verdicts, rows, parameter) for rows in (some, some[::-1])]
    fault = Fault(
        str(mismatch),
        mismatch,
        diagnose(samples),
        {parameter: check.x[worst]},
        f"gradcheck({name}, {float(check.x[worst])!r}, order={check.order})",
    )
    report = Report(name, check.order, points=check.x.size, fault=fault)
    return GradientError(fault, mismatch, report)


def _sample(check: NumberCheck, verdicts: Any, rows: Vector, name: str) -> Sample:
    """Return some numbers as the entries of one array, whose places mean nothing."""
    claimed, measured, error = (
        np.diag(v[rows]) for v in (verdicts.claimed, verdicts.measured, verdicts.tolerance)
    )
    return Sample(claimed, measured, error, x=check.x[rows], name=name)


def _few(rows: Vector) -> Vector:
    """Return some of many, spread evenly."""
    return rows[:: max(1, -(-rows.size // 40))]
