"""Markdown: the fenced blocks of a page, and tables."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line where the text begins."""

    language: str
    text: str
    line: int


def blocks(text):
    """Return the fenced blocks of a page."""
    found, start = [], None
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if not line.startswith("```"):
            continue
        if start is None:
            start = number
        else:
            language = lines[start - 1][3:]
            found.append(Block(language, "\n".join(lines[start : number - 1]) + "\n", start + 1))
            start = None
    assert start is None, f"a fence is open from line {start} on"
    return found


def table(rows):
    """Return rows of cells as a table; the first is the title."""
    title, *others = [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join([title, "|" + "---|" * len(rows[0]), *others]) + "\n"
