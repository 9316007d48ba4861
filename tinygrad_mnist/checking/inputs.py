"""What a function is given: its differentiable inputs by name, also inside lists and modules."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.checking.exact import is_exact
from tinygrad_mnist.checking.matrices import SYMMETRIC, symmetric_part
from tinygrad_mnist.nested import flatten
from tinygrad_mnist.operation import Op
from tinygrad_mnist.tensor import Tensor, raw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Vector = np.ndarray[Any, np.dtype[Any]]
    Interval = tuple[float, float]  # open

LINE = (-np.inf, np.inf)


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

        A twentieth of it brings an entry at most a tenth of the way to the end of the interval, if
        it lies inside.
        """
        entries = x[self.start : self.stop]
        if not entries.size:
            return entries
        largest = np.abs(entries).max() or 1.0
        typical = largest * np.sqrt(np.mean((entries / largest) ** 2)) or 1.0
        scale: Vector = np.minimum(np.maximum(np.abs(entries), typical), 2 * self.room(x))
        return scale

    def room(self, x: Vector) -> Vector:
        """Return how far each entry may move inside the interval; no end, if it lies outside."""
        entries = x[self.start : self.stop]
        room: Vector = np.minimum(entries - self.interval[0], self.interval[1] - entries)
        room[room <= 0] = np.inf
        return room

    def index(self, row: int) -> tuple[int, ...]:
        """Return the index, in this input, of an entry of the vector."""
        return tuple(int(k) for k in np.unravel_index(row - self.start, self.shape))


class Inputs:
    """The arguments of a function, and which numbers in them are differentiated.

    Parameters
    ----------
    f : callable, Op or Module
        The parameters of a module, also of one among the arguments, are inputs too.
    args, kwargs
        What to call it with.
    domain : dict
        Open intervals by name of the parameter.
    chosen : collection of str, optional
        Names of the parameters to differentiate; by default those of an op that have a rule, and
        all of a function.

    Attributes
    ----------
    named : dict
        The arguments by the names that the function has for them.
    given : list of array
        The differentiable inputs, of the dtype and memory layout that they came with.
    parts : list of Part
        Where each of them stands in the vector of all.
    constants : list of (str, array, array)
        Arrays that are not differentiated: their names, themselves, and copies.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        domain: Mapping[str, Interval],
        chosen: Mapping[str, Any] | None,
    ) -> None:
        self._f = f
        self.named = named_arguments(f, args) | dict(kwargs)
        roots = [root for root, value in self.named.items() for _ in _paths(value)]
        names = [path for root, value in self.named.items() for path in _paths(value, root)]
        self._leaves, self._rebuild = flatten([list(args), dict(kwargs)])
        if chosen is None:
            chosen = f.rules if isinstance(f, Op) else dict.fromkeys(roots)
        self._places = [
            k for k, leaf in enumerate(self._leaves) if is_float(leaf) and roots[k] in chosen
        ]
        kinds = f.matrices if isinstance(f, Op) else {}
        self._symmetric = {k for k, root in enumerate(roots) if kinds.get(root) in SYMMETRIC}
        found = [(names[k], self._leaves[k], domain.get(roots[k], LINE)) for k in self._places]
        modules = [("", f), *((f"{names[k]}.", leaf) for k, leaf in enumerate(self._leaves))]
        self._parameters: list[Tensor] = []
        for prefix, module in modules:
            for name, parameter in parameters_of(module):
                if not any(parameter is other for other in self._parameters):
                    self._parameters.append(parameter)
                    found.append((prefix + name, parameter, LINE))
        self.given: list[Any] = [np.asarray(raw(value)) for _, value, _ in found]
        self.constants = [  # what a call may not change either
            (names[k], leaf, leaf.copy())
            for k, leaf in enumerate(self._leaves)
            if k not in self._places and isinstance(leaf, np.ndarray) and leaf.flags.writeable
        ]
        self.parts: list[Part] = []
        for (name, _, interval), array in zip(found, self.given, strict=True):
            start = self.parts[-1].stop if self.parts else 0
            self.parts.append(Part(name, start, start + array.size, array.shape, interval))

    def shorter(self) -> Iterator[tuple[list[Any], dict[str, Any]]]:
        """Yield the arguments with all axes of one length shorter by one."""
        arrays = [raw(leaf) for leaf in self._leaves]
        lengths = {n for array in arrays for n in np.shape(array) if n > 1}
        for length in sorted(lengths, reverse=True):
            args, kwargs = self._rebuild(
                [
                    array[tuple(slice(n - (n == length)) for n in array.shape)]
                    if isinstance(array, np.ndarray)
                    else leaf
                    for leaf, array in zip(self._leaves, arrays, strict=True)
                ]
            )
            yield args, kwargs

    def call(self, arrays: Sequence[Any]) -> list[Any]:
        """Return the floating-point results of a call, arrays or Tensors as the inputs are.

        Of complex results, the real parts and the imaginary parts.
        """
        return self._called(self._f, arrays)

    def call_inside(self, arrays: Sequence[Any]) -> list[Any]:
        """Return the results of an op's forward, as `call` does, which may hide some more."""
        return self._called(self._f.forward if isinstance(self._f, Op) else self._f, arrays)

    def _called(self, f: Callable[..., Any], arrays: Sequence[Any]) -> list[Any]:
        leaves = list(self._leaves)
        for k, array in zip(self._places, arrays, strict=False):
            leaves[k] = symmetric_part(array) if k in self._symmetric else array
        args, kwargs = self._rebuild(leaves)
        if self._parameters:
            with _in_place_of(self._parameters, arrays[len(self._places) :]):
                result = f(*args, **kwargs)
        else:
            result = f(*args, **kwargs)
        return [part for leaf in flatten(result)[0] for part in real_parts(leaf)]


@contextmanager
def _in_place_of(parameters: Sequence[Tensor], arrays: Sequence[Any]) -> Iterator[None]:
    """Let the parameters of modules be other arrays or Tensors for a while."""
    before = [(p._value, p._node) for p in parameters]
    try:
        for p, array in zip(parameters, arrays, strict=True):
            p._value, p._node = raw(array), getattr(array, "_node", None)
        yield
    finally:
        for p, (value, node) in zip(parameters, before, strict=True):
            p._value, p._node = value, node


def parameters_of(module: Any) -> list[tuple[str, Tensor]]:
    """Return the parameters of a module that are trained, by name; nothing of anything else."""
    named = getattr(module, "named_parameters", None)
    if named is None or isinstance(module, type):
        return []
    return [(name, p) for name, p in named() if p.requires_grad and is_float(p)]


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
    return (result,) if is_float(result) or is_exact(result) else ()


def joined(arrays: Sequence[Any]) -> Vector:
    """Return all entries of several arrays as one vector.

    Gradients of a function that reaches parameters by its closure are tracked Tensors.
    """
    if len(arrays) == 1:
        return np.array(raw(arrays[0]), float).ravel()
    return np.concatenate([np.empty(0), *(np.ravel(raw(array)) for array in arrays)], dtype=float)


def generic(random: np.random.Generator, size: int) -> Vector:
    """Return numbers of both signs, none of them special, small or large."""
    signs: Vector = random.choice((-1.0, 1.0), size)
    return signs * random.uniform(0.5, 1.5, size)


def function_name(f: Callable[..., Any]) -> str:
    """Return what a message calls a function."""
    return str(getattr(f, "name", None) or getattr(f, "__name__", None) or type(f).__name__)


def signature_of(f: Callable[..., Any]) -> inspect.Signature | None:
    """Return the signature of a function or of a module's forward, if it has one."""
    if isinstance(f, Op):
        return f.signature
    forward = getattr(f, "forward", None) if hasattr(f, "named_parameters") else None
    if isinstance(f, np.ufunc):
        only = inspect.Parameter.POSITIONAL_ONLY
        return inspect.Signature([inspect.Parameter(n, only) for n in "xyz"[: f.nin]])
    try:
        return inspect.signature(forward or f)
    except (ValueError, TypeError):
        return None


def named_arguments(f: Callable[..., Any], args: Sequence[Any]) -> dict[str, Any]:
    """Return the positional arguments by the names that the function has for them."""
    signature = signature_of(f)
    if signature is None:  # older NumPy's own functions have none
        return {f"argument {k}": value for k, value in enumerate(args)}
    try:
        return dict(signature.bind_partial(*args).arguments)
    except TypeError as error:
        raise TypeError(f"gradcheck can't call {function_name(f)}{signature}: {error}") from None


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
