"""Augmentation: the same digits by other hands, from one generator."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_mnist.mnist import augmenting, load
from tinygrad_mnist.mnist.augmenting import augment
from tinygrad_mnist.mnist.images import as_rows


@pytest.fixture(scope="module")
def rows():
    return as_rows(load()[0][0][:200])


def still(monkeypatch, **but):
    for name in ("TURN", "SHIFT", "SCALE", "BEND"):
        monkeypatch.setattr(augmenting, name, but.get(name, 0.0))


def centres(rows):
    """Return where the ink of each image is on average, down and to the right."""
    images = rows.reshape(-1, 28, 28).astype(np.float64)
    places = np.arange(28)
    ink = images.sum(axis=(1, 2))
    return (images.sum(axis=2) @ places) / ink, (images.sum(axis=1) @ places) / ink


def test_nothing_moved_is_the_image_itself(rows, monkeypatch):
    still(monkeypatch)
    np.testing.assert_allclose(augment(rows, np.random.default_rng(0)), rows, atol=1e-5)


@settings(max_examples=20)
@given(st.integers(0, 40), st.integers(0, 2**32))
def test_images_stay_images(rows, count, seed):
    images = rows[:count].copy()
    new = augment(images, np.random.default_rng(seed))
    assert (new.dtype, new.shape) == (np.float32, images.shape)
    assert ((new >= 0) & (new <= 1)).all()
    np.testing.assert_array_equal(images, rows[:count])
    np.testing.assert_array_equal(new, augment(images, np.random.default_rng(seed)))


def test_each_image_is_another_each_time(rows):
    rng = np.random.default_rng(0)
    first, second = augment(rows, rng), augment(rows, rng)
    assert (np.abs(first - second).sum(axis=1) > 1).all()
    same = augment(np.repeat(rows[:1], 20, axis=0), rng)
    assert len(np.unique(same, axis=0)) == 20


def test_no_direction_is_preferred_and_ink_is_kept(rows):
    old, new = centres(rows), centres(augment(rows, np.random.default_rng(0)))
    for before, after in zip(old, new, strict=True):
        assert abs(np.mean(after - before)) < 0.25
        assert 0.5 < np.std(after - before) < 1.5
    assert augment(rows, np.random.default_rng(1)).mean() == pytest.approx(rows.mean(), rel=0.05)


def test_a_turn_turns_about_the_centre(rows, monkeypatch):
    still(monkeypatch, TURN=0.5)
    dot = np.zeros((300, 28, 28), np.float32)
    dot[:, 13:15, 21:23] = 1  # at (0, 8) from the centre
    down, right = centres(augment(dot.reshape(300, -1), np.random.default_rng(0)))
    angle = np.arctan2(down - 13.5, right - 13.5)
    np.testing.assert_allclose(np.hypot(down - 13.5, right - 13.5), 8, atol=0.1)
    assert -0.55 < angle.min() < -0.45
    assert 0.45 < angle.max() < 0.55


def test_a_shift_moves_all_of_an_image(rows, monkeypatch):
    still(monkeypatch, SHIFT=3.0)
    old, new = centres(rows), centres(augment(rows, np.random.default_rng(0)))
    for before, after in zip(old, new, strict=True):
        assert 2.5 < np.abs(after - before).max() < 3.1


def test_a_bend_is_as_strong_as_it_says(monkeypatch):
    still(monkeypatch, BEND=0.8)
    origins = augmenting._origins(2000, np.random.default_rng(0))
    grid = np.arange(28)
    moved = np.stack([origins[0] - grid[:, None], origins[1] - grid])
    assert moved.std(axis=1).mean() == pytest.approx(0.8, rel=0.05)
    steps = np.abs(np.diff(moved, axis=-1)).mean()
    assert steps < 0.8 / 3, "neighbours move alike"
