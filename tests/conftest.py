"""Hypothesis profiles, chosen by the variable HYPOTHESIS_PROFILE, and seals on global state."""

import gc
import os

import numpy as np
import pytest
from hypothesis import settings

from tinygrad_mnist import graph, switches

# Machines are shared: a slow example is no failure.
settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("reduced", deadline=None, derandomize=True, max_examples=10)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))


@pytest.fixture(autouse=True)
def switches_are_as_before():
    """Fail a test that leaves a mode of this package or NumPy's error handling changed."""
    before = np.geterr()
    yield
    left, graph_modes = np.geterr(), dict(graph.modes)
    np.seterr(**before)
    graph.modes.clear()
    switches._entered.clear()
    assert graph_modes == {}
    assert left == before


@pytest.fixture(autouse=True)
def no_array_is_left_locked():
    """Fail a test after which an array is locked that no graph of before the test holds."""
    before = set(graph._held)
    yield
    if set(graph._held) - before:
        gc.collect()  # a traceback that pytest keeps holds the frames of a failed call
    assert set(graph._held) - before == set()
