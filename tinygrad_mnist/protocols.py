"""NumPy's functions, called with a Tensor: which op answers, which are plain, which are refused."""

from __future__ import annotations

import inspect
import math
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tinygrad_mnist.graph import Box

if TYPE_CHECKING:
    from collections.abc import Callable

    Function = TypeVar("Function", bound=Callable[..., Any])

overrides: dict[Callable[..., Any], Callable[..., Any]] = {}  # NumPy's function -> an op, or of ops
forms: dict[Callable[..., Any], Callable[..., Any]] = {}  # NumPy's function -> its one op
plain: set[Callable[..., Any]] = set()  # NumPy's functions that have no derivative to speak of
refused: dict[Callable[..., Any], str] = {}  # those that can't take a Tensor -> why, and what can


def implements(
    *functions: Callable[..., Any], form_of: Callable[..., Any] | None = None
) -> Callable[[Function], Function]:
    """Let a function that is composed of ops answer for NumPy's, when called with a Tensor.

    If it only calls one op in several forms, that op says what NumPy's function takes.
    """

    def implementing(function: Function) -> Function:
        overrides.update(dict.fromkeys(functions, function))
        if form_of is not None:
            forms.update(dict.fromkeys(functions, form_of))
        return function

    return implementing


def newer(*names: str) -> tuple[Callable[..., Any], ...]:
    """Return those of NumPy's functions newer than 2.0 that this NumPy has."""
    return tuple(getattr(np, name) for name in names if hasattr(np, name))


# Calls --------------------------------------------------------------------------------------------


def array_ufunc(_: Any, ufunc: np.ufunc, method: str, *args: Any, **kwargs: Any) -> Any:
    """Answer a call of a ufunc, or of one of its methods: a Tensor's ``__array_ufunc__``."""
    if kwargs.get("out") is not None:
        raise _read_only_out(f"np.{ufunc.__name__}", " (nor can array += tensor)")
    if method == "at":
        raise TypeError(
            f"np.{ufunc.__name__}.at writes in place, and a Tensor is a value: use t + "
            "ops.scatter(values, index, t.shape) to add, ops.set_at(t, index, values) to set"
        )
    function = ufunc if method == "__call__" else getattr(ufunc, method)
    op = overrides.get(function)
    if op is not None:
        return op(*args, **kwargs)
    if ufunc in plain:
        return function(*_plain(args), **_plain(kwargs))
    called = f"np.{ufunc.__name__}" + (f".{method}" if method != "__call__" else "")
    raise _unsupported(called, function)


def array_function(_: Any, function: Callable[..., Any], __: Any, args: Any, kwargs: Any) -> Any:
    """Answer a call of any other NumPy function: a Tensor's ``__array_function__``."""
    if "out" in kwargs or len(args) > _place_of_out(function):
        args, kwargs = _without_out(function, args, kwargs)
    op = overrides.get(function)
    if op is not None:
        return op(*args, **kwargs)
    if function in plain:
        return function(*_plain(args), **_plain(kwargs))
    raise _unsupported(_numpy_name(function), function)


def _plain(value: Any) -> Any:
    """Return nested arguments with the arrays of their Tensors in their places."""
    if isinstance(value, Box):
        return value.data  # type: ignore[attr-defined] # of a Tensor: results are read-only
    if type(value) in (tuple, list):
        return type(value)([_plain(v) for v in value])
    if type(value) is dict:
        return {k: _plain(v) for k, v in value.items()}
    return value


def _numpy_name(function: Callable[..., Any]) -> str:
    """Return a function's name as users write it: np.sum, np.linalg.norm."""
    module = function.__module__.removeprefix("numpy").strip(".")
    return f"np.{module}.{function.__name__}" if module else f"np.{function.__name__}"


@cache
def _parameters(function: Callable[..., Any]) -> list[str]:
    """Return the names of what a NumPy function takes by position, if it can say."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # it is in C
        return []
    return [p.name for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]


@cache
def _place_of_out(function: Callable[..., Any]) -> float:
    """Return how many arguments stand before `out` in a NumPy function."""
    names = _parameters(function)
    return names.index("out") if "out" in names else math.inf


def _without_out(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments without `out`, which is refused; what stood behind it goes by its name."""
    place = int(min(_place_of_out(function), len(args)))
    kwargs = {**kwargs, **dict(zip(_parameters(function)[place:], args[place:], strict=False))}
    if kwargs.pop("out", None) is not None:
        raise _read_only_out(_numpy_name(function))
    return args[:place], kwargs


def _read_only_out(name: str, more: str = "") -> TypeError:
    return TypeError(
        f"{name} can't write a Tensor's result into out={more}: write result = "
        f"{'array + tensor' if more else name + '(...)'}"
    )


def _unsupported(name: str, function: Callable[..., Any]) -> TypeError:
    why = refused.get(
        function,
        "has no gradient rule: give it one with @op and .defvjp, or pass t.data, the plain array, "
        "where no gradient is needed",
    )
    return TypeError(f"{name} {why}")
