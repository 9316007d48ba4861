"""The graph that calls leave behind: nodes, what keeps saved arrays unchanged, and the switches."""

from __future__ import annotations

import threading
import weakref
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

Array = Any  # a NumPy array, or another library's that answers NumPy's protocols


class Box:
    """An array and the node that made it; `Tensor` adds everything that a user sees."""

    __slots__ = ("_node", "_value")
    _value: Array
    _node: Any  # Node, Leaf or None: of the engine's own making, so unchecked for speed


def unboxed(value: Any) -> Any:
    """Return a list or tuple with the arrays of its Tensors in their places."""
    if isinstance(value, Box):
        return value._value
    if type(value) is tuple or type(value) is list:
        return type(value)([unboxed(v) for v in value])
    return value


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


_new = object.__new__
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
_acquire, _release = _guard.acquire, _guard.release  # `with` takes twice the time


class Token:
    """Keeps an array read-only for as long as a graph saves it; `lock` makes it."""

    __slots__ = ("__weakref__", "array", "locked")
    array: np.ndarray[Any, Any]
    locked: np.ndarray[Any, Any] | None  # the array, what it looks at, or None

    def __del__(
        self,
        held: Any = _held,
        behind: Any = _behind,
        acquire: Any = _acquire,
        release: Any = _release,
    ) -> None:
        locked = self.locked
        if locked is None:
            return
        acquire()
        try:
            key = id(locked)
            tokens = held.pop(key)
            if tokens > 1:
                held[key] = tokens - 1
            elif not behind and locked is self.array and locked.base is None:
                locked.setflags(True)  # type: ignore[call-arg] # positional: half the time
            else:
                _unlock(key, locked)
        finally:
            release()


def lock(array: np.ndarray[Any, Any]) -> Token:
    """Make an array read-only until the token that is returned, and all others of it, are gone."""
    token: Token = _new(Token)
    token.array = array
    token.locked = array
    key = id(array)
    _acquire()
    try:
        if key in _held:
            _held[key] += 1
        elif array.flags.writeable:
            _held[key] = 1
            array.setflags(False)  # type: ignore[call-arg]
        else:
            token.locked = _lock_behind(array)
    finally:
        _release()
    return token


def _lock_behind(array: Any) -> np.ndarray[Any, Any] | None:
    """Lock what a read-only view looks at; return None where its owner made it read-only."""
    while not array.flags.writeable and id(array) not in _held:
        if not isinstance(array.base, np.ndarray):
            return None
        array = array.base
    _held[id(array)] = _held.get(id(array), 0) + 1
    array.setflags(write=False)
    return cast("np.ndarray[Any, Any]", array)


def _unlock(key: int, array: np.ndarray[Any, Any]) -> None:
    """Unlock an array that no token holds any more, and its views that waited for it."""
    for waiting in (array, *_behind.pop(key, ())):
        try:
            waiting.setflags(write=True)
        except ValueError:  # a view, whose owner is locked still, or read-only by now
            owner = owner_of(waiting)
            if id(owner) in _held:
                _behind.setdefault(id(owner), []).append(waiting)


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
    if isinstance(value, np.ndarray):
        if node is None:
            return lock(value)
        token = node.token and node.token()
        if token is None or token.array is not value:
            token = lock(value)
            node.token = weakref.ref(token)
        return token
    if value.__class__ is tuple or value.__class__ is list:
        return tuple(hold(None, v) for v in value)
    return None


# The state of a thread --------------------------------------------------------------------------


class Mode(NamedTuple):
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
