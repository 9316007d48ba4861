"""What rules promise beside right numbers: shapes, dtypes, nothing changed, linear in g."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.autograd import jvp
from tinygrad_mnist.checking.floors import gradient_noise
from tinygrad_mnist.checking.inputs import joined
from tinygrad_mnist.checking.report import GradientError
from tinygrad_mnist.engine import leading, propagate
from tinygrad_mnist.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_mnist.checking.inputs import Vector
    from tinygrad_mnist.checking.measuring import First
    from tinygrad_mnist.checking.problem import Problem

LARGE = -1024.0  # a power of two: what is linear in g rounds alike
LINEAR = 1e-9  # how well


def check_promises(problem: Problem, first: First) -> None:
    """Raise unless gradients are of their inputs' shape and dtype, and nothing was written to.

    Raises
    ------
    GradientError
    """
    gradients, untouched = problem.pull_as_given(first.cotangent)
    for part, array, g in zip(problem.parts, problem.given, gradients, strict=True):
        if g.shape != array.shape or g.dtype != array.dtype:
            raise GradientError(
                f"the gradient of {problem.name} with respect to {part.name} has shape {g.shape} "
                f"and dtype {g.dtype}, but the input has {array.shape} and {array.dtype}"
            )
    if not untouched:
        raise GradientError(f"a rule of {problem.name} changes the cotangent g: write to a copy")
    for part, array in zip(problem.parts, problem.given, strict=True):
        if not np.array_equal(problem.x[part.start : part.stop], np.ravel(array)):
            raise GradientError(
                f"{problem.name} or a rule of it changes its input {part.name}: write to a copy"
            )
    _check_aliases(problem, first)
    if all(array.dtype == np.float64 for array in problem.given):
        first.as_given = joined(gradients)


def _check_aliases(problem: Problem, first: First) -> None:
    """Raise if a gradient that `backward` leaves is an array that someone else holds too."""
    leaves = [Tensor(array.copy(), requires_grad=True) for array in problem.given]
    results = problem.call(leaves)
    if len(results) != 1 or not isinstance(results[0], Tensor) or not results[0].requires_grad:
        return
    cotangent = problem.outputs(first.cotangent)[0].astype(results[0].dtype)
    found = _gradients(results[0], cotangent, [leaf._node for leaf in leaves])
    held = [("the cotangent", cotangent), ("the result", results[0].data)]
    held += [(part.name, leaf.data) for part, leaf in zip(problem.parts, leaves, strict=True)]
    for part, leaf in zip(problem.parts, leaves, strict=True):
        gradient = found[leaf._node]
        if gradient is None or getattr(gradient, "base", None) is not None:
            continue  # `backward` copies views
        for name, other in held:
            if gradient is other and name.startswith("the gradient"):
                continue  # and what two leaves got
            if np.may_share_memory(gradient, other) and np.shares_memory(gradient, other):
                raise GradientError(
                    f"the gradient of {problem.name} with respect to {part.name} shares its memory "
                    f"with {name}: whoever writes to one changes the other; return a copy"
                )
        held.append((f"the gradient of {part.name}", gradient))


def _gradients(result: Tensor, cotangent: Any, leaves: list[Any]) -> dict[Any, Any]:
    """Return what `backward` finds for leaves, without leaving it: other leaves are someone's."""
    leads, _ = leading([result._node], leaves, 0)
    return propagate([(result._node, cotangent.copy())], leaves, leads)


def check_linear(problem: Problem, first: First) -> None:
    """Raise unless rules are linear in the cotangent: at none, and at a large one of other sign.

    Raises
    ------
    GradientError
    """
    once = first.claim(problem.x)
    nothing = problem.pull(problem.x, np.zeros_like(first.cotangent))
    if np.isfinite(once).all() and not np.isfinite(nothing).all():
        part = problem.part_of(int(np.argmin(np.isfinite(nothing))))
        raise GradientError(
            f"a rule of {problem.name} makes NaN of a cotangent of zeros, for {part.name}: where g "
            "is 0 the gradient is 0, also where 0 would be multiplied with infinity"
        )
    large = problem.pull(problem.x, LARGE * first.cotangent) / LARGE
    allowed = LINEAR + 100 * problem.coarse
    size = allowed * (np.abs(once) + np.abs(once).max(initial=0.0)) + allowed * first.scale
    off = np.isfinite(once) & ~(np.abs(large - once) <= size)
    if off.any():
        row = int(np.argmax(off))
        part = problem.part_of(row)
        raise GradientError(
            f"a rule of {problem.name} is not linear in g: for {part.name}, a cotangent that is "
            f"{LARGE:g} times as large gives {large[row] * LARGE:.9g}, not {LARGE:g} times "
            f"{once[row]:.9g}"
        )


def check_modes(problem: Problem, first: First, v: Vector) -> None:
    """Raise unless <u, J v> of forward mode is <Jᵀ u, v> of reverse mode.

    Raises
    ------
    GradientError
    """
    _, pushed = jvp(
        lambda *inputs: problem.call(inputs), problem.split(problem.x), problem.split(v)
    )
    forward = first.cotangent * joined(pushed)
    reverse = problem.pull(problem.x, first.cotangent) * v
    if not np.isfinite(reverse).all():  # at a pole
        return
    allowed = first.relative * (np.abs(forward).sum() + np.abs(reverse).sum())
    cancelling = first.weights @ np.abs(problem.out) * np.abs(v).max(initial=1.0)  # in a rule
    allowed += 100 * problem.coarse * cancelling
    dtype = np.float32 if problem.coarse > np.finfo(float).eps else np.float64
    allowed += (forward.size + reverse.size) * np.finfo(dtype).tiny  # below which digits are lost
    apart = abs(forward.sum() - reverse.sum())
    if not apart <= allowed:
        seen = gradient_noise(problem, first.cotangent)
        if seen is not None:
            allowed += 16 * float(seen @ np.abs(v))
    if not apart <= allowed:
        raise GradientError(
            f"forward mode of {problem.name} disagrees with reverse mode: <u, J v> is "
            f"{forward.sum():.9g}, <Jᵀ u, v> is {reverse.sum():.9g}: a rule is not linear in g"
        )
