"""NumPy's reports of invalid values, heard while rules run, in a third of `np.errstate`'s time.

NumPy keeps how it reports errors in one context variable. `np.errstate` sets and resets it, but
makes a value for it each time; here a value is made once for each that the user has set.
"""

from __future__ import annotations

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


_found = _find()
FOUND = _found is not None  # else no report arrives: results must be looked through
_state: ContextVar[Any] = _found or ContextVar("unused")
_heard: ContextVar[list[str]] = ContextVar("heard")  # where this moment's reports arrive
_hearing: dict[Any, Any] = {}  # the user's state -> the same, but invalid values are heard

Listening = tuple[Token[Any], Token[list[str]]]


def hear() -> tuple[list[str], Any, Listening]:
    """Begin to collect reports of invalid values, which NumPy then neither warns of nor raises.

    Returns
    -------
    list
        Where they arrive.
    user
        How the user wants errors reported, for `as_wanted`.
    listening
        For `stop`.
    """
    user = _state.get(None)
    state = _hearing.get(user)
    if state is None:
        state = _hearing[user] = _make()
    heard: list[str] = []
    return heard, user, (_state.set(state), _heard.set(heard))


def stop(listening: Listening) -> None:
    """Report errors as before `hear`."""
    state, heard = listening
    _state.reset(state)
    _heard.reset(heard)


def as_wanted(user: Any, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function while errors are reported as the user wants it."""
    token = _state.set(user)
    try:
        return function(*args)
    finally:
        _state.reset(token)


def _make() -> Any:
    if len(_hearing) > 16:
        _hearing.clear()  # a program that calls `np.errstate` in a loop
    with np.errstate(invalid="call", call=lambda kind, _: _heard.get().append(kind)):
        return _state.get(None)
