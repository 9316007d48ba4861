"""What a result depends on besides its Config: versions, the machine, and BLAS with its threads."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from threadpoolctl import ThreadpoolController

_TRIALS = 5
_TRIAL_SECONDS = 0.05


def describe() -> dict[str, Any]:
    """Return the versions and the machine that a run depends on, for its `config.json`."""
    return {
        "tinygrad_mnist": version("tinygrad_mnist"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "blas": [
            {key: pool[key] for key in ("internal_api", "version", "architecture") if key in pool}
            for pool in _blas().info()
        ],
    }


def differences(then: Mapping[str, Any]) -> str:
    """Return in words what of an earlier description changes the last bits of results, if any."""
    now = describe() | {"threads": most_threads()}
    return ", ".join(
        f"{_WORDS[name]} {_plain(then[name])} (here {_plain(now[name])})"
        for name in _WORDS
        if name in then and then[name] != now[name]
    )


_WORDS = {
    "tinygrad_mnist": "tinygrad_mnist",
    "numpy": "NumPy",
    "blas": "BLAS",
    "processors": "processors:",
    "threads": "BLAS threads:",
}


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return " and ".join(" ".join(map(str, pool.values())) for pool in value) or "none"
    return str(value)


def blas_threads(count: int) -> Any:
    """Return a context in which BLAS uses `count` threads."""
    return _blas().limit(limits=count)


def most_threads() -> int:
    """Return how many threads BLAS takes if nobody says."""
    return max((pool["num_threads"] for pool in _blas().info()), default=1)


def thread_speeds(step: Callable[[], object]) -> dict[int, float]:
    """Return how many steps per second there are with 1 BLAS thread, and with all.

    Both are tried in turns, for half a second in all. A network this small is often slower with
    more threads, and much slower on a busy machine.
    """
    counts = (1, most_threads())
    step()
    trials = [[_speed(step, count) for count in counts] for _ in range(_TRIALS)]
    return dict(zip(counts, np.median(trials, axis=0).tolist(), strict=True))


def _speed(step: Callable[[], object], threads: int) -> float:
    steps = 0
    with blas_threads(threads):
        begin = now = time.perf_counter()
        while now < begin + _TRIAL_SECONDS:
            step()
            steps += 1
            now = time.perf_counter()
    return steps / (now - begin)


def _blas() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
