"""Hypothesis profiles, chosen by the variable HYPOTHESIS_PROFILE, and a seal on every switch."""

import os

import numpy as np
import pytest
from hypothesis import settings

from tinygrad_mnist import graph

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
    assert graph_modes == {}
    assert left == before
