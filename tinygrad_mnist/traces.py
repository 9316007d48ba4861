"""One call of a user's function: recorded from chosen arguments to its results, and pulled back."""

from __future__ import annotations

import operator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.engine import leading, propagate, seed
from tinygrad_mnist.graph import Array, current_mode, next_index
from tinygrad_mnist.nested import flatten, leaves_as
from tinygrad_mnist.operation import op
from tinygrad_mnist.switches import Switch
from tinygrad_mnist.tensor import Tensor, as_array, raw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@op
def alias(x: Array) -> Array:
    """Return `x` itself, under a node of its own."""
    return x


alias.defvjp(x=lambda g: g)


class Trace:
    """One call of a user's function, recorded from chosen arguments to its results."""

    def __init__(
        self,
        f: Callable[..., Any],
        args: Sequence[Any],
        argnums: Sequence[int],
        keywords: Any = None,
    ) -> None:
        mode = current_mode()
        self.start = next_index()
        self.rebuild: list[Callable[[Sequence[Any]], Any]] = []  # of each chosen argument
        self.sizes: list[int] = []
        self.inputs: list[Tensor] = []
        self.nested = False  # is an input itself tracked, by an outer derivative?
        inner = list(args)
        with recording():
            for n in argnums:
                leaves, rebuild = flatten(args[n])
                boxes = [self._input(leaf, mode.recording) for leaf in leaves]
                inner[n] = rebuild(boxes)
                self.inputs += boxes
                self.rebuild.append(rebuild)
                self.sizes.append(len(boxes))
            result = f(*inner, **(keywords or {}))
        self.outputs, self.rebuild_out = flatten(result)
        self.targets = [t._node for t in self.inputs]
        self.roots = [
            o._node for o in self.outputs if isinstance(o, Tensor) and o._node is not None
        ]
        self.leads, older = leading(self.roots, self.targets, self.start)
        self.record = self.nested or (older and mode.recording)

    def _input(self, value: Any, recording: bool) -> Tensor:
        if isinstance(value, Tensor) and value._node is not None and recording:
            self.nested = True
            return alias(value)  # type: ignore[no-any-return]
        return Tensor(value.data if isinstance(value, Tensor) else value, requires_grad=True)

    def value(self, *, read_only: bool = False) -> Any:
        """Return what the function returned, as plain arrays unless an outer derivative needs it.

        `read_only` where the graph lives on, which may have saved the very same arrays.
        """
        if self.record:
            return self.rebuild_out(self.outputs)
        values = [
            o if not isinstance(o, Tensor) else o.data if read_only else as_array(o._value)
            for o in self.outputs
        ]
        return self.rebuild_out(values)

    def pull(
        self, cotangents: Sequence[Any], *, free: bool = False, record: bool | None = None
    ) -> list[Any]:
        """Return the gradient of each input, given a cotangent (or None) for each result."""
        seeds = [
            (o._node, g)
            for o, g in zip(self.outputs, cotangents, strict=True)
            if g is not None and isinstance(o, Tensor) and o._node in self.leads
        ]
        record = self.record if record is None else record
        with recording():
            found = propagate(
                seeds, self.targets, self.leads, free=free and not record, record=record
            )
        grads = []
        for t in self.inputs:
            g = found[t._node]
            if g is None:
                g = np.zeros_like(t._value)
            grads.append(g if isinstance(g, Tensor) else as_array(g).copy())
        return grads

    def per_argument(self, grads: Sequence[Any]) -> tuple[Any, ...]:
        """Return flat gradients in the structure of each chosen argument."""
        shaped, at = [], 0
        for rebuild, size in zip(self.rebuild, self.sizes, strict=True):
            shaped.append(rebuild(grads[at : at + size]))
            at += size
        return tuple(shaped)


def recording() -> AbstractContextManager[None]:
    """Record even under `no_grad`: a derivative needs its own graph."""
    return nullcontext() if current_mode().recording else Switch(recording=True)


# What derivatives are given, checked --------------------------------------------------------------


def is_one(argnums: Any) -> bool:
    """Return whether one argument is meant, not a sequence of them."""
    return not isinstance(argnums, (list, tuple, range))


def numbers(argnums: int | Sequence[int], args: Sequence[Any], what: str) -> list[int]:
    """Return argument numbers as a list of non-negative ones; refuse those that are not there."""
    several: Any = [argnums] if is_one(argnums) else argnums
    if any(isinstance(n, bool) or not hasattr(n, "__index__") for n in several):
        raise TypeError(f"{what} takes argnums, an integer or several; got {argnums!r}")
    wanted = [operator.index(n) for n in several]
    for n in wanted:
        if not -len(args) <= n < len(args):
            raise ValueError(
                f"{what} with argnums={argnums} needs that positional argument, but the function "
                f"was called with {len(args)}"
            )
    places = [n % len(args) for n in wanted]
    if len(set(places)) < len(places):
        raise ValueError(f"{what} with argnums={argnums} names one argument twice")
    return places


def check_number(outputs: Sequence[Any]) -> None:
    """Refuse what `grad` can't differentiate: anything but one real number."""
    if not outputs:
        raise TypeError("grad needs a function that returns a number; it returned None")
    shapes = ", ".join(str(np.shape(raw(o))) for o in outputs)
    if len(outputs) != 1 or np.size(raw(outputs[0])) != 1:
        raise ValueError(
            f"grad needs a function that returns a single number; it returned shape {shapes}: use "
            "jacobian or vjp, or reduce it with .sum()"
        )
    check_real(outputs, "grad")


def check_real(outputs: Sequence[Any], what: str) -> None:
    """Refuse complex results."""
    if any(isinstance(o, Tensor) and o.dtype.kind == "c" for o in outputs):
        raise TypeError(
            f"{what} needs a function with real results; it returned complex numbers: take np.abs, "
            "np.real or np.imag of them"
        )


def matching(tree: Any, trace: Trace, what: str) -> tuple[list[Any], bool]:
    """Return the cotangents of a trace's results, checked, and whether one is tracked."""
    leaves = leaves_as(trace.rebuild_out(trace.outputs), tree, f"the {what}")
    checked = [
        seed(o, g, what) if isinstance(o, Tensor) else None
        for o, g in zip(trace.outputs, leaves, strict=True)
    ]
    return checked, any(isinstance(g, Tensor) and g.requires_grad for g in checked)


def arguments(xs: Any) -> tuple[Any, ...]:
    """Return arguments as a tuple, one alone too."""
    return tuple(xs) if isinstance(xs, (tuple, list)) else (xs,)
