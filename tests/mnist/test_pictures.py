"""The pictures of a run, read back: numbers, shapes and colours are where they belong."""

import hashlib
import io
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from tinygrad_mnist.mnist import Evaluation, pictures
from tinygrad_mnist.mnist.runs import Epoch

COUNTS = np.array([[5, 1], [0, 4]])


def epochs(count, **other):
    return [
        Epoch(
            epoch=n,
            train_loss=1 / n,
            train_accuracy=1 - 0.5 / n,
            lr=0.1,
            gradient_norm=1.0,
            seconds=1.0,
            **other,
        )
        for n in range(1, count + 1)
    ]


def texts(svg):
    return [t.text for t in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_curves_have_a_legend_of_what_was_measured():
    watched = {"validation_loss": 0.5, "validation_accuracy": 0.9}
    assert "validation images" in texts(pictures.curves(epochs(3, **watched)))
    watched = {"test_loss": 0.5, "test_accuracy": 0.9}
    shown = texts(pictures.curves(epochs(3, **watched)))
    assert {"test images", "training images, as it learns", "epoch"} <= set(shown)
    assert "validation images" not in shown


def test_one_curve_may_be_drawn_alone():
    shown = texts(pictures.curves(epochs(3), ["accuracy"]))
    assert "accuracy" in shown
    assert "loss (cross-entropy)" not in shown


@pytest.mark.parametrize("count", [1, 2, 200])
def test_curves_of_any_length_can_be_drawn(count):
    assert "loss (cross-entropy)" in texts(pictures.curves(epochs(count)))


def test_the_confusion_shows_every_count_and_the_sum():
    shown = texts(pictures.confusion(COUNTS, ["no", "yes"]))
    assert {"5", "1", "4", "9 of 10 right, 1 wrong", "shown", "taken for", "yes"} <= set(shown)


def test_a_confusion_without_mistakes_can_be_drawn():
    assert "9 of 9 right, 0 wrong" in texts(pictures.confusion(np.diag([5, 4]), ["no", "yes"]))


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


@pytest.mark.parametrize("units", [1, 3, 10])
def test_each_weight_is_a_square_of_its_sign(units):
    """Blue is above 0, red below, and one weight has as many pixels as another."""
    weights = np.random.default_rng(0).standard_normal((784, units))
    picture = pixels(pictures.weights(weights))
    columns = int(np.ceil(np.sqrt(units)))
    zoom = picture.shape[1] // (30 * columns)
    assert picture.shape[1] == 30 * columns * zoom
    for unit in range(units):
        row, column = divmod(unit, columns)
        top, left = 60 + zoom * (30 * row + 1), zoom * (30 * column + 1)
        cells = picture[top : top + 28 * zoom, left : left + 28 * zoom].reshape(
            28, zoom, 28, zoom, 3
        )
        assert (cells == cells[:, :1, :, :1]).all()
        red, blue = cells[:, 0, :, 0, 0], cells[:, 0, :, 0, 2]
        clear = np.abs(weights[:, unit].reshape(28, 28)) > 0.1
        np.testing.assert_array_equal(
            (blue > red)[clear], (weights[:, unit].reshape(28, 28) > 0)[clear]
        )


def test_no_more_units_are_drawn_than_fit():
    few, many = (pictures.weights(np.ones((784, units)), limit=4) for units in (4, 50))
    assert pixels(few).shape == pixels(many).shape
    assert few != many  # the title says how many there are


def test_weights_of_zero_can_be_drawn():
    assert pixels(pictures.weights(np.zeros((784, 2)))).size


def evaluation(wrong, right):
    """An evaluation with mistakes, the later the worse, among images that were understood."""
    labels = np.zeros(wrong + right, int)
    logits = np.zeros((wrong + right, 3))
    logits[:wrong, 1] = np.arange(1, wrong + 1)
    logits[wrong:, 0] = 5
    return Evaluation(logits, labels)


@pytest.mark.parametrize("wrong", [0, 1, 5, 6, 25, 30])
def test_mistakes_are_the_worst_first_and_no_more_than_fit(wrong, monkeypatch):
    shown = []
    monkeypatch.setattr(Axes, "text", lambda _, x, y, text, **style: shown.append(text))
    x = np.random.default_rng(0).random((wrong + 3, 784), dtype=np.float32)
    assert pixels(pictures.mistakes(x, evaluation(wrong, 3), ["a", "bb", "c" * 20])).size
    assert len(shown) == 2 * min(wrong, 25)
    if wrong:
        worst = np.exp(wrong) / (np.exp(wrong) + 2)
        assert shown[0] == f"bb  {100 * worst:.0f} %"
        assert shown[1].startswith("a  ")
        assert shown[0] != shown[-2] or wrong in {1, 30}


def test_long_names_are_cut():
    assert pictures._shortened("c" * 15) == "c" * 13 + "…"
    assert pictures._shortened("c" * 14) == "c" * 14


def all_bytes():
    weights = np.random.default_rng(0).standard_normal((784, 4))
    x = np.random.default_rng(0).random((5, 784), dtype=np.float32)
    return (
        pictures.curves(epochs(3))
        + pictures.confusion(COUNTS, ["no", "yes"])
        + pictures.weights(weights)
        + pictures.mistakes(x, evaluation(2, 3), ["a", "b", "c"])
    )


def test_the_same_numbers_give_the_same_bytes_in_any_process(root):
    program = (
        "import sys, hashlib; from tests.mnist.test_pictures import all_bytes;"
        "import matplotlib; matplotlib.rcParams['font.size'] = 30;"
        "print(hashlib.sha256(all_bytes()).hexdigest(), 'matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [hashlib.sha256(all_bytes()).hexdigest(), "False"]
