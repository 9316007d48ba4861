"""BLAS threads: set for a while, and chosen by trying."""

import json
import time

import numpy as np
import pytest

from tinygrad_mnist.mnist import environment


def test_the_description_names_what_a_result_depends_on():
    described = environment.describe()
    assert described["numpy"] == np.__version__
    assert {"tinygrad_mnist", "python", "platform", "processors", "blas"} <= described.keys()
    assert json.loads(json.dumps(described)) == described


def test_threads_are_limited_for_a_while():
    before = environment.most_threads()
    with environment.blas_threads(1):
        assert environment.most_threads() == 1
    assert environment.most_threads() == before


def test_threads_are_as_before_after_an_error():
    before = environment.most_threads()
    with pytest.raises(KeyError, match="oops"), environment.blas_threads(1):
        raise KeyError("oops")
    assert environment.most_threads() == before


def test_the_number_of_threads_that_takes_less_time_is_the_faster(monkeypatch):
    limits = []
    monkeypatch.setattr(environment, "most_threads", lambda: 4)
    original = environment.blas_threads

    def watched(count):
        limits.append(count)
        return original(1)

    monkeypatch.setattr(environment, "blas_threads", watched)
    speeds = environment.thread_speeds(lambda: time.sleep(0.001 * (limits or [1])[-1]))
    assert list(speeds) == [1, 4]
    assert speeds[1] > 1.5 * speeds[4]


def test_what_changes_the_last_bits_is_told_in_words():
    now = environment.describe() | {"threads": environment.most_threads()}
    assert environment.differences(now) == ""
    assert environment.differences({"python": "2.7", "platform": "elsewhere"}) == ""
    then = now | {"tinygrad_mnist": "0.0.1", "blas": [{"internal_api": "mkl", "version": "1"}]}
    told = environment.differences(then)
    assert told.startswith("tinygrad_mnist 0.0.1 (here ")
    assert ", BLAS mkl 1 (here " in told


def test_threads_that_the_machine_does_not_have_are_told(monkeypatch):
    monkeypatch.setattr(environment, "most_threads", lambda: 2)
    assert environment.differences({"threads": 64}) == "BLAS threads: 64 (here 2)"
