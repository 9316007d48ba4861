"""The names of a data set's classes, as a text file gives them: one on each line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_mnist.mnist.errors import InputError

if TYPE_CHECKING:
    import os

_MOST = 256  # as many classes as labels of one byte can tell apart
_LONGEST = 40  # characters: what fits beside a picture
_FILE = 1 << 16  # bytes: more than that many names of that length


def load_names(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Read the names of classes, label 0 first, one on each line.

    Raises
    ------
    InputError
        If the file can't be read, or its names can't be used.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(_FILE + 1)
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror}): give another file") from error
    if len(content) > _FILE:
        raise InputError(f"{path} is too long for the names of classes: give one on each line")
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text in UTF-8 ({error}): save it as such") from error
    names = tuple(line.strip() for line in lines)
    while names and not names[-1]:
        names = names[:-1]
    try:
        check_names(names)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return names


def check_names(names: Any) -> None:
    """Raise InputError unless these can be the names of classes."""
    if not isinstance(names, tuple) or not 2 <= len(names) <= _MOST:
        raise InputError(f"labels is {_short(names)}: give 2 to {_MOST} names of classes")
    for number, name in enumerate(names):
        fits = isinstance(name, str) and name.isprintable() and 1 <= len(name.strip()) <= _LONGEST
        if not fits:
            raise InputError(
                f"the name of class {number} is {_short(name)}: give 1 to {_LONGEST} characters"
            )
        if name in names[:number]:
            raise InputError(
                f"classes {names.index(name)} and {number} are both named {name!r}: give each a "
                f"name of its own"
            )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 2 * _LONGEST else f"{text[: 2 * _LONGEST]}…"
