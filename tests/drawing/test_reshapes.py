"""Reverse mode's reshapes and transposes, hidden where they say nothing."""

import sys

import numpy as np

from tests.drawing.shown import labels, leaf
from tinygrad_mnist import draw, grad, nn
from tinygrad_mnist.drawing import reading


def shown(picture):
    return list(labels(picture).values())


def test_reshapes_that_do_nothing_and_transposes_are_no_nodes():
    picture = draw(nn.Linear(3, 2, rng=0), np.ones((4, 3)), order=2)
    for name in ("reshape", "moveaxis", "transpose", "expand_dims"):
        assert not any(name in label for label in shown(picture)), name
    assert any("x.T @" in label for label in shown(picture))


def test_what_is_hidden_is_counted():
    x, w = np.ones((4, 3)), leaf(3, 2)
    loss = (x @ w).sum()
    graph = reading.history(loss, 2, sys._getframe())
    counted = sum(v.kind == "operation" for v in graph.vertices)
    assert f"{counted} operations" in draw(loss, order=2).source


def test_a_transpose_that_is_more_than_part_of_a_product_stays():
    w = leaf(3, 2)
    picture = draw(grad(lambda x: (np.exp(x.T) @ w).sum()), np.ones((3, 4)))
    assert any(label.endswith("y.T") for label in shown(picture))


def test_reshapes_of_the_users_own_code_stay():
    picture = draw(lambda x: np.reshape(x, (3,)).sum(), np.ones(3), order=1)
    assert any(label.startswith("reshape") for label in shown(picture))


def test_reshapes_that_change_the_shape_stay():
    picture = draw(lambda x: (np.ravel(x) * 2.0).sum(), np.ones((3, 2)), order=1)
    assert any("reshape shape=(3, 2)" in label for label in shown(picture))
