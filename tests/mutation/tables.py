"""The tables of docs/gradcheck.md, made of results."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.mutation import truth
from tests.mutation.running import CAUGHT, MISSED, OPEN, REFUSED, Result, RightResult

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.mutation.peers import Record


def markdown(heads: list[str], rows: Iterable[list[object]]) -> str:
    """Return a table; all columns but the first are numbers."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *[[str(c) for c in row] for row in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def of_kinds(results: list[Result]) -> str:
    """Return a row for each kind of mutant: how many are wrong, how many of these caught."""
    rows = []
    for kind in (*sorted({r.kind for r in results}), None):
        some = [r for r in results if kind in {None, r.kind}]
        wrong = [r for r in some if r.truth == truth.WRONG]
        count = Counter(r.verdict for r in wrong)
        found = count[CAUGHT] + count[REFUSED]
        share = f"{100 * found / len(wrong):.1f} %" if wrong else "-"
        missed = count[MISSED] + count[OPEN]
        others = Counter(r.truth for r in some)
        same = others[truth.SAME] + others[truth.SUBGRADIENT]
        name = kind or "**all**"
        rows.append([name, len(wrong), found, missed, share, same, others[truth.BREAKS]])
    heads = ["kind", "wrong", "caught", "missed", "share", "no different", "stopped by the engine"]
    return markdown(heads, rows)


def of_rights(rights: list[RightResult]) -> str:
    """Return one row: right checks, and what became of them."""
    checks = sum(r.checks for r in rights)
    accused = sum(len(r.accused) for r in rights)
    open_ = sum(r.inconclusive for r in rights)
    row: list[object] = [f"{len({r.op for r in rights})} ops", f"{checks:,}", accused, open_]
    return markdown(["right rules", "checks", "accused", "inconclusive"], [row])


def of_peers(records: dict[str, Record]) -> str:
    """Return a row for each checker: what it misses, and what right rules it accuses."""
    groups = list(next(iter(records.values())).right)
    rows = []
    for name, record in records.items():
        share = f"{100 * record.caught / record.asked:.1f} %" if record.asked else "-"
        missed = record.asked - record.caught - record.unusable
        right = [record.right.get(g, (0, 0)) for g in groups]
        accused = [f"{wrong} of {asked}" for asked, wrong in right]
        rows.append([name, record.asked, record.caught, missed, record.unusable, share, *accused])
    heads = ["checker", "wrong", "caught", "missed", "can't be asked", "share"]
    return markdown([*heads, *(f"accused, {g}" for g in groups)], rows)
