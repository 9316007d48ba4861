"""gradcheck: the gradient of a function, an op or a module, at a point or wherever it is wrong."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from tinygrad_mnist.checking.comparing import check_point
from tinygrad_mnist.checking.deciding import Wrong
from tinygrad_mnist.checking.diagnosis import UNKNOWN, diagnose
from tinygrad_mnist.checking.evidence import curve_of, resized, samples_of
from tinygrad_mnist.checking.exhaustive import check_every_number
from tinygrad_mnist.checking.inputs import function_name, named_arguments
from tinygrad_mnist.checking.oracle import check_exactly
from tinygrad_mnist.checking.pasting import line_of_call, line_of_inputs
from tinygrad_mnist.checking.problem import Problem, quiet
from tinygrad_mnist.checking.report import Fault, GradientError, GradientWarning, Report
from tinygrad_mnist.checking.sample import Diagnosis
from tinygrad_mnist.checking.sampling import Call
from tinygrad_mnist.checking.searching import Search
from tinygrad_mnist.checking.subjects import Subject, read_domain
from tinygrad_mnist.operation import Op
from tinygrad_mnist.protocols import forms, overrides

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tinygrad_mnist.checking.inputs import Interval
    from tinygrad_mnist.checking.searching import Checker

ELSEWHERE = 16  # calls beside the counterexample that a diagnosis looks at


def gradcheck(
    f: Callable[..., Any] | Call,
    *inputs: Any,
    order: int = 2,
    seed: int = 0,
    examples: int = 50,
    domain: Mapping[str, Interval] | Interval | None = None,
    shapes: str | None = None,
    max_evaluations: int = 10_000,
    strict: bool = False,
    oracle: str | None = None,
    exhaustive: bool | str = False,
) -> Report:
    """Compare the gradient of `f` with differences of its values.

    Every entry is compared, under a random cotangent, in float64, with steps relative to the
    entry that stay inside the domain. At order 2 so is the gradient of the gradient along a
    random vector, and forward mode with reverse mode. An entry at a kink agrees if it lies among
    the derivatives around the kink; NaN agrees with nothing.

    Without inputs it searches for a counterexample: shapes that `f` accepts are found by trying,
    numbers are drawn, and what fails is made as simple as it can be. Every run draws the same.

    Parameters
    ----------
    f : callable, Op, Module or Call
        Takes and returns arrays, or nested lists, tuples and dicts of them. The parameters of a
        module, also of one among the inputs, are inputs too. A `Call` brings its inputs.
        A function of NumPy's is known by its op, which says what it takes.
    *inputs
        Where: arrays, Tensors, floats, or nested structures. What is not of floating-point
        numbers, or has no gradient rule, is constant. By default they are searched for.
    order : {1, 2}, optional
    seed : int, optional
        Of the random cotangents, and of what is drawn: another one searches elsewhere.
    examples : int, optional
        At how many inputs to check a function that was given none.
    domain : dict or (low, high), optional
        Open intervals that inputs stay in, by parameter name, or one for all.
    shapes : str, optional
        Relation of the shapes that are drawn, such as ``"(…,m,k),(…,k,n)"``.
    max_evaluations : int, optional
        About how many calls of `f` one point may cost. Where that does not suffice for all entries,
        some are looked at one by one, and all of them along a few random directions.
    strict : bool, optional
        Raise where the verdict is inconclusive, instead of warning.
    oracle : {None, "mpmath"}, optional
        Hold claims against derivatives that are exact: the forward runs on mpmath's numbers, if it
        can. No step is chosen, and what a claim may be off by is computed, not guessed.
    exhaustive : bool or {"float16", "float32"}, optional
        Check a function of each entry by itself at all 63,488 finite numbers of float16 (True), or
        at every float32, which takes minutes.

    Returns
    -------
    Report

    Raises
    ------
    GradientError
        If a gradient is wrong, has another shape or dtype than its input, or if a rule changes
        an array that it was given. Its ``report`` says where, and what the pattern of it is.
    TypeError
        If there is nothing to check at, or nothing to differentiate.
    ValueError
        If `f` is random, is not finite there, or lacks data to draw inputs from.

    Warns
    -----
    GradientWarning
        If the verdict is inconclusive.

    Examples
    --------
    >>> gradcheck(lambda x, y: np.exp(x) * y, 0.5, np.array([1.0, 2.0])).compared
    6
    """
    if order not in {1, 2}:
        raise ValueError(f"gradcheck knows order 1 and order 2; got order={order}")
    if examples < 1:
        raise ValueError(f"gradcheck needs at least one example; got examples={examples}")
    f = _op_of(f)
    check = _checker(oracle, max_evaluations)
    if exhaustive:
        if inputs or oracle is not None or isinstance(f, Call):
            raise TypeError("gradcheck with exhaustive takes neither inputs nor an oracle")
        report = check_every_number(f, exhaustive, order, seed, domain)
    elif isinstance(f, Call):
        return _at_call(f, order, seed, check)
    elif inputs:
        report = _at_inputs(f, inputs, order, seed, domain, check)
    else:
        subject = Subject.of(f).given(domain, shapes)
        report = _searched(Search(subject, order, seed, examples, check))
    if report.verdict == "inconclusive":
        if strict:
            raise GradientError(report, None, report)
        warnings.warn(str(report), GradientWarning, stacklevel=2)
    return report


def _op_of(f: Callable[..., Any] | Call) -> Callable[..., Any] | Call:
    """Return the op that a function of NumPy's is known by, or the function."""
    ops = ((g, op) for g, op in {**overrides, **forms}.items() if isinstance(op, Op))
    return next((op for g, op in ops if g is f), f)


def _checker(oracle: str | None, max_evaluations: int) -> Checker:
    """Return what checks a function at one point."""
    if oracle is None:
        return partial(check_point, max_evaluations=max_evaluations)
    if oracle != "mpmath":
        raise ValueError(f'gradcheck knows the oracle "mpmath"; got oracle={oracle!r}')
    return check_exactly


def _at_inputs(
    f: Callable[..., Any],
    inputs: tuple[Any, ...],
    order: int,
    seed: int,
    domain: Mapping[str, Interval] | Interval | None,
    check: Checker,
) -> Report:
    """Check a function at inputs that were given."""
    said = {}
    if domain is not None:
        subject = Subject.of(f)
        said = read_domain(domain, subject.name, subject.names)
    try:
        return check(Problem(f, inputs, domain=said), order, seed)
    except (Wrong, GradientError) as error:
        error = _steady(error, lambda: Problem(f, inputs, domain=said))
        line = line_of_inputs(f, inputs, said, order, seed)
        report = Report(function_name(f), order)
        raise _explained(error, named_arguments(f, inputs), report, line) from None


def _at_call(call: Call, order: int, seed: int, check: Checker) -> Report:
    """Check a function at inputs that were drawn."""
    try:
        return check(call.problem(), order, seed)
    except (Wrong, GradientError) as error:
        error = _steady(error, call.problem)
        line, report = line_of_call(call, order, seed), Report(call.subject.name, order)
        raise _explained(error, call.arguments, report, line) from None


def _searched(search: Search) -> Report:
    """Check a function where a search leads."""
    found = search.run()
    if found is None:
        return search.report
    line = line_of_call(found.call, search.order, found.seed)
    others = search.others(ELSEWHERE * search.cases)  # one in so many is of the same case
    problems = _problems(call for call in others if _constants(call) == _constants(found.call))
    error = _steady(found.error, found.call.problem)
    raise _explained(error, found.call.arguments, search.report, line, problems)


def _constants(call: Call) -> str:
    """Return what a call is given beside arrays that were drawn: what its case says."""
    return repr({name: v for name, v in call.arguments.items() if name not in call.drawn})


def _steady(error: Wrong | GradientError, again: Callable[[], Problem]) -> Wrong | GradientError:
    """Return what failed, or that a rule is random, if one is; raise if the function is."""
    try:
        with quiet():
            again().look_again()
    except GradientError as other:
        return other
    return error


def _problems(calls: Iterable[Call]) -> Iterator[Problem]:
    for call in calls:
        try:
            yield call.problem()
        except (ValueError, GradientError):
            continue


def _explained(
    error: Wrong | GradientError,
    inputs: dict[str, Any],
    report: Report,
    line: str,
    others: Iterable[Problem] = (),
) -> GradientError:
    """Return the error that the user sees, with a report that carries all there is to know."""
    if isinstance(error, Wrong):
        mismatch = error.mismatch()
        with quiet():
            others = chain(others, resized(error.check.problem))
            diagnosis, curve = _diagnosed(error, others), curve_of(error)
        fault = Fault(str(mismatch), mismatch, diagnosis, inputs, line, curve)
    else:
        fault = Fault(str(error), inputs=inputs, line=line)
    return GradientError(fault, fault.mismatch, replace(report, fault=fault))


def _diagnosed(wrong: Wrong, others: Iterable[Problem]) -> Diagnosis:
    """Return the pattern of what is wrong, as far as numbers tell."""
    found = diagnose(samples_of(wrong, others))
    if wrong.check.order == 1 and found.pattern == "right":  # wrong at that one point alone
        return UNKNOWN
    if wrong.check.order == 1 or found.pattern == "not finite":
        return found
    if found.region is not None and found.region.kind == "large" and found.region.bound == 0:
        return found  # at a kink of something inside, which a rule takes for smooth
    hidden = "the rule uses a value that the graph does not see"
    if found.pattern == "zero":
        return Diagnosis("unseen", f"{hidden}: the gradient of the gradient is 0")
    if found.pattern in {"sign", "factor"}:
        text = f"{found}: {hidden}, or an op whose own gradient is wrong"
        return replace(found, sentence=text)
    where = f" ({found})" if found and found.pattern == "region" else ""
    return Diagnosis("unseen", f"{hidden}{where}", found.factor, found.region)
