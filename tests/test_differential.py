"""The comparison with other frameworks tells what agrees, and its page is of all calls."""

import re

import numpy as np
import pytest

from tests.differential.__main__ import NEURAL
from tests.differential.comparing import ABSENT, BOTH, DIFFERS, FIRST, compare
from tests.differential.page import PAGE, counts, differences, functions
from tests.differential.peers import Ours
from tests.inventory.table import CALLS, OTHERS, Call
from tinygrad_mnist import grad

CALL = Call("elementwise", "tanh", "f(x)")


class Twin(Ours):
    """A framework that does as ours does, but for what a test changes."""


def scaled(first=1.0, second=1.0):
    """Return a framework whose derivatives are wrong by a factor."""

    class Scaled(Twin):
        def derivatives(self, *args):
            gradient, curved = super().derivatives(*args)
            return [first * g for g in gradient], [second * g for g in curved]

    return Scaled()


class WithoutSecondOrder(Twin):
    def derivatives(self, *args):
        return super().derivatives(*args)[0], None


class Other(Twin):
    def value(self, call, arrays):
        return [out + 1e-6 for out in super().value(call, arrays)]


class Refusing(Twin):
    def run(self, call, arrays):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("peer", "kind", "words"),
    [
        (Twin(), BOTH, ""),
        (WithoutSecondOrder(), FIRST, ""),
        (scaled(first=1 + 1e-8), DIFFERS, "first order"),
        (scaled(second=1 + 1e-8), DIFFERS, "second order"),
        (scaled(first=np.nan), DIFFERS, "first order"),
        (Other(), ABSENT, "another value"),
        (Refusing(), ABSENT, "NotImplementedError"),
    ],
    ids=["twin", "first", "wrong first", "wrong second", "nan", "other", "refusing"],
)
def test_a_verdict_tells_whether_frameworks_agree(peer, kind, words):
    verdict = compare(Ours(), peer, CALL)
    assert (verdict.kind, verdict.words.split(":")[0]) == (kind, words)


def test_what_this_package_refuses_and_another_does_not_is_a_difference():
    class Refuses(Ours):
        def gradient(self, f, arrays):
            return grad(lambda *_: np.full_like([1.0], arrays[0][0]))(*arrays)

    assert compare(Refuses(), Twin(), CALL).kind == DIFFERS


def test_the_tables_of_the_page_count_verdicts():
    verdicts = {"torch": {CALL: compare(Ours(), Twin(), CALL)}}
    verdicts["jax"] = {CALL: compare(Ours(), scaled(first=2), CALL)}
    assert "| calls in common | 1 | 1 |" in counts(verdicts)
    assert "| agree in both orders | 1 | 0 |" in counts(verdicts)
    assert "| jax | `tanh(x)` | first order | ? |" in differences(verdicts)
    assert "| `tanh` | 1 | 1 of 1 | 0 of 1 |" in functions(verdicts)


def test_the_page_is_of_all_calls_and_knows_the_reason_of_every_difference():
    page = PAGE.read_text(encoding="utf-8")
    shown = dict(re.findall(r"^\| `([^`]+)` \| (\d+) \|", page, re.MULTILINE))
    calls = [call.name for call in (*CALLS, *OTHERS, *NEURAL)]
    again = "write docs/differential.md anew: python -m tests.differential"
    assert {name: int(n) for name, n in shown.items()} == {n: calls.count(n) for n in calls}, again
    assert "| ? |" not in page
