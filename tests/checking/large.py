"""How often one wrong entry of many is found: `python -m tests.checking.large [SIZE] [TIMES]`.

Each time the inputs, the place of the wrong entry and the seed of the check are others. Printed is
how often each verdict is given, of entries twice too large, 3 % too large, and of the wrong sign.
"""

import sys
import time
import warnings
from collections import Counter

import numpy as np

from tinygrad_mnist import gradcheck, op
from tinygrad_mnist.checking import GradientError

FACTORS = {"twice too large": 2.0, "3 % too large": 1.03, "of the wrong sign": -1.0}


def wrong_at(place, factor):
    """Return an op whose gradient is right but for one entry."""

    @op
    def sine(x):
        return np.sin(x)

    def rule(g, x):
        right = g * np.cos(x)
        scale = np.ones(x.size)
        scale[place] = factor
        return right * scale.reshape(x.shape)

    return sine.defvjp(x=rule)


def verdict(size, factor, seed):
    """Return what the check says of a gradient with one wrong entry of `size`."""
    rng = np.random.default_rng(seed)
    function = wrong_at(rng.integers(size), factor)
    try:
        return gradcheck(function, rng.normal(size=size), order=1, seed=seed).verdict
    except GradientError:
        return "wrong"


def main(size=100_000, times=6):
    """Print how often each verdict is given, and what a check costs."""
    warnings.simplefilter("ignore")  # of what is inconclusive: it is counted
    for words, factor in FACTORS.items():
        start = time.process_time()
        verdicts = Counter(verdict(size, factor, seed) for seed in range(times))
        seconds = (time.process_time() - start) / times
        print(f"one entry of {size:,} {words}: {dict(verdicts)}, {seconds:.0f} s a check")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
