"""The floor under what differences can measure: what rounding does to results and to gradients.

It is computed as `rounding` does, by reverse passes through the function's own graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.autograd import vjp
from tinygrad_mnist.checking.digits import one_tracked, total_moved
from tinygrad_mnist.checking.inputs import generic
from tinygrad_mnist.checking.tracing import keeping, passed
from tinygrad_mnist.operation import Op
from tinygrad_mnist.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tinygrad_mnist.checking.inputs import Vector
    from tinygrad_mnist.checking.problem import Problem

EPS = float(np.finfo(float).eps)
FAINT = float(np.finfo(float).tiny) ** (1 / 3)  # less is lost where a rule multiplies three such
MOST = 256  # results that are looked at one by one, each of which takes a reverse pass
LOUD = 1000  # how many times its own digits results may be uncertain before that is looked into
SMALL = 1e-3  # results smaller than this part of the largest one count as that


class Traced:
    """A call of a function, with all that it was computed from.

    Parameters
    ----------
    f : callable
        From arrays, or Tensors, to a list of results.
    arrays : iterable of array
    inexact : bool, optional
        Whether inputs count as rounded too: what one op does in several steps, such as a variance,
        is as good as exact at inputs moved by their last digit.
    """

    def __init__(
        self, f: Callable[..., Any], arrays: Iterable[Any], *, inexact: bool = False
    ) -> None:
        tracked = [one_tracked(array) for array in arrays]
        with keeping(sites=False):
            results = f(*tracked)
        self._results = [r if isinstance(r, Tensor) else Tensor(r) for r in results]
        self._leaves = {t._node: np.abs(t._value) for t in tracked} if inexact else {}

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of the results."""
        return [result.shape for result in self._results]

    @property
    def is_seen(self) -> bool:
        """Whether it is known what any of the results was computed from."""
        return any(_has_graph(result) for result in self._results)

    def moved(self, cotangents: Iterable[Any]) -> float:
        """Return how far rounding can move <cotangents, results>."""
        return self._moved(zip(self._results, cotangents, strict=True))

    def _moved(self, pairs: Iterable[tuple[Tensor, Any]]) -> float:
        seeds = [(r._node, np.asarray(c, r.dtype)) for r, c in pairs if _has_graph(r) and r.size]
        if not seeds:
            return 0.0
        visits, reached = passed(seeds)
        total = total_moved(visits)
        for leaf, size in self._leaves.items():
            if reached.get(leaf) is not None:
                g = np.abs(np.asarray(reached[leaf]))
                total += float(np.sum(g * size, where=g > 0)) * EPS
        return total if np.isfinite(total) else 0.0

    def each(self, *, shared: bool = False) -> Vector:
        """Return how far rounding can move each entry of the results.

        Of very many entries, each may move as far as all do; or, if what they do together is
        `shared` among them, their sum is right: it is what counts where differences of all results
        are added up, and one of them moves.
        """
        found: list[float] = []
        for result in self._results:
            size = result.size
            if size > MOST:
                signs = np.random.default_rng(0).choice((-1.0, 1.0), result.shape)  # none cancel
                found += [self._moved([(result, signs)]) / (size if shared else 1)] * size
            else:
                rows = np.eye(size).reshape(size, *result.shape)
                found += [self._moved([(result, row)]) for row in rows]
        return np.array(found)


def _has_graph(result: Tensor) -> bool:
    return result._node is not None and result._node.plan is not None


def is_loud(problem: Problem) -> bool:
    """Return whether rounding moves any result by more than its last few digits: by one pass."""
    size = np.abs(problem.out)
    size = np.maximum(size, SMALL * size.max(initial=0.0))
    weights = generic(np.random.default_rng(0), size.size) / np.where(size, size, 1.0)
    return bool(total_noise(problem, weights) > LOUD * EPS * size.size)


def total_noise(problem: Problem, cotangent: Vector) -> float:
    """Return how far rounding can move <cotangent, results>."""
    cotangents = problem.outputs(cotangent)
    return max(_looks(problem, lambda call: call.moved(cotangents)), default=0.0)


def value_noise(problem: Problem) -> Vector:
    """Return how far rounding can move each result of a function: of very many, a share."""
    found = _looks(problem, lambda call: call.each(shared=True))
    largest: Vector = np.max([np.zeros(problem.out.size), *found], axis=0)
    return largest


def gradient_noise(problem: Problem, cotangent: Vector) -> Vector | None:
    """Return how far rounding in the rules can move each entry of a gradient; None if unseen."""
    count = len(problem.parts)
    return _noise_of_rules(
        lambda *arrays: problem.gradients(arrays[:count], list(arrays[count:])),
        [*problem.split(problem.x), *problem.outputs(cotangent)],
    )


def curvature_noise(problem: Problem, cotangent: Vector, v: Vector) -> Vector | None:
    """Return the same of the gradient of <v, gradient>."""
    cotangents = problem.outputs(cotangent)

    def curvature(*arrays: Any) -> tuple[Any, ...]:
        _, pull = vjp(lambda *xs: problem.gradients(xs, cotangents), *arrays)
        return pull(tuple(problem.split(v)))

    return _noise_of_rules(curvature, problem.split(problem.x))


def _noise_of_rules(f: Callable[..., Any], arrays: Iterable[Any]) -> Vector | None:
    try:
        call = Traced(f, arrays, inexact=True)
        return call.each() if call.is_seen else None
    except Exception:  # noqa: BLE001 - a rule may refuse Tensors in any way, or have no derivative
        return None


def _looks(problem: Problem, bound: Callable[[Traced], Any]) -> Iterator[Any]:
    """Yield what bounds a call of a function as it is, and of an op what is inside, if possible."""
    ways: list[Callable[..., Any]] = [lambda *arrays: problem.call(arrays)]
    if isinstance(problem.f, Op):
        count = len(problem.out_shapes)
        ways.append(lambda *arrays: problem.inputs.call_inside(arrays)[:count])
    for way in ways:
        try:
            call = Traced(way, problem.split(problem.x), inexact=True)
            if call.shapes == problem.out_shapes:
                yield bound(call)
        except Exception:  # noqa: BLE001, S112 - a forward may refuse Tensors, a rule may fail
            continue
