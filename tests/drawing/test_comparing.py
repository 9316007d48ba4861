"""What a picture of two graphs says of their difference."""

import numpy as np
import pytest

from tests.drawing import subjects
from tests.drawing.shown import edges, labels
from tinygrad_mnist import draw_diff, nn, ops


def test_a_graph_compared_with_itself_has_no_difference():
    model = nn.Sequential(nn.Linear(8, 4, rng=0), nn.ReLU())
    picture = draw_diff(model, model, subjects.ones(3, 8))
    assert "no difference" in picture.source
    for change in ("added", "removed", "changed"):
        assert change not in picture.source


def test_the_legend_of_a_comparison_has_what_occurs():
    x = subjects.ones(3)
    picture = draw_diff(lambda x: np.exp(x).sum(), lambda x: np.cumsum(np.exp(x)).sum(), x)
    assert "+ added" in picture.source
    assert "removed" not in picture.source


def test_what_was_added_removed_and_changed_is_marked():
    a = nn.Sequential(nn.Linear(8, 4, rng=0), nn.ReLU(), nn.Linear(4, 2, rng=1))
    b = nn.Sequential(nn.Linear(8, 6, rng=0), nn.Tanh(), nn.Linear(6, 2, rng=1))
    picture = draw_diff(a, b, subjects.ones(3, 8))
    shown = labels(picture).values()
    assert "+ tanh" in shown
    assert "\N{MINUS SIGN} relu" in shown
    first = next(label for label in shown if "weight 8x6" in label)
    assert first.startswith("\N{ALMOST EQUAL TO}")
    assert "was 3x4, weight 8x4, bias 4" in first
    assert "1 added, 1 removed, 2 changed, 2 nodes the same" in picture.source
    (gone,) = [text for _, end, text in edges(picture) if end.startswith("\N{MINUS SIGN}")]
    assert gone == ""  # the shape beside it is that of now: 3x6


def test_what_is_removed_keeps_its_edges():
    picture = draw_diff(lambda x: np.exp(x).sum(), lambda x: x.sum(), np.ones(3))
    gone = "\N{MINUS SIGN} exp(x)"
    assert {(a, b) for a, b, _ in edges(picture) if gone in {a, b}} == {
        ("x 3", gone),
        (gone, "sum"),
    }


def test_histories_are_compared_too():
    x = subjects.Tensor(np.ones(3), requires_grad=True)
    picture = draw_diff((x * 2.0).sum(), ops.softmax(x).sum())
    assert "+ softmax" in labels(picture).values()


def test_a_comparison_is_written_to_a_file(tmp_path):
    draw_diff(np.sin, np.cos, np.ones(3), file=tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_bytes().startswith(b"<?xml")


def test_a_comparison_with_nothing_to_draw_is_refused():
    with pytest.raises(TypeError, match="draw takes Tensors"):
        draw_diff(1, 2)


def test_a_loop_of_another_length_is_the_same_block_changed():
    def looping(times):
        def f(x):
            for _ in range(times):
                x = np.tanh(x * 2.0 + 1.0) + x
            return x

        return f

    picture = draw_diff(looping(20), looping(30), np.ones(3))
    assert "1 changed, 2 nodes the same" in picture.source
    assert "≈ x 30 x = tanh(x * 2 + 1) + x was x 20" in labels(picture).values()


def test_what_stands_beside_a_change_in_a_module_is_the_same():
    class Model(nn.Module):
        def __init__(self, size):
            self.inner = nn.Linear(3, size, rng=0)

        def forward(self, x):
            return self.inner(np.exp(x).sum(axis=0, keepdims=True)).sum()

    picture = draw_diff(Model(2), Model(4), subjects.ones(5, 3))
    assert "1 changed, 5 nodes the same" in picture.source
