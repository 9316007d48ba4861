"""The page of what was compared, docs/differential.md."""

from collections import Counter
from pathlib import Path

from tests.differential.comparing import ABSENT, BOTH, DIFFERS, FIRST
from tests.differential.reasons import reason
from tests.markdown import table

PAGE = Path(__file__).parent.parent.parent / "docs" / "differential.md"

HEAD = """# Against other frameworks

The derivatives of NumPy's functions by this package, beside those of {peers}.
This page is written by

```console
$ python -m tests.differential
```

which needs the extra `bench`. Every call of the [inventory](contributing.md#adding-an-op) is run at
{draws} random points in float64. What a framework refuses, or gives another value for, is not in
common. The gradient of a random combination of all results and the Hessian times a random vector
agree where they differ by no more than {rtol:g} of their largest entry.

Run with {versions}.
"""


def counts(verdicts):
    """Return the table of how many calls agree."""
    titles = {
        "calls in common": lambda c: c[BOTH] + c[FIRST] + c[DIFFERS],
        "agree in both orders": lambda c: c[BOTH],
        "agree in the first order, and have no second there": lambda c: c[FIRST],
        "differ": lambda c: c[DIFFERS],
    }
    kinds = {peer: Counter(v.kind for v in found.values()) for peer, found in verdicts.items()}
    rows = [[title, *(count(kinds[peer]) for peer in verdicts)] for title, count in titles.items()]
    return table([["", *verdicts], *rows])


def differences(verdicts):
    """Return the table of the calls on which frameworks differ, with the reason."""
    rows = [
        [peer, f"`{call}`".replace("|", r"\|"), verdict.words, reason(peer, call) or "?"]
        for peer, found in verdicts.items()
        for call, verdict in found.items()
        if verdict.kind == DIFFERS
    ]
    return table([["framework", "call", "differs in the", "reason"], *rows])


def functions(verdicts):
    """Return the table of functions: calls, and how many of those in common agree."""
    calls = list(next(iter(verdicts.values())))
    rows = []
    for name in sorted({call.name for call in calls}):
        mine = [call for call in calls if call.name == name]
        cells = []
        for found in verdicts.values():
            kinds = [found[call].kind for call in mine if found[call].kind != ABSENT]
            agree = sum(kind != DIFFERS for kind in kinds)
            cells.append(f"{agree} of {len(kinds)}" if kinds else "")
        rows.append([f"`{name}`", len(mine), *cells])
    return table([["function", "calls", *verdicts], *rows])


def write(verdicts, versions, draws, rtol):
    """Write the page from the verdicts: framework -> call -> verdict."""
    head = HEAD.format(
        peers=" and ".join(", ".join(verdicts).rsplit(", ", 1)),
        draws=draws,
        rtol=rtol,
        versions=", ".join(f"{name} {version}" for name, version in versions.items()),
    )
    parts = [
        head,
        counts(verdicts),
        "## Where they differ\n",
        "In each of these rows this package agrees with differences of NumPy's values.\n",
        differences(verdicts),
        "## By function\n",
        "How many of the calls in common agree.\n",
        functions(verdicts),
    ]
    PAGE.write_text("\n".join(parts), encoding="utf-8")
