"""The command line says what was found: in words or JSON, and by its exit code."""

import json

import pytest

from tinygrad_mnist.mnist.cli import main

MINE = """
import numpy as np

from tinygrad_mnist import op


@op
def good(x):
    return np.sin(x)


good.defvjp(x=lambda g, x: g * np.cos(x))


@op
def flipped(x):
    return np.sin(x)


flipped.defvjp(x=lambda g, x: -g * np.cos(x))


@op
def lost(x):
    return (x + 1e16) - 1e16


lost.defvjp(x=lambda g: g)


@op
def greedy(x):
    x *= 2
    return x


greedy.defvjp(x=lambda g: 2 * g)


@op
def nameless(x, index):
    return x[index]


nameless.defvjp(x=lambda g: g, index=None)


def dice(x):
    return x * np.random.normal()


number = 3
Box = type("Box", (), {})
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the command; return its exit code, what it prints, and what it complains of."""
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = main(["gradcheck", *arguments])
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("good", 0, "gradcheck of good, orders 1 and 2: pass\n"),
        ("flipped", 1, "flipped with respect to x is wrong at x = 1"),
        ("greedy", 1, "greedy changes its input x: write to a copy"),
        ("lost", 3, "noise: values are uncertain by as much as their size"),
    ],
)
def test_the_exit_code_is_the_verdict(run, name, code, words):
    found, said, complained = run(f"mine.py:{name}", "--examples", "25")
    assert (found, complained) == (code, "")
    assert words in said


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("mine.py:god", "mine.py has no 'god': did you mean 'good'?"),
        ("mine.py:number", "mine.py:number is not a function"),
        ("mine.py:Box", "is a class: name an instance of it"),
        ("mine.py:dice", "can't be checked: ValueError: dice is random"),
        ("mine.py:nameless", "parameter 'index' has no gradient rule"),
        ("good", "names nothing: write package.module:name"),
    ],
)
def test_what_can_not_be_checked_is_said_in_one_sentence(run, target, words):
    code, said, complained = run(target)
    assert (code, said) == (2, "")
    assert words in " ".join(complained.split())
    assert complained.count("\n") == 1


def test_options_reach_the_check(run):
    _, said, _ = run("mine.py:good", "--order", "1", "--seed", "3", "--json")
    told = json.loads(said)
    assert (told["verdict"], told["order"], told["fault"]) == ("pass", 1, None)
    assert told["compared"] > 100
    assert run("mine.py:good", "--order", "3")[0] == 2


def test_json_tells_all_of_a_fault_and_nothing_else(run):
    code, said, _ = run("mine.py:flipped", "--json")
    assert code == 1
    told = json.loads(said)
    assert told["verdict"] == "wrong"
    assert told["fault"]["diagnosis"]["pattern"] == "sign"
    mismatch = told["fault"]["mismatch"]
    assert mismatch["claimed"] == pytest.approx(-mismatch["measured"], 1e-5)
    assert mismatch["parameter"] == "x"
    assert told["fault"]["line"] == "gradcheck(flipped, np.array(1.0))"
