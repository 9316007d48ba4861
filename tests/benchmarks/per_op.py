"""`per_op`: what one op costs, forward and backward: `y = y * x` on 8 elements, many times over.

Every contestant is a function of a start array and a depth that runs forward and returns the
function that runs backward and returns the gradient, `(depth + 1) * x**depth`.
"""

import gc
import statistics
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.measuring import (
    OURS,
    PeerError,
    Row,
    Table,
    fresh,
    memory,
    not_installed,
    present,
    progress,
    ratio,
    take_turns,
)

Floats = NDArray[np.float64]
Chain = Callable[[Floats, int], Callable[[], Floats]]


class Cost(NamedTuple):
    """What a chain costs: seconds per op, resident bytes per node (None where not Linux)."""

    seconds: float
    bytes: float | None


def run(*, small: bool, repeats: int | None) -> list[Table]:
    """Measure a chain of 2,000 ops in one process, then long ones in processes of their own."""
    rounds = repeats or (1 if small else 31)
    rows = fresh(measure, depth=200 if small else 2_000, repeats=rounds)
    note = (
        f"Forward, backward and release of the graph; median of {rounds} interleaved runs. "
        f"All gradients equal (depth + 1) x^depth."
    )
    notes = [note, *not_installed(present(modules())[1])]
    short = Table("`y = y * x` on 8 float64 elements, 2,000 deep", rows, notes)
    depths = (2_000, 20_000) if small else (100_000, 1_000_000)
    return [short, long_chains(depths, repeats or (1 if small else 3))]


def modules() -> dict[str, str]:
    """Return the module that each contestant needs."""
    return {name: module for name, (module, _) in CONTESTANTS.items()}


def measure(depth: int, repeats: int) -> list[Row]:
    """Time one chain per contestant in this process."""
    names, _ = present(modules())
    x = start(depth)
    for name in names:
        check(name, CONTESTANTS[name][1](x, depth)(), x, depth)
    runs = {name: lambda chain=CONTESTANTS[name][1]: chain(x, depth)() for name in names}
    micros = {n: 1e6 * t.median / depth for n, t in take_turns(runs, repeats).items()}
    return [
        {
            "contestant": name,
            "us per op": micros[name],
            "ratio to PyTorch": ratio(micros, name, PYTORCH),
            "ratio to NumPy": ratio(micros, name, NUMPY),
        }
        for name in names
    ]


def long_chains(depths: tuple[int, ...], repeats: int) -> Table:
    """Measure time and memory of long chains, each in a fresh process."""
    names, missing = present(modules())
    costs: dict[tuple[str, int], list[Cost]] = {}
    failures = []
    for number in range(repeats):
        for name in names:
            for depth in depths:
                try:
                    cost = Cost(*fresh(long_chain, name=name, depth=depth))
                except PeerError as error:
                    failures.append(f"{name} at {depth:,} ops: {error}")
                    break
                costs.setdefault((name, depth), []).append(cost)
        progress(f"long chains, round {number + 1} of {repeats}")
    rows: list[Row] = []
    for name in names:
        row: Row = {"contestant": name}
        for depth in depths:
            median = median_cost(costs.get((name, depth), []))
            row[f"us per op, {depth:,}"] = median and 1e6 * median.seconds
            row[f"bytes per node, {depth:,}"] = median and median.bytes
        rows.append(row)
    note = (
        f"Median of {repeats} fresh processes. Bytes are resident ones, from before the first op "
        f"to the end of the forward pass, the op's own 64 bytes of numbers included."
    )
    notes = [note, *not_installed(missing), *dict.fromkeys(failures)]
    return Table("Long chains of `y = y * x` on 8 float64 elements", rows, notes)


def median_cost(costs: list[Cost]) -> Cost | None:
    """Return the median of each figure; None without any."""
    if not costs:
        return None
    sizes = [c.bytes for c in costs if c.bytes is not None]
    return Cost(
        statistics.median(c.seconds for c in costs), statistics.median(sizes) if sizes else None
    )


def long_chain(name: str, depth: int) -> Cost:
    """Measure one chain in this process."""
    chain = CONTESTANTS[name][1]
    chain(start(1_000), 1_000)()  # imports the peer, fills allocators' caches
    x = start(depth)
    gc.collect()
    resident = memory if sys.platform == "linux" else None
    before = resident() if resident else 0
    begun = time.perf_counter()
    backward = chain(x, depth)
    forward_seconds = time.perf_counter() - begun
    size = (resident() - before) / depth if resident else None
    begun = time.perf_counter()
    gradient = backward()
    del backward
    seconds = forward_seconds + time.perf_counter() - begun
    check(name, gradient, x, depth)
    return Cost(seconds / depth, size)


def start(depth: int) -> Floats:
    """Return 8 numbers whose `depth`-th powers lie between 1/e and e."""
    return 1 + np.linspace(-1, 1, 8) / depth


def check(name: str, gradient: Floats, x: Floats, depth: int) -> None:
    """Refuse a contestant that computes something else."""
    np.testing.assert_allclose(gradient, (depth + 1) * x**depth, rtol=1e-8, err_msg=name)


def ours(x0: Floats, depth: int) -> Callable[[], Floats]:
    """Tensor, operators, backward."""
    from tinygrad_mnist import Tensor

    y = x = Tensor(x0, requires_grad=True)
    for _ in range(depth):
        y = y * x

    def backward() -> Floats:
        y.backward(np.ones_like(x0))
        return x.grad

    return backward


def pytorch(x0: Floats, depth: int) -> Callable[[], Floats]:
    """Eager PyTorch."""
    import torch

    y = x = torch.from_numpy(x0).requires_grad_()
    for _ in range(depth):
        y = y * x

    def backward() -> Floats:
        y.backward(torch.ones_like(x))
        return x.grad.numpy()

    return backward


def mygrad(x0: Floats, depth: int) -> Callable[[], Floats]:
    """MyGrad."""
    import mygrad as mg

    y = x = mg.tensor(x0)
    for _ in range(depth):
        y = y * x

    def backward() -> Floats:
        y.backward(np.ones_like(x0))
        return x.grad

    return backward


def hips_autograd(x0: Floats, depth: int) -> Callable[[], Floats]:
    """HIPS autograd."""
    from autograd.core import make_vjp
    from autograd.extend import vspace

    def power(x: Floats) -> Floats:
        y = x
        for _ in range(depth):
            y = y * x
        return y

    pull, y = make_vjp(power, x0)
    return lambda: pull(vspace(y).ones())


def numpy_arithmetic(x0: Floats, depth: int) -> Callable[[], Floats]:
    """The four array operations per op that no engine can avoid."""
    y = x0
    saved = []
    for _ in range(depth):
        saved.append(y)
        y = y * x0

    def backward() -> Floats:
        g = np.ones_like(x0)
        total = np.zeros_like(x0)
        while saved:
            total += g * saved.pop()
            g = g * x0
        return total + g

    return backward


NUMPY = "NumPy arithmetic alone"
PYTORCH = "PyTorch, eager"
CONTESTANTS: dict[str, tuple[str, Chain]] = {
    NUMPY: ("numpy", numpy_arithmetic),
    "tinygrad_mnist, eager": (OURS, ours),
    PYTORCH: ("torch", pytorch),
    "MyGrad": ("mygrad", mygrad),
    "HIPS autograd": ("autograd", hips_autograd),
}
