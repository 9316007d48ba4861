"""The pictures of a run, read back: numbers, shapes and colours are where they belong."""

import hashlib
import io
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from tinygrad_mnist.mnist import pictures
from tinygrad_mnist.mnist.runs import Epoch

COUNTS = np.array([[5, 1], [0, 4]])


def epochs(count, **other):
    return [
        Epoch(epoch=n, train_loss=1 / n, train_accuracy=1 - 0.5 / n, lr=0.1, seconds=1.0, **other)
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


@pytest.mark.parametrize("count", [1, 2, 200])
def test_curves_of_any_length_can_be_drawn(count):
    assert "loss (cross-entropy)" in texts(pictures.curves(epochs(count)))


def test_the_confusion_shows_every_count_and_the_sum():
    shown = texts(pictures.confusion(COUNTS))
    assert {"5", "1", "4", "9 of 10 right, 1 wrong", "shown", "taken for"} <= set(shown)


def test_a_confusion_without_mistakes_can_be_drawn():
    assert "9 of 9 right, 0 wrong" in texts(pictures.confusion(np.diag([5, 4])))


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


def all_bytes():
    weights = np.random.default_rng(0).standard_normal((784, 4))
    return pictures.curves(epochs(3)) + pictures.confusion(COUNTS) + pictures.weights(weights)


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
