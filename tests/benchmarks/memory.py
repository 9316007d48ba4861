"""`memory`: peak of a training step of a deep MLP, in resident bytes.

Each contestant runs in a process of its own: weights and batch exist, a first step has filled what
libraries keep, gradients are dropped; then a second step runs, and what counts is how far the
resident bytes rise above that start. Every array is given its own pages (glibc's mmap threshold),
so that the peak is bytes in use at one time and not an allocator's luck.
"""

import gc
import statistics
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks import measuring
from tests.benchmarks.measuring import (
    OURS,
    Table,
    fresh,
    not_installed,
    present,
    progress,
    ratio,
    restart_peak,
)

Floats = NDArray[np.float32]
Integers = NDArray[np.intp]
Step = Callable[[Floats, Integers], float]

LAYERS = 20
CLASSES = 10
LR = 0.01
MIB = 2**20


class Peak(NamedTuple):
    """How far resident bytes rose, and the loss that proves what was computed."""

    bytes: int
    loss: float


def run(*, small: bool, repeats: int | None) -> list[Table]:
    """Measure a net whose gradients weigh as much as its activations, and one with a big batch."""
    if sys.platform != "linux":
        return []
    shapes = ((128, 1024),) if small else ((512, 512), (512, 4096))
    return [peaks(width, batch, repeats or (1 if small else 5)) for width, batch in shapes]


def modules() -> dict[str, str]:
    """Return the module that each contestant needs."""
    return {name: module for name, (module, _) in CONTESTANTS.items()}


def peaks(width: int, batch: int, repeats: int) -> Table:
    """Measure each contestant in fresh processes, taking turns."""
    names, missing = present(modules())
    found: dict[str, list[Peak]] = {name: [] for name in names}
    for number in range(repeats):
        for name in names:
            variables = {"MALLOC_MMAP_THRESHOLD_": str(2**16)}
            found[name].append(
                Peak(*fresh(peak, variables=variables, name=name, width=width, batch=batch))
            )
        progress(f"{width} x {batch}, round {number + 1} of {repeats}")
    losses = [found[name][0].loss for name in names]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-4, err_msg=f"not the same step: {names}")
    medians = {name: statistics.median(p.bytes for p in found[name]) for name in names}
    gradients = sum(w.nbytes for w in start(width, batch).weights)
    activations = (LAYERS - 1) * batch * width * 4
    note = (
        f"Median of {repeats} fresh processes; one thread. The weights' gradients take "
        f"{gradients / MIB:.3g} MiB, the {LAYERS - 1} hidden activations "
        f"{activations / MIB:.3g} MiB."
    )
    notes = [note, *not_installed(missing)]
    title = f"Peak of a step: {LAYERS} layers of width {width}, batch {batch}, float32, SGD"
    rows = [
        {
            "contestant": name,
            "MiB": medians[name] / MIB,
            "ratio to PyTorch": ratio(medians, name, PYTORCH),
        }
        for name in names
    ]
    return Table(title, rows, notes)


class Problem(NamedTuple):
    """A batch, its labels, and the parameters w1, b1, w2, b2, …."""

    x: Floats
    y: Integers
    weights: list[Floats]


def start(width: int, batch: int) -> Problem:
    """Return random rows and labels, and He's start values."""
    rng = np.random.default_rng(0)
    sizes = [width] * LAYERS + [CLASSES]
    weights = []
    for n, m in pairwise(sizes):
        scale = np.float32(np.sqrt(2 / n))
        weights += [rng.standard_normal((n, m), np.float32) * scale, np.zeros(m, np.float32)]
    x = rng.standard_normal((batch, width), np.float32)
    return Problem(x, rng.integers(0, CLASSES, batch), weights)


def peak(name: str, width: int, batch: int) -> Peak:
    """Measure one step in this process."""
    x, y, weights = start(width, batch)
    step = CONTESTANTS[name][1](weights)
    step(x, y)
    gc.collect()
    restart_peak()
    before = measuring.memory()
    loss = step(x, y)
    return Peak(measuring.memory("VmHWM") - before, loss)


def numpy_by_hand(weights: list[Floats]) -> Step:
    """Derived by hand; an activation is dropped as soon as backward has used it."""

    def step(x: Floats, y: Integers) -> float:
        hidden = [x]
        for w, b in zip(weights[:-2:2], weights[1:-2:2], strict=True):
            h = hidden[-1] @ w
            h += b
            hidden.append(np.maximum(h, 0, out=h))
        z = hidden[-1] @ weights[-2] + weights[-1]
        z -= z.max(axis=1, keepdims=True)
        p = np.exp(z)
        total = p.sum(axis=1, keepdims=True)
        rows = np.arange(len(y))
        loss = np.mean(np.log(total[:, 0]) - z[rows, y])

        p /= total
        p[rows, y] -= 1
        p /= len(y)
        g = p
        gradients = []
        for w in weights[-2::-2]:
            h = hidden.pop()
            gradients += [g.sum(axis=0), h.T @ g]
            if hidden:
                g = g @ w.T
                g *= h > 0
        for w, gradient in zip(weights, reversed(gradients), strict=True):
            np.subtract(w, LR * gradient, out=w)
        return float(loss)

    return step


def ours(weights: list[Floats]) -> Step:
    """As the guide writes it: nn, ops, optim."""
    from tinygrad_mnist import nn, ops, optim

    model = nn.MLP(layer_sizes(weights))
    for parameter, w in zip(model.parameters(), weights, strict=True):
        parameter.data = w
    optimizer = optim.SGD(model.parameters(), LR)

    def step(x: Floats, y: Integers) -> float:
        loss = ops.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.item())

    return step


def pytorch(weights: list[Floats]) -> Step:
    """Eager PyTorch."""
    import torch
    from torch import nn

    layers: list[Any] = []
    for w, b in zip(weights[::2], weights[1::2], strict=True):
        linear = nn.Linear(*w.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(w.T))
            linear.bias.copy_(torch.from_numpy(b))
        layers += [linear, nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    optimizer = torch.optim.SGD(model.parameters(), LR)

    def step(x: Floats, y: Integers) -> float:
        loss = nn.functional.cross_entropy(model(torch.from_numpy(x)), torch.from_numpy(y))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.item())

    return step


def mygrad(weights: list[Floats]) -> Step:
    """MyGrad with its own layers' functions."""
    import mygrad as mg
    from mygrad.nnet.activations import relu
    from mygrad.nnet.losses import softmax_crossentropy

    parameters: list[Any] = [mg.tensor(w, copy=False) for w in weights]

    def step(x: Floats, y: Integers) -> float:
        h: Any = x
        for w, b in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
            h = relu(h @ w + b)
        loss = softmax_crossentropy(h @ parameters[-2] + parameters[-1], y)
        loss.backward()
        for parameter in parameters:
            parameter.data -= LR * parameter.grad
            parameter.null_grad()
        return float(loss.item())

    return step


def hips_autograd(weights: list[Floats]) -> Step:
    """HIPS autograd: `value_and_grad` of the loss."""
    import autograd.numpy as anp
    from autograd import value_and_grad
    from autograd.scipy.special import logsumexp

    def loss_of(weights: list[Any], x: Floats, y: Integers) -> Any:
        h = x
        for w, b in zip(weights[:-2:2], weights[1:-2:2], strict=True):
            h = anp.maximum(anp.dot(h, w) + b, 0)
        z = anp.dot(h, weights[-2]) + weights[-1]
        return anp.mean(logsumexp(z, axis=1) - z[np.arange(len(y)), y])

    loss_and_gradients = value_and_grad(loss_of)

    def step(x: Floats, y: Integers) -> float:
        loss, gradients = loss_and_gradients(weights, x, y)
        for w, g in zip(weights, gradients, strict=True):
            np.subtract(w, LR * g, out=w)
        return float(loss)

    return step


def layer_sizes(weights: list[Floats]) -> tuple[int, ...]:
    """Return the widths from the input to the output."""
    return (weights[0].shape[0], *(b.shape[0] for b in weights[1::2]))


PYTORCH = "PyTorch, eager"
CONTESTANTS: dict[str, tuple[str, Callable[[list[Floats]], Step]]] = {
    "NumPy by hand": ("numpy", numpy_by_hand),
    "tinygrad_mnist, eager": (OURS, ours),
    PYTORCH: ("torch", pytorch),
    "MyGrad": ("mygrad", mygrad),
    "HIPS autograd": ("autograd", hips_autograd),
}
