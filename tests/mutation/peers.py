"""The same mutants and right ops before the checkers of other frameworks.

Each is given the op as it would be given any function of its own: a forward and a rule, which here
call our op on arrays, at first and at second order. They take inputs from their users: here generic
ones, a point for each of an op's first cases.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.mutation import truth
from tests.mutation.mutants import copied
from tests.mutation.running import CAUGHT, REFUSED, ask, search
from tinygrad_mnist import gradcheck, vjp
from tinygrad_mnist.tensor import raw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.mutation.mutants import Mutant
    from tinygrad_mnist.operation import Op

    Arrays = list[np.ndarray[Any, Any]]

OURS = "gradcheck"
MOST = 2  # points for an op, one for each of its first cases
POINTS = 24  # of each case, to choose from
LARGEST = 64  # entries of an input; their checkers look at each, at both orders


@dataclass
class Call:
    """An op at a point as three functions of arrays: its value, and two pulls."""

    op: Op
    point: truth.Point

    def results(self, *xs: Any) -> list[Any]:
        """Return the results of the op."""
        return truth._results(self.op, self.point, xs)

    def value(self, *xs: Any) -> np.ndarray[Any, Any]:
        """Return all results as one vector."""
        return _joined(self.results(*map(np.asarray, xs)))

    def pull(self, g: Any, *xs: Any) -> tuple[Any, ...]:
        """Return the gradient of <g, value> by each input."""
        _, back = vjp(self.results, *xs)
        shapes = [np.shape(r) for r in self.results(*[raw(x) for x in xs])]
        sizes = np.cumsum([int(np.prod(s)) for s in shapes])[:-1]
        parts = np.split(g, sizes) if len(shapes) > 1 else [g]
        return back([np.reshape(p, s) for p, s in zip(parts, shapes, strict=True)])

    def pull_back(self, vs: Any, g: Any, *xs: Any) -> tuple[Any, ...]:
        """Return the gradient of <vs, pull> by the cotangent and by each input."""
        _, back = vjp(self.pull, *map(np.asarray, (g, *xs)))
        return back(tuple(np.asarray(v) for v in vs))


def _joined(results: list[Any]) -> np.ndarray[Any, Any]:
    return np.concatenate([np.ravel(raw(r)) for r in results])


# Their checkers: each raises where it finds a derivative wrong ---------------------------------


def by_torch(call: Call, arrays: Arrays) -> None:
    """Ask `torch.autograd.gradcheck` and `gradgradcheck`."""
    import torch

    class Pull(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Any) -> Any:
            ctx.save_for_backward(*tensors)
            return tuple(map(_to_torch, call.pull(*[t.detach().numpy() for t in tensors])))

        @staticmethod
        def backward(ctx: Any, *vs: Any) -> Any:
            given = [t.detach().numpy() for t in ctx.saved_tensors]
            found = call.pull_back([v.detach().numpy() for v in vs], *given)
            return tuple(map(_to_torch, found))

    class Value(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Any) -> Any:
            ctx.save_for_backward(*tensors)
            return _to_torch(call.value(*[t.detach().numpy() for t in tensors]))

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return Pull.apply(g, *ctx.saved_tensors)

    tensors = tuple(torch.tensor(a, requires_grad=True) for a in arrays)
    torch.manual_seed(0)
    torch.autograd.gradcheck(Value.apply, tensors)
    torch.autograd.gradgradcheck(Value.apply, tensors)


def _to_torch(array: Any) -> Any:
    import torch

    return torch.tensor(np.asarray(raw(array)))


def by_jax(call: Call, arrays: Arrays) -> None:
    """Ask `jax.test_util.check_grads`, reverse mode, orders 1 and 2."""
    import jax
    from jax.test_util import check_grads

    jax.config.update("jax_enable_x64", True)

    def like(arrays: Any) -> Any:
        return tuple(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in arrays)

    def called(function: Any, shapes: Any, *given: Any) -> Any:
        def run(*xs: Any) -> Any:
            found = function(*map(np.asarray, xs))
            each = found if isinstance(found, tuple) else (found,)
            return tuple(np.asarray(raw(f), s.dtype) for f, s in zip(each, shapes, strict=True))

        return jax.pure_callback(run, shapes, *given)

    out = like([np.asarray(call.value(*arrays), arrays[0].dtype)])

    @jax.custom_vjp
    def pull(g: Any, *xs: Any) -> Any:
        return called(call.pull, like(xs), g, *xs)

    def pull_backward(given: Any, vs: Any) -> Any:
        n = len(vs)
        return called(lambda *a: tuple(call.pull_back(a[:n], *a[n:])), like(given), *vs, *given)

    pull.defvjp(lambda *given: (pull(*given), given), pull_backward)

    @jax.custom_vjp
    def value(*xs: Any) -> Any:
        return called(call.value, out, *xs)[0]

    value.defvjp(lambda *xs: (value(*xs), xs), lambda xs, g: pull(g, *xs))
    check_grads(value, tuple(map(jax.numpy.asarray, arrays)), order=2, modes=["rev"])


def by_autograd(call: Call, arrays: Arrays) -> None:
    """Ask `autograd.test_util.check_grads`, reverse mode, orders 1 and 2."""
    from autograd.extend import defvjp, primitive
    from autograd.test_util import check_grads

    pull_one = [
        primitive(lambda g, *xs, k=k: np.asarray(raw(call.pull(g, *xs)[k])))
        for k in range(len(arrays))
    ]
    second = primitive(
        lambda n, j, v, g, *xs: np.asarray(
            raw(
                call.pull_back(
                    [v if k == j else np.zeros_like(x) for k, x in enumerate(xs)], g, *xs
                )[n]
            )
        )
    )
    for j, one in enumerate(pull_one):
        rules = [
            lambda ans, g, *xs, n=n, j=j: lambda v: second(n, j, v, g, *xs)
            for n in range(len(arrays) + 1)
        ]
        defvjp(one, *rules)
    value = primitive(call.value)
    defvjp(
        value, *[lambda ans, *xs, k=k: lambda g: pull_one[k](g, *xs) for k in range(len(arrays))]
    )
    np.random.seed(0)  # noqa: NPY002 - where autograd draws its directions
    check_grads(value, tuple(range(len(arrays))), modes=["rev"], order=2)(*arrays)


def by_complex_step(call: Call, arrays: Arrays) -> None:
    """Compare with a complex step, as MyGrad's own tests do: first order, and their tolerance."""
    g = np.random.default_rng(0).uniform(0.5, 1.5, call.value(*arrays).shape)
    claimed = call.pull(g, *arrays)
    for k, array in enumerate(arrays):
        measured = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            given = [a.astype(complex) for a in arrays]
            given[k][index] += 1e-20j
            measured[index] = np.sum(call.value(*given).imag / 1e-20 * g)
        np.testing.assert_allclose(raw(claimed[k]), measured, rtol=1e-8, atol=1e-8)


PEERS: dict[str, Callable[[Call, Arrays], None]] = {
    "torch.autograd.gradcheck": by_torch,
    "jax.test_util.check_grads": by_jax,
    "autograd.test_util.check_grads": by_autograd,
    "MyGrad's complex step": by_complex_step,
}


# Asking them -----------------------------------------------------------------------------------


def fails(peer: Callable[[Call, Arrays], None], call: Call, arrays: Arrays) -> bool:
    """Return whether a peer finds anything wrong."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            peer(call, arrays)
    except Exception:  # noqa: BLE001 - each has errors of its own
        return True
    return False


def is_small(point: truth.Point) -> bool:
    """Return whether a point is one that all of them take: not empty, and soon looked at."""
    return all(a.size for a in point.arrays) and sum(a.size for a in point.arrays) <= LARGEST


def generic_points(op: Op) -> list[truth.Point]:
    """Return a point of generic arrays for each of an op's first cases, the largest that are small.

    At larger ones more mutants show.
    """
    found = truth.points(op, 1, generic=POINTS * len(op.cases), special=0)
    by_case: dict[int, truth.Point] = {}
    for point in sorted(found, key=lambda p: sum(a.size for a in p.arrays)):
        if point.mode == "normal" and is_small(point):
            by_case[point.case] = point
    return [by_case[case] for case in sorted(by_case)][:MOST]


@dataclass
class Record:
    """How one checker fared.

    Attributes
    ----------
    asked, caught, unusable : int
        Wrong mutants that it was asked about, those that it found wrong, and those of ops whose
        right rules it finds wrong as well, at all points.
    right : dict
        For each group of right checks how many there were, and how many it accused.
    """

    asked: int = 0
    caught: int = 0
    unusable: int = 0
    right: dict[str, tuple[int, int]] = field(default_factory=dict)


def compare(mutants: list[Mutant], seed: int = 1) -> Iterator[dict[str, Record]]:
    """Yield how every checker has fared, after each op that there are wrong mutants of.

    Ours searches for itself where a mutant is; at right ops it gets the same inputs as the others.
    """
    records = {name: Record() for name in (OURS, *PEERS)}
    for op in dict.fromkeys(mutant.op for mutant in mutants):
        here = generic_points(op)
        right = copied(op, {})
        for name, peer in PEERS.items():
            usable = [p for p in here if not fails(peer, Call(right, p), p.arrays)]
            for mutant in (m for m in mutants if m.op is op):
                wrong = mutant.build()
                records[name].asked += 1
                records[name].unusable += not usable
                records[name].caught += any(fails(peer, Call(wrong, p), p.arrays) for p in usable)
        for mutant in (m for m in mutants if m.op is op):
            records[OURS].asked += 1
            verdict, _ = ask(lambda m=mutant: search(m.build()))
            records[OURS].caught += verdict in {CAUGHT, REFUSED}
        for group, points, dtype in _right_points(op, seed):
            for name, checker in {OURS: by_us, **PEERS}.items():
                told = [
                    fails(checker, Call(right, p), [a.astype(dtype) for a in p.arrays])
                    for p in points
                ]
                before = records[name].right.get(group, (0, 0))
                records[name].right[group] = (before[0] + len(told), before[1] + sum(told))
        yield records


def _right_points(op: Op, seed: int) -> Iterator[tuple[str, list[truth.Point], Any]]:
    """Yield groups of points at which right rules are checked, and the dtype of each."""
    found = [p for p in truth.points(op, seed, 6, 6) if is_small(p)]
    generic = [p for p in found if not p.special][:2]
    yield "float64", generic, np.float64
    yield "kinks, ties, zeros", [p for p in found if p.special][:2], np.float64
    yield "float32", generic, np.float32


def by_us(call: Call, arrays: Arrays) -> None:
    """Ask our own `gradcheck`, at these inputs."""
    gradcheck(call.results, *arrays)
