"""The texts of command-line options, read as numbers and lists of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def read(text: str | None, convert: Callable[[str], Any]) -> Any:
    """Return what an option's text says; a text that makes no sense is for Config to refuse."""
    if text is None:
        return None
    try:
        return convert(text)
    except ValueError:
        return text


def each(text: str | None, convert: Callable[[str], Any]) -> Any:
    """Return the values between commas, as a tuple."""
    return None if text is None else tuple(read(part.strip(), convert) for part in text.split(","))


def one_or_each(text: str | None, convert: Callable[[str], Any]) -> Any:
    """Return the values between commas; a single one alone."""
    values = each(text, convert)
    return values[0] if values and len(values) == 1 else values
