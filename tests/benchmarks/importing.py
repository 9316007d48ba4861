"""`import`: what importing the package costs in a fresh interpreter, beside NumPy and the peers."""

import os
import statistics
import subprocess
import sys

from tests.benchmarks.measuring import (
    OURS,
    PEERS,
    ROOT,
    Row,
    Table,
    not_installed,
    present,
    progress,
)

CODE = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def run(*, small: bool, repeats: int | None) -> list[Table]:
    """Import each module in interpreters of its own, taking turns."""
    rounds = repeats or (1 if small else 21)
    names, missing = present({name: name for name in ("numpy", OURS, *PEERS)})
    for name in names:
        seconds_to_import(name)  # leaves bytecode, and files in the disk cache
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            seconds[name].append(seconds_to_import(name))
        progress(f"round {number + 1} of {rounds}")
    medians = {name: statistics.median(seconds[name]) for name in names}
    rows: list[Row] = [
        {
            "import": name,
            "ms": 1e3 * median,
            "ms more than NumPy": 1e3 * (median - medians["numpy"]),
        }
        for name, median in medians.items()
    ]
    note = f"Median of {rounds} fresh interpreters each, with bytecode and disk cache warm."
    return [Table("Import", rows, [note, *not_installed(missing)])]


def seconds_to_import(module: str) -> float:
    """Return the seconds that `import module` takes in an interpreter that has just started."""
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(module)],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout)
