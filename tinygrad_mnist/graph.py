"""The graph that calls leave behind: nodes, what keeps saved arrays unchanged, and the switches."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

Array = Any  # a NumPy array, or another library's that answers NumPy's protocols


class Box:
    """An array and the node that made it; `Tensor` adds everything that a user sees."""

    __slots__ = ("_node", "_value")
    _value: Array
    _node: Any  # Node, Leaf or None: of the engine's own making, so unchecked for speed


class Leaf:
    """Where backward ends: a Tensor that asked for its gradient."""

    __slots__ = ("dtype", "grad", "index", "name", "shape", "token", "used")
    plan = None
    parents: tuple[Any, ...] = ()

    def __init__(self, data: Array, name: str | None = None) -> None:
        self.index = next_index()
        self.name = name  # what drawings call it
        self.shape = data.shape
        self.dtype = data.dtype
        self.grad: Array | None = None
        self.token: weakref.ref[Token] | None = None
        self.used = False  # has an optimizer stepped with `grad` since it was cleared?


class Node:
    """One recorded call. It points to the nodes of its inputs, never to its result."""

    # parents, plan.calls and saved run side by side, an entry for each input that is tracked;
    # behind them `saved` carries the tokens that keep what it saves unchanged.
    # `site`, the user's file and line, is set under detect_anomaly alone.
    __slots__ = ("dtype", "index", "parents", "plan", "saved", "shape", "site")
    index: int
    plan: Any  # operation.Plan, or what stands for one
    parents: tuple[Any, ...]
    saved: tuple[Any, ...] | None
    shape: tuple[int, ...]
    dtype: Any
    site: str


class Output(Node):
    """One result of a call that has several; its only parent is the call's node."""

    __slots__ = ("number",)
    number: int


class Passing:
    """The plan of every `Output`: its cotangent waits at the call until all have come."""

    unusual = True


next_index = count().__next__  # creation order is a topological order
_PASSING = Passing()


def output(node: Node, number: int, data: Array) -> Output:
    """Return the node of result `number` of a call that has several."""
    one = Output()
    one.index = next_index()
    one.plan = _PASSING
    one.parents = (node,)
    one.number = number
    one.shape, one.dtype = data.shape, data.dtype
    return one


# Saved arrays must not change before backward ---------------------------------------------------

_held: dict[int, int] = {}  # id of a locked array -> tokens that hold it
_behind: dict[int, list[Any]] = {}  # id of a locked array -> its views that wait to be unlocked
_guard = threading.RLock()  # re-entrant: a token may be released while another is made


class Token:
    """Keeps an array read-only for as long as a graph saves it."""

    __slots__ = ("__weakref__", "array", "key")

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        key: int | None = id(array)
        with _guard:
            while not array.flags.writeable and key not in _held:
                if not isinstance(array.base, np.ndarray):
                    key = None  # read-only by its owner's wish
                    break
                array = array.base  # a read-only view: lock what it looks at
                key = id(array)
            if key is not None:
                _held[key] = _held.get(key, 0) + 1
                array.setflags(write=False)
        self.array = array
        self.key = key  # of the array that is locked

    def __del__(self, held: Any = _held, behind: Any = _behind, guard: Any = _guard) -> None:
        if self.key is None:
            return
        with guard:
            tokens = held.pop(self.key)
            if tokens > 1:
                held[self.key] = tokens - 1
                return
            waiting = (self.array, *behind.pop(self.key, ())) if behind else (self.array,)
            for array in waiting:
                try:
                    array.setflags(write=True)
                except ValueError:  # a view, whose owner is locked still, or read-only by now
                    owner = owner_of(array)
                    if id(owner) in held:
                        behind.setdefault(id(owner), []).append(array)


def owner_of(array: Any) -> Any:
    """Return the array whose memory this one looks at."""
    while isinstance(getattr(array, "base", None), np.ndarray):
        array = array.base
    return array


def read_only(array: Any) -> Any:
    """Return a view that can't be written through."""
    if isinstance(array, np.ndarray):
        array = array.view()
        array.setflags(write=False)
    return array


def hold(node: Any, value: Any) -> Any:
    """Return what keeps `value` unchanged while it is saved: a token, several, or None.

    A leaf keeps its one token; results of ops need none, for they are only handed out read-only.
    """
    if value.__class__ is tuple or value.__class__ is list:
        return tuple(hold(None, v) for v in value)
    if not isinstance(value, np.ndarray):
        return None
    if node is None:
        return Token(value)
    token = node.token and node.token()
    if token is None or token.array is not value:
        token = Token(value)
        node.token = weakref.ref(token)
    return token


# The state of a thread --------------------------------------------------------------------------


@dataclass(frozen=True)
class Mode:
    """How calls of one thread are recorded while a switch such as `no_grad` is on."""

    recording: bool = True
    check: Callable[[Any, list[Any], Any], str] | None = None  # detect_anomaly: returns the site
    watch: Callable[[Any, Any, Any], None] | None = None  # detect_anomaly, in backward
    scopes: list[tuple[Any, int, int]] | None = None  # draw: (module, first index, last index)
    generators: dict[int, tuple[Any, Any]] | None = None  # checkpoint: states before first use
    held: list[Any] | None = None  # checkpoint: (node, token) of every array that it read


modes: dict[int, Mode] = {}  # thread -> mode; empty almost always, so a call asks one truth value
NORMAL = Mode()


def current_mode() -> Mode:
    """Return this thread's mode."""
    return modes.get(threading.get_ident(), NORMAL) if modes else NORMAL


def remember(generator: np.random.Generator) -> None:
    """Tell a running `checkpoint` that `generator` is about to be drawn from."""
    states = current_mode().generators
    if states is not None and id(generator) not in states:
        states[id(generator)] = (generator, generator.bit_generator.state)
