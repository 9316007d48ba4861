"""Mutants that wrap a rule: what it returns, or what it is given, is changed."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_mnist.operation import Op
from tinygrad_mnist.rules import Rule
from tinygrad_mnist.tensor import raw

Function = Callable[..., Any]
Values = dict[str, Any]  # of what a rule names, by name


def as_function(names: tuple[str, ...], call: Function) -> Function:
    """Return `call(g, *values)` as a function whose parameters have these names."""

    def rule(g: Any, *values: Any) -> Any:
        return call(g, *values)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind) for name in ("g", *names)]
    rule.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return rule


# What the result becomes ------------------------------------------------------------------------


def _shape(result: Any) -> tuple[int, ...]:
    return np.shape(raw(result))


def _at(result: Any, place: int, factor: float) -> Any:
    """Return the result with one entry times a factor."""
    factors = np.ones(_shape(result))
    if factors.size:
        factors.flat[place] = factor
    return result * factors


def _transposed(result: Any) -> Any:
    shape = _shape(result)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        return result
    return np.swapaxes(result, -1, -2)


def _averaged(result: Any, like: Any) -> Any:
    """Return the result divided by how often the input was repeated to reach its shape."""
    return result / max(1, np.size(raw(result)) // max(1, np.size(raw(like))))


RESULTS: dict[str, Function] = {
    "sign flipped": lambda r: -r,
    "twice too large": lambda r: 2 * r,
    "half": lambda r: r / 2,
    "3 % off": lambda r: 1.03 * r,
    "0.01 % off": lambda r: 1.0001 * r,
    "zero returned": lambda r: r * 0.0,
    "a constant added": lambda r: r + 0.01,
    "off at the last index": lambda r: _at(r, -1, 1.1),
    "off at the first index": lambda r: _at(r, 0, 0.9),
    "transposed": _transposed,
    "reversed": lambda r: np.flip(r, -1) if _shape(r) else r,
    "along the wrong axis": lambda r: np.flip(r, 0) if _shape(r) else r,
    "mean over the last axis": lambda r: r * 0 + np.mean(r, -1, keepdims=True) if _shape(r) else r,
    "an axis lost": lambda r: np.sum(r, 0) if _shape(r) else r,
    "rounded to half precision": lambda r: r + (raw(r).astype(np.float16) - raw(r)),
    "absolute value": np.abs,
}  # fmt: skip

# What the cotangent becomes ---------------------------------------------------------------------


def _each(g: Any, change: Function) -> Any:
    """Change a cotangent, or each of several that came."""
    if isinstance(g, tuple):
        return tuple(None if part is None else change(part) for part in g)
    return change(g)


COTANGENTS: dict[str, Function] = {
    "cotangent forgotten": lambda g: np.ones_like(raw(g)),
    "cotangent's sign alone": lambda g: np.sign(raw(g)),
    "cotangent's absolute value": np.abs,
    "not linear in the cotangent": lambda g: g * np.abs(g),
    "cotangent summed first": lambda g: g * 0 + np.sum(g),
    "cotangent of the wrong entry": lambda g: np.flip(g, -1) if _shape(g) else g,
    "cotangent cut from the graph": raw,
}

# Where an input lies -----------------------------------------------------------------------------


def _where(result: Any, x: Any, wrong: Function, factor: float = 1.5) -> Any:
    """Return the result times a factor where a condition on the input holds.

    Entry by entry if the result has the input's shape (or broadcasts to it), else all or none.
    """
    bad = wrong(np.asarray(raw(x), dtype=float))
    try:
        fits = np.broadcast_shapes(bad.shape, _shape(result)) == _shape(result)
    except ValueError:
        fits = False
    return result * np.where(bad if fits else bad.any(), factor, 1.0)


REGIONS: dict[str, Function] = {
    "wrong only where x < 0": lambda x: x < 0,
    "wrong only where x > 0": lambda x: x > 0,
    "wrong only beyond 2.5": lambda x: np.abs(x) > 2.5,
    "wrong only beyond 1000": lambda x: np.abs(x) > 1000,
    "wrong only nearer to 0 than 0.001": lambda x: np.abs(x) < 1e-3,
    "wrong only between 0.4 and 0.6": lambda x: (x > 0.4) & (x < 0.6),
    "wrong only for whole numbers": lambda x: x == np.round(x),
}


# What a rule is given ----------------------------------------------------------------------------


def _swap(values: Values, a: str, b: str) -> Values:
    """Return the values with two of them exchanged, where they have one shape."""
    if _shape(values[a]) != _shape(values[b]):
        return values
    return values | {a: values[b], b: values[a]}


def _replace(values: Values, a: str, b: str) -> Values:
    """Return the values with `b` in the place of `a`, where they have one shape."""
    return values | {a: values[b]} if _shape(values[a]) == _shape(values[b]) else values


def _cut(values: Values) -> Values:
    """Return the values as the graph does not see them."""
    return {name: _uncounted(value) for name, value in values.items()}


def _uncounted(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return type(value)([_uncounted(v) for v in value])
    return raw(value)


def _mean(values: Values, name: str) -> Values:
    """Return the values with one input's entries all at their mean."""
    x = values[name]
    return values | {name: x * 0 + np.mean(x)}


# All of them -------------------------------------------------------------------------------------


def variants(op: Op, parameter: str, rule: Rule) -> Iterator[tuple[str, str, Function]]:
    """Yield kinds of mutants, a detail where a rule has several of a kind, and the rules."""
    one = placed(rule)
    for kind, change in RESULTS.items():
        yield kind, "", as_function(rule.names, lambda g, *v, f=change: f(one(g, *v)))
    for kind, change in COTANGENTS.items():
        yield kind, "", as_function(rule.names, lambda g, *v, f=change: one(_each(g, f), *v))
    if parameter not in op.lists:
        yield from _by_input(parameter, rule)
    yield from _by_values(op, parameter, rule)
    for other, second in op.rules.items():
        if other not in {parameter, *op.lists} and second.names and parameter not in op.lists:
            yield "another operand's rule", other, as_function(second.names, placed(second))


def placed(rule: Rule) -> Function:
    """Return a rule's function, of one input where it serves several together."""
    if rule.place is None:
        return rule.call
    return lambda g, *values: rule.call(g, *values)[rule.place]


def _by_input(parameter: str, rule: Rule) -> Iterator[tuple[str, str, Function]]:
    """Yield mutants that are wrong depending on where the input lies, or on its shape."""
    names = tuple(dict.fromkeys((*rule.names, parameter)))

    def after(change: Function) -> Function:
        def call(g: Any, *values: Any) -> Any:
            by_name = dict(zip(names, values, strict=True))
            result = placed(rule)(g, *[by_name[n] for n in rule.names])
            return change(result, by_name[parameter])

        return as_function(names, call)

    for kind, region in REGIONS.items():
        yield kind, "", after(lambda result, x, region=region: _where(result, x, region))
    yield "mean over repeats", "", after(_averaged)


def _by_values(op: Op, parameter: str, rule: Rule) -> Iterator[tuple[str, str, Function]]:
    """Yield mutants that take one value for another, or hide one from the graph."""

    def before(change: Callable[[Values], Values], *more: str) -> Function:
        names = tuple(dict.fromkeys((*rule.names, *more)))

        def call(g: Any, *values: Any) -> Any:
            changed = change(dict(zip(names, values, strict=True)))
            return placed(rule)(g, *[changed[n] for n in rule.names])

        return as_function(names, call)

    arrays = [name for name in rule.names if name in op.rules and name not in op.lists]
    if arrays or "out" in rule.names:
        yield "right at first order only", "", before(_cut)
    for a in arrays:
        yield "right only where all are equal", a, before(lambda v, a=a: _mean(v, a))
        for b in op.rules:
            if b != a and b not in op.lists:
                swapped = b in arrays
                change = _swap if swapped else _replace
                kind = "operands swapped" if swapped else "another operand"
                yield kind, f"{a}, {b}", before(lambda v, f=change, a=a, b=b: f(v, a, b), b)
        if not op.hidden:
            yield "the result for the input", a, before(lambda v, a=a: _replace(v, a, "out"), "out")
    if "out" in rule.names and not op.hidden and parameter not in op.lists:
        yield (
            "the input for the result",
            parameter,
            before(lambda v: _replace(v, "out", parameter), parameter),
        )
