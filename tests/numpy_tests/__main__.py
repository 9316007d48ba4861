"""Run NumPy's own tests with Tensors: `python -m tests.numpy_tests`; it writes a page of docs."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from tests.markdown import table
from tests.numpy_tests.standing_in import FOUND

PAGE = Path(__file__).parents[2] / "docs" / "numpy_tests.md"
FILES = (Path(__file__).parent / "files.txt").read_text(encoding="utf-8").split()

REASONS = {  # function -> why its values may be others
    "pad": "`mode='empty'`: the numbers are whatever was in memory",
    "unique": "0.0 for -0.0: of equal entries the first is returned",
}


def main():
    """Run the files, print what is not as it should be, and write the page."""
    found = Counter()
    for name in FILES:
        found.update(run(name))
    kinds = {kind for kind, *_ in found} - {"same", "refused"}
    others = {key: calls for key, calls in found.items() if key[0] in kinds}
    unexplained = [key for key in others if _reason(key) is None]
    for kind, function, words, test in unexplained:
        print(f"np.{function}: {kind} in {test} {words}")
    PAGE.write_text(_page(found, others), encoding="utf-8")
    return bool(unexplained)


def run(name):
    """Return what one file of tests shows: (kind, function, words, test) -> calls."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "found.json"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.numpy_tests.standing_in"]
        command += ["-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", folder, "-W", "ignore"]
        path = Path(np.__file__).parent / f"{name}.py"
        env = {**os.environ, FOUND: str(results), "PYTHONPATH": str(PAGE.parents[1])}
        done = subprocess.run(
            [*command, path], env=env, capture_output=True, text=True, check=False
        )
        if not results.exists():
            raise SystemExit(f"{name} did not run:\n{done.stdout}{done.stderr}")
        rows = json.loads(results.read_text(encoding="utf-8"))
    print(f"{name}: {sum(row[-1] for row in rows):,} calls", flush=True)
    return {tuple(key): calls for *key, calls in rows}


def _reason(key):
    kind, function, *_ = key
    name = "unique" if function.startswith("unique") else function
    return REASONS.get(name) if kind == "other values" else None


def _page(found, others):
    calls = sum(calls for (kind, *_), calls in found.items() if kind in {"same", "other values"})
    names = {function for kind, function, *_ in found if kind == "same"}
    same = sum(calls for (kind, *_), calls in found.items() if kind == "same")
    refused = Counter()
    for (kind, _, words, _), number in found.items():
        if kind == "refused":
            refused[_sentence(words)] += number
    differing = Counter()
    for key, number in others.items():
        differing[f"`np.{key[1]}`", _reason(key) or f"{key[0]} {key[2]}"] += number
    return PAGE_TEXT.format(
        numpy=np.__version__,
        files=len(FILES),
        calls=f"{calls:,}",
        names=len(names),
        same=f"{same:,}",
        differing=table(
            [("function", "calls", "why")]
            + [(name, number, why) for (name, why), number in sorted(differing.items())]
        ),
        refused=table([("calls", "what is said"), *((n, w) for w, n in refused.most_common())]),
    )


def _sentence(words):
    """Return an error's words without what differs from call to call."""
    words = " ".join(words.split()).replace("|", "\\|")
    return re.sub(r"^(np\.)?[\w.]+ (?=can't write|returned)", "", words)[:160]


PAGE_TEXT = """# NumPy's own tests, with Tensors

NumPy's wheels bring its tests along. Here every call in them of a differentiable function, with
arrays of float32 or float64, is made with Tensors in place of the arrays first: its values must be
those of the call itself, bit for bit, and backward must give every Tensor a gradient of its shape
and dtype. This page is written by

```console
$ python -m tests.numpy_tests
```

With NumPy {numpy}, {files} files of tests make {calls} calls of {names} functions and methods of
ufuncs; {same} of them give the same.

## Other values

{differing}
## Refused

These calls raise with a Tensor: results are not written into arrays, objects and texts are no
numbers, and NumPy does not let a list of Tensors through everywhere.

{refused}
"""


if __name__ == "__main__":
    sys.exit(main())
