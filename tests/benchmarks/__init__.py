"""Measurements against NumPy by hand and other libraries: `python -m tests.benchmarks NAME`.

Every figure is a median of runs that take turns with the other contestants' runs, so that a
machine that slows down slows all of them; what counts is the ratio of two medians. Contestants
start from the same numbers and are checked to compute the same result before a clock is started.
A peer that is not installed is named and left out (extra `bench`).
"""
