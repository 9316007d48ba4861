"""rounding: what the rounding of each op can do to a result, by one reverse pass.

Reverse mode was invented for this [1]_: the cotangent of a number says how far the result moves
when that number does, and every op moves its result by up to half a unit in the last place.

References
----------
.. [1] S. Linnainmaa, "Taylor expansion of the accumulated rounding error", 1976.
.. [2] N. J. Higham, "Accuracy and stability of numerical algorithms", 2002, chapters 9, 10, 19.
"""

from __future__ import annotations

import html
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.checking.tracing import Visit, keeping, visits
from tinygrad_mnist.engine import seed
from tinygrad_mnist.nested import flatten
from tinygrad_mnist.tensor import Tensor, raw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tinygrad_mnist.operation import Op

    Array = np.ndarray[Any, Any]

SINGLE = float(np.finfo(np.float32).eps)
# Nothing is rounded where numbers are moved, chosen or negated.
_EXACT_ROOMS = tuple(
    f"tinygrad_mnist.ops.{room}"
    for room in ("diagonals", "indexing", "joining", "padding", "shape", "sorting")
)
_EXACT = {
    "abs", "absolute", "alias", "choose", "clip", "copysign", "fabs", "fmax", "fmin", "imag", "max",
    "maximum", "min", "minimum", "nanmax", "nanmin", "negative", "positive", "real", "relu",
    "select", "where",
}  # fmt: skip
# What rounds is the terms of a sum, which may be much larger than the sum.
_SUMS = {
    "average", "bincount", "convolve", "conv1d", "conv2d", "correlate", "cumsum", "dot", "einsum",
    "inner", "linear", "matmul", "matvec", "mean", "nancumsum", "nanmean", "nansum", "sum",
    "tensordot", "trace", "vdot", "vecdot", "vecmat",
}  # fmt: skip
# LAPACK's results are those of a matrix that is off by a digit of its largest entries, in all of
# its entries [2]_: where it is nearly singular, they may be off by much more than their own digits.
_TURNING_ROOMS = tuple(
    f"tinygrad_mnist.ops.{room}" for room in ("decompositions", "least_squares", "linalg")
)


@dataclass(frozen=True)
class Part:
    """What one op does to the result by rounding.

    Attributes
    ----------
    op : str
    calls : int
    bound : float
        How far the result can move, by all calls together.
    single : float
        The same if they were computed in float32.
    site : str
        The user's file and line of the call that does most, where that is known.
    """

    op: str
    calls: int
    bound: float
    single: float
    site: str


@dataclass(frozen=True)
class Rounding:
    """How far rounding can move a result, op by op.

    Attributes
    ----------
    value : float
        The result.
    dtype : dtype
        Of the result.
    parts : tuple of Part
        The ops, that which does most first.
    unseen : tuple of str
        Ops that are not counted, because the graph did not keep their results.
    """

    value: float
    dtype: np.dtype[Any]
    parts: tuple[Part, ...]
    unseen: tuple[str, ...] = ()

    @property
    def bound(self) -> float:
        """How far rounding can move the result: the sum over all ops."""
        return sum(part.bound for part in self.parts)

    @property
    def single(self) -> float:
        """The same if everything were computed in float32."""
        return sum(part.single for part in self.parts)

    @property
    def digits(self) -> float:
        """How many decimal digits of the result rounding leaves."""
        return _digits(self.bound, self.value)

    @property
    def single_digits(self) -> float:
        """How many decimal digits float32 would leave."""
        return _digits(self.single, self.value)

    @property
    def float32_is_enough(self) -> bool:
        """Whether float32 leaves at least three digits of the result."""
        return self.single_digits >= 3

    def __str__(self) -> str:
        head = ("op", "calls", "moves the result by", "share", "most of it at")
        table = [head, *(self._row(part) for part in self.parts)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(w) if k in {0, 4} else cell.rjust(w)
                for k, (cell, w) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in table
        ]
        return "\n".join([self._headline(), *lines, *self._notes()])

    __repr__ = __str__

    def _headline(self) -> str:
        return (
            f"{self.value:.9g} ± {self.bound:.2g} by rounding in {self.dtype}: "
            f"{self.digits:.0f} digits"
        )

    def _row(self, part: Part) -> tuple[str, ...]:
        share = f"{part.bound / self.bound:.0%}" if self.bound else ""
        return part.op, f"{part.calls:,}", f"{part.bound:.2g}", share, part.site

    def _notes(self) -> list[str]:
        enough = "float32 is enough" if self.float32_is_enough else "float32 is not enough"
        notes = [f"{enough}: it leaves {self.single_digits:.0f} digits (± {self.single:.2g})"]
        if self.unseen:
            notes.append(
                f"not counted, for the graph did not keep their results: {', '.join(self.unseen)}; "
                "give the function, rounding(f, *inputs), to see all"
            )
        return notes

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{h}</th>" for h in ("op", "calls", "± result", "share", "line"))
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in self._row(part)) + "</tr>"
            for part in self.parts
        )
        notes = "".join(f"<div>{html.escape(note)}</div>" for note in self._notes())
        return f"<b>{html.escape(self._headline())}</b><table><tr>{head}</tr>{rows}</table>{notes}"


def _digits(bound: float, value: float) -> float:
    if not bound:
        return np.inf
    return max(0.0, -float(np.log10(bound / abs(value)))) if value else 0.0


def rounding(what: Tensor | Callable[..., Any], *inputs: Any) -> Rounding:
    """Return how far the rounding of each op can move a result: where the digits go.

    Each op rounds its result by at most a unit in the last place, and the cotangent says how far
    that moves the end: ``|cotangent| * |result| * eps``, summed over all entries and all ops. For
    sums and products of matrices the terms count, which may cancel. Inputs count as exact.

    Parameters
    ----------
    what : Tensor or callable
        A single number: a loss, whose graph is still there, or the function that computes it.
        A graph keeps only those results that its rules need, so a function shows more.
    *inputs
        What to call the function with: arrays, Tensors, or nested structures of them.

    Returns
    -------
    Rounding
        Prints as a table.

    Raises
    ------
    RuntimeError
        If nothing is tracked, or the graph was freed by an earlier backward.
    TypeError
        If `what` is neither, or if inputs come with a Tensor.
    ValueError
        If the result is not a single number.

    Examples
    --------
    >>> report = rounding(lambda x: np.sum(np.cos(x) - 1), np.array([1e-4, 2e-4]))
    >>> report.parts[-1].op, report.float32_is_enough
    ('subtract', False)
    """
    if isinstance(what, Tensor):
        if inputs:
            raise TypeError(
                "rounding of a Tensor takes no inputs, for it is computed already: give the "
                "function instead, rounding(f, *inputs)"
            )
        return _of_tensor(what)
    if not callable(what):
        raise TypeError(
            f"rounding takes a loss, a Tensor, or the function that computes one; got "
            f"{type(what).__name__}"
        )
    with keeping():
        results, _ = flatten(what(*[_tracked(value) for value in inputs]))
        if len(results) != 1 or not isinstance(results[0], Tensor):
            raise ValueError("rounding needs a function that returns a single number, as a Tensor")
        return _of_tensor(results[0])


def _tracked(value: Any) -> Any:
    """Return a function's argument with its arrays of floating-point numbers tracked."""
    leaves, rebuild = flatten(value)
    return rebuild([one_tracked(leaf) for leaf in leaves])


def one_tracked(leaf: Any) -> Any:
    """Return a Tensor of floating-point numbers, tracked; anything else as it is."""
    if isinstance(leaf, Tensor) and leaf.requires_grad:
        return leaf
    data = raw(leaf)
    inexact = isinstance(data, float) or getattr(data, "dtype", np.dtype(int)).kind == "f"
    return Tensor(data, requires_grad=True) if inexact else leaf


def _of_tensor(result: Tensor) -> Rounding:
    if result._node is None or result._node.plan is None:
        raise RuntimeError(
            "rounding of a Tensor that no op made, or that tracks no gradient: give requires_grad="
            "True to a Tensor that it is computed from, or give the function and its inputs"
        )
    calls: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    unseen: dict[str, None] = {}
    for visit in visits([(result._node, seed(result, None, "rounding"))]):
        moved = moves(visit)
        if moved is None:
            unseen[visit.op.name] = None
        elif moved[0]:
            calls[visit.op.name].append((*moved, visit.site))
    parts = [
        Part(name, len(some), sum(b for b, _, _ in some), sum(s for _, s, _ in some), max(some)[2])
        for name, some in calls.items()
    ]
    parts.sort(key=lambda part: -part.bound)
    return Rounding(float(result.item()), result.dtype, tuple(parts), tuple(unseen))


def moves(visit: Visit) -> tuple[float, float] | None:
    """Return how far a call can move the result by rounding, and how far in float32.

    None if its results were not kept.
    """
    op = visit.op
    if op.name in _EXACT or op.__module__ in _EXACT_ROOMS:
        return 0.0, 0.0
    bound = single = eps = 0.0
    for cotangent, out in visit.results:
        if out is None:
            return None
        if out.dtype.kind not in "fc":
            continue
        size = np.abs(out)
        if op.name in _SUMS and visit.inputs is not None:
            size = np.maximum(size, _terms(op, visit.inputs))
        with np.errstate(all="ignore"):
            moved = float(np.sum(np.abs(cotangent) * size, dtype=np.float64))
        eps = float(np.finfo(out.dtype).eps)
        bound += moved * eps
        single += moved * SINGLE
    if eps and op.__module__ in _TURNING_ROOMS and visit.inputs is not None:
        moved = _turned(visit)
        bound += moved * eps
        single += moved * SINGLE
    return bound, single


def _turned(visit: Visit) -> float:
    """Return how far the result moves per digit of the largest entries of a call's matrices."""
    g = visit.gradients.get(0)
    if g is None or visit.inputs is None:
        return 0.0
    a = np.abs(np.asarray(raw(visit.inputs[0])))
    size = np.sqrt(np.sum(a * a, axis=(-2, -1), keepdims=True))
    with np.errstate(all="ignore"):
        return float(np.sum(np.abs(g) * size, dtype=np.float64))


def _terms(op: Op, inputs: Iterable[Any]) -> Any:
    """Return a sum of products with all of its terms taken positive."""
    return op._forward([_positive(value) for value in inputs])


def _positive(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return type(value)([_positive(v) for v in value])
    if isinstance(value, (np.ndarray, np.generic, float)) and np.asarray(value).dtype.kind == "f":
        return np.abs(value)
    return value


def total_moved(visits: Iterable[Visit]) -> float:
    """Return how far all calls of a pass together can move what it began at."""
    moved = (moves(visit) for visit in visits)
    return sum(one[0] for one in moved if one is not None)
