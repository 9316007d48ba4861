"""Every mutant, and right ops at many points, given to a checker; results kept line by line."""

from __future__ import annotations

import json
import os
import resource
import signal
import time
import warnings
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed

from tests.mutation import truth
from tests.mutation.mutants import Mutant, mutants
from tinygrad_mnist import ops
from tinygrad_mnist.checking import Call, GradientError, gradcheck
from tinygrad_mnist.checking.comparing import check_point
from tinygrad_mnist.checking.deciding import Wrong
from tinygrad_mnist.checking.matrices import SYMMETRIC
from tinygrad_mnist.checking.searching import Search
from tinygrad_mnist.checking.subjects import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tinygrad_mnist.operation import Op

    Checker = Callable[..., None]  # raises where it finds a derivative wrong

LONGEST = 60  # seconds of a processor for one mutant
AT_ONCE = 20  # mutants between two lines in the file of results
ROOM = 4 << 30  # bytes for a process: what a mutant asks for may be absurd
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
    seed: int
    checks: int
    accused: list[str]
    inconclusive: int
    seconds: float


def judge(mutant: Mutant, points: list[truth.Point], check: Checker) -> Result:
    """Find out whether a mutant is wrong and, if so, whether a checker sees it."""
    start = time.process_time()
    known = (mutant.name, mutant.op.name, mutant.kind)
    try:
        with limited(LONGEST):
            what = truth.classify(mutant, points)
            if what != truth.WRONG:
                return Result(*known, what)
            verdict, message = ask(lambda: check(mutant.build()))
    except TooLong:
        what, verdict, message = truth.BREAKS, "", "does not end"
    return Result(*known, what, verdict, message, round(time.process_time() - start, 3))


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
    """Raise TooLong in what keeps a processor busy for longer: a mutant of a loop may not end."""

    def stop(*_: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds, 1)  # again, if a destructor swallowed it
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


class Failed(KeyboardInterrupt):
    """A call was found at which a check fails; Hypothesis lets this pass at once."""


class QuickSearch(Search):
    """The search of `gradcheck`, but that it ends with the first call that fails."""

    def _failure(self, *args: Any) -> Any:
        error = super()._failure(*args)
        if error is not None:
            raise Failed(error.mismatch() if isinstance(error, Wrong) else error)


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


def judge_some(name: str, wanted: list[str]) -> list[Result]:
    """Judge some mutants of one op."""
    modest()
    points = points_of(name)
    chosen = [m for m in mutants_of(name) if m.name in wanted]
    return [judge(mutant, points, search) for mutant in chosen]


@cache
def points_of(name: str) -> list[truth.Point]:
    """Return the points of an op at which the truth is found out."""
    return truth.points(ops.registry[name])


@cache
def mutants_of(name: str) -> list[Mutant]:
    """Return the mutants of an op whose names fit."""
    return [mutant for mutant in mutants(ops.registry[name]) if is_an_op(mutant)]


def modest() -> None:
    """Let this process come after others, and have no more memory than there is."""
    os.nice(10 - os.nice(0))
    resource.setrlimit(resource.RLIMIT_AS, (ROOM, resource.getrlimit(resource.RLIMIT_AS)[1]))


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
    chosen = (every[k] for k in random.permutation(len(every)))
    return list(islice(filter(is_an_op, chosen), count))


def judge_all(
    file: Path, names: list[str], jobs: int, wanted: set[str] | None = None
) -> Iterator[list[Result]]:
    """Judge mutants; write results every now and then, skip what is written already.

    They come in random order, so that a run that is stopped is a sample.
    """
    random = np.random.default_rng(0)
    done = read(file)
    known = {result.name for result in done}
    yield done
    calls = []
    for name in names:
        open_ = [m.name for m in mutants_of(name) if m.name not in known]
        open_ = [one for one in open_ if wanted is None or one in wanted]
        random.shuffle(open_)
        parts = [open_[k : k + AT_ONCE] for k in range(0, len(open_), AT_ONCE)]
        calls += [delayed(judge_some)(name, part) for part in parts]
    random.shuffle(calls)
    for results in Parallel(jobs, return_as="generator_unordered")(calls):
        write(file, results)
        yield results


def write(file: Path, results: Iterable[Any]) -> None:
    """Add results to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as stream:
        stream.writelines(json.dumps(asdict(result)) + "\n" for result in results)


def read(file: Path, kind: Any = Result) -> list[Any]:
    """Return the results that a file holds."""
    if not file.exists():
        return []
    return [kind(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


# Right ops ---------------------------------------------------------------------------------------


def check_rights(file: Path, names: list[str], count: int, jobs: int) -> Iterator[RightResult]:
    """Check right ops, about `count` times in all; write and skip as for mutants."""
    parts = -(-count // (len(names) * AT_ONCE))
    wanted = [(name, seed) for seed in range(1, parts + 1) for name in names]
    done = [one for one in read(file, RightResult) if (one.op, one.seed) in wanted]
    yield from done
    known = {(one.op, one.seed) for one in done}
    calls = [delayed(check_right)(n, AT_ONCE, seed) for n, seed in wanted if (n, seed) not in known]
    for result in Parallel(jobs, return_as="generator_unordered")(calls):
        write(file, [result])
        yield result


def check_right(name: str, count: int, seed: int = 1) -> RightResult:
    """Check a right op at points of both dtypes, half of them where kinks are.

    Half of them are given as a function that says nothing of what it takes; but ops that take
    symmetric matrices alone are always given as they are.
    """
    modest()
    start = time.process_time()
    op = ops.registry[name]
    accused, inconclusive, checks = [], 0, 0
    found = truth.points(op, seed, 3 * count, 3 * count)
    random = np.random.default_rng(seed)
    for special in (False, True):
        some = [point for point in found if point.special == special]
        picked = random.permutation(len(some))[: count // 2]
        for k, point in enumerate(some[n] for n in picked):
            dtype = (np.float64, np.float32)[k % 2]
            as_op = k % 4 < 2 or not SYMMETRIC.isdisjoint(op.matrices.values())
            verdict, message = ask(partial(checked, op, point, dtype, as_op))
            checks += 1
            inconclusive += verdict == OPEN
            if verdict in {CAUGHT, REFUSED}:
                how = "the op" if as_op else "a function"
                accused.append(f"{dtype.__name__} {how} {describe(point)}: {message}")
    return RightResult(name, seed, checks, accused, inconclusive, time.process_time() - start)


def checked(op: Op, point: truth.Point, dtype: Any, as_op: bool) -> Any:
    """Return the report of a right op, or of a function that calls it, at a point."""
    arrays = [a.astype(dtype) for a in point.arrays]
    if not as_op:
        return gradcheck(truth.at(op, point), *arrays)
    return gradcheck(Call(Subject.of(op), truth.placed(point, arrays), point.intervals))


def describe(point: truth.Point) -> str:
    """Return a point's arguments in a line."""
    return " ".join(f"{n}={v!r}" for n, v in point.arguments.items()).replace("\n", "")[:400]
