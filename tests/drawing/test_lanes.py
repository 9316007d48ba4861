"""Passes of reverse mode beside the forward: lanes, rules, what was saved."""

import functools
import itertools
import re

import graphviz
import numpy as np
import pytest

from tests.drawing import subjects
from tests.drawing.shown import boxes, edges, labels, lanes, leaf, spans
from tinygrad_mnist import Tensor, draw, grad, nn, ops


def product():
    x = Tensor(2.0, requires_grad=True, name="x")
    return x, np.sin(x) * x


def dashed(picture):
    nodes = labels(picture)
    found = re.findall(
        r'^\t(n\d+) -> (n\d+) \[(?:label=\S+ )?style="dashed"', picture.source, re.MULTILINE
    )
    return {(nodes[a], nodes[b]) for a, b in found}


def in_order(picture, plain):
    places = spans(plain, lanes(picture))
    return all(end < start for (_, end), (start, _) in itertools.pairwise(places))


def dotted(picture):
    nodes = labels(picture)
    found = re.findall(r'^\t//\t(n\d+) -> (n\d+) \[style="dotted"', picture.source, re.MULTILINE)
    return {(nodes[a], nodes[b]) for a, b in found}


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("subject", sorted(set(subjects.SUBJECTS) - {"anomaly", "difference"}))
@pytest.mark.parametrize("program", ["dot", "graphviz-pure"])
def test_lanes_stand_side_by_side_in_their_order(subject, order, program, monkeypatch):
    monkeypatch.setattr(subjects, "draw", functools.partial(draw, order=order))
    picture = subjects.SUBJECTS[subject]()
    if program != "dot":
        monkeypatch.setenv("PATH", "")
    assert in_order(picture, picture.pipe("plain", encoding="utf-8"))


@pytest.mark.parametrize("subject", ["attention", "gradient", "second_derivative"])
def test_dot_alone_keeps_the_order_of_lanes_too(subject, monkeypatch):
    monkeypatch.setattr(subjects, "draw", functools.partial(draw, order=2))
    picture = subjects.SUBJECTS[subject]()
    source = graphviz.Source(picture.source)
    assert in_order(picture, source.pipe("plain", encoding="utf-8", quiet=True))


def test_without_an_order_there_are_no_lanes():
    _, y = product()
    assert boxes(draw(y)) == []
    assert "dashed:" not in draw(y).source


def test_the_first_order_adds_a_lane_with_the_rules_in_it():
    x, y = product()
    picture = draw(y, order=1)
    assert boxes(picture)[:2] == ["forward", "backward"]
    assert {"1 * x", "∂x scalar", "∂ of sin g * cos(x) y * cos(x)"} <= set(labels(picture).values())
    assert "dashed: what a gradient rule saved; dotted: whose rule it is" in picture.source
    assert x.grad is None


def test_dashed_edges_are_what_rules_saved():
    _, y = product()
    saved = dashed(draw(y, order=1))
    assert saved == {
        ("x scalar", "1 * x"), ("sin(x)", "1 * y"), ("x scalar", "∂ of sin g * cos(x) y * cos(x)"),
    }  # fmt: skip


def test_a_dashed_edge_bears_the_letter_that_stands_for_it_in_a_formula():
    model = nn.Sequential(nn.Linear(3, 2, rng=0), nn.ReLU(), nn.Linear(2, 2, rng=0))

    def loss(images):
        logits = model(images)
        return ops.cross_entropy(logits, np.zeros(4, int))

    picture = draw(loss, subjects.ones(4, 3), order=1)
    assert ("1 ReLU relu", "x.T @ ∂logits", "x") in edges(picture)


def test_what_a_rule_looks_at_without_recording_it_is_dashed_too():
    w = leaf(2, 2)
    loss = ops.relu(np.ones((3, 2)) @ w).sum()
    saved = dashed(draw(loss, order=1))
    assert any(a.startswith("relu") and b.startswith("∂ of relu") for a, b in saved)


def test_dotted_edges_tie_each_rule_to_its_operation():
    _, y = product()
    assert dotted(draw(y, order=1)) == {
        ("sin(x)", "∂ of sin g * cos(x) y * cos(x)"),
        ("y * x", "1 * y"),
    }


def test_the_second_order_adds_a_lane_for_the_gradient_of_the_gradient():
    _, y = product()
    picture = draw(y, order=2)
    assert boxes(picture)[:2] == ["forward", "backward"]
    assert "backward of backward" in boxes(picture)
    shown = labels(picture).values()
    assert {"v scalar, direction", "∂∂x scalar", "∂ of cos -g * sin(x) -y * sin(x)"} <= set(shown)


def test_lanes_of_a_derivative_that_the_function_takes_itself():
    picture = draw(grad(grad(lambda x: np.sin(x) * x)), 2.0)
    lanes = [box for box in boxes(picture) if "ward" in box]
    assert lanes == ["forward", "backward", "backward of backward"]


def test_cotangents_of_variables_are_named_after_them():
    w, truth = leaf(3, 1), np.ones((4, 1))

    def loss(x):
        p = ops.sigmoid(x @ w)
        return -(truth * np.log(p)).mean()

    shown = labels(draw(loss, np.ones((4, 3)), order=1)).values()
    assert any("∂p = " in label for label in shown)
    assert "∂w 3x1" in shown
    assert not any(label.startswith("∂x") for label in shown)  # an input, and not asked for


def test_inputs_get_gradients_where_there_are_no_parameters():
    assert "∂x 3" in labels(draw(lambda x: (x * x).sum(), np.ones(3), order=1)).values()


def test_products_of_matrices_read_as_in_a_textbook():
    w = leaf(3, 2)
    loss = (np.ones((4, 3)) @ w).sum()
    assert any("c1.T @" in label for label in labels(draw(loss, order=1)).values())


def test_a_block_that_repeats_is_drawn_once_in_every_lane():
    picture = draw(subjects.Recurrent(4), subjects.ones(20, 2, 4), subjects.ones(2, 4), order=1)
    assert "x 20" in boxes(picture)
    assert "x 19" in boxes(picture)
    assert sum(label == "sum of 20" for label in labels(picture).values()) == 4
    assert len(labels(picture)) < 40


def test_gradients_of_repeated_layers_are_one_output():
    layers = [layer for k in range(50) for layer in (nn.Linear(8, 8, rng=k), nn.ReLU())]
    picture = draw(nn.Sequential(*layers), subjects.ones(4, 8), order=1)
    assert len(labels(picture)) < 40


def test_a_graph_that_was_freed_has_no_gradient_to_draw():
    _, y = product()
    y.backward()
    draw(y)
    with pytest.raises(RuntimeError, match="freed by an earlier backward"):
        draw(y, order=1)


def test_drawing_gradients_writes_none_and_keeps_the_graph():
    x, y = product()
    draw(y, order=2)
    assert x.grad is None
    y.backward()
    assert x.grad == pytest.approx(np.sin(2) + 2 * np.cos(2))


def test_a_pass_whose_rules_record_nothing_has_a_lane_of_what_it_adds_up():
    y = leaf()
    y = y + y
    first, second = lanes(draw(y, order=1))
    assert len(first) == 3
    assert len(second) == 3


def test_what_a_pass_does_to_its_own_direction_is_in_its_lane():
    w = leaf(3, 2)
    picture = draw((np.tanh(np.ones((4, 3)) @ w) * w.sum()).sum(), order=2)
    forward, *_ = lanes(picture)
    shown = labels(picture)
    assert not any(shown[name].startswith("reshape") for name in forward)
    assert set().union(*lanes(picture)) == set(shown)


def test_a_loss_without_second_derivatives_has_an_empty_second_lane():
    w = leaf(3)
    assert "backward of backward" not in boxes(draw((w * 2.0).sum(), order=2))


@pytest.mark.parametrize("order", [-1, 1.5, None])
def test_an_order_that_is_none_is_refused(order):
    with pytest.raises(ValueError, match="order times by reverse mode, 0, 1 or 2; got"):
        draw(leaf(2), order=order)
