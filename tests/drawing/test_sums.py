"""Sums of many terms as one node."""

import numpy as np

from tests.drawing.shown import edges, labels, leaf
from tinygrad_mnist import draw


def test_what_a_user_adds_up_is_one_node():
    x = leaf(3)
    picture = draw(sum(np.sin(x * float(k)).max() for k in range(9)))
    assert not any("sum of" in label for label in labels(picture).values())  # each when it is there
    picture = draw(sum([np.sin(x * float(k)).max() for k in range(9)]))
    assert ("sum of 9", "output scalar", "") in edges(picture)


def test_what_reverse_mode_adds_up_for_a_shared_weight_is_one_node():
    w = leaf(3, 3)
    x = np.ones((2, 3))
    for _ in range(6):
        x = np.tanh(x @ w)
    picture = draw(x.sum(), order=1)
    assert sum(label == "sum of 6" for label in labels(picture).values()) == 1
    assert ("∂w 3x3", "sum of 6", "") in edges(picture)


def test_a_sum_of_few_or_of_different_things_stays_a_formula():
    x = leaf(3)
    terms = [np.sin(x).max(), np.exp(x).sum(), np.cos(x).min(), np.tan(x).mean()]
    shown = labels(draw(terms[0] + terms[1] + terms[2] + terms[3])).values()
    assert "terms[0] + terms[1] + terms[2] + terms[3]" in shown
