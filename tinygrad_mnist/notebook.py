"""HTML for notebooks: lines, tables, and the entries of a Tensor, all escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MOST = 10  # rows and columns of an array that are shown; of more, the first and last
_GAP = "…"


def paragraph(text: str, *, strong: bool = False) -> str:
    """Return a line of text."""
    inside = f"<b>{escape(text)}</b>" if strong else escape(text)
    return f'<div style="margin: 0.3em 0">{inside}</div>'


def code(text: str) -> str:
    """Return lines of text as they are."""
    return f"<pre>{escape(text)}</pre>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """Return a table whose first columns, as many as `words`, are set to the left."""
    lines = [_row("td", row, words) for row in rows]
    if head:
        lines.insert(0, _row("th", head, words))
    return f"<table>{''.join(lines)}</table>"


def tensor(t: Any) -> str | None:
    """Return a Tensor's kind and its entries; None if another library's array is inside."""
    data = t._value
    if not isinstance(data, (np.ndarray, np.generic)):
        return None
    name = f" {t.name}" if t.name else ""
    tracked = ", requires a gradient" if t.requires_grad else ""
    title = f"Tensor{name} of shape {t.shape}, {t.dtype}{tracked}"
    return paragraph(title, strong=True) + _entries(np.asarray(data))


def _entries(data: np.ndarray[Any, Any]) -> str:
    """Return an array of one or two axes as a table, any other as NumPy's text."""
    if data.ndim not in {1, 2} or not data.size:
        with np.printoptions(threshold=100, edgeitems=2, precision=4):
            return code(str(data))
    gap = [None] * data.shape[-1]
    rows = [gap if row is None else row for row in _ends(np.atleast_2d(data))]
    return table([], [[_entry(x) for x in _ends(row)] for row in rows], words=0)


def _row(tag: str, cells: Sequence[str], words: int) -> str:
    inside = (
        f'<{tag} style="text-align: {"left" if k < words else "right"}">{escape(cell)}</{tag}>'
        for k, cell in enumerate(cells)
    )
    return f"<tr>{''.join(inside)}</tr>"


def _ends(items: Any) -> list[Any]:
    """Return all items, or of many the first and last, with None between them."""
    half = _MOST // 2
    return [*items] if len(items) <= _MOST else [*items[:half], None, *items[-half:]]


def _entry(x: Any) -> str:
    if x is None:
        return _GAP
    return f"{x:.4g}" if x.dtype.kind in "fc" else str(x)
