"""Hypothesis profiles, chosen by the variable HYPOTHESIS_PROFILE."""

import os

from hypothesis import settings

# Machines are shared: a slow example is no failure.
settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("reduced", deadline=None, derandomize=True, max_examples=10)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))
