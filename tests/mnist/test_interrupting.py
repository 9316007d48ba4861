"""Signals: the first is noted, the second acts, and handlers are as before."""

import os
import signal
import threading

import pytest

from tinygrad_mnist.mnist.interrupting import postponed

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no signals to itself there")


def handlers():
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_handlers_come_back(number):
    before = handlers()
    with postponed() as requests:
        assert requests.signal is None
        assert handlers() != before
        signal.raise_signal(number)
        assert requests.signal == number
        assert handlers() == before, "so that the next one acts at once"
    assert handlers() == before


def test_the_second_ctrl_c_acts_at_once():
    with postponed() as requests:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert requests.signal == signal.SIGINT


def test_handlers_come_back_after_an_error():
    before = handlers()
    with pytest.raises(KeyError, match="oops"), postponed():
        raise KeyError("oops")
    assert handlers() == before


def test_other_threads_leave_signals_alone():
    def work():
        before = handlers()
        with postponed() as requests:
            seen.append((handlers() == before, requests.signal))

    seen = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(True, None)]
