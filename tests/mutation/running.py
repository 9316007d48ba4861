"""Every mutant, and right ops at many points, given to a checker; results kept line by line."""

from __future__ import annotations

import json
import os
import signal
import time
import warnings
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed

from tests.mutation import truth
from tests.mutation.mutants import Mutant, mutants
from tinygrad_mnist import ops
from tinygrad_mnist.checking import GradientError, gradcheck
from tinygrad_mnist.checking.comparing import check_point
from tinygrad_mnist.checking.searching import Search
from tinygrad_mnist.checking.subjects import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tinygrad_mnist.operation import Op

    Checker = Callable[..., None]  # raises where it finds a derivative wrong

LONGEST = 60  # seconds for one mutant
CAUGHT, MISSED, OPEN, REFUSED = "caught", "missed", "inconclusive", "refused"


@dataclass(frozen=True)
class Result:
    """What a mutant is, and what a checker said of it."""

    name: str
    op: str
    kind: str
    truth: str
    verdict: str = ""  # of those that are wrong
    message: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class RightResult:
    """How a right op fared at many points."""

    op: str
    checks: int
    accused: list[str]
    inconclusive: int
    seconds: float


def judge(mutant: Mutant, points: list[truth.Point], check: Checker) -> Result:
    """Find out whether a mutant is wrong and, if so, whether a checker sees it."""
    start = time.perf_counter()
    known = (mutant.name, mutant.op.name, mutant.kind)
    try:
        with limited(LONGEST):
            what = truth.classify(mutant, points)
            if what != truth.WRONG:
                return Result(*known, what)
            verdict, message = ask(lambda: check(mutant.build()))
    except TooLong:
        what, verdict, message = truth.BREAKS, "", "does not end"
    return Result(*known, what, verdict, message, round(time.perf_counter() - start, 3))


def ask(check: Callable[[], Any]) -> tuple[str, str]:
    """Return what a check says, and its message."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            report = check()
    except GradientError as error:
        return CAUGHT, str(error)[:300]
    except Exception as error:  # noqa: BLE001 - the engine's own words, or a mutant's mishap
        return REFUSED, f"{type(error).__name__}: {error}"[:300]
    return (OPEN if getattr(report, "verdict", "") == "inconclusive" else MISSED), ""


class TooLong(KeyboardInterrupt):
    """Time is up; nothing that catches exceptions catches this."""


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raise TooLong in what takes longer: a mutant of a loop may not end."""

    def stop(*_: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class Failed(KeyboardInterrupt):
    """A call was found at which a check fails; Hypothesis lets this pass at once."""


class QuickSearch(Search):
    """The search of `gradcheck`, but that it ends with the first call that fails."""

    def _failure(self, *args: Any) -> Any:
        error = super()._failure(*args)
        if error is not None:
            raise Failed(error)


def search(op: Op) -> Any:
    """Check an op as `gradcheck` does, but leave its counterexample as it was found."""
    check = partial(check_point, max_evaluations=10_000)
    quick = QuickSearch(Subject.of(op), order=2, seed=0, examples=50, check=check)
    try:
        quick.run()
    except Failed as found:
        raise GradientError(found) from None
    return quick.report


# All mutants -------------------------------------------------------------------------------------


def judge_op(name: str, wanted: set[str] | None, known: set[str]) -> list[Result]:
    """Judge the mutants of one op: all, or those wanted, but for those known already."""
    os.nice(10 - os.nice(0))
    op = ops.registry[name]
    points = truth.points(op)
    chosen = [
        m
        for m in mutants(op)
        if m.name not in known and (wanted is None or m.name in wanted) and is_an_op(m)
    ]
    return [judge(mutant, points, search) for mutant in chosen]


def is_an_op(mutant: Mutant) -> bool:
    """Return whether a rule can be given to an op: its names must fit."""
    try:
        mutant.build()
    except TypeError:
        return False
    return True


def sample(count: int, seed: int, names: Iterable[str] | None = None) -> list[Mutant]:
    """Return some mutants, as many of each op and kind as chance wants."""
    every = [m for n in names or ops.registry for m in mutants(ops.registry[n])]
    random = np.random.default_rng(seed)
    picked = random.permutation(len(every))
    chosen = (every[k] for k in picked)
    return [m for m, _ in zip((m for m in chosen if is_an_op(m)), range(count), strict=False)]


def judge_all(
    file: Path, names: list[str], jobs: int, wanted: set[str] | None = None
) -> Iterator[list[Result]]:
    """Judge mutants op by op; write each op's results as they come, skip those that are written."""
    done = read(file)
    known = {result.name for result in done}
    calls = (delayed(judge_op)(name, wanted, known) for name in names)
    yield done
    for results in Parallel(jobs, return_as="generator_unordered")(calls):
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as stream:
            stream.writelines(json.dumps(asdict(result)) + "\n" for result in results)
        yield results


def read(file: Path) -> list[Result]:
    """Return the results that a file holds."""
    if not file.exists():
        return []
    return [Result(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


# Right ops ---------------------------------------------------------------------------------------


def check_right(name: str, count: int, seed: int = 1) -> RightResult:
    """Check a right op at points of both dtypes, every second one where kinks are."""
    os.nice(10 - os.nice(0))
    start = time.perf_counter()
    op = ops.registry[name]
    accused, inconclusive, checks = [], 0, 0
    half = -(-count // 2)
    for k, point in enumerate(truth.points(op, seed, half, half)[: count + 1]):
        dtype = (np.float64, np.float32)[k % 2]
        arrays = [a.astype(dtype) for a in point.arrays]
        function = truth.at(op, point)
        verdict, message = ask(lambda f=function, xs=arrays: gradcheck(f, *xs))
        checks += 1
        inconclusive += verdict == OPEN
        if verdict in {CAUGHT, REFUSED}:
            accused.append(f"{dtype.__name__} {describe(point)}: {message}")
    return RightResult(name, checks, accused, inconclusive, time.perf_counter() - start)


def describe(point: truth.Point) -> str:
    """Return a point's arguments in a line."""
    return " ".join(f"{n}={v!r}" for n, v in point.arguments.items()).replace("\n", "")[:400]
