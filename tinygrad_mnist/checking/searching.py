"""The search for a counterexample: inputs drawn by Hypothesis, and the simplest that fails."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from itertools import chain, repeat
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.checking.covering import Covering
from tinygrad_mnist.checking.deciding import Wrong
from tinygrad_mnist.checking.problem import NotFiniteError, RuleError
from tinygrad_mnist.checking.report import GradientError, Report
from tinygrad_mnist.checking.sampling import draw_call
from tinygrad_mnist.checking.shaping import shaped
from tinygrad_mnist.checking.simplifying import simplified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tinygrad_mnist.checking.problem import Problem
    from tinygrad_mnist.checking.sampling import Call, Choose
    from tinygrad_mnist.checking.subjects import Subject

    Checker = Callable[[Problem, int, int], Report]  # order and seed; raises what is wrong
    Drawn = tuple[Subject, Call | ValueError, int]  # a call and a seed, or why there is none

FEWEST = 15  # examples of each case of an op, however many cases there are
SEEDS = 1000  # of cotangents


class Found(Exception):  # noqa: N818 - it is caught before anyone sees it
    """A call at which a check fails, and how."""

    def __init__(self, call: Call, seed: int, error: Wrong | GradientError) -> None:
        super().__init__()
        self.call, self.seed, self.error = call, seed, error


class Search:
    """A search for a call at which a function's gradient is wrong.

    Parameters
    ----------
    subject : Subject
    order, seed : int
    check : callable
        Of a problem, an order and a seed: returns a report, or raises what is wrong.
    examples : int
        How many calls to draw.

    Attributes
    ----------
    report : Report
        What was compared before anything was found.
    """

    def __init__(
        self, subject: Subject, order: int, seed: int, examples: int, check: Checker
    ) -> None:
        self.order, self.seed, self.check = order, seed, check
        self._said = subject.shapes
        self._rules = subject.drawn
        self.subjects, notes = shaped(subject, seed)
        self.report = Report(subject.name, order, notes=notes)
        self.cases = len(subject.cases)
        self.examples = max(FEWEST, examples // self.cases)
        self._covering = Covering(seed)
        self._random = np.random.default_rng(seed)
        self._last: Exception | None = None  # why a call could not be made
        self._seen: set[str] = set()  # parameters that arrays were drawn for

    def run(self) -> Found | None:
        """Return the simplest call found at which the check fails, if there is one.

        Raises
        ------
        ValueError
            If no call could be made: the function is finite nowhere, or takes nothing drawn.
        """
        for case in range(self.cases):
            found = self._searched(case, self._check(self.order))
            if found is not None:
                return self._plainest(found, case)
        for case in range(self.cases):
            found = self._covered(case)
            if found is not None:
                return self._plainest(found, case)
        if not self.report.compared + self.report.unjudged and self._last is not None:
            raise self._last
        self._note_unseen()
        return None

    def _note_unseen(self) -> None:
        """Note rules for parameters that have a default, and that nothing was drawn for."""
        unseen = [name for name in self._rules if name not in self._seen]
        if unseen:
            note = (
                f"no arrays were drawn for {', '.join(unseen)}, so what their rules give was not "
                "looked at: say shapes= or cases= that have some"
            )
            self.report = replace(self.report, notes=(note, *self.report.notes))

    def _searched(self, case: int, check: Callable[[Drawn], None]) -> Found | None:
        return _searched(self._draw(case), check, self.examples, self.seed)

    def _plainest(self, found: Found, case: int) -> Found:
        """Return a call with a wrong number, at as low an order as there is one, made simpler."""
        order = found.error.check.order if isinstance(found.error, Wrong) else 2
        if isinstance(found.error.__cause__, RuleError):  # at some shapes: what about others?
            order = self.order + 1
        plainer = None
        for lower in range(1, order):
            plainer = plainer or self._searched(case, self._check(lower, True))
        return simplified(plainer or found, self._failure)

    def _covered(self, case: int) -> Found | None:
        """Return the first call that fails among those that leave nothing out."""
        for subject in self.subjects:
            near = self._covering.calls(subject, case, anywhere=self.cases > 1)
            far = self._covering.far_calls(subject, case, anywhere=self.cases > 1)
            for call, whole in chain(zip(near, repeat(True)), far):
                order = self.order if whole else 1
                seed = int(self._random.integers(SEEDS))
                try:
                    error = self._failure(call, seed, order)
                except NotFiniteError:
                    continue
                except ValueError:
                    if subject.shapes == self._said:
                        raise
                    continue
                if error is not None:
                    return Found(call, seed, error)
        return None

    def _draw(self, case: int) -> Callable[[Choose], Drawn]:
        """Return what draws a call of a case, and the seed of a cotangent."""

        def draw(choose: Choose) -> Drawn:
            subject = choose(self.subjects)
            try:
                call = draw_call(subject, choose, case, anywhere=self.cases > 1)
            except ValueError as problem:
                return subject, problem, 0
            return subject, call, choose(range(SEEDS))

        return draw

    def _check(self, order: int, numbers: bool = False) -> Callable[[Drawn], None]:
        """Return the check of what was drawn; `numbers` alone count if a rule fails otherwise."""

        def check(drawn: Drawn) -> None:
            subject, call, seed = drawn
            try:
                if isinstance(call, ValueError):
                    raise call
                error = self._failure(call, seed, order)
            except NotFiniteError as problem:
                self._last = problem
                self.report += Report(subject.name, self.order, skipped=1)
                return
            except ValueError as problem:
                if subject.shapes == self._said:
                    raise
                self._last = problem  # these shapes were a guess
                return
            if isinstance(error, Wrong) or (error is not None and not numbers):
                raise Found(call, seed, error)

        return check

    def _failure(self, call: Call, seed: int, order: int) -> Wrong | GradientError | None:
        """Return how the check of a call fails, if it does.

        Raises
        ------
        NotFiniteError
            If the function has no value after all.
        ValueError
            If the function does not take what was drawn, of shapes that are a guess.
        """
        try:
            self.report += self.check(call.problem(), order, seed)
            self._seen |= call.drawn.keys()
        except (Wrong, GradientError) as error:
            return error
        except np.linalg.LinAlgError as error:  # these numbers: it took their shapes in a draw
            raise NotFiniteError(f"{call.subject.name} raises {error}") from error
        except (TypeError, LookupError, ArithmeticError) as error:
            if call.subject.shapes == self._said:
                raise
            said = f"{call.subject.name} raises {type(error).__name__}: {error}"
            raise ValueError(said) from error
        return None

    def others(self, count: int) -> Iterator[Call]:
        """Yield other calls, of several shapes, to see what is wrong at more than one point."""
        random = np.random.default_rng(self.seed + 1)
        for n in range(count):
            subject = self.subjects[n % len(self.subjects)]
            try:
                yield draw_call(
                    subject, lambda some: some[int(random.integers(len(some)))], n % self.cases
                )
            except ValueError:
                continue


def _searched(
    draw: Callable[[Choose], Drawn], check: Callable[[Drawn], None], examples: int, seed: int
) -> Found | None:
    """Return what a check finds, after Hypothesis has made it as simple as it can.

    Without Hypothesis the examples are drawn by NumPy, and the first that fails is returned.
    """
    try:
        import hypothesis
    except ImportError:
        return _drawn(draw, check, examples, seed)
    from hypothesis import HealthCheck, Phase, Verbosity, given, settings
    from hypothesis import strategies as st
    from hypothesis.errors import Flaky

    one_of = cache(lambda count: st.sampled_from(range(count)))  # to make a strategy takes longest

    @st.composite
    def drawn(place: Any) -> Drawn:
        return draw(lambda some: some[place(one_of(len(some)))])

    def searched() -> Found | None:
        @settings(
            max_examples=examples,
            database=None,  # nothing is left in the user's folder
            deadline=None,
            derandomize=False,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            print_blob=False,
            verbosity=Verbosity.quiet,
        )
        @hypothesis.seed(seed)
        @given(drawn())
        def run(one: Drawn) -> None:
            check(one)

        try:
            with _homeless():
                run()
        except Found as found:
            return found
        except Flaky as flaky:
            return _steadied(flaky)
        return None

    return _apart(searched) if hypothesis.currently_in_test_context() else searched()


def _steadied(flaky: Any) -> Found:
    """Return what a check found that finds another thing, or nothing, when it is run again.

    Raises
    ------
    ValueError
        If nothing was found but that the function is random.
    """
    errors = getattr(flaky, "exceptions", ())
    for error in errors:
        if isinstance(error, ValueError):
            raise error from None
    for error in errors:
        if isinstance(error, Found):
            return error
    raise ValueError(
        "the function is random: two calls with the same inputs differ. Give it a generator that "
        "is made anew in each call, as rng=0 does"
    ) from None


@contextmanager
def _homeless() -> Iterator[None]:
    """Let Hypothesis leave nothing in the user's folder, not what it remembers of modules either.

    What it would keep goes to a folder that is gone afterwards.
    """
    from hypothesis import configuration

    before = getattr(configuration, "__hypothesis_home_directory", None)
    with TemporaryDirectory() as folder:
        configuration.set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            configuration.set_hypothesis_home_dir(before)


def _drawn(
    draw: Callable[[Choose], Drawn], check: Callable[[Drawn], None], examples: int, seed: int
) -> Found | None:
    random = np.random.default_rng(seed)
    for _ in range(examples):
        try:
            check(draw(lambda some: some[int(random.integers(len(some)))]))
        except Found as found:
            return found
    return None


def _apart(searched: Callable[[], Found | None]) -> Found | None:
    """Search in a thread: inside a test of the user's own, Hypothesis refuses a second one."""
    result: list[Found | None] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            result.append(searched())
        except BaseException as error:  # noqa: BLE001 - raised again where it belongs
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return result[0]
