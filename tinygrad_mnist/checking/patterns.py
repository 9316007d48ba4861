"""Patterns of a derivative that is wrong in all its entries alike."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.checking.sample import NOISE, Diagnosis, Entries, Sample, fits, same, telling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Array = np.ndarray[Any, Any]

SATURATED = 1e-14  # what rounding may leave of 1 - 1


def not_finite(samples: Sequence[Sample]) -> Diagnosis | None:
    """Look for NaN and infinities, where measured numbers are finite."""
    bad = [s for s in samples if not np.isfinite(s.claimed).all()]
    if not bad:
        return None
    what = "NaN" if any(np.isnan(s.claimed).any() for s in bad) else "infinity"
    return Diagnosis("not finite", f"the rule gives {what}, where the derivative is finite")


def zero(samples: Sequence[Sample]) -> Diagnosis | None:
    """Look whether nothing at all is claimed."""
    pulls = [s.pulled for s in samples if s.pulled is not None]
    if any(s.claimed.any() for s in samples) or any(p.any() for p in pulls):
        return None
    return Diagnosis("zero", "zero is returned")


def _cotangent(samples: Sequence[Sample]) -> Diagnosis | None:
    """Look at how the claim depends on the cotangent, where it should be linear."""
    pairs = [
        (s, s.cotangent, s.pulled)
        for s in samples
        if s.pulled is not None and s.cotangent is not None
    ]
    if not pairs:
        return None
    uses: tuple[tuple[str, str, Callable[[Array], Array]], ...] = (
        ("cotangent forgotten", "the cotangent g is forgotten", np.ones_like),
        ("cotangent's sign", "only the sign of the cotangent g is used", np.sign),
        ("cotangent's size", "the sign of the cotangent g is lost", np.abs),
        ("cotangent squared", "the cotangent g is squared: a rule is linear in g", np.square),
        (
            "cotangent mixed",
            "all entries get the mean of the cotangent g, not each its own",
            lambda g: np.full_like(g, g.mean()),
        ),
        (
            "cotangent mixed",
            "all entries get the sum of the cotangent g, not each its own",
            lambda g: np.full_like(g, g.sum()),
        ),
    )
    for name, sentence, use in uses:
        told = [(s, g, p) for s, g, p in pairs if not np.allclose(use(g), g)]
        if told and fits(
            (p, use(g) @ s.measured, np.abs(use(g)) @ s.tolerance) for s, g, p in pairs
        ):
            return Diagnosis(name, sentence)
    return None


def sign(samples: Sequence[Sample]) -> Diagnosis | None:
    """Look whether claims have the opposite sign."""
    if fits((s.claimed, -s.measured, s.tolerance) for s in samples):
        return Diagnosis("sign", "the sign is flipped", -1.0)
    return None


def _result_for_input(samples: Sequence[Sample]) -> Diagnosis | None:
    known = [s for s in samples if s.at_result is not None]
    if any(s.at_result is None and s.wrong.any() for s in samples):
        return None  # what can't be looked at there is to be explained too
    if known and fits((s.claimed, np.asarray(s.at_result), s.tolerance) for s in known):
        return Diagnosis("result for input", "the result is used where the input belongs")
    known = [s for s in samples if s.claimed_at_result is not None]
    if known and fits(
        (np.asarray(s.claimed_at_result), s.measured, s.tolerance + SATURATED) for s in known
    ):
        return Diagnosis("input for result", "the input is used where the result belongs")
    return None


def _inverse(samples: Sequence[Sample]) -> Diagnosis | None:
    if not all(s.entries.pointwise for s in samples):
        return None
    here = Entries.joined(samples)
    allowed = here.tolerance * np.abs(here.claimed) + NOISE
    found = bool((np.abs(here.claimed * here.measured - 1) <= allowed).all())
    there = [s for s in samples if s.claimed_at_result is not None]
    if there and not found:
        claimed = np.concatenate([np.diag(np.asarray(s.claimed_at_result)) for s in there])
        here = Entries.joined(there)
        allowed = here.tolerance * np.abs(claimed) + NOISE
        found = bool((np.abs(claimed * here.measured - 1) <= allowed).all())
    return Diagnosis("inverse", "it is the derivative of the inverse function") if found else None


def _rearranged(samples: Sequence[Sample]) -> Diagnosis | None:
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
        found = here
    return found


def _one_rearranged(samples: Sequence[Sample]) -> Diagnosis | None:
    for name, sentence, change in _changes(samples):
        if all(change(s.measured, s) is not None for s in samples) and same(samples, change):
            return Diagnosis(name, sentence)
    return None


def _changes(samples: Sequence[Sample]) -> Iterator[tuple[str, str, Callable[..., Any]]]:
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
        yield "reversed", f"its entries are reversed{where}", _axes_changed(None, flip=out + k)
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


def _axes_changed(order: tuple[int, ...] | None, flip: int | None = None) -> Callable[..., Any]:
    """Return the function that reorders a Jacobian's axes, or flips one; None if it can't."""

    def change(jacobian: Array, s: Sample) -> Array | None:
        shape = s.out_shape + s.shape
        whole = jacobian.reshape(shape)
        if order is not None:
            if tuple(shape[k] for k in order) != shape:
                return None
            whole = whole.transpose(order)
        if flip is not None:
            whole = np.flip(whole, flip)
        return whole.reshape(jacobian.shape)

    return change


def _swapped(samples: Sequence[Sample]) -> Diagnosis | None:
    for name in samples[0].others:
        if all(name in s.others and _is_swapped(s, name) for s in samples):
            return Diagnosis("swapped", f"it is the derivative by {name}: operands are swapped")
    return None


def _is_swapped(s: Sample, name: str) -> bool:
    """Return whether the claim is the measured derivative by another input."""
    other = s.others[name][1]
    if other.shape == s.claimed.shape:
        return fits([(s.claimed, other, s.tolerance)])
    entries, key = s.entries, f"derivative by {name}"
    if not entries.pointwise or key not in entries.values:
        return False
    return fits([(entries.claimed, entries.values[key], entries.tolerance)])


def _broadcast(samples: Sequence[Sample]) -> Diagnosis | None:
    """Look at whether only one copy of what was broadcast counts."""
    copied = [s for s in samples if s.out is not None and s.out.size > s.claimed.shape[1]]
    for place, which in ((0, "first"), (-1, "last")):
        if copied and all(
            (allowed := _one_copy(s, place)) is not None
            and fits([(s.claimed, np.where(allowed, s.measured, 0), s.tolerance)])
            for s in copied
        ):
            return Diagnosis(
                "broadcast",
                f"only the {which} copy of the broadcast input counts: a sum over the broadcast "
                "axes is missing",
            )
    return None


def _one_copy(s: Sample, place: int) -> Array | None:
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


def factor(samples: Sequence[Sample]) -> Diagnosis | None:
    """Look whether claims are too large by one number, or by one size at each sample."""
    found = [_one_factor(s) for s in telling(samples)]
    if not found or any(f is None for f in found):
        return None
    factors = [f for f in found if f is not None]
    sized = _size_of(telling(samples), factors)
    if sized:
        return sized
    uncertain = max(1e-5, *(_uncertainty(s) for s in telling(samples)))
    if np.ptp(factors) <= uncertain * abs(factors[0]):
        whole = float(np.round(factors[0], 2))
        near = whole and abs(whole - factors[0]) <= uncertain * abs(whole)
        number = whole if near else factors[0]
        return Diagnosis("factor", _in_words(number), number)
    return None


def _uncertainty(s: Sample) -> float:
    """Return how well the largest number of a sample is known, relative to it, up to 1 %."""
    largest = np.argmax(np.abs(s.measured))
    size = np.abs(s.measured.flat[largest])
    return min(1e-2, float(s.tolerance.flat[largest] / size)) if size else 0.0


def _one_factor(s: Sample) -> float | None:
    """Return the number that measured derivatives were multiplied with, if there is one."""
    if not np.isfinite(s.claimed).all():
        return None
    weight = 1 / (s.tolerance + 1e-300)
    square = np.sum((weight * s.measured) ** 2)
    factor = float(np.sum(weight * s.measured * (weight * s.claimed)) / square) if square else 0.0
    if not factor:
        return None
    allowed = s.tolerance * max(1.0, abs(factor))
    return factor if fits([(s.claimed, factor * s.measured, allowed)]) else None


def _size_of(samples: Sequence[Sample], factors: Sequence[float]) -> Diagnosis | None:
    """Return which size the factors are, or one over which."""
    if max(abs(f - 1) for f in factors) < 1e-5:
        return None
    names = dict.fromkeys(name for s in samples for name in _sizes(s))
    for name in names:
        sizes = [_sizes(s).get(name, 0) for s in samples]
        if min(sizes) < 1 or max(sizes) == 1 or (len(set(sizes)) == 1 and max(sizes) < 3):
            continue
        for power, what in ((1, "times too large"), (-1, "times too small")):
            if np.allclose(factors, np.array(sizes, float) ** power, rtol=1e-5):
                n = max(sizes)
                why = "a mean is taken for a sum" if power == 1 else "a sum is taken for a mean"
                text = f"it is {n} {what}, {n} being {name}: {why}, or the other way round"
                if set(sizes) == {n} and not samples[0].sizes and len(samples) == 1:
                    text = f"it is {n} {what}, {n} being {name}"
                return Diagnosis("size", text, float(n) ** power)
    return None


def _sizes(s: Sample) -> dict[str, int]:
    """Return what has a size at a sample, by name."""
    m, n = s.claimed.shape
    sizes = {**s.sizes, "the number of entries of the input": n}
    sizes["the number of entries of the result"] = m
    if m and n:
        sizes["the number of copies that broadcasting makes"] = max(1, m // n)
        sizes["the number of entries that each result is made of"] = max(1, n // m)
    for k, length in enumerate(s.shape):
        sizes[f"the length of the input's axis {k}"] = length
    for k, length in enumerate(s.out_shape):
        sizes[f"the length of the result's axis {k}"] = length
    return sizes


def _in_words(factor: float) -> str:
    """Return by how much something is too large."""
    if factor < 0:
        return f"it is to be multiplied with {1 / factor:.6g}"
    for few, word in ((2, "half"), (3, "a third"), (4, "a quarter")):
        if abs(factor * few - 1) < 1e-5:
            return f"it is {word} of what it should be"
    if abs(factor - 1) < 0.2:
        return f"it is {100 * abs(factor - 1):.3g} % too {'large' if factor > 1 else 'small'}"
    if factor > 1:
        return f"it is {factor:.6g} times too large"
    return f"it is {1 / factor:.6g} times too small"


# From the most specific to what fits most easily.
EVERYWHERE = (
    zero,
    _cotangent,
    sign,
    _result_for_input,
    _swapped,
    _rearranged,
    _broadcast,
    _inverse,
    factor,
)
