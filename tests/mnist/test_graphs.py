"""`tinygrad-mnist graph`: what it draws, and what it says of what it can't draw."""

import re
import sys

import pytest

from tinygrad_mnist.drawing.vertices import MULTIPLE
from tinygrad_mnist.mnist.cli import main

THINGS = """
import numpy as np
from tinygrad_mnist import Tensor, nn

weight = Tensor(np.array([0.5, -1.0]), requires_grad=True)
loss = (weight * weight).sum()
model = nn.MLP((6, 4, 3), rng=0)
number = 3


def attention(q, k, v):
    scores = q @ k.T
    return (scores @ v).sum()


def fails(x):
    y = np.exp(x)
    return y @ np.ones((7, 2))


def needs(x, rows: int):
    raise ValueError("rows, please")
"""


@pytest.fixture
def things(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "things.py").write_text(THINGS)
    yield tmp_path
    sys.modules.pop("things", None)  # with the graph of its loss


@pytest.mark.parametrize("name", ["loss", "model", "attention"])
def test_a_tensor_a_module_and_a_function_are_drawn_with_inputs_found_for_them(
    things, name, capsys
):
    assert main(["graph", f"things.py:{name}", "--out", f"{name}.gv"]) == 0
    assert capsys.readouterr().out == f"Drawn: {name}.gv\n"
    source = (things / f"{name}.gv").read_text("utf-8")
    assert {"loss": "weight", "model": "layers.0", "attention": "scores"}[name] in source


def test_a_dotted_name_is_found_too(things):
    assert main(["graph", "tinygrad_mnist.ops:softplus", "--out", "softplus.gv"]) == 0


def test_options_say_what_is_shown(things):
    line = ["graph", "things.py:model", "--input", "5,6", "--order", "1", "--values"]
    assert main([*line, "--out", "model.gv"]) == 0
    source = (things / "model.gv").read_text("utf-8")
    assert "backward" in source
    assert f"5{MULTIPLE}6" in source
    assert main(["graph", "things.py:model", "--depth", "1", "--out", "folded.gv"]) == 0
    assert len((things / "folded.gv").read_text()) < len(source)


def test_run_s_network_is_drawn_with_its_loss(run, tmp_path):
    assert main(["graph", str(run.folder), "--out", str(tmp_path / "run.gv")]) == 0
    assert "cross_entropy" in (tmp_path / "run.gv").read_text("utf-8")


def test_steps_are_a_page(things):
    assert main(["graph", "things.py:loss", "--steps", "--out", "loss.html"]) == 0
    assert "step by step" in (things / "loss.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (["nowhere"], r"'nowhere' names nothing: write .*; or give the folder of a run"),
        (["things.py:lost"], r"things.py has no 'lost': did you mean 'loss'\?; or give"),
        (["things.py:number"], r"things.py:number is no Tensor, module or function"),
        (
            ["things.py:needs"],
            r"things.py:needs: no inputs were found \(.+\); say their shapes by --input",
        ),
        (
            ["things.py:model", "--input", "2,x"],
            r"--input takes a shape, such as 32,784; got '2,x'",
        ),
        (["things.py:loss", "--input", "3"], r"loss is a Tensor, which takes no --input"),
        (["things.py:model", "--out", "a.xyz"], r"a\.xyz ends in no format"),
        (["things.py:loss", "--steps", "--out", "a.svg"], r"give a file that ends in \.html"),
        (["things.py:fails", "--input", "2,3", "--out", "f.gv"], r"can't be drawn.*is in f\.gv"),
        (["."], r".*config\.json"),
    ],
)
def test_what_can_t_be_drawn_is_said_in_a_sentence(things, line, sentence, capsys):
    assert main(["graph", *line]) == 2
    error = capsys.readouterr().err
    assert re.search(sentence, error), error
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) == 1
