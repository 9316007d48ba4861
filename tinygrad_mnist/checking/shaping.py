"""Shapes and domains that a function accepts, found by trying."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.checking.inputs import LINE, parameters_of
from tinygrad_mnist.checking.problem import NotFiniteError
from tinygrad_mnist.checking.sampling import draw_call
from tinygrad_mnist.operation import Op

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinygrad_mnist.checking.inputs import Interval
    from tinygrad_mnist.checking.subjects import Subject

TRIES = 10  # draws for each guess
MOST = 6  # guesses that are kept
INF = np.inf
INTERVALS: tuple[Interval, ...] = (LINE, (0, INF), (0, 1), (-1, 1), (1, INF))

# Relations of shapes that functions ask for, for as many arrays as there are groups.
KNOWN = (
    "(n)", "(n,n)", "(m,n)", "(…,n)", "(…,n,n)", "(2)", "(3)", "(4)", "(…,3)", "(2,2)", "(3,3)",
    "(a,b,c)", "(a,b,6,6)", "(8)", "(8,8)",
    "(n),(n)", "(m,k),(k,n)", "(…,m,k),(…,k,n)", "(m,n),(m,n)", "(m,n),(n)", "(m,n),(m)",
    "(n,n),(n)", "(n,n),(n,n)", "(m,n),(k,n)", "(m),(n)", "(3),(3)", "(a,b,6),(c,b,3)",
    "(a,b,6,6),(c,b,3,3)", "(…,n),(n)", "(…,n),()",
    "(n),(n),(n)", "(m,n),(m,n),(m,n)", "(m,k),(k,n),(n)", "(m,n),(n),(n)", "(m,n),(),()",
    "(…,n),(n),(n)", "(q,d),(k,d),(k,e)", "(b,q,d),(b,k,d),(b,k,e)", "(a,b,6,6),(c,b,3,3),(c)",
    "(n,n),(n),(n)", "(…),(),()",
    "(m,k),(k,n),(n,l),(l)", "(m,k),(k,h),(h),(h,n)", "(n,n),(n,n),(n),(n)",
    "(m,k),(k,h),(h),(h,n),(n)",
)  # fmt: skip
LETTERED = ("()", "(a)", "(b)", "(c)", "(a,b)", "(b,a)", "(b,c)", "(c,b)", "(a,a)", "(a,b,c)")


def shaped(subject: Subject, seed: int) -> tuple[list[Subject], tuple[str, ...]]:
    """Return the subject once for each relation of shapes that it takes, and what was found out.

    An op whose `cases` say nothing is also given arrays for parameters that have a default.

    Raises
    ------
    ValueError
        If it takes nothing that was tried.
    """
    if subject.cases != ({},):
        return [subject], ()
    found, notes = _required(subject, seed)
    more = [one for base in found for one in _with_more(base, seed)]
    notes += tuple(note for one in more for note in _notes(subject, one))
    return found + more, tuple(dict.fromkeys((*notes, *_left_alone(subject))))


def _required(subject: Subject, seed: int) -> tuple[list[Subject], tuple[str, ...]]:
    """Return what `shaped` does, with arrays for parameters that have no default."""
    if subject.shapes is not None:
        return [subject], ()
    if isinstance(subject.f, Op) and _share(subject, seed)[1] is None:
        return [subject], ()
    error: Exception = ValueError("no shapes were tried")
    for guesses in (_known(subject), _lettered(subject)):
        accepted: list[Subject] = []
        for shapes in guesses:
            found = _tried(replace(subject, shapes=shapes), seed)
            if isinstance(found, Exception):
                error = found
                continue
            accepted.append(found)
            if shapes.count("(") == shapes.count("(…)"):
                break  # it takes anything that broadcasts
            if len(accepted) == MOST:
                break
        if accepted:
            return accepted, tuple(
                dict.fromkeys(note for one in accepted for note in _notes(subject, one))
            )
    raise ValueError(
        f"no inputs were found that {subject.name} takes: {error}. Give them, as in "
        f"gradcheck({subject.name}, x, ...), or say what it takes by shapes='(m,k),(k,n)' and "
        "domain={'x': (0, np.inf)}"
    ) from error


def _known(subject: Subject) -> Iterator[str]:
    """Yield relations of shapes for as many arrays as the subject takes, the freest first."""
    yield ",".join(["(…)"] * subject.arity)
    sizes = dict.fromkeys(n for _, p in parameters_of(subject.f) for n in p.shape)
    for n in sizes:
        yield ",".join([f"(m,{n})"] * subject.arity)
        yield ",".join([f"({n})"] * subject.arity)
        yield ",".join([f"(m,{n},6,6)"] * subject.arity)
    yield from (shapes for shapes in KNOWN if shapes.count("(") == subject.arity)
    for group in ("(n)", "(m,n)", "(n,n)", "()"):
        yield ",".join([group] * subject.arity)


def _lettered(subject: Subject) -> Iterator[str]:
    """Yield every relation of a few letters, for as many arrays as can be tried one by one."""
    if subject.arity <= 3:
        for groups in itertools.product(LETTERED, repeat=subject.arity):
            yield ",".join(groups)


def _with_more(subject: Subject, seed: int) -> Iterator[Subject]:
    """Yield the subject with an array for one more parameter, of each that has a default."""
    required = [name for name in subject.drawn if name in subject.required]
    if not isinstance(subject.f, Op) or any(subject.is_list(name) for name in required):
        return
    shapes = ",".join(["(…)"] * len(required)) if subject.shapes is None else subject.shapes
    optional = [n for n in subject.names if n in subject.drawn and n not in required]
    drawn = [*required, *optional[: shapes.count("(") - len(required)]]
    domain = {**dict.fromkeys(drawn, LINE), **subject.domain}
    for name in optional:
        if name in drawn:
            continue
        for wider in _shapes_with_one_more(shapes, subject.signature.parameters[name].default):
            one = replace(subject, drawn=(*drawn, name), shapes=wider, domain=domain)
            found = _tried(one, seed)
            if not isinstance(found, Exception):
                yield found
                break


def _shapes_with_one_more(shapes: str, default: Any) -> Iterator[str]:
    """Yield shapes with a group for an array that no other one has to broadcast to.

    A rule that was written for a parameter with a default may not think of that.
    """
    groups = re.findall(r"\([^()]*\)", shapes)
    if default is not None:
        beside = ["()"] if np.ndim(default) == 0 else []
    elif set(groups) <= {"(…)", "(...)"}:
        yield from (",".join([group] * (len(groups) + 1)) for group in ("(m,n)", "(n)"))
        beside = ["()"]
    else:
        letters = re.findall("[A-Za-z]", shapes)[::-1]
        fixed = [group for group in groups if "…" not in group and "..." not in group]
        beside = [*(f"({letter})" for letter in letters), *fixed, "()"]
    yield from (f"{shapes},{group}" for group in dict.fromkeys(beside))


def _left_alone(subject: Subject) -> Iterator[str]:
    """Yield what to say of an op's arguments that no array is drawn for."""
    names = [name for name in subject.names if name not in {*subject.drawn, *subject.required}]
    if names and isinstance(subject.f, Op):
        tried = "were tried at their defaults" if len(names) > 1 else "was tried at its default"
        yield f"{', '.join(names)} {tried} alone: say cases= to try others"


def _tried(subject: Subject, seed: int) -> Subject | Exception:
    """Return the subject with intervals where it is finite, or why it does not take the shapes."""
    names = [name for name in subject.drawn if name not in subject.domain]
    best: tuple[float, Subject] | None = None
    for intervals in _intervals(len(names)):
        guess = replace(
            subject, domain={**subject.domain, **dict(zip(names, intervals, strict=True))}
        )
        finite, refused = _share(guess, seed)
        if refused is not None:
            return refused
        if finite == 1.0 or (finite > 0.75 and intervals == (LINE,) * len(names)):
            return guess
        if finite > 0 and (best is None or finite > best[0]):
            best = finite, guess
    if best is None:
        return NotFiniteError(f"{subject.name} is finite nowhere that was tried")
    return best[1]


def _intervals(count: int) -> list[tuple[Interval, ...]]:
    """Return ways to restrict the inputs, those with fewer restrictions first."""
    if count > 3:
        return [(interval,) * count for interval in INTERVALS]
    ways = itertools.product(INTERVALS, repeat=count)
    return sorted(ways, key=lambda way: sum(interval != LINE for interval in way))


def _share(subject: Subject, seed: int) -> tuple[float, Exception | None]:
    """Return at how many draws a subject is finite, and why it refuses one if it does."""
    random = np.random.default_rng(seed)
    finite = 0
    for _ in range(TRIES):
        try:
            call = draw_call(subject, lambda some: some[int(random.integers(len(some)))])
            finite += len(call.results()) > 0
        except NotFiniteError:
            continue
        except Exception as error:  # noqa: BLE001 - the user's function may raise anything
            return 0.0, error
    return finite / TRIES, None


def _notes(before: Subject, after: Subject) -> Iterator[str]:
    """Yield what was found out about where a function is finite."""
    for name, interval in after.domain.items():
        if interval != LINE and name not in before.domain:
            low, high = interval
            yield (
                f"{name} was drawn from ({low:g}, {high:g}), where {after.name} is finite; say "
                "domain= to choose"
            )
