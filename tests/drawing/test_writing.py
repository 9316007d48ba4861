"""The words and boxes of a picture, and that it is what it was.

Golden pictures are in `golden`; ``RENEW_PICTURES=1 pytest tests/drawing`` renews them.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.drawing import subjects
from tests.drawing.shown import edges, labels, leaf, texts
from tinygrad_mnist import Tensor, nn, ops
from tinygrad_mnist.drawing import draw

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("subject", subjects.SUBJECTS)
def test_a_picture_is_what_it_was(subject):
    source = subjects.SUBJECTS[subject]().source
    path = GOLDEN / f"{subject}.gv"
    if "RENEW_PICTURES" in os.environ:
        path.write_text(source, "utf-8")
    assert source == path.read_text("utf-8")


def test_every_golden_picture_has_its_subject():
    assert {path.stem for path in GOLDEN.iterdir()} == set(subjects.SUBJECTS)


def test_a_picture_is_the_same_in_another_process():
    code = "from tests.drawing import subjects; print(subjects.residual().source, end='')"
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, timeout=60,
            env={**os.environ, "PYTHONHASHSEED": seed}, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert done.stdout.decode() == subjects.residual().source


def test_modules_are_boxes_with_path_class_and_number_of_parameters():
    picture = draw(nn.Sequential(nn.Linear(8, 4, rng=0), subjects.Residual(4)), subjects.ones(2, 8))
    assert re.findall(r"subgraph cluster_\d+", picture.source) == [
        "subgraph cluster_1", "subgraph cluster_2",
    ]  # fmt: skip
    assert "<b>Sequential</b>" in picture.source
    assert "<b>1</b>" in picture.source
    assert "Residual, 40 parameters" in picture.source
    assert any("1.first" in label and "weight 4x4" in label for label in labels(picture).values())


def test_edges_say_the_shape_and_the_dtype_that_is_not_that_of_most():
    picture = draw(lambda x: np.maximum(x.astype(np.float64).sum(axis=0), 0.5), subjects.ones(3, 4))
    assert ("astype dtype=float64", "sum axis=0", "3x4") in edges(picture)
    assert "3x4 float32" in " ".join(labels(picture).values())


def test_edges_of_an_operation_that_reads_several_results_say_which_is_which():
    picture = draw(lambda x: x.sum(axis=0) - x.max(axis=0), leaf(2, 3))
    into = [edge for edge in edges(picture) if edge[1] == "y - z"]
    assert into == [
        ("sum axis=0", "y - z", "y 3"),
        ("max axis=0", "y - z", "z 3"),
    ]


def test_results_of_one_call_leave_it_on_edges_of_their_own():
    picture = draw(lambda x: np.concatenate(np.split(x, [1])[::-1]), leaf(3))
    assert [label for a, b, label in edges(picture) if b == "concatenate"] == [
        "arrays[0] 2", "arrays[1] 1",
    ]  # fmt: skip


def test_nodes_have_the_line_of_code_as_tooltip():
    tip = re.search(
        r'tooltip="(subjects.py:\d+  return x \+ self.second[^"]*)"', subjects.residual().source
    )
    assert tip


# Names ------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.text(max_size=20))
@example('"quoted" \\')
@example("a<b>&amp;{x|y}\n\\N\t\x00\ud800")
@example("größe 数 😀")
@example("   ")
def test_any_name_is_shown_and_harms_nothing(name):
    x = Tensor(np.ones(2), requires_grad=True, name=name)
    picture = draw(lambda value: ops.exp(value).sum(), x)
    spelled = [c if c.isprintable() else repr(c)[1:-1] for c in name or "value"]
    assert "".join("".join(spelled).split()) in "".join("".join(texts(picture)).split())


def test_hostile_paths_of_modules_are_shown():
    model = nn.Sequential()
    setattr(model, "0", subjects.Residual(2))
    model.parts = {'<b>"&{}': nn.Linear(2, 2, rng=0), "\n": nn.ReLU()}
    model.forward = lambda x: model.parts["\n"](model.parts['<b>"&{}'](x))
    assert any('parts.<b>"&{}' in text for text in texts(draw(model, subjects.ones(1, 2))))
