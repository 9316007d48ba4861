"""NumPy's reports of invalid values, heard while rules run, in a third of `np.errstate`'s time.

NumPy keeps how it reports errors in one context variable. `np.errstate` sets and resets it, but
makes a value for it each time; here a value is made once for each that the user has set.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar, Token, copy_context
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


def _find() -> ContextVar[Any] | None:
    """Return the variable that `np.errstate` sets."""
    before = copy_context()
    with np.errstate(invalid="ignore"):
        inside = copy_context()
    return next((v for v, value in inside.items() if before.get(v) is not value), None)


class _States(threading.local):
    """What each thread has made: the user's state -> the same, but heard, and where it is heard."""

    def __init__(self) -> None:
        self.made: dict[Any, tuple[Any, list[str]]] = {}


_found = _find()
FOUND = _found is not None  # else no report arrives: results must be looked through
_state: ContextVar[Any] = _found or ContextVar("unused", default=None)
_states = _States()
stop = _state.reset  # report errors as before `hear`, given the token that it returned


def hear() -> tuple[list[str], Any, Token[Any]]:
    """Begin to collect reports of invalid values, which NumPy then neither warns of nor raises.

    Returns
    -------
    list
        Where they arrive.
    user
        How the user wants errors reported, for `as_wanted`.
    token
        For `stop`.
    """
    made = _states.made
    user = _state.get()
    state, heard = made.get(user) or _make(made, user)
    if heard:
        heard.clear()  # an exception left them
    return heard, user, _state.set(state)


def as_wanted(user: Any, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function while errors are reported as the user wants it."""
    token = _state.set(user)
    try:
        return function(*args)
    finally:
        _state.reset(token)


def _make(made: dict[Any, tuple[Any, list[str]]], user: Any) -> tuple[Any, list[str]]:
    """Make and keep a state in which invalid values are heard, and all else is as the user's."""
    if len(made) > 16:
        made.clear()  # a program that calls `np.errstate` in a loop
    heard: list[str] = []
    with np.errstate(invalid="call", call=lambda kind, _: heard.append(kind)):
        made[user] = _state.get(), heard
    return made[user]
