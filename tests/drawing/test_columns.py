"""Tall graphs in columns: where they are cut, and what stays whole."""

import itertools

import numpy as np
import pytest

from tests.drawing import subjects
from tests.drawing.shown import boxes, edges, labels, lanes, spans
from tinygrad_mnist import draw, draw_diff, nn
from tinygrad_mnist.drawing.columns import COLUMN, TALL


def tall(layers=40):
    return nn.MLP([100 - 2 * k for k in range(layers + 1)], rng=0)


def size(picture):
    _, _, width, height = picture.pipe("plain", encoding="utf-8").split()[:4]
    return float(width), float(height)


@pytest.mark.parametrize("program", ["dot", "graphviz-pure"])
def test_columns_stand_side_by_side_in_their_order(program, monkeypatch):
    picture = draw(tall(), subjects.ones(2, 100))
    if program != "dot":
        monkeypatch.setenv("PATH", "")
    columns = lanes(picture)
    places = spans(picture.pipe("plain", encoding="utf-8"), columns)
    assert len(columns) == 4
    assert all(end < start for (_, end), (start, _) in itertools.pairwise(places))
    width, height = size(picture)
    assert height < 4 * width
    assert max(map(len, columns)) < 1.5 * COLUMN
    assert set().union(*columns) == set(labels(picture))


def test_what_holds_everything_goes_on_in_each_column():
    shown = boxes(draw(tall(), subjects.ones(2, 100)))
    assert sum(box == "MLP continued" for box in shown) == 3
    assert sum("parameters" in box for box in shown) == 1


def test_a_function_without_modules_is_broken_too_and_no_edge_is_lost():
    random = np.random.default_rng(0)
    shifts = [tuple(random.permutation(3).tolist()) for _ in range(2 * TALL)]

    def f(x):
        for k, shift in enumerate(shifts):
            x = np.transpose(x, shift).sum(axis=k % 2, keepdims=True) + x
        return x

    picture = draw(f, np.ones((2, 2, 2)))
    drawn = edges(picture)
    assert len(lanes(picture)) > 1
    readers = {b for _, b, _ in drawn}
    assert all(label in readers for label in labels(picture).values() if label != "x 2x2x2")


def test_no_module_inside_is_cut():
    blocks = [nn.MLP((40 - k,) * 6 + (39 - k,), rng=0) for k in range(5)]
    picture = draw(nn.Sequential(*blocks), subjects.ones(2, 40))
    columns = lanes(picture)
    assert len(columns) > 1
    shown = labels(picture)
    for k in range(5):
        mine = {name for name, label in shown.items() if label.startswith(f"{k}.layers")}
        assert sum(bool(mine & column) for column in columns) == 1


def test_what_is_not_tall_has_lanes_or_is_compared_stays_in_one_piece():
    x = subjects.ones(2, 100)
    for picture in (draw(tall(10), x), draw(tall(), x, order=1), draw_diff(tall(), tall(), x)):
        assert not any("continued" in box for box in boxes(picture))
