"""Lines of Python that repeat what was found."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist import ops
from tinygrad_mnist.checking.inputs import LINE, is_float
from tinygrad_mnist.operation import Op
from tinygrad_mnist.tensor import raw

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tinygrad_mnist.checking.inputs import Interval
    from tinygrad_mnist.checking.sampling import Call

LONGEST = 2000  # characters of a line that anyone would paste


def line_of_call(call: Call, order: int, seed: int) -> str:
    """Return the line that checks a drawn call again."""
    f, parameters = call.subject.f, call.subject.signature.parameters
    names = [name for name in call.subject.names if name in call.arguments]
    drawn = [name for name in names if name in call.drawn]
    domain = {name: interval for name, interval in call.drawn.items() if interval != LINE}
    if drawn == names == list(parameters)[: len(names)] and not _keyword_only(parameters, names):
        own = f.domain if isinstance(f, Op) else {}
        given: list[Any] = []
        for name in names:
            value = call.arguments[name]
            several = parameters[name].kind is inspect.Parameter.VAR_POSITIONAL
            given += value if several else [value]
        return _line(name_of(f), given, domain if domain != dict(own) else {}, order, seed)
    passed = []
    for place, name in enumerate(names):
        value = name if name in drawn else text(call.arguments[name])
        if parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
            passed.append(f"*{value}")
        elif names[: place + 1] == list(parameters)[: place + 1] and not _keyword_only(
            parameters, [name]
        ):
            passed.append(value)
        else:
            passed.append(f"{name}={value}")
    whole = f"lambda {', '.join(drawn)}: {name_of(f)}({', '.join(passed)})"
    return _line(whole, [call.arguments[name] for name in drawn], domain, order, seed)


def _keyword_only(parameters: Mapping[str, inspect.Parameter], names: list[str]) -> bool:
    return any(parameters[name].kind is inspect.Parameter.KEYWORD_ONLY for name in names)


def line_of_inputs(
    f: Callable[..., Any],
    inputs: tuple[Any, ...],
    domain: Mapping[str, Interval] | None,
    order: int,
    seed: int,
) -> str:
    """Return the line that checks a function at given inputs again; "" if none could be pasted."""
    if hasattr(f, "named_parameters") or any(hasattr(v, "named_parameters") for v in inputs):
        return ""
    line = _line(name_of(f), list(inputs), dict(domain or {}), order, seed)
    return line if len(line) <= LONGEST and "..." not in line else ""


def name_of(f: Callable[..., Any]) -> str:
    """Return what the user may call a function."""
    name = getattr(f, "__name__", "") or ""
    if isinstance(f, Op) and ops.registry.get(f.name) is f:
        return f"ops.{f.name}"
    if isinstance(f, np.ufunc) or getattr(np, name, None) is f:
        return f"np.{name}"
    return name if name.isidentifier() else "f"


def text(value: Any) -> str:
    """Return Python source of a value, of arrays with NumPy as np."""
    value = raw(value)
    if isinstance(value, np.ndarray):
        return _array_text(value)
    if isinstance(value, np.generic):
        return f"np.{value.dtype.type.__name__}({value.item()!r})"
    if isinstance(value, float):
        return _number_text(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {text(v)}" for key, v in value.items()) + "}"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(text, value)) + ("," if len(value) == 1 else "") + ")"
    if isinstance(value, list):
        return "[" + ", ".join(map(text, value)) + "]"
    return repr(value) if not callable(value) else name_of(value)


def _number_text(value: float) -> str:
    return repr(value) if np.isfinite(value) else f"float({str(value)!r})"


def _array_text(array: np.ndarray[Any, Any]) -> str:
    """Return an array as it lies in memory: with the slice that makes it of a plain one."""
    dtype = "" if array.dtype in (np.float64, np.int64, np.bool_) else f", dtype=np.{array.dtype}"
    if array.size == 0:
        return f"np.zeros({array.shape}{dtype})"
    listed = repr(array.tolist()).replace("nan", "np.nan").replace("inf", "np.inf")
    if array.flags.c_contiguous or not is_float(array):
        return f"np.array({listed}{dtype})"
    if array.T.flags.c_contiguous:
        return f"np.array({listed}{dtype}, order='F')"
    if all(stride < 0 for stride, n in zip(array.strides, array.shape, strict=True) if n > 1):
        return f"np.flip(np.flip(np.array({listed}{dtype})).copy())"
    return f"np.repeat(np.array({listed}{dtype}), 2, axis=-1)[..., ::2]"


def _line(
    name: str, values: list[Any], domain: Mapping[str, Interval], order: int, seed: int
) -> str:
    parts = [name, *map(text, values)]
    if order != 2:
        parts.append(f"order={order}")
    if seed:
        parts.append(f"seed={seed}")
    if domain:
        ends = ", ".join(
            f"{name!r}: ({', '.join(_end(end) for end in interval)})"
            for name, interval in domain.items()
        )
        parts.append(f"domain={{{ends}}}")
    return f"gradcheck({', '.join(parts)})"


def _end(end: float) -> str:
    if np.isfinite(end):
        return f"{end:g}" if float(f"{end:g}") == end else repr(end)
    return "np.inf" if end > 0 else "-np.inf"
