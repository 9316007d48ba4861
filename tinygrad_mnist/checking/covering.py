"""Calls that leave nothing out: every tenth up to 4, all powers of ten, zeros, ties, squares."""

from __future__ import annotations

import itertools
import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.checking.inputs import generic
from tinygrad_mnist.checking.problem import RuleError, quiet
from tinygrad_mnist.checking.report import GradientError
from tinygrad_mnist.checking.sampling import ANYHOW, Manner, draw_call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinygrad_mnist.checking.inputs import Interval, Vector
    from tinygrad_mnist.checking.sampling import Call
    from tinygrad_mnist.checking.subjects import Subject

    Array = np.ndarray[Any, Any]

STEP, END = 0.1, 4.0  # numbers are looked at so closely, up to there
FEWEST = 40  # bins of an interval with two ends
LEAST, LARGEST = -6, 6  # powers of ten
DENSE = 0  # the power that stands for all numbers that are looked at closely
AWAY = 1  # a power of ten beyond these
POWERS = [*range(-2, LEAST - 1, -1), *range(1, LARGEST + 1)]
SIZES, RANKS = (3, 4, 2, 5), (1, 2)
TIES = 3
ROUNDS, PATIENCE = 40, 8  # calls for the dense numbers of a case; so many in vain are enough
ALONE = 2  # calls with one input at a power of ten, where all inputs at it together show nothing


class Bins:
    """Where numbers of a parameter may lie, and where a gradient by it was seen.

    Parameters
    ----------
    interval : (low, high)
        Open.
    random : Generator

    Attributes
    ----------
    powers : (n,) array of int
        The power of ten that the numbers of each bin have, as far as they are far out or close to
        an end or to 0; else `DENSE`.
    seen : (n,) array of bool
        Bins where the gradient was not 0.
    """

    def __init__(self, interval: Interval, random: np.random.Generator) -> None:
        self._edges, self.powers = _binned(interval)
        self._random = random
        self._tries = np.zeros(self.powers.size, int)
        self._order = _spread(self.powers.size)
        self.seen = np.zeros(self.powers.size, bool)

    def wants(self, power: int) -> bool:
        """Return whether bins of a power of ten have not been seen."""
        return not self.seen[self.powers == power].all()

    def take(self, power: int, size: int) -> Vector:
        """Return numbers from bins of a power of ten, from those that were not seen first."""
        here = np.flatnonzero(self.powers == power)
        if not here.size:
            here = np.flatnonzero(self.powers == DENSE)
        bins = here[np.lexsort((self._order[here], self._tries[here], self.seen[here]))]
        bins = self._random.permutation(np.resize(bins, size))
        np.add.at(self._tries, bins, 1)
        low, high = self._edges[bins], self._edges[bins + 1]
        part = self._random.uniform(0.1, 0.9, size)
        if power != DENSE and (low * high > 0).all():  # most are nearer to the smaller end
            logs = np.log(np.abs(low)), np.log(np.abs(high))
            return np.sign(low) * np.exp(logs[0] + (logs[1] - logs[0]) * part)
        numbers: Vector = low + (high - low) * part
        return numbers

    def see(self, numbers: Vector) -> int:
        """Note where gradients were not 0; return how many bins are new."""
        before = self.seen.sum()
        bins = np.searchsorted(self._edges, numbers) - 1
        self.seen[bins[(bins >= 0) & (bins < self.seen.size)]] = True
        return int(self.seen.sum() - before)


def _binned(interval: Interval) -> tuple[Vector, Vector]:
    """Return the edges of bins, and the power of ten of each bin's numbers."""
    low, high = interval
    near, far = 10.0 ** np.arange(LEAST, 0), 10.0 ** np.arange(1, LARGEST + 2)
    dense = STEP * np.arange(1, round(END / STEP) + 1)
    ends = [end for end in interval if np.isfinite(end)]
    edges = [sign * part for sign in (-1, 1) for part in (near, dense, far)]
    edges += [np.array([0.0, *ends])]
    edges += [end + sign * min(1.0, high - low) * near for end in ends for sign in (-1, 1)]
    if len(ends) == 2:
        edges.append(np.linspace(low, high, FEWEST + 1))
    inside = np.unique(np.round(np.concatenate(edges), 12))
    inside = inside[(low <= inside) & (inside <= high)]
    return inside, np.array([_power(a, b, interval) for a, b in itertools.pairwise(inside)])


def _power(a: float, b: float, interval: Interval) -> int:
    """Return the power of ten of numbers between two, or of their distance to 0 or an end."""
    low, high = interval
    away = min(max(abs(a - point), abs(b - point)) for point in (0.0, low, high))
    if away < 1.01 * STEP * min(1.0, high - low):
        return max(LEAST, round(math.log10(away)) - 1)
    size = min(abs(a), abs(b))
    is_far = size >= 10 and not np.isfinite(high if a > 0 else low)
    return int(math.log10(size) + 1e-9) if is_far else DENSE


def _spread(count: int) -> Vector:
    """Return 0, 1, … so that the first few are spread over all places (van der Corput)."""
    digits = max(1, (count - 1).bit_length())
    turned = [int(f"{n:0{digits}b}"[::-1], 2) for n in range(count)]
    return np.argsort(np.argsort(turned))


# Calls ------------------------------------------------------------------------------------------


class Covering:
    """Calls at which every input was seen everywhere, as far as its gradient is not 0 there.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._bins: dict[tuple[str, Interval], Bins] = {}
        self._drawn: dict[str, Interval] = {}  # what the last call drew arrays for

    def calls(self, subject: Subject, case: int, *, anywhere: bool) -> Iterator[Call]:
        """Yield calls of one case with numbers up to 4, as many as it takes."""
        for manner in (*self._squares(), *self._special()):
            yield from self._call(subject, case, anywhere, manner)
        yield from self._dense(subject, case, anywhere)

    def far_calls(
        self, subject: Subject, case: int, *, anywhere: bool
    ) -> Iterator[tuple[Call, bool]]:
        """Yield calls, after those, with numbers of all powers of ten; and whether all are there.

        To look at second derivatives once at each power is enough, and they take longest.
        """
        for power in POWERS:
            yield from self._at_power(subject, case, anywhere, power)

    def _dense(self, subject: Subject, case: int, anywhere: bool) -> Iterator[Call]:
        """Yield calls until all numbers up to 4 were seen.

        In every second one, other inputs lie further away, to both sides: what a bound is for one
        entry then counts.
        """
        vain = 0
        for n in range(ROUNDS):
            wanting, new = self._wanting(DENSE), 0
            if vain == PATIENCE or not wanting:
                return
            manner = self._at(DENSE)
            if n % 2 and len(self._drawn) > 1:
                manner = self._at(DENSE, wanting[n // 2 % len(wanting)], others=AWAY)
            for call in self._call(subject, case, anywhere, manner):
                yield call
                new = self._saw(call)
            vain = 0 if new else vain + 1

    def _at_power(
        self, subject: Subject, case: int, anywhere: bool, power: int
    ) -> Iterator[tuple[Call, bool]]:
        """Yield calls with numbers of a power of ten, for all inputs and then for one alone."""
        alone = [name for name in self._wanting(power) for _ in range(ALONE)]
        for name in (None, *alone) if alone else ():
            if name in (None, *self._wanting(power)):
                for call in self._call(subject, case, anywhere, self._at(power, name)):
                    yield call, name is None
                    self._saw(call)

    def _call(self, subject: Subject, case: int, anywhere: bool, manner: Manner) -> Iterator[Call]:
        """Yield a call, if there is one of this manner."""
        try:
            call = draw_call(subject, self._choose, case, anywhere=anywhere, manner=manner)
        except ValueError:
            return
        self._drawn = {n: i for n, i in call.drawn.items() if n not in subject.matrices}
        yield call

    def _choose(self, some: Any) -> Any:
        return some[int(self._random.integers(len(some)))]

    # Manners ------------------------------------------------------------------------------------

    def _squares(self) -> Iterator[Manner]:
        """Yield manners in which all axes have one length, so that many are of one shape."""
        for n in (2, 3):
            for ranks in RANKS:
                yield Manner(ranks=(ranks,), common=(n,), fill=self._generic)

    def _special(self) -> Iterator[Manner]:
        """Yield manners with numbers that are equal, to others of one input or to other inputs'."""
        for numbers in ((0, 1), (-1, 0, 1, 2), np.arange(-3, 4), (0, 0, 1.5, -0.7), (0,)):
            for common, ranks in ((None, ANYHOW.ranks), (1, ANYHOW.ranks), (2, RANKS)):
                fill = partial(self._one_of, numbers)
                yield Manner(ranks=ranks, common=(common,), fill=fill)
        for _ in range(TIES):
            two = self._random.normal(size=2)
            yield Manner(sizes=SIZES, fill=partial(self._one_of, two))
            yield Manner(common=(self._choose(SIZES),), fill=partial(self._same, {}))

    def _at(self, power: int, name: str | None = None, others: int = DENSE) -> Manner:
        """Return the manner with numbers of a power of ten, of one input or of all."""

        def fill(parameter: str, shape: tuple[int, ...], interval: Interval) -> Array:
            here = power if name in {None, parameter} else others
            return self._of(parameter, interval).take(here, math.prod(shape)).reshape(shape)

        return Manner(sizes=SIZES, ranks=RANKS, common=(None,), fill=fill)

    # Numbers ------------------------------------------------------------------------------------

    def _of(self, name: str, interval: Interval) -> Bins:
        key = name, interval
        if key not in self._bins:
            self._bins[key] = Bins(interval, self._random)
        return self._bins[key]

    def _generic(self, _: str, shape: tuple[int, ...], interval: Interval) -> Array:
        """Return numbers that are not special."""
        return _into(2 * self._random.normal(size=shape), interval)

    def _one_of(self, numbers: Any, _: str, shape: tuple[int, ...], interval: Interval) -> Array:
        """Return an array of a few numbers."""
        return _into(self._random.choice(np.asarray(numbers, float), shape), interval)

    def _same(
        self,
        before: dict[tuple[int, ...], Array],
        _: str,
        shape: tuple[int, ...],
        interval: Interval,
    ) -> Array:
        """Return the array of this shape that another input has got, most entries of it."""
        array = self._generic("", shape, interval)
        same = before.setdefault(shape, array)
        return np.where(self._random.random(shape) < 0.75, same, array)

    # Coverage -----------------------------------------------------------------------------------

    def _wanting(self, power: int) -> list[str]:
        """Return which inputs of the last call are wanted at a power of ten."""
        return [n for n, interval in self._drawn.items() if self._of(n, interval).wants(power)]

    def _saw(self, call: Call) -> int:
        """Note where gradients of a call are not 0; return how many bins are new."""
        try:
            with quiet():
                problem = call.problem()
                pulled = problem.pull(problem.x, generic(self._random, problem.out.size))
        except (ValueError, TypeError, LookupError, ArithmeticError, RuleError, GradientError):
            return 0
        new = 0
        for part in problem.parts:
            name = part.name.split("[")[0]
            if name in self._drawn:
                moves = np.flatnonzero(pulled[part.start : part.stop])
                bins = self._of(name, self._drawn[name])
                new += bins.see(problem.x[part.start : part.stop][moves])
        return new


def _into(array: Array, interval: Interval) -> Array:
    """Return numbers inside an open interval, those that lie there as they are."""
    low, high = interval
    inside = (low < array) & (array < high)
    if np.isfinite(low) and np.isfinite(high):
        middle, half = (low + high) / 2, (high - low) / 2
        return np.where(inside, array, middle + half * array / (1 + np.abs(array)))
    if np.isfinite(low):
        return np.where(inside, array, low + np.abs(array - low) + 1e-3)
    if np.isfinite(high):
        return np.where(inside, array, high - np.abs(array - high) - 1e-3)
    return array
