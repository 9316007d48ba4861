"""Whether two frameworks agree on the derivatives of a call, at random arrays."""

from dataclasses import dataclass

import numpy as np

from tests.inventory.checks import random_weights

RTOL = 1e-9
DRAWS = 3

ABSENT, DIFFERS, FIRST, BOTH = "absent", "differs", "first order", "both orders"


@dataclass
class Verdict:
    """What came of a call: `kind`, and where frameworks differ, by how much."""

    kind: str
    words: str = ""


def near(base, random):
    """Return an array with the signs, the order and the NaNs of another."""
    return base * np.exp(0.1 * random.normal(size=base.shape))


def draw(call, seed):
    """Return random arrays for a call, near those of the table: no ties, inside the domains."""
    random = np.random.default_rng(seed)
    return [near(base, random) for base in call.inputs.values()]


def close(one, other):
    """Return whether all entries agree to `RTOL` of the largest; a NaN agrees with a NaN."""
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape:
        return False
    scale = max(1.0, np.abs(one[np.isfinite(one)]).max(initial=0))
    return np.allclose(one, other, RTOL, RTOL * scale, equal_nan=True)


def same(ones, others):
    """Return whether several arrays agree."""
    return len(ones) == len(others) and all(map(close, ones, others))


def compare(ours, peer, call):
    """Return the verdict on a call, the worst of several draws."""
    verdicts = [compare_at(ours, peer, call, draw(call, seed)) for seed in range(DRAWS)]
    return min(verdicts, key=lambda v: [DIFFERS, ABSENT, FIRST, BOTH].index(v.kind))


def compare_at(ours, peer, call, arrays):
    """Return the verdict on a call at some arrays.

    A function that is absent, refuses the call or has another value is not common.
    """
    with np.errstate(all="ignore"):
        expected = ours.value(call, arrays)
        weights = random_weights(expected)
        random = np.random.default_rng(1)
        direction = [random.normal(size=array.shape) for array in arrays]
        try:
            if not same(expected, peer.value(call, arrays)):
                return Verdict(ABSENT, "another value")
            first, second = peer.derivatives(call, arrays, weights, direction)
        except Exception as error:  # noqa: BLE001 - whatever it raises, it is not common
            return Verdict(ABSENT, f"{type(error).__name__}: {error}")
        try:
            our_first, our_second = ours.derivatives(call, arrays, weights, direction)
        except Exception as error:  # noqa: BLE001 - to be shown, as a difference
            return Verdict(DIFFERS, f"{type(error).__name__} here: {error}")
    if not same(our_first, first):
        return Verdict(DIFFERS, "first order")
    if second is None:
        return Verdict(FIRST)
    if not same(our_second, second):
        return Verdict(DIFFERS, "second order")
    return Verdict(BOTH)
