"""Inputs to check a function at, drawn from plain data: its domain, shapes and cases."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.checking.inputs import LINE, is_float, real_parts
from tinygrad_mnist.checking.matrices import matrices_of
from tinygrad_mnist.checking.problem import NotFiniteError, Problem, quiet
from tinygrad_mnist.checking.subjects import Subject
from tinygrad_mnist.nested import flatten
from tinygrad_mnist.operation import Op
from tinygrad_mnist.tensor import Tensor, raw

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable, Mapping, Sequence

    from hypothesis.strategies import SearchStrategy

    from tinygrad_mnist.checking.inputs import Interval

    Choose = Callable[[Sequence[Any]], Any]  # takes one of several: the only chance in a draw
    Array = np.ndarray[Any, Any]
    Fill = Callable[[str, tuple[int, ...], Interval], Array]  # for a parameter, by its name

# What is simple comes first: where a search can choose, it ends there.
SIZES = (1, 2, 3, 4, 2, 3, 1, 2, 3, 1, 5, 0)  # of an axis; an empty one leaves nothing to check
COMMON = (None, None, 2, None, 3)  # of all axes at once, for what is wrong in squares alone
EVEN = None  # not on a scale of its own, but anywhere up to 4
SCALES = (1.0, EVEN, 3.0, 0.3, EVEN, 10.0, 100.0, 1e-3, 1e4, EVEN, 1e6, 1e-6)
SIGNS = ("mixed", "mixed", "mixed", "positive", "negative")
SPECIAL = (0.0, 1.0, -1.0, 2.0, -3.0, 0.5, 1e-6, -1e6)
LAYOUTS = ("contiguous", "reversed", "strided", "transposed")
REACH = 1e30  # the derivatives of larger results may not be finite


@dataclass(frozen=True)
class Manner:
    """How arrays are drawn, within what the function takes.

    Attributes
    ----------
    sizes : sequence of int
        Of an axis.
    ranks : sequence of int
        How many axes stand for ``…``.
    common : sequence of int or None
        One size for all axes of a call; None lets each have its own.
    fill : callable or None
        Returns numbers for a parameter, of a shape and in an interval; by default anything.
    """

    sizes: Sequence[int] = SIZES
    ranks: Sequence[int] = (0, 1, 2, 3)
    common: Sequence[int | None] = COMMON
    fill: Fill | None = None


ANYHOW = Manner()


@dataclass(frozen=True)
class Call:
    """A function and arguments for it, by parameter name.

    Attributes
    ----------
    subject : Subject
    arguments : dict
        Those of the case, which are constant, and the arrays that were drawn.
    drawn : dict
        For each parameter that arrays were drawn for, the interval that they lie in.
    """

    subject: Subject
    arguments: dict[str, Any]
    drawn: dict[str, Interval]

    @property
    def args(self) -> tuple[Any, ...]:
        """The arguments that are passed by position."""
        return self._bound().args

    @property
    def kwargs(self) -> dict[str, Any]:
        """The arguments that are passed by name."""
        return self._bound().kwargs

    def _bound(self) -> inspect.BoundArguments:
        bound = self.subject.signature.bind_partial()
        names = [name for name in self.subject.names if name in self.arguments]
        bound.arguments.update({name: self.arguments[name] for name in names})
        return bound

    @property
    def is_empty(self) -> bool:
        """Whether any of the arrays has no entries."""
        return not all(np.size(raw(leaf)) for leaf in flatten(self.arguments)[0])

    def results(self) -> list[Any]:
        """Return the floating-point results: of an op called with arrays, else with Tensors."""
        leaves, rebuild = flatten([list(self.args), self.kwargs])
        kind = np.copy if isinstance(self.subject.f, Op) else Tensor  # it may write to its inputs
        args, kwargs = rebuild([kind(v) if is_float(v) else v for v in leaves])
        with quiet():
            results, _ = flatten(self.subject.f(*args, **kwargs))
        return [raw(part) for result in results for part in real_parts(result)]

    def problem(self) -> Problem:
        """Return the call as a point to check the function at."""
        return Problem(self.subject.f, self.args, self.kwargs, self.drawn, self.drawn)


def calls(op: Op | Subject, case: int | None = None) -> SearchStrategy[Call]:
    """Return a Hypothesis strategy of calls of an op, or of any function; see `draw_call`."""
    from hypothesis import strategies as st

    @st.composite
    def drawn(draw: Callable[[Any], Any]) -> Call:
        return draw_call(op, lambda some: draw(st.sampled_from(some)), case, anywhere=True)

    return drawn()


def draw_call(
    op: Op | Subject,
    choose: Choose,
    case: int | None = None,
    *,
    anywhere: bool = False,
    manner: Manner = ANYHOW,
) -> Call:
    """Draw a call of an op at which it is finite.

    Arrays are drawn for all parameters that have a gradient rule, no default and no value in the
    case; then for those with a default, as far as `shapes` goes on. It has a group for each, in
    order: a letter is a size, the same wherever it stands; a number is that size; ``…`` stands for
    any axes, which broadcast between groups. So ``"(…,m,k),(…,k,n)"`` are matrix products. Without
    `shapes` all arrays broadcast together. A list parameter takes all groups that are left over.
    Axes of length 0, then of length 1 too, are left out where the op refuses them.

    Parameters
    ----------
    op : Op
    choose : callable
        Takes a sequence and returns one of its members.
    case : int, optional
        Which of the op's `cases`; any by default.
    anywhere : bool, optional
        Whether positive numbers near 1 will do where nothing else is finite.
    manner : Manner, optional
        Which sizes and numbers to draw.

    Raises
    ------
    ValueError
        If the op lacks data: a value for a parameter, shapes that it takes, or a domain.
    """
    op = Subject.of(op)
    number = choose(range(len(op.cases))) if case is None else case
    static = copy.deepcopy(op.cases[number])
    shapes = static.pop("shapes", op.shapes)
    domain = {**op.domain, **static.pop("domain", {})}
    for name in op.required:
        if name not in op.drawn and name not in static:
            raise ValueError(
                f"nothing can be drawn for op {op.name!r}: its parameter {name!r} has no gradient "
                f"rule, so a value must stand in cases, as in cases=({{{name!r}: ...}},)"
            )
    for least in (0, 1, 2):
        arguments, intervals = dict(static), {}
        axes: list[tuple[int, ...]] = []
        for name, several in _draw_shapes(op, shapes, static, choose, least, manner).items():
            intervals[name] = domain.get(name, LINE)
            arrays = []
            for shape in several:
                if manner.fill is None:
                    array = _anything(shape, intervals[name], choose)
                else:
                    array = manner.fill(name, shape, intervals[name])
                arrays.append(_stored(array, intervals[name], choose))
            if name in op.matrices:
                arrays = [matrices_of(array, op.matrices[name]) for array in arrays]
            arguments[name] = arrays if op.is_list(name) else arrays[0]
            axes += several
        if manner.fill is None and len(axes) > 1 and choose((False, False, True)):
            _tie(arguments, intervals)
        try:
            return _settled(Call(op, arguments, intervals), anywhere)
        except (ValueError, IndexError, ArithmeticError) as error:
            if least < 2 and any(n < 2 for shape in axes for n in shape):
                continue
            kind = NotFiniteError if isinstance(error, NotFiniteError) else ValueError
            said = f"its shapes={shapes!r} and domain={domain} must say what it takes"
            if isinstance(error, np.linalg.LinAlgError) and isinstance(op.f, Op):
                said += ", or its matrices, as in matrices={'a': 'positive definite'}"
            raise kind(
                f"op {op.name!r} does not take arrays of shapes {', '.join(map(str, axes))}, drawn "
                f"for its case {op.cases[number]}: {error}; {said}"
            ) from error
    raise AssertionError("the last round returns or raises")


def _draw_shapes(
    op: Subject,
    text: str | None,
    static: Mapping[str, Any],
    choose: Choose,
    least: int,
    manner: Manner,
) -> dict[str, list[tuple[int, ...]]]:
    """Return the shapes to draw for each parameter: several for a list."""
    free = [name for name in op.names if name in op.drawn and name not in static]
    names = [name for name in free if name in op.required]
    lists = [name for name in names if op.is_list(name)]
    groups = [["…"]] * (len(names) + 2 * len(lists)) if text is None else _read_groups(op, text)
    if not lists:
        names = [*names, *(name for name in free if name not in names)][
            : max(len(groups), len(names))
        ]
    counts = dict.fromkeys(names, 1)
    if lists:
        counts[lists[0]] += len(groups) - len(names)
    if len(groups) != sum(counts.values()) or min(counts.values(), default=1) < 1:
        raise ValueError(
            f"shapes={text!r} of op {op.name!r} has {len(groups)} groups for the parameters "
            f"{', '.join(names)}: give one for each"
        )
    common = choose(manner.common)
    sizes = manner.sizes if common is None else (common,)
    letters = {
        entry: max(choose(sizes), least)
        for entry in dict.fromkeys(entry for group in groups for entry in group)
        if entry.isalpha()
    }
    free_axes = all(group == ["…"] for group in groups)
    ranks = [n for n in manner.ranks if free_axes or n < max(manner.ranks)] or manner.ranks
    batched = sum("…" in group for group in groups)
    rank = choose(ranks) if batched else 0
    batch = [max(choose(sizes), least) for _ in range(rank)]
    shapes: dict[str, list[tuple[int, ...]]] = {}
    remaining = iter(groups)
    for name, count in counts.items():
        shapes[name] = []
        for group in (next(remaining) for _ in range(count)):
            shape: list[int] = []
            for entry in group:
                if entry == "…":
                    shape += _broadcastable(batch, choose) if batched > 1 else batch
                else:
                    shape.append(letters[entry] if entry.isalpha() else int(entry))
            shapes[name].append(tuple(shape))
    return shapes


def _read_groups(op: Subject, text: str) -> list[list[str]]:
    """Return the entries of each shape in a text such as ``"(…,m,k),(…,k,n)"``."""
    entry = r"\s*(?:…|\.\.\.|[A-Za-z]|\d+)\s*"
    group = rf"\s*\((?:{entry}(?:,{entry})*)?,?\s*\)\s*"
    if not re.fullmatch(rf"{group}(?:,{group})*", text):
        raise ValueError(
            f"shapes={text!r} of op {op.name!r} can't be read: write a group of letters, numbers "
            "and … for each array, as in '(…,m,k),(…,k,n)'"
        )
    return [
        [e.strip().replace("...", "…") for e in found.split(",") if e.strip()]
        for found in re.findall(r"\(([^()]*)\)", text)
    ]


def _broadcastable(shape: Sequence[int], choose: Choose) -> list[int]:
    """Return a shape that broadcasts to the given one: fewer axes, and some of length 1."""
    kept = shape[choose((0, 0, *range(len(shape) + 1))) :]
    return [1 if choose((False, False, True)) else n for n in kept]


def _anything(shape: tuple[int, ...], interval: Interval, choose: Choose) -> Array:
    """Return an array with entries in an open interval, of any scale and sign."""
    random = np.random.default_rng(choose(range(1 << 16)))
    low, high = interval
    scale, signs = choose(SCALES), choose(SIGNS)
    if scale is EVEN:
        size = random.uniform(0, 4, shape)
    else:
        size = scale * np.exp(random.normal(size=shape))  # most within a factor of 10
    if np.isfinite(low) and np.isfinite(high):
        array = low + (high - low) / (1 + size ** random.choice((-1, 1), shape))
    elif np.isfinite(low):
        array = low + size
    elif np.isfinite(high):
        array = high - size
    else:
        array = size * random.choice((-1, 1), shape)
        array = {"positive": abs(array), "negative": -abs(array)}.get(signs, array)
    array = np.asarray(array)
    special = [value for value in SPECIAL if low < value < high]
    for _ in range(choose((0, 1, 2)) if array.size and special else 0):
        place = choose(range(array.size))
        array.flat[place] = choose((array.flat[0], *special))
    return array


def _stored(array: Array, interval: Interval, choose: Choose) -> Array:
    """Return an array inside an open interval, of any dtype and layout in memory."""
    dtype = choose((np.float64, np.float64, np.float32))
    first, last = np.nextafter(dtype(interval), dtype(interval[::-1]))
    return _laid_out(np.asarray(np.clip(array.astype(dtype), first, last)), choose(LAYOUTS))


def _laid_out(array: Array, layout: str) -> Array:
    """Return an equal array that lies differently in memory."""
    if layout == "reversed":
        return np.flip(np.flip(array).copy())
    if layout == "strided" and array.ndim:
        apart = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan, array.dtype)
        apart[..., ::2] = array
        return apart[..., ::2]
    if layout == "transposed":
        return array.T.copy().T
    return array


def _settled(call: Call, anywhere: bool) -> Call:
    """Return the call with its arrays moved towards the middle until its results are finite.

    Raises
    ------
    NotFiniteError
        If they are not finite there either.
    LinAlgError
        If a matrix is singular, or the like, there too.
    ValueError
        If there are no results, of empty arrays: a sum of nothing may be a whole number.
    """
    first, refused = call, None
    for _ in range(12):
        try:
            results, refused = call.results(), None
        except np.linalg.LinAlgError as error:
            results, refused = [np.array(np.nan)], error
        if not results and call.is_empty:
            raise ValueError("of empty arrays it makes no floating-point numbers")
        if all((np.abs(result) < REACH).all() for result in results):
            return call
        nearer = {}
        for name, interval in call.drawn.items():
            middle = _middle(interval)
            arrays, rebuild = flatten(call.arguments[name])
            nearer[name] = rebuild([middle + (a - middle) / a.dtype.type(4) for a in arrays])
        call = replace(call, arguments=call.arguments | nearer)
    if anywhere:
        near_one = {}
        for name, interval in first.drawn.items():
            arrays, rebuild = flatten(first.arguments[name])
            free = interval == LINE
            near_one[name] = rebuild([_near_one(a) if free else a for a in arrays])
        return _settled(replace(first, arguments=first.arguments | near_one), anywhere=False)
    raise refused or NotFiniteError(
        "its results are not finite, nor are they nearer to the middle of its domain"
    )


def _tie(arguments: dict[str, Any], intervals: Mapping[str, Interval]) -> None:
    """Let every other entry of the arrays be equal to that of the first array, where it fits."""
    first, *others = [a for name in intervals for a in flatten(arguments[name])[0]]
    bounds = [i for name, i in intervals.items() for _ in flatten(arguments[name])[0]]
    for array, (low, high) in zip(others, bounds[1:], strict=True):
        try:
            equal = np.broadcast_to(first, array.shape).astype(array.dtype)
        except ValueError:
            continue
        for place in range(0, array.size, 2):
            if low < equal.flat[place] < high:
                array.flat[place] = equal.flat[place]


def _near_one(array: Array) -> Array:
    """Return numbers between 0.5 and 1.5, in the order of the given ones."""
    near: Array = np.asarray((1 + array / (1 + 2 * np.abs(array))).astype(array.dtype))
    return near


def _middle(interval: Interval) -> float:
    """Return a point well inside an interval."""
    low, high = interval
    if np.isfinite(low) and np.isfinite(high):
        return (low + high) / 2
    return low + 1 if np.isfinite(low) else high - 1 if np.isfinite(high) else 0.0
