"""What optimizers, schedules and clipping are given: parameters, numbers and states, checked."""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.nested import flatten
from tinygrad_mnist.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tinygrad_mnist.graph import Array

    Parameters = Iterable[Tensor] | Mapping[Any, Any]
    State = dict[str, Any]


def collected(params: Parameters, what: str) -> list[Tensor]:
    """Return the Tensors to change, each once; refuse what is none, and an empty list."""
    unique = list({id(t): t for t in _tensors(params, what)}.values())
    for k, tensor in enumerate(unique):
        if not tensor.is_leaf:
            raise ValueError(
                f"{what} got the result of an operation as parameter {k}, of shape "
                f"{tensor.shape}: give the leaf it was computed from, or .detach() it first and "
                "set requires_grad=True"
            )
    if not any(tensor.requires_grad for tensor in unique):
        if unique:
            raise ValueError(
                f"{what} got {len(unique)} Tensors, none of which requires a gradient: make them "
                "with requires_grad=True"
            )
        raise ValueError(
            f"{what} got no parameters: give it model.parameters(), or a list of Tensors (an "
            "iterator gives them only once)"
        )
    return unique


def with_gradients(params: Parameters, what: str) -> list[Tensor]:
    """Return the leaves that have a gradient."""
    return [t for t in _tensors(params, what) if t.requires_grad and t.grad is not None]


def _tensors(params: Any, what: str) -> list[Tensor]:
    """Return the Tensors of an iterable or a nested structure."""
    if isinstance(params, Tensor) or not hasattr(params, "__iter__"):
        raise TypeError(
            f"{what} takes a list of Tensors, such as model.parameters() or [w, b]; got "
            f"{type(params).__name__}"
        )
    leaves, _ = flatten(params if isinstance(params, (dict, list, tuple)) else list(params))
    for k, leaf in enumerate(leaves):
        if not isinstance(leaf, Tensor):
            raise TypeError(
                f"{what} takes Tensors; number {k} is {type(leaf).__name__}: wrap an array in "
                "Tensor(array, requires_grad=True)"
            )
    return leaves


def number(name: str, value: Any, *, least: float = 0.0, most: float = math.inf) -> float:
    """Return a setting as a Python float, which leaves every array its dtype."""
    number = float(value) if isinstance(value, (Real, np.ndarray)) else math.nan
    if not least <= number <= most or number == math.inf:
        limit = f"a finite number, at least {least:g}" if most == math.inf else ""
        raise ValueError(f"{name} is {limit or f'from {least:g} to {most:g}'}; got {value!r}")
    return number


def count(name: str, value: int) -> int:
    """Return a whole number, at least 1; refuse any other."""
    if operator.index(value) < 1:
        raise ValueError(f"{name} is a whole number, at least 1; got {value!r}")
    return operator.index(value)


def shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each entry of a state."""
    return {name: np.shape(value) for name, value in state.items()}


def check_state(
    what: str, own: Mapping[str, tuple[int, ...]], given: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise ValueError, with a list of what is wrong, unless a state has one's names and shapes.

    Parameters
    ----------
    what : str
        Who is loading.
    own, given : mapping of str to tuple
        The shape by name of what there is to load, and of what was given.
    """
    faults = []
    if missing := [name for name in own if name not in given]:
        faults.append(f"missing: {', '.join(missing)}")
    if unexpected := [name for name in given if name not in own]:
        faults.append(f"unexpected: {', '.join(map(str, unexpected))}")
    wrong = [f"{n} is {own[n]}, given {given[n]}" for n in own if own[n] != given.get(n, own[n])]
    if wrong:
        faults.append(f"of the wrong shape: {', '.join(wrong)}")
    if faults:
        raise ValueError(f"{what} loaded nothing; {'; '.join(faults)}")


def copied(value: Any, dtype: np.dtype[Any]) -> Array:
    """Return a copy of what a state holds, of whatever library, in another dtype."""
    data = value.data if isinstance(value, Tensor) else value
    return data.astype(dtype) if hasattr(data, "astype") else np.array(data, dtype)
