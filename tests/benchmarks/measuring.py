"""What the benchmarks share: taking turns, medians, fresh processes, tables, the machine's line."""

import gc
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
OURS = "tinygrad_mnist"
PEERS = ("torch", "jax", "mygrad", "autograd", "sklearn")
DISTRIBUTIONS = {"sklearn": "scikit-learn"}
BLAS_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NPROC",  # the size of JAX's thread pool
)

Cell = str | int | float | None
Row = dict[str, Cell]


class Times(NamedTuple):
    """Wall-clock and processor seconds of one contestant, an entry per run."""

    wall: list[float]
    processor: list[float]

    @property
    def median(self) -> float:
        """The median wall-clock time in seconds."""
        return statistics.median(self.wall)

    @property
    def busy_cores(self) -> float:
        """How many cores were busy on average: 1 where one thread ran."""
        return sum(self.processor) / sum(self.wall)


def take_turns(contestants: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, Times]:
    """Time every contestant `repeats` times, in an order that turns by one from round to round."""
    names = list(contestants)
    times = {name: Times([], []) for name in names}
    gc.collect()
    gc.freeze()  # the modules that peers imported are no work for anyone's collector
    for number in range(repeats):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            gc.collect()
            processor, wall = time.process_time(), time.perf_counter()
            contestants[name]()
            times[name].wall.append(time.perf_counter() - wall)
            times[name].processor.append(time.process_time() - processor)
        progress(f"round {number + 1} of {repeats}")
    gc.unfreeze()
    return times


def progress(message: str) -> None:
    """Say on stderr how far a measurement has come."""
    print(message, file=sys.stderr, flush=True)


def installed(module: str) -> bool:
    """Whether `module` can be imported, without importing it."""
    return importlib.util.find_spec(module) is not None


def present(contestants: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Split names (each with the module it needs) into those that can run and those missing."""
    here = [name for name, module in contestants.items() if installed(module)]
    return here, [name for name in contestants if name not in here]


def not_installed(missing: Iterable[str]) -> list[str]:
    """Return the note that names the missing peers, if any are missing."""
    names = ", ".join(missing)
    return [f"Not installed: {names}."] if names else []


class PeerError(RuntimeError):
    """A measurement in a process of its own failed; the message is its last error."""


def fresh(
    function: Callable[..., object],
    *,
    threads: int | None = 1,
    variables: Mapping[str, str] | None = None,
    **arguments: object,
) -> Any:
    """Call a function of this package in a new interpreter; its result comes back through JSON.

    Parameters
    ----------
    function
        A module-level function.
    threads
        Threads for every BLAS and every peer; None leaves all cores to them.
    variables
        Environment variables to set besides.
    arguments
        Keywords for the function, of JSON's types.

    """
    code = f"from {__name__} import answer; answer()"
    target = f"{function.__module__}:{function.__qualname__}"
    done = subprocess.run(
        [sys.executable, "-c", code, target, json.dumps(arguments)],
        cwd=ROOT,
        env=environment(threads) | dict(variables or {}),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if not done.stdout:
        raise PeerError(f"{target} ended with exit status {done.returncode}")
    reply = json.loads(done.stdout.splitlines()[-1])
    if "error" in reply:
        raise PeerError(reply["error"])
    return reply["result"]


def answer() -> None:
    """Run in the new interpreter: call the function that the command line names."""
    module, _, name = sys.argv[1].partition(":")
    function = getattr(importlib.import_module(module), name)
    try:
        reply = {"result": function(**json.loads(sys.argv[2]))}
    except Exception as error:  # noqa: BLE001  # a peer may fail in its own ways: the report says how
        reply = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(reply))


def environment(threads: int | None) -> dict[str, str]:
    """Return the environment in which every library uses `threads` threads, or all cores."""
    variables = {k: v for k, v in os.environ.items() if k not in (*BLAS_VARIABLES, "XLA_FLAGS")}
    if threads is not None:
        variables |= dict.fromkeys(BLAS_VARIABLES, str(threads))
    if threads == 1:
        variables["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return variables


def memory(key: str = "VmRSS") -> int:
    """Return this process's resident bytes: now ("VmRSS") or at most so far ("VmHWM"). Linux."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def restart_peak() -> None:
    """Let "VmHWM" start again from what is resident now. Linux."""
    Path("/proc/self/clear_refs").write_text("5")


@dataclass
class Table:
    """Rows with the same columns, and what a reader must know about them."""

    title: str
    rows: list[Row]
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """Return title, table and notes as Markdown."""
        columns = list(self.rows[0])
        lines = [f"### {self.title}", "", _line(columns)]
        lines.append(_line(["---"] + ["---:"] * (len(columns) - 1)))
        lines += [_line([_cell(row[column]) for column in columns]) for row in self.rows]
        return "\n".join([*lines, *(f"\n{note}" for note in self.notes)])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else value


def ratio(values: Mapping[str, float], name: str, to: str) -> float | None:
    """Return one contestant's value over another's, None where either did not run."""
    return values[name] / values[to] if name in values and to in values else None


def machine() -> str:
    """Return one line: processor, cores, system, and the version of all that was measured."""
    versions = [f"Python {platform.python_version()}"]
    for name in ("numpy", OURS, *PEERS):
        distribution = DISTRIBUTIONS.get(name, name)
        with suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{distribution} {importlib.metadata.version(distribution)}")
    system = f"{platform.system()} {platform.machine()}"
    return f"{_processor()}, {os.cpu_count()} cores, {system}; {', '.join(versions)}; {_blas()}"


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _blas() -> str:
    import numpy as np

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"BLAS {blas['name']} {blas['version']}"
