"""`epoch`: one epoch of 784-128-64-10 on MNIST, batch 32, plain SGD, float32, by many hands.

Every contestant is a function that takes the epoch's batches (an array of row numbers, a row per
step) and returns the loss of each step; its parameters live on from call to call.
"""

import warnings
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.measuring import (
    OURS,
    Row,
    Table,
    fresh,
    not_installed,
    present,
    take_turns,
)

Floats = NDArray[np.float32]
Integers = NDArray[np.intp]
Train = Callable[[Integers], Any]

SIZES = (784, 128, 64, 10)
BATCH = 32
LR = 0.1
CHECKED_STEPS = 20
TOLERANCE = 1e-4  # float32 sums taken in another order, after 20 steps


class Problem(NamedTuple):
    """What every contestant starts from: images, labels, and w1, b1, w2, b2, w3, b3."""

    x: Floats
    y: Integers
    weights: list[Floats]

    def copied_weights(self) -> list[Floats]:
        """Return parameters that a contestant may change."""
        return [w.copy() for w in self.weights]


def run(*, small: bool, repeats: int | None) -> list[Table]:
    """Measure with one thread everywhere, then with all cores."""
    images = CHECKED_STEPS * BATCH if small else 60_000
    rounds = repeats or (1 if small else 7)
    tables = []
    for threads, words in ((1, "one thread"), (None, "all cores")):
        rows = fresh(measure, threads=threads, images=images, repeats=rounds)
        title = f"One epoch of {'-'.join(map(str, SIZES))}, batch {BATCH}, SGD, float32; {words}"
        note = (
            f"{images:,} images, median of {rounds} interleaved epochs. *Loss apart*: the largest "
            f"relative difference to the first row's loss in {CHECKED_STEPS} steps from the same "
            f"weights. *Busy cores*: processor time over wall-clock time."
        )
        notes = [note, *not_installed(present(modules())[1])]
        tables.append(Table(title, rows, notes))
    return tables


def modules() -> dict[str, str]:
    """Return the module that each contestant needs."""
    return {name: module for name, (module, _) in CONTESTANTS.items()}


def measure(images: int, repeats: int) -> list[Row]:
    """Time the contestants in this process, after checking that they compute the same."""
    problem = mnist_problem(images)
    names, _ = present(modules())
    apart = losses_apart(problem, names)
    rng = np.random.default_rng(0)
    order = rng.permutation(images)[: images // BATCH * BATCH].reshape(-1, BATCH)
    trains = {name: CONTESTANTS[name][1](problem) for name in names}
    runs = {name: partial(train, order) for name, train in trains.items()}
    take_turns(runs, 1)  # compiles, and fills allocators' caches
    times = take_turns(runs, repeats)
    first = times[BY_HAND].median
    return [
        {
            "contestant": name,
            "s": t.median,
            "us per step": 1e6 * t.median / len(order),
            "ratio": t.median / first,
            "busy cores": t.busy_cores,
            "loss apart": apart.get(name),
        }
        for name, t in times.items()
    ]


def mnist_problem(images: int) -> Problem:
    """Return the first images of MNIST's training set, scaled to 0...1, and He's start values."""
    from tinygrad_mnist import mnist

    (pixels, labels), _ = mnist.load()
    x = pixels[:images].reshape(-1, SIZES[0]).astype(np.float32) / np.float32(255)
    rng = np.random.default_rng(0)
    weights = []
    for n, m in pairwise(SIZES):
        scale = np.float32(np.sqrt(2 / n))
        weights += [rng.standard_normal((n, m), np.float32) * scale, np.zeros(m, np.float32)]
    return Problem(x, labels[:images].astype(np.intp), weights)


def losses_apart(problem: Problem, names: list[str]) -> dict[str, float]:
    """Return each contestant's largest relative difference to the losses of the loop by hand."""
    rng = np.random.default_rng(1)
    batches = rng.permutation(len(problem.x))[: CHECKED_STEPS * BATCH].reshape(-1, BATCH)
    expected = np.asarray(CONTESTANTS[BY_HAND][1](problem)(batches))
    apart = {}
    for name in names:
        if name == SKLEARN:  # draws weights and batches itself
            continue
        losses = np.asarray(CONTESTANTS[name][1](problem)(batches), np.float64)
        apart[name] = float(np.max(np.abs(losses - expected) / expected))
        if not apart[name] <= TOLERANCE:
            raise AssertionError(f"{name} computes something else: {losses} for {expected}")
    return apart


def numpy_by_hand(problem: Problem) -> Train:
    """Derived by hand, written by hand: in place, every buffer made once."""
    x, y = problem.x, problem.y
    w1, b1, w2, b2, w3, b3 = problem.copied_weights()
    gw1, gb1, gw2, gb2, gw3, gb3 = (np.empty_like(w) for w in problem.weights)
    updates = [(w1, gw1), (b1, gb1), (w2, gw2), (b2, gb2), (w3, gw3), (b3, gb3)]
    xb, h1, h2, z = (np.empty((BATCH, n), np.float32) for n in SIZES)
    d1, d2, p = (np.empty_like(a) for a in (h1, h2, z))
    on1, on2 = np.empty(h1.shape, bool), np.empty(h2.shape, bool)
    column = np.empty((BATCH, 1), np.float32)
    rows = np.arange(BATCH)

    def train(batches: Integers) -> list[float]:
        losses = []
        for batch in batches:
            np.take(x, batch, axis=0, out=xb, mode="clip")
            yb = y[batch]

            np.matmul(xb, w1, out=h1)
            np.add(h1, b1, out=h1)
            np.maximum(h1, 0, out=h1)
            np.matmul(h1, w2, out=h2)
            np.add(h2, b2, out=h2)
            np.maximum(h2, 0, out=h2)
            np.matmul(h2, w3, out=z)
            np.add(z, b3, out=z)

            np.maximum.reduce(z, axis=1, keepdims=True, out=column)
            np.subtract(z, column, out=z)
            np.exp(z, out=p)
            np.add.reduce(p, axis=1, keepdims=True, out=column)
            np.divide(p, column, out=p)
            np.log(column, out=column)
            losses.append((column.sum() - z[rows, yb].sum()) / BATCH)

            p[rows, yb] -= 1
            np.divide(p, BATCH, out=p)
            np.matmul(h2.T, p, out=gw3)
            np.add.reduce(p, axis=0, out=gb3)
            np.matmul(p, w3.T, out=d2)
            np.greater(h2, 0, out=on2)
            np.multiply(d2, on2, out=d2)
            np.matmul(h1.T, d2, out=gw2)
            np.add.reduce(d2, axis=0, out=gb2)
            np.matmul(d2, w2.T, out=d1)
            np.greater(h1, 0, out=on1)
            np.multiply(d1, on1, out=d1)
            np.matmul(xb.T, d1, out=gw1)
            np.add.reduce(d1, axis=0, out=gb1)

            for w, g in updates:
                np.multiply(g, LR, out=g)
                np.subtract(w, g, out=w)
        return losses

    return train


def numpy_without_an_engine(problem: Problem) -> Train:
    """The NumPy calls of our ops, rules and optimizer in their order, and nothing around them."""
    x, y = problem.x, problem.y
    weights = problem.copied_weights()
    w1, b1, w2, b2, w3, b3 = weights
    scratch = [np.empty_like(w) for w in weights]

    def linear(x: Floats, w: Floats, b: Floats) -> Floats:
        out = np.matmul(x, w)
        out += b
        return out

    def train(batches: Integers) -> list[float]:
        losses = []
        for batch in batches:
            xb, yb = x.take(batch, axis=0), y[batch]
            h1 = np.maximum(linear(xb, w1, b1), 0)
            h2 = np.maximum(linear(h1, w2, b2), 0)
            z = linear(h2, w3, b3)

            shifted = z - z.max(axis=1, keepdims=True)
            at = np.arange(0, z.size, SIZES[-1]) + yb
            d = np.exp(shifted)
            total = d.sum(axis=1)
            loss = (np.log(total) - shifted.reshape(-1)[at]).sum() / BATCH
            d /= total[:, None]
            d.reshape(-1)[at] -= 1
            d /= BATCH

            g = np.ones_like(loss) * d
            gw3, gb3, g = h2.T @ g, g.sum(axis=0), g @ w3.T
            g = g * (h2 > 0)
            gw2, gb2, g = h1.T @ g, g.sum(axis=0), g @ w2.T
            g = g * (h1 > 0)
            gw1, gb1 = xb.T @ g, g.sum(axis=0)

            gradients = (gw1, gb1, gw2, gb2, gw3, gb3)
            for w, g, change in zip(weights, gradients, scratch, strict=True):
                np.multiply(g, LR, out=change)
                np.subtract(w, change, out=w)
            losses.append(loss.item())
        return losses

    return train


def ours(problem: Problem) -> Train:
    """As the guide writes it: nn, ops, optim."""
    from tinygrad_mnist import nn, ops, optim

    x, y = problem.x, problem.y
    model = nn.MLP(SIZES)
    for parameter, w in zip(model.parameters(), problem.copied_weights(), strict=True):
        parameter.data = w
    optimizer = optim.SGD(model.parameters(), LR)

    def train(batches: Integers) -> list[float]:
        losses = []
        for batch in batches:
            loss = ops.cross_entropy(model(x.take(batch, axis=0)), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    return train


def pytorch(problem: Problem) -> Train:
    """Eager PyTorch: nn.Sequential, cross_entropy, optim.SGD."""
    import torch
    from torch import nn

    x, y = torch.from_numpy(problem.x), torch.from_numpy(problem.y)
    layers = [nn.Linear(n, m) for n, m in pairwise(SIZES)]
    model = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    with torch.no_grad():
        for parameter, w in zip(model.parameters(), problem.copied_weights(), strict=True):
            parameter.copy_(torch.from_numpy(w.T))
    optimizer = torch.optim.SGD(model.parameters(), LR)

    def train(batches: Integers) -> list[float]:
        losses = []
        for batch in torch.from_numpy(batches):
            loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    return train


def _jax_step(problem: Problem) -> tuple[Any, Any]:
    """Return the parameters and (parameters, batch) -> (parameters, loss), both for JAX."""
    import jax
    import jax.numpy as jnp

    x, y = jnp.asarray(problem.x), jnp.asarray(problem.y)

    def loss_of(weights: Any, xb: Any, yb: Any) -> Any:
        w1, b1, w2, b2, w3, b3 = weights
        h = jax.nn.relu(xb @ w1 + b1)
        h = jax.nn.relu(h @ w2 + b2)
        log_p = jax.nn.log_softmax(h @ w3 + b3)
        return -jnp.take_along_axis(log_p, yb[:, None], axis=1).mean()

    def step(weights: Any, x: Any, y: Any, batch: Any) -> tuple[Any, Any]:
        loss, gradients = jax.value_and_grad(loss_of)(weights, x[batch], y[batch])
        return [w - LR * g for w, g in zip(weights, gradients, strict=True)], loss

    return [jnp.asarray(w) for w in problem.weights], (step, x, y)


def jax_step(problem: Problem) -> Train:
    """JAX with the step compiled, parameters donated; losses are fetched after the last step."""
    import jax

    weights, (step, x, y) = _jax_step(problem)
    compiled = jax.jit(step, donate_argnums=0)

    def train(batches: Integers) -> Any:
        nonlocal weights
        losses = []
        for batch in batches:
            weights, loss = compiled(weights, x, y, batch)
            losses.append(loss)
        jax.block_until_ready(weights)
        return jax.device_get(losses)

    return train


def jax_epoch(problem: Problem) -> Train:
    """JAX with the whole epoch compiled into one scan."""
    import jax

    weights, (step, x, y) = _jax_step(problem)

    @jax.jit
    def epoch(weights: Any, x: Any, y: Any, batches: Any) -> tuple[Any, Any]:
        return jax.lax.scan(lambda w, batch: step(w, x, y, batch), weights, batches)

    def train(batches: Integers) -> Any:
        nonlocal weights
        weights, losses = epoch(weights, x, y, batches)
        return jax.device_get(jax.block_until_ready((weights, losses)))[1]

    return train


def mygrad(problem: Problem) -> Train:
    """MyGrad with its own layers' functions, updated as its tutorials do."""
    import mygrad as mg
    from mygrad.nnet.activations import relu
    from mygrad.nnet.losses import softmax_crossentropy

    x, y = problem.x, problem.y
    weights = [mg.tensor(w) for w in problem.copied_weights()]
    w1, b1, w2, b2, w3, b3 = weights

    def train(batches: Integers) -> list[float]:
        losses = []
        for batch in batches:
            h = relu(x.take(batch, axis=0) @ w1 + b1)
            h = relu(h @ w2 + b2)
            loss = softmax_crossentropy(h @ w3 + b3, y[batch])
            loss.backward()
            for w in weights:
                w.data -= LR * w.grad
            losses.append(loss.item())
        return losses

    return train


def hips_autograd(problem: Problem) -> Train:
    """HIPS autograd: `value_and_grad` of the loss."""
    import autograd.numpy as anp
    from autograd import value_and_grad
    from autograd.scipy.special import logsumexp

    x, y = problem.x, problem.y
    weights = problem.copied_weights()
    rows = np.arange(BATCH)

    def loss_of(weights: Any, xb: Floats, yb: Integers) -> Any:
        w1, b1, w2, b2, w3, b3 = weights
        h = anp.maximum(anp.dot(xb, w1) + b1, 0)
        h = anp.maximum(anp.dot(h, w2) + b2, 0)
        z = anp.dot(h, w3) + b3
        return anp.mean(logsumexp(z, axis=1) - z[rows, yb])

    loss_and_gradients = value_and_grad(loss_of)

    def train(batches: Integers) -> list[float]:
        losses = []
        for batch in batches:
            loss, gradients = loss_and_gradients(weights, x.take(batch, axis=0), y[batch])
            for w, g in zip(weights, gradients, strict=True):
                np.subtract(w, LR * g, out=w)
            losses.append(loss.item())
        return losses

    return train


def scikit_learn(problem: Problem) -> Train:
    """scikit-learn's MLPClassifier: the same network and step, own start and order."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        SIZES[1:-1],
        solver="sgd",
        learning_rate_init=LR,
        batch_size=BATCH,
        momentum=0,
        nesterovs_momentum=False,
        alpha=0,
        max_iter=1,
        random_state=0,
    )

    def train(batches: Integers) -> list[float]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.partial_fit(
                problem.x[: batches.size], problem.y[: batches.size], classes=range(10)
            )
        return [model.loss_]

    return train


BY_HAND = "NumPy by hand, in place"
SKLEARN = "scikit-learn"
CONTESTANTS: dict[str, tuple[str, Callable[[Problem], Train]]] = {
    BY_HAND: ("numpy", numpy_by_hand),
    "our NumPy calls without an engine": ("numpy", numpy_without_an_engine),
    "tinygrad_mnist, eager": (OURS, ours),
    "PyTorch, eager": ("torch", pytorch),
    "JAX, step compiled": ("jax", jax_step),
    "JAX, epoch compiled": ("jax", jax_epoch),
    "MyGrad": ("mygrad", mygrad),
    "HIPS autograd": ("autograd", hips_autograd),
    SKLEARN: ("sklearn", scikit_learn),
}
