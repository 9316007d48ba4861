"""What rules promise beside right numbers: shapes, dtypes, nothing changed, linear in g."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.autograd import jvp
from tinygrad_mnist.checking.floors import FAINT, gradient_noise
from tinygrad_mnist.checking.inputs import joined
from tinygrad_mnist.checking.outside import outside, overflows
from tinygrad_mnist.checking.problem import OtherShapes, RuleError
from tinygrad_mnist.checking.report import GradientError
from tinygrad_mnist.engine import leading, propagate
from tinygrad_mnist.switches import Switch
from tinygrad_mnist.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_mnist.checking.inputs import Vector
    from tinygrad_mnist.checking.measuring import First
    from tinygrad_mnist.checking.problem import Problem

    Array = np.ndarray[Any, Any]

LARGE = -1024.0  # a power of two: what is linear in g rounds alike
LINEAR = 1e-9  # how well
APART = 8  # results that are used one by one


def check_promises(problem: Problem, first: First) -> None:
    """Raise unless gradients are of their inputs' shape and dtype, and nothing was written to.

    Raises
    ------
    GradientError
    """
    try:
        gradients = _as_given(problem, first.cotangent)
    except OtherShapes:  # in less precision what counts as 0, say, is cut off
        return
    for part, array, g in zip(problem.parts, problem.given, gradients, strict=True):
        if g.shape != array.shape or g.dtype != array.dtype:
            raise GradientError(
                f"the gradient of {problem.name} with respect to {part.name} has shape {g.shape} "
                f"and dtype {g.dtype}, but the input has {array.shape} and {array.dtype}"
            )
    _Backward(problem, first.cotangent).check()
    if all(array.dtype == np.float64 for array in problem.given):
        first.as_given = joined(gradients)


def _as_given(problem: Problem, cotangent: Vector) -> list[Any]:
    """Return the gradients at the inputs as they came.

    Raises
    ------
    GradientError
        If a rule writes to `g` or an input, or returns less precise numbers than it was given.
    """
    changes_g = f"a rule of {problem.name} changes the cotangent g: write to a copy"
    coarse: list[str] = []
    try:
        with Switch(watch=partial(_look_for_coarse, coarse)):
            gradients, untouched = problem.pull_as_given(cotangent)
    except RuleError as error:
        if "read-only" not in str(error):
            raise
        problem.pull_as_given(cotangent, locked=False)  # raises if it writes to something else
        raise GradientError(changes_g) from error
    if not untouched:
        raise GradientError(changes_g)
    for part, array in zip(problem.parts, problem.given, strict=True):
        before = problem.x[part.start : part.stop].reshape(part.shape)
        if not np.array_equal(before, array):
            array[...] = before
            raise GradientError(
                f"{problem.name} or a rule of it changes its input {part.name}: write to a copy"
            )
    if coarse:
        raise GradientError(coarse[0])
    return gradients


def _look_for_coarse(found: list[str], node: Any, g: Any, gradient: Any) -> None:
    """Note a rule that has lost digits, though the engine casts what it returns."""
    given = [c.dtype for c in (g if isinstance(g, tuple) else (g,)) if c is not None]
    dtype = getattr(gradient, "dtype", None)
    if dtype is None or not given or any(kind.kind != "f" for kind in given):
        return
    own = min(given, key=_digits)
    wanted = min((own, *(parent.dtype for parent in node.parents)), key=_digits)
    if _digits(dtype) < _digits(wanted) and np.any(gradient):
        found.append(
            f"a rule of {node.plan.op.name} returns a gradient of dtype {dtype} for a cotangent "
            f"of {own}: digits are lost"
        )


class _Backward:
    """One recorded call, and the arrays that rules hand to the engine for it."""

    def __init__(self, problem: Problem, cotangent: Vector) -> None:
        self.problem = problem
        arrays = problem.split(problem.x)
        self.leaves = [Tensor(array.copy(), requires_grad=True) for array in arrays]
        pairs = zip(problem.call(self.leaves), problem.outputs(cotangent), strict=True)
        self.results = [
            (result, g.astype(result.dtype))
            for result, g in pairs
            if isinstance(result, Tensor) and result.requires_grad
        ]
        self.returned = [result.data.copy() for result, _ in self.results]

    def check(self) -> None:
        """Raise if rules write to what they are given, or return what others hold."""
        name, parts = self.problem.name, self.problem.parts
        own = [g for _, g in self.results]
        once = self._gradients(own)
        copies: list[Any] = [None if g is None else g.copy() for g in once]
        for (result, _), returned in zip(self.results, self.returned, strict=True):
            if not np.array_equal(result.data, returned):
                raise GradientError(f"a rule of {name} changes the result, out: write to a copy")
        self._check_shared(once)
        for part, g, before in zip(parts, self._gradients(own), copies, strict=True):
            if g is not None and not _alike(g, before):
                raise GradientError(
                    f"a second backward through {name} gives another gradient with respect to "
                    f"{part.name}: a rule changes an array that was kept for it, a result or an "
                    "input; write to a copy"
                )
        self._check_shared(self._gradients([np.ones_like(g) for g in own]))
        for part, g, before in zip(parts, once, copies, strict=True):
            if g is not None and not np.array_equal(g, before, equal_nan=True):
                raise GradientError(
                    f"the gradient of {name} with respect to {part.name} is an array that a rule "
                    "keeps and writes to in the next call: return a new one"
                )

    def _gradients(self, cotangents: list[Array]) -> list[Any]:
        """Return what `backward` finds for leaves, without leaving it: other leaves are someone's.

        Raises
        ------
        RuleError
        """
        nodes = [leaf._node for leaf in self.leaves]
        leads, _ = leading([result._node for result, _ in self.results], nodes, 0)
        seeds = [
            (result._node, g.copy())
            for (result, _), g in zip(self.results, cotangents, strict=True)
            if result._node in leads
        ]
        try:
            found = propagate(seeds, nodes, leads)
        except Exception as error:
            raise RuleError(f"{type(error).__name__}: {error}") from error
        return [found[node] for node in nodes]

    def _check_shared(self, gradients: list[Any]) -> None:
        """Raise if a gradient that `backward` leaves is an array that someone else holds too."""
        problem = self.problem
        held = [("the result", result.data) for result, _ in self.results]
        held += [
            (part.name, leaf.data) for part, leaf in zip(problem.parts, self.leaves, strict=True)
        ]
        for part, gradient in zip(problem.parts, gradients, strict=True):
            if gradient is None or getattr(gradient, "base", None) is not None:
                continue  # `backward` copies views
            for name, other in held:
                if gradient is other and name.startswith("the gradient"):
                    continue  # and what two leaves got
                if np.may_share_memory(gradient, other) and np.shares_memory(gradient, other):
                    raise GradientError(
                        f"the gradient of {problem.name} with respect to {part.name} shares its "
                        f"memory with {name}: whoever writes to one changes the other; return a "
                        "copy"
                    )
            held.append((f"the gradient of {part.name}", gradient))


def _digits(dtype: Any) -> int:
    """Return how many bits of a number a dtype keeps: none of its fraction, of integers."""
    return np.finfo(dtype).nmant if dtype.kind in "fc" else 0


def _alike(one: Any, other: Any) -> bool:
    """Return whether two gradients are the same, but for threads that add in another order."""
    relative = max(LINEAR, 100 * float(np.finfo(other.dtype).eps))
    size = np.abs(other).max(initial=0.0, where=np.isfinite(other))
    return bool(np.allclose(one, other, rtol=relative, atol=relative * size, equal_nan=True))


def check_linear(problem: Problem, first: First) -> None:
    """Raise unless rules are linear in the cotangent: at none, and at a large one of other sign.

    Raises
    ------
    GradientError
    """
    once = first.claim(problem.x)
    cotangents = np.zeros_like(first.cotangent), LARGE * first.cotangent
    nothing, large = problem.pulls(problem.x, cotangents)
    if np.isfinite(once).all() and not np.isfinite(nothing).all():
        part = problem.part_of(int(np.argmin(np.isfinite(nothing))))
        raise GradientError(
            f"a rule of {problem.name} makes NaN of a cotangent of zeros, for {part.name}: where g "
            "is 0 the gradient is 0, also where 0 would be multiplied with infinity"
        )
    large /= LARGE
    some = np.isfinite(once) & ~(np.abs(nothing) <= _allowed(first, once))
    if some.any():
        row = int(np.argmax(some))
        raise GradientError(
            f"a rule of {problem.name} is not linear in g: for {problem.part_of(row).name}, a "
            f"cotangent of zeros gives {nothing[row]:.9g}, not 0"
        )
    off = _differ(first, once, large)
    if off.any():
        row = int(np.argmax(off))
        part = problem.part_of(row)
        raise GradientError(
            f"a rule of {problem.name} is not linear in g: for {part.name}, a cotangent that is "
            f"{LARGE:g} times as large gives {large[row] * LARGE:.9g}, not {LARGE:g} times "
            f"{once[row]:.9g}"
        )


def check_each_result(problem: Problem, first: First) -> None:
    """Raise unless rules make of all cotangents the sum of what they make of each result's alone.

    Of very many results, some are used together.

    Raises
    ------
    GradientError
    RuleError
        Where a rule fails if no cotangent came for some results.
    """
    count = len(problem.out_shapes)
    if count == 1:
        return
    together = first.claim(problem.x)
    groups = np.array_split(np.arange(count), min(count, APART))
    pulled = [problem.pull_some(problem.x, first.cotangent, some.tolist()) for some in groups]
    added = np.sum(pulled, axis=0)
    off = _differ(first, together, added)
    if off.any() and outside(problem) is None:
        row = int(np.argmax(off))
        raise GradientError(
            f"a rule of {problem.name} is right only where all results are used: for "
            f"{problem.part_of(row).name}, what it makes of the cotangent of each result alone "
            f"adds up to {added[row]:.9g}, not {together[row]:.9g}; g is None where no cotangent "
            "came"
        )


def _differ(first: First, one: Vector, other: Vector) -> Vector:
    """Return where a gradient is another one by more than rounding."""
    off: Vector = np.isfinite(one) & ~(np.abs(other - one) <= _allowed(first, one))
    seen = gradient_noise(first.problem, first.cotangent) if off.any() else None
    if seen is not None:  # all of it may be rounding
        off &= ~(np.abs(other - one) <= 16 * seen)
    return off


def _allowed(first: First, one: Vector) -> Vector:
    """Return how far rounding takes each entry of a gradient, as a rule."""
    allowed = LINEAR + 100 * first.problem.coarse
    size: Vector = allowed * (np.abs(one) + np.abs(one).max(initial=0.0) + first.scale)
    return size


def check_modes(problem: Problem, first: First, v: Vector) -> None:
    """Raise unless <u, J v> of forward mode is <Jᵀ u, v> of reverse mode.

    Raises
    ------
    GradientError
    """
    forward = first.cotangent * _pushed(problem, problem.x, v)
    reverse = first.claim(problem.x) * v
    if not np.isfinite(reverse).all():  # at a pole
        return
    if not np.isfinite(forward).all() and overflows(problem, lambda x: _pushed(problem, x, v)):
        return
    allowed = first.relative * (np.abs(forward).sum() + np.abs(reverse).sum())
    cancelling = first.weights @ np.abs(problem.out) * np.abs(v).max(initial=1.0)  # in a rule
    allowed += 100 * problem.coarse * cancelling
    dtype = np.float32 if problem.coarse > np.finfo(float).eps else np.float64
    least = max(FAINT, float(np.finfo(dtype).tiny))  # below which digits are lost
    allowed += (forward.size + reverse.size) * least
    apart = abs(forward.sum() - reverse.sum())
    if not apart <= allowed:
        seen = gradient_noise(problem, first.cotangent)
        if seen is not None:
            allowed += 16 * float(seen @ np.abs(v))
    if not apart <= allowed:
        raise GradientError(
            f"forward mode of {problem.name} disagrees with reverse mode: <u, J v> is "
            f"{forward.sum():.9g}, <Jᵀ u, v> is {reverse.sum():.9g}: what a rule makes of g is "
            "hidden from the graph, by .data or a loop over numbers, or it is not linear in g"
        )


def _pushed(problem: Problem, x: Vector, v: Vector) -> Vector:
    """Return J v by forward mode.

    Raises
    ------
    RuleError
    """
    try:
        _, pushed = jvp(lambda *inputs: problem.call(inputs), problem.split(x), problem.split(v))
    except Exception as error:
        raise RuleError(f"{type(error).__name__}: {error}") from error
    return joined(pushed)
