"""Switches of a thread: `no_grad` records nothing, `detect_anomaly` stops at a bad value."""

from __future__ import annotations

import inspect
import os
import sys
import threading
from contextlib import ContextDecorator
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.graph import Mode, Node, modes
from tinygrad_mnist.tensor import raw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

    from tinygrad_mnist.operation import Op


class Switch(ContextDecorator):
    """A change of this thread's mode, undone at the end whatever happens."""

    def __init__(self, **changes: Any) -> None:
        self._changes = changes

    def _recreate_cm(self) -> Switch:
        return Switch(**self._changes)

    def __call__(self, function: Any) -> Any:
        """Return `function` with the switch on while it runs."""
        later = inspect.isgeneratorfunction, inspect.iscoroutinefunction, inspect.isasyncgenfunction
        if not callable(function) or any(kind(function) for kind in later):
            raise TypeError(
                f"a switch such as no_grad decorates a plain function, got {function!r}: use a "
                "with statement inside it"
            )
        return super().__call__(function)

    def __enter__(self) -> None:
        entered = _entered.setdefault(threading.get_ident(), [])
        entered.append(self)
        _set_mode(entered)

    def __exit__(self, *_: object) -> None:
        entered = _entered[threading.get_ident()]
        del entered[len(entered) - 1 - entered[::-1].index(self)]  # generators may end in any order
        _set_mode(entered)


_entered: dict[int, list[Switch]] = {}  # thread -> the switches that are on, oldest first


def _set_mode(entered: list[Switch]) -> None:
    """Make the thread's mode what its switches say together."""
    thread = threading.get_ident()
    if entered:
        changes = {name: value for switch in entered for name, value in switch._changes.items()}
        modes[thread] = Mode(**changes)
    else:
        del modes[thread], _entered[thread]


def no_grad(function: Callable[..., Any] | None = None) -> Any:
    """Record nothing: ``with no_grad():``, or ``@no_grad`` above a function.

    For the calling thread alone. Results are untracked Tensors.
    """
    switch = Switch(recording=False)
    return switch if function is None else switch(function)


def detect_anomaly() -> Switch:
    """Stop at the first value that is not finite, in forward or in backward.

    Returns
    -------
    context manager
        Inside it, and in ``backward`` called inside it, a NaN or infinity raises
        `FloatingPointError`, which names the op, the shapes and ranges of its inputs and the
        user's file and line.
    """
    return Switch(check=_check_forward, watch=_check_backward)


def _finite(value: Any) -> bool:
    value = raw(value)
    return (
        getattr(value, "dtype", None) is None
        or value.dtype.kind not in "fc"
        or bool(np.isfinite(value).all())
    )


def _range(name: str, value: Any) -> str:
    """Describe an input: its shape, and between which values it lies."""
    value = np.asarray(raw(value))
    finite = value[np.isfinite(value)]
    inside = f"from {finite.min():.6g} to {finite.max():.6g}" if finite.size else "nothing finite"
    odd = value.size - finite.size
    return f"{name}: shape {value.shape}, {inside}" + (f", {odd} not finite" if odd else "")


def _ranges(named: Iterable[tuple[str, Any]]) -> str:
    """Describe every array of floating-point numbers among named inputs."""
    flat = [(n, v) for n, vs in named for v in (vs if isinstance(vs, (tuple, list)) else (vs,))]
    kinds = [(n, v, getattr(raw(v), "dtype", np.dtype(int)).kind) for n, v in flat]
    return "; ".join(_range(n, v) for n, v, kind in kinds if kind in "fc") or "no arrays"


def _check_forward(op: Op, inputs: list[Any], out: Any) -> str:
    """Raise if a result is not finite; return the user's file and line."""
    site = user_site()
    for one in out if isinstance(out, (tuple, list)) else (out,):
        if not _finite(one):
            raise FloatingPointError(
                f"op {op.name!r} made {_kind(one)} in its result of shape {np.shape(one)}, at "
                f"{site}; its inputs: {_ranges(zip(op.names, inputs, strict=True))}"
            )
    return site


def _check_backward(node: Node, g: Any, gi: Any) -> None:
    """Raise if what a rule made is not finite."""
    if not _finite(gi):
        site = getattr(node, "site", "a line outside detect_anomaly")
        saved = [
            (name, value)
            for rule, values in zip(node.plan.table, node.saved or ())  # noqa: B905 - tokens follow
            for name, value in zip(rule.names, values if len(rule.names) > 1 else (values,))  # noqa: B905
        ]
        raise FloatingPointError(
            f"the gradient of op {node.plan.op.name!r}, called at {site}, made {_kind(gi)} in a "
            f"gradient of shape {np.shape(raw(gi))}; {_ranges([('g', g), *saved])}"
        )


def _kind(value: Any) -> str:
    return "NaN" if np.isnan(raw(value)).any() else "infinity"


_ROOMS = tuple(f"{os.path.dirname(file)}{os.sep}" for file in (__file__, np.__file__))  # noqa: PTH120
INSIDE = (*_ROOMS, "<recording of op ")  # the second: code that operation.py generates


def user_frame() -> FrameType:
    """Return the innermost frame outside this package and NumPy."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith(INSIDE):
        frame = frame.f_back
    return frame


def user_level() -> int:
    """Return the `stacklevel` at which a warning points to the user's line."""
    frame, users, level = sys._getframe(1), user_frame(), 1
    while frame is not users:
        assert frame.f_back is not None
        frame, level = frame.f_back, level + 1
    return level


def user_site() -> str:
    """Return the user's file and line."""
    frame = user_frame()
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
