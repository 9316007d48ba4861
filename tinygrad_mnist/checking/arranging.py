"""Patterns of right numbers in wrong places: axes in another order, copies left out, a diagonal."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.checking.sample import NOISE, Diagnosis, Sample, fits, same

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Array = np.ndarray[Any, Any]

    Change = Callable[[Array, Sample], Array | None]  # of a Jacobian; None if it can't be done


def rearranged(samples: Sequence[Sample]) -> Diagnosis | None:
    """Look for axes in another order: transposed, the wrong axis, a flip forgotten."""
    groups: dict[tuple[int, int], list[Sample]] = {}
    for s in samples:
        groups.setdefault((len(s.out_shape), len(s.shape)), []).append(s)
    found = None
    for group in groups.values():
        if not any(s.wrong.any() for s in group):
            continue
        here = _one_rearranged(group)
        if here is None or (found is not None and here.pattern != found.pattern):
            return None
        found = found or here
    return found


def _one_rearranged(samples: Sequence[Sample]) -> Diagnosis | None:
    for name, sentence, change in _changes(samples):
        able = [s for s in samples if change(s.measured, s) is not None]
        told = [s for s in able if s.wrong.any()]
        if told and same(able, change):  # type: ignore[arg-type]
            return Diagnosis(name, sentence)
    return None


def _changes(samples: Sequence[Sample]) -> Iterator[tuple[str, str, Change]]:
    """Yield what may be done to the axes of all Jacobians."""
    if all(s.measured.shape[0] == s.measured.shape[1] for s in samples):
        yield "transposed", "it is transposed", lambda j, _: j.T
    out, into = len(samples[0].out_shape), len(samples[0].shape)
    for order in permutations(range(into)):
        if order != tuple(range(into)):
            what = "it is transposed" if into == 2 else f"the input's axes are in order {order}"
            yield "transposed", what, _axes_changed((*range(out), *(out + k for k in order)))
    for k in range(into):
        where = "" if into == 1 else f" along axis {k}"
        yield "reversed", f"its entries are reversed{where}", _axes_changed(flip=out + k)
    for k in range(out):
        for n in range(into):
            swapped = [*range(out + into)]
            swapped[k], swapped[out + n] = swapped[out + n], swapped[k]
            what = f"a factor is transposed: axis {k} of g and axis {n} of the input are swapped"
            yield "transposed", what, _axes_changed(tuple(swapped))
    if out == into:
        for order in permutations(range(out)):
            if order != tuple(range(out)):
                axes = (*order, *(out + k for k in order))
                yield "wrong axis", "it runs along the wrong axis", _axes_changed(axes)
    for order in permutations(range(out)):
        if order != tuple(range(out)):
            what = "the cotangent g is transposed, or summed along the wrong axis"
            yield "transposed", what, _axes_changed((*order, *range(out, out + into)))
    if any(n > 2 for s in samples for n in s.out_shape + s.shape):
        for k in range(out + into):
            what = f"along axis {k} of g" if k < out else f"along its axis {k - out}"
            for by in (1, -1):
                yield (
                    "shifted",
                    f"its entries are shifted by one, {what}",
                    _axes_changed(shift=(k, by)),
                )


def _axes_changed(
    order: tuple[int, ...] | None = None,
    flip: int | None = None,
    shift: tuple[int, int] | None = None,
) -> Change:
    """Return the function that reorders a Jacobian's axes, flips one, or shifts along one."""

    def change(jacobian: Array, s: Sample) -> Array | None:
        shape = s.out_shape + s.shape
        whole = jacobian.reshape(shape)
        if order is not None:
            if tuple(shape[k] for k in order) != shape:
                return None
            whole = whole.transpose(order)
        if flip is not None:
            whole = np.flip(whole, flip)
        if shift is not None:
            whole = np.roll(whole, shift[1], shift[0])
        return whole.reshape(jacobian.shape)

    return change


def along_another(samples: Sequence[Sample]) -> Diagnosis | None:
    """Look whether claims tie entries along one axis, and measured derivatives along another."""
    told = [s for s in samples if s.wrong.any()]
    if not told or any(s.shape != s.out_shape for s in told):
        return None
    claimed = [_tied_along(s.claimed, s) for s in told]
    measured = [_tied_along(s.measured, s) for s in told]
    if any(c & m for c, m in zip(claimed, measured, strict=True)):
        return None
    wrong, right = _one_axis(claimed, told), _one_axis(measured, told)
    if wrong is None or right is None:
        return None
    return Diagnosis(
        "wrong axis",
        f"it runs along the wrong axis: along axis {wrong}, and the function along axis {right}",
    )


def _tied_along(jacobian: Array, s: Sample) -> set[int]:
    """Return the axes along which some entry of the input moves another entry of the result."""
    moved = np.abs(jacobian) > s.tolerance + NOISE * np.abs(jacobian).max(initial=0.0)
    out, into = np.split(np.argwhere(moved.reshape(s.out_shape + s.shape)), 2, axis=1)
    return set(np.flatnonzero((out != into).any(axis=0)).tolist())


def _one_axis(tied: Sequence[set[int]], samples: Sequence[Sample]) -> int | None:
    """Return the axis, from the first or from the last, that is the same in all samples."""
    first = {k for axes in tied for k in axes}
    last = {k - len(s.shape) for axes, s in zip(tied, samples, strict=True) for k in axes}
    return next((found.pop() for found in (first, last) if len(found) == 1), None)


def one_copy(samples: Sequence[Sample]) -> Diagnosis | None:
    """Look at whether only one copy of what was broadcast counts."""
    copied = [s for s in samples if s.out is not None and s.out.size > s.claimed.shape[1]]
    for place, which in ((0, "first"), (-1, "last")):
        if copied and all(
            (allowed := _of_one_copy(s, place)) is not None
            and fits([(s.claimed, np.where(allowed, s.measured, 0), s.tolerance)])
            for s in copied
        ):
            return Diagnosis(
                "broadcast",
                f"only the {which} copy of the broadcast input counts: a sum over the broadcast "
                "axes is missing",
            )
    return None


def _of_one_copy(s: Sample, place: int) -> Array | None:
    """Return which entries of a Jacobian belong to one copy of a broadcast input."""
    spare = len(s.out_shape) - len(s.shape)
    if spare < 0:
        return None
    shape: tuple[int, ...] = (*(1,) * spare, *s.shape)
    if any(k not in {n, 1} for k, n in zip(shape, s.out_shape, strict=True)):
        return None
    kept = np.zeros(s.out_shape, bool)
    kept[
        tuple(slice(None) if k == n else place for k, n in zip(shape, s.out_shape, strict=True))
    ] = True
    return np.broadcast_to(kept.reshape(-1, 1), s.claimed.shape)


def diagonal(samples: Sequence[Sample]) -> Diagnosis | None:
    """Look whether each entry of the input is taken to move its own entry of the result alone."""
    if any(s.measured.shape[0] != s.measured.shape[1] for s in samples):
        return None
    if not same(samples, lambda j, _: np.diag(np.diag(j))):
        return None
    return Diagnosis(
        "diagonal",
        "only the diagonal of the Jacobian counts: what an entry of the input does to other "
        "entries of the result is left out",
    )
