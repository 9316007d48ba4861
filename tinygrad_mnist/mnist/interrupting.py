"""Ctrl-C and requests to end, put off until a training is between two steps."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A training was stopped between two steps, and all of it is saved.

    Attributes
    ----------
    signal : int
        The number of the signal that stopped it.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


class Requests:
    """Whether someone has asked to stop.

    Attributes
    ----------
    signal : int or None
        The number of the signal that came.
    """

    signal: int | None = None


@contextmanager
def postponed() -> Iterator[Requests]:
    """Note the first Ctrl-C or SIGTERM in place of acting on it; the second acts at once.

    In other threads than the main one nothing changes: Python handles signals there alone.
    """
    requests = Requests()
    if threading.current_thread() is not threading.main_thread():
        yield requests
        return

    def note(number: int, _: FrameType | None) -> None:
        requests.signal = number
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    # a handler that was not set from Python can't be set again: leave that signal alone
    before = {n: handler for n in _SIGNALS if (handler := signal.getsignal(n)) is not None}
    for number in before:
        signal.signal(number, note)
    try:
        yield requests
    finally:
        restore()
