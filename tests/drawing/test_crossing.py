"""Edges between lanes: curves over a layout that they have no part in."""

import re

import numpy as np
import pytest

from tests.drawing.shown import leaf
from tinygrad_mnist import Tensor, draw
from tinygrad_mnist.drawing.crossing import part


def picture(name="x"):
    w = Tensor(np.ones((3, 2)), requires_grad=True, name=name)
    return draw((np.tanh(np.ones((4, 3)) @ w) * w.sum()).sum(), order=2)


@pytest.mark.parametrize("program", ["dot", "graphviz-pure"])
@pytest.mark.parametrize("name", ["x", 'a"];{}<b>pos="1,2"\n\\', "é ∂ 名"])
def test_each_is_drawn_whatever_names_say(name, program, monkeypatch):
    if program != "dot":
        monkeypatch.setenv("PATH", "")
    made = picture(name)
    _, across = part(made.body)
    svg = made.pipe("svg", encoding="utf-8")
    assert len(across) > 8
    assert svg.count('class="edge across"') == len(across)


def test_they_go_from_the_right_of_one_node_to_the_left_or_the_near_half_of_another():
    plain = picture().pipe("plain", encoding="utf-8")
    nodes = {
        name: [float(n) for n in numbers.split()[:4]]
        for name, numbers in re.findall(r"^node (n\d+) (.*)", plain, re.MULTILINE)
    }
    curves = re.findall(r"^edge (n\d+) (n\d+) 4 (.*) dashed", plain, re.MULTILINE)
    assert curves
    for tail, head, numbers in curves:
        x, y, *_, end_x, end_y = [float(n) for n in numbers.split()[:8]]
        (from_x, from_y, w, h), (to_x, to_y, _, _) = nodes[tail], nodes[head]
        assert x == pytest.approx(from_x + w / 2, abs=0.02) or abs(y - from_y) >= h / 2 - 0.02
        assert end_x < to_x + 0.02
        assert end_x > x or abs(end_y - to_y) > 0.1


def test_a_picture_without_lanes_is_laid_out_at_once(monkeypatch):
    monkeypatch.setattr("tinygrad_mnist.drawing.rendering.routed", None)
    assert b"<svg" in draw(leaf(2) * 2.0).pipe("svg")


def test_what_the_user_says_of_the_whole_graph_counts_for_the_layout_too():
    made = picture()
    before = float(made.pipe("plain", encoding="utf-8").split()[3])
    made.attr(ranksep="2")
    assert float(made.pipe("plain", encoding="utf-8").split()[3]) > before + 2
