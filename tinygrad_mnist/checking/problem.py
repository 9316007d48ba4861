"""A function at a point, seen as one from a vector of numbers to another."""

from __future__ import annotations

import inspect
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.autograd import flatten, vjp
from tinygrad_mnist.checking.report import GradientError
from tinygrad_mnist.editing import map_gradient
from tinygrad_mnist.operation import Op
from tinygrad_mnist.tensor import Tensor, raw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Vector = np.ndarray[Any, np.dtype[Any]]
    Interval = tuple[float, float]  # open

LINE = (-np.inf, np.inf)


class Problem:
    """A function at a point, seen as one from a vector of numbers to another.

    Parameters
    ----------
    f : callable or Op
    args, kwargs
        What to call it with.
    inputs : dict, optional
        Names of the differentiable parameters, and the open intervals that they live in; by
        default all, those of an op that have a rule.

    Attributes
    ----------
    name : str
    given : list of array
        The differentiable inputs, of the dtype and memory layout that they came with.
    parts : list of Part
        Where each of them stands in the vector.
    x : (n,) array
        The vector: all of them, copied to float64.
    steps : (n,) array
        The scale on which to move each entry.
    out : (m,) array
        The results at `x`.

    Raises
    ------
    GradientError
        If the function changes an input.
    TypeError
        If nothing of floating-point numbers goes in or comes out.
    ValueError
        If a result is not finite, or if two calls differ.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Interval] | None = None,
    ) -> None:
        self.f, self.name = f, function_name(f)
        named = _named(f, args) | dict(kwargs or {})
        roots = [root for root, value in named.items() for _ in _paths(value)]
        names = [path for root, value in named.items() for path in _paths(value, root)]
        self._leaves, self._rebuild = flatten([list(args), dict(kwargs or {})])
        if inputs is None:
            domain, known = (f.domain, f.rules) if isinstance(f, Op) else ({}, roots)
            inputs = {root: domain.get(root, LINE) for root in known}
        self._places = [
            k for k, leaf in enumerate(self._leaves) if is_float(leaf) and roots[k] in inputs
        ]
        if not self._places:
            raise TypeError(
                f"gradcheck of {self.name} found nothing to differentiate: give at least one array "
                "of floating-point numbers (1.0, not 1)"
            )
        self.given = [np.asarray(raw(self._leaves[k])) for k in self._places]
        self.parts: list[Part] = []
        for k, array in zip(self._places, self.given, strict=True):
            start = self.parts[-1].stop if self.parts else 0
            stop = start + array.size
            self.parts.append(Part(names[k], start, stop, array.shape, inputs[roots[k]]))
        self.x = joined(self.given)
        self.steps = joined([part.steps(self.x) for part in self.parts])
        self._look()

    def _look(self) -> None:
        """Call the function, before any derivative, to see that it can be checked."""
        x = self.x.copy()
        with quiet():
            results = self.call([array.copy() for array in self.given])
            self._shapes = [np.shape(raw(result)) for result in results]
            self.out = self.value(x)
            again = self.value(self.x.copy())
        if not results:
            raise TypeError(f"{self.name} returned no floating-point numbers to differentiate")
        for part, after, before in zip(self.parts, self.split(x), self.split(self.x), strict=True):
            if not np.array_equal(after, before):
                raise GradientError(f"{self.name} changes its input {part.name}: write to a copy")
        if not np.isfinite(self.out).all():
            raise ValueError(
                f"{self.name} is not finite at these inputs, so it has no derivative there: choose "
                "others, or give the op a domain"
            )
        if not np.array_equal(self.out, again):
            raise ValueError(
                f"{self.name} is random: two calls with the same inputs differ. Give it a "
                "generator that is made anew in each call, as rng=0 does"
            )

    def split(self, x: Vector) -> list[Vector]:
        """Return the inputs that a vector holds."""
        return [x[part.start : part.stop].reshape(part.shape) for part in self.parts]

    def outputs(self, vector: Vector) -> list[Vector]:
        """Return the results, or cotangents of them, that a vector holds."""
        sizes = [int(np.prod(shape, dtype=int)) for shape in self._shapes]
        pieces = np.split(vector, np.cumsum(sizes)[:-1])
        return [v.reshape(shape) for v, shape in zip(pieces, self._shapes, strict=True)]

    def call(self, arrays: Sequence[Any]) -> list[Any]:
        """Return the floating-point results of a call, arrays or Tensors as the inputs are.

        Of complex results, the real parts and the imaginary parts.
        """
        leaves = list(self._leaves)
        for k, array in zip(self._places, arrays, strict=True):
            leaves[k] = array
        args, kwargs = self._rebuild(leaves)
        results, _ = flatten(self.f(*args, **kwargs))
        return [part for result in results for part in real_parts(result)]

    def value(self, x: Vector) -> Vector:
        """Return all results at a vector, as one."""
        arrays: list[Any] = self.split(x)
        if not isinstance(self.f, Op):
            arrays = [Tensor(array) for array in arrays]
        return joined([raw(result) for result in self.call(arrays)])

    def pull(self, x: Vector, cotangent: Vector) -> Vector:
        """Return the gradient of <cotangent, results> at a vector, as one."""
        return joined(self.gradients(self.split(x), self.outputs(cotangent)))

    def gradients(self, arrays: Sequence[Any], cotangents: list[Any]) -> tuple[Any, ...]:
        """Return the gradient of <cotangents, results> by each input."""
        _, pull = vjp(lambda *inputs: self.call(inputs), *arrays)
        return pull(cotangents)

    def pull_as_given(self, cotangent: Vector) -> Vector:
        """Return the same gradient at the inputs as they were given, and watch its making.

        Raises
        ------
        GradientError
            If a gradient has not its input's shape and dtype, or if a rule writes to an array.
        """
        seen: list[tuple[Any, Any]] = []

        def watched(*inputs: Any) -> list[Any]:
            results = self.call(inputs)
            return [map_gradient(r, lambda g: seen.append((g, np.array(g)))) for r in results]

        try:
            _, pull = vjp(watched, *self.given)
            gradients = pull(self.outputs(cotangent))
        except ValueError as error:
            if "read-only" not in str(error):
                raise
            raise GradientError(
                f"a rule of {self.name} writes to an array that it was given ({error}): write to "
                "a copy"
            ) from error
        for part, array, g in zip(self.parts, self.given, gradients, strict=True):
            if g.shape != array.shape or g.dtype != array.dtype:
                raise GradientError(
                    f"the gradient of {self.name} with respect to {part.name} has shape {g.shape} "
                    f"and dtype {g.dtype}, but the input has {array.shape} and {array.dtype}"
                )
        if not all(np.array_equal(g, old, equal_nan=True) for g, old in seen):
            raise GradientError(f"a rule of {self.name} changes the cotangent g: write to a copy")
        return joined(gradients)


@dataclass(frozen=True)
class Part:
    """An input: its place in the vector of all, its shape, and where its entries may lie."""

    name: str
    start: int
    stop: int
    shape: tuple[int, ...]
    interval: Interval

    def steps(self, x: Vector) -> Vector:
        """Return the scale on which to move each entry: its size, or what is typical here.

        A twentieth of it brings an entry at most a tenth of the way to the end of the interval.
        """
        entries = x[self.start : self.stop]
        if not entries.size:
            return entries
        largest = np.abs(entries).max() or 1.0
        typical = largest * np.sqrt(np.mean((entries / largest) ** 2)) or 1.0
        room = np.minimum(entries - self.interval[0], self.interval[1] - entries)
        scale: Vector = np.minimum(np.maximum(np.abs(entries), typical), 2 * room)
        return scale


def is_float(value: Any) -> bool:
    """Return whether a value is of real floating-point numbers."""
    value = raw(value)
    return isinstance(value, float) or (
        isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind == "f"
    )


def real_parts(result: Any) -> tuple[Any, ...]:
    """Return what holds the real numbers of a result: nothing, itself, or its two parts."""
    if getattr(result, "dtype", float) in (complex, np.complex64):
        return np.real(result), np.imag(result)
    return (result,) if is_float(result) else ()


def joined(arrays: Sequence[Any]) -> Vector:
    """Return all entries of several arrays as one vector."""
    return np.concatenate([np.empty(0), *(np.ravel(array) for array in arrays)], dtype=float)


def function_name(f: Callable[..., Any]) -> str:
    """Return what a message calls a function."""
    return str(getattr(f, "name", None) or getattr(f, "__name__", None) or type(f).__name__)


@contextmanager
def quiet() -> Iterator[None]:
    """Warn of nothing: steps may lead to where a function overflows, or advises against."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _named(f: Callable[..., Any], args: Sequence[Any]) -> dict[str, Any]:
    """Return the positional arguments by the names that the function has for them."""
    signature = f.signature if isinstance(f, Op) else inspect.signature(f)
    return dict(signature.bind_partial(*args).arguments)


def _paths(tree: Any, path: str = "") -> Iterator[str]:
    """Yield the way to each leaf of nested lists, tuples and dicts, in `flatten`'s order."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _paths(value, f"{path}[{key!r}]")
    elif isinstance(tree, (list, tuple)):
        for k, value in enumerate(tree):
            yield from _paths(value, f"{path}[{k}]")
    elif tree is not None:
        yield path
