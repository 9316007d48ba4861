"""Gradient rules: what their parameter names say, and how backward calls them."""

from __future__ import annotations

import inspect
from operator import itemgetter
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Op = Any  # operation.Op, which stands on this file

EMPTY = inspect.Parameter.empty
PLACE = -1  # the slot of `i`, an operand's place in its list
_ONLY, _POSITIONAL, _VARIADIC, _NAMED, _KEYWORDS = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
    inspect.Parameter.KEYWORD_ONLY,
    inspect.Parameter.VAR_KEYWORD,
)

# Parameters -------------------------------------------------------------------------------------


class Parameter(NamedTuple):
    """A parameter of a function, as `inspect.Parameter`, which takes 20 times as long to make."""

    name: str
    kind: Any = _POSITIONAL
    default: Any = EMPTY
    annotation: Any = EMPTY

    @property
    def positional(self) -> bool:
        """Whether it may be given by its place."""
        return self.kind is _POSITIONAL or self.kind is _ONLY

    @property
    def variadic(self) -> bool:
        """Whether it is ``*args``."""
        return self.kind is _VARIADIC

    @property
    def keywords(self) -> bool:
        """Whether it is ``**kwargs``."""
        return self.kind is _KEYWORDS

    @property
    def takes_list(self) -> bool:
        """Whether it may be a list of inputs: as annotated, or where nothing is."""
        if self.variadic or self.annotation is EMPTY:
            return True
        return any(word in str(self.annotation) for word in ("Sequence", "list", "tuple"))


def parameters_of(function: Any) -> list[Parameter]:
    """Return the parameters of a function; there are hundreds to read in an import.

    Raises
    ------
    TypeError, ValueError
        If it does not say what it takes.
    """
    if type(function) is not FunctionType or function.__dict__:
        found = inspect.signature(function).parameters.values()
        return [Parameter(p.name, p.kind, p.default, p.annotation) for p in found]
    code, notes = function.__code__, function.__annotations__
    names = code.co_varnames
    n, only = code.co_argcount, code.co_posonlyargcount
    given = function.__defaults__ or ()
    least = n - len(given)
    parameters = [
        Parameter(
            name,
            _ONLY if k < only else _POSITIONAL,
            EMPTY if k < least else given[k - least],
            notes.get(name, EMPTY),
        )
        for k, name in enumerate(names[:n])
    ]
    end = n + code.co_kwonlyargcount
    if code.co_flags & inspect.CO_VARARGS:
        parameters.append(Parameter(names[end], _VARIADIC, EMPTY, notes.get(names[end], EMPTY)))
    defaults = function.__kwdefaults__ or {}
    parameters += [
        Parameter(name, _NAMED, defaults.get(name, EMPTY), notes.get(name, EMPTY))
        for name in names[n:end]
    ]
    if code.co_flags & inspect.CO_VARKEYWORDS:
        last = names[end + bool(code.co_flags & inspect.CO_VARARGS)]
        parameters.append(Parameter(last, _KEYWORDS, EMPTY, notes.get(last, EMPTY)))
    return parameters


# Rules ------------------------------------------------------------------------------------------


class Rule(NamedTuple):
    """A gradient rule as the engine calls it: `call(g, *values of names)`."""

    call: Callable[..., Any]
    names: tuple[str, ...]  # without g
    slots: tuple[int, ...]  # where each name stands among the values of a call
    together: tuple[str, ...] = ()  # a rule for several inputs: all of them,
    place: int | None = None  # and where in its result this one stands


def read_rules(
    op: Op, joint: tuple[Any, ...], rules: Mapping[str, Any]
) -> tuple[dict[str, Rule], set[str]]:
    """Return the rule of each parameter, and those that have or refuse one; see `Op.defvjp`."""
    given: dict[str, Rule] = {}
    if len(joint) == 1 and isinstance(joint[0], tuple):
        joint = joint[0]
    if len(joint) % 2:
        raise TypeError(f"defvjp of op {op.name!r} takes pairs: (names), rule")
    for names, rule in zip(joint[::2], joint[1::2], strict=True):
        several = (names,) if isinstance(names, str) else names
        for place, name in enumerate(several):
            given[name] = _read_rule(op, name, rule, tuple(several), place)
    for name, function in rules.items():
        if function is not None:
            given[name] = _read_rule(op, name, function)
    covered = {*given, *rules}
    for name in sorted(covered - set(op.names)):
        raise TypeError(
            f"op {op.name!r} has no parameter {name!r} to give a rule; its parameters are "
            f"{', '.join(op.names)}"
        )
    for name in op.required:
        if name not in covered:
            raise TypeError(
                f"op {op.name!r} needs a rule for {name!r}: add {name}=lambda g, ...: ... "
                f"to defvjp, or {name}=None for an input without a gradient"
            )
    return given, covered


def _read_rule(
    op: Op,
    parameter: str,
    function: Any,
    together: tuple[str, ...] = (),
    place: int | None = None,
) -> Rule:
    """Check what a rule names, once, and note where a call finds each value."""
    try:
        parameters = parameters_of(function)
    except (TypeError, ValueError):
        raise TypeError(
            f"the rule of op {op.name!r} for {parameter!r} must be a Python function or "
            f"lambda, whose parameter names can be read; got {function!r}"
        ) from None
    slots = op.slots | {"i": PLACE} if parameter in op.lists else op.slots
    names = []
    for p in parameters:
        if p.name != "g" and p.name not in slots and p.default is not EMPTY:
            continue  # a value that the rule brings along itself
        if not p.positional or (p.name != "g" and p.name not in slots):
            shown = str(inspect.signature(function).parameters[p.name])
            raise TypeError(
                f"the rule of op {op.name!r} for {parameter!r} names {shown!r}; it may "
                f"name g, {', '.join(slots)}"
            )
        names.append(p.name)
    if "g" not in names:
        raise TypeError(
            f"the rule of op {op.name!r} for {parameter!r} does not name the cotangent g; "
            f"a rule may name g, {', '.join(slots)}"
        )
    at = names.index("g")
    names.remove("g")
    call = function if at == 0 else lambda g, *saved: function(*saved[:at], g, *saved[at:])
    return Rule(call, tuple(names), tuple(slots[name] for name in names), together, place)


class Plan:
    """How backward calls the rules of one op for one choice of tracked inputs."""

    __slots__ = (
        "calls",
        "hidden",
        "joint",
        "kept",
        "op",
        "operands",
        "save",
        "saves_x",
        "saves_y",
        "selects",
        "shaped",
        "table",
        "unusual",
    )

    def __init__(self, op: Op, operands: tuple[tuple[int, int | None], ...]) -> None:
        self.op = op
        self.operands = operands  # (parameter, place in its list or None) of each tracked input
        self.table = tuple(op.rules[op.names[k]] for k, _ in operands)
        self.calls = tuple((rule.call, len(rule.names)) for rule in self.table)
        self.joint = any(rule.place is not None for rule in self.table)
        self.unusual = False
        self.selects = op.selects
        self.hidden = (None,) * op.hidden  # cotangents, unless the derivative is differentiated
        slots = {slot for rule in self.table for slot in rule.slots}
        self.kept = tuple(k for k in range(len(op.names)) if k in slots)  # values saved whole
        self.saves_x, self.saves_y = 0 in slots, 1 in slots
        first = len(op.names) + 2
        self.shaped = {slot - first for slot in slots if slot >= first}  # whose shape is saved
        self.save = self._saver(len(op.names) + 1)

    def _saver(self, none: int) -> Callable[[Any], tuple[Any, ...]]:
        """Return the function from a call's values to what each rule wants of them."""
        slots = [rule.slots or (none,) for rule in self.table]
        if all(len(s) == 1 and s[0] != PLACE for s in slots):
            return itemgetter(*(s[0] for s in slots), none)  # 80 ns against 400
        pairs = [(s, i) for s, (_, i) in zip(slots, self.operands, strict=True)]

        def save(values: Any) -> tuple[Any, ...]:
            found = [tuple([i if s == PLACE else values[s] for s in slots]) for slots, i in pairs]
            return (*[one if len(one) > 1 else one[0] for one in found], values[none])

        return save
