"""NumPy's reports of invalid values: heard, kept apart, and given back as they were."""

import threading
import warnings

import numpy as np
import pytest

from tinygrad_mnist import reports


def test_this_numpy_keeps_how_it_reports_errors_where_it_is_looked_for():
    assert reports.FOUND


def test_an_invalid_value_is_heard_and_neither_warns_nor_raises():
    heard, _, token = reports.hear()
    with np.errstate(invalid="raise"):
        pass  # one of the user's own, inside
    np.subtract(np.inf, np.inf)
    reports.stop(token)
    assert heard == ["invalid value"]


@pytest.mark.parametrize("setting", ["ignore", "warn", "raise", "call"])
def test_afterwards_errors_are_reported_as_before(setting):
    with np.errstate(invalid=setting, divide="raise"):
        before, call = np.geterr(), np.geterrcall()
        _, user, token = reports.hear()
        assert np.geterr()["divide"] == "raise"
        assert reports.as_wanted(user, np.geterr) == before
        assert np.geterr()["invalid"] == "call"
        reports.stop(token)
        assert np.geterr() == before
        assert np.geterrcall() is call


def test_a_thread_that_set_nothing_gets_numpys_defaults_back():
    settings = []

    def work():
        _, user, token = reports.hear()
        settings.append(reports.as_wanted(user, np.geterr))
        reports.stop(token)
        settings.append(np.geterr())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert settings == [np.geterr()] * 2


def test_what_is_heard_inside_is_not_heard_outside():
    outer, _, first = reports.hear()
    np.subtract(np.inf, np.inf)
    inner, _, second = reports.hear()
    np.multiply(np.inf, 0.0)
    reports.stop(second)
    assert (len(outer), len(inner)) == (1, 1)
    np.multiply(np.inf, 0.0)
    reports.stop(first)
    assert (len(outer), len(inner)) == (2, 1)


def test_each_thread_hears_its_own():
    heard, _, token = reports.hear()
    others = []

    def work():
        mine, _, token = reports.hear()
        np.subtract(np.inf, np.inf)
        reports.stop(token)
        others.extend(mine)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    reports.stop(token)
    assert (heard, others) == ([], ["invalid value"])


def test_settings_made_in_a_loop_are_each_restored():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for k in range(100):
            with np.errstate(under="warn" if k % 2 else "raise"):
                before = np.geterr()
                reports.stop(reports.hear()[2])
                assert np.geterr() == before
