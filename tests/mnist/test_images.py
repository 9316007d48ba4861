"""Images as the network sees them, and the ones that are set aside."""

from dataclasses import replace

import numpy as np
import pytest

from tests.mnist.conftest import TEST, TRAIN
from tinygrad_mnist.mnist import InputError, load, load_examples, report
from tinygrad_mnist.mnist.images import as_rows


def test_rows_are_pixels_from_0_to_1():
    pixels = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)
    rows = as_rows(pixels)
    assert (rows.dtype, rows.shape) == (np.float32, (2, 784))
    assert (rows[0, 0], rows[0, 255]) == (0, 1)
    np.testing.assert_allclose(rows[1].reshape(28, 28), pixels[1] / 255, rtol=1e-6)


def test_without_validation_all_images_are_learned_from(config):
    train, validation, test, _ = load_examples(config)
    assert (len(train.x), validation, len(test.x)) == (TRAIN, None, TEST)


def test_validation_images_are_cut_from_the_training_images_with_their_labels(config, data):
    whole = load_examples(config).train
    train, validation, test, _ = load_examples(replace(config, validation=100))
    assert (len(train.x), len(validation.x), len(test.x)) == (TRAIN - 100, 100, TEST)
    known = {row.tobytes(): label for row, label in zip(*whole, strict=True)}
    assert len(known) == TRAIN
    parts = [
        (row.tobytes(), label)
        for part in (train, validation)
        for row, label in zip(*part, strict=True)
    ]
    assert dict(parts) == known


def test_validation_images_are_the_same_for_every_seed(config):
    config = replace(config, validation=50)
    first, second = (load_examples(replace(config, seed=seed)).validation for seed in (1, 2))
    np.testing.assert_array_equal(first.x, second.x)


def test_the_packaged_mnist_is_the_default(config):
    train, *_ = load_examples(replace(config, data=None))
    (pixels, labels), _ = load()
    np.testing.assert_array_equal(train.labels, labels)
    np.testing.assert_array_equal(train.x[-1], pixels[-1].ravel() / np.float32(255))


def test_some_images_must_be_left_to_learn_from(config):
    with pytest.raises(
        InputError, match=f"validation is {TRAIN}, and there are {TRAIN} training im"
    ):
        load_examples(replace(config, validation=TRAIN))


def test_a_folder_without_the_files_is_refused(config, tmp_path):
    with pytest.raises(InputError, match=r"lacks train-images-idx3-ubyte, .*; each may be gzipped"):
        load_examples(replace(config, data=str(tmp_path)))


def test_a_damaged_file_is_refused(config, data, tmp_path):
    for file in data.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[:-1])
    with pytest.raises(InputError, match="and ends after"):
        load_examples(replace(config, data=str(tmp_path)))


def test_the_checksum_is_of_every_image_and_label(config, data, tmp_path):
    known = load_examples(config).checksum
    assert load_examples(replace(config, validation=50, seed=3)).checksum == known
    for name in ("train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        for file in data.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        content = bytearray((data / name).read_bytes())
        content[-1] ^= 1
        (tmp_path / name).write_bytes(content)
        assert load_examples(replace(config, data=str(tmp_path))).checksum != known


def test_the_report_knows_mnist_by_its_checksum(config):
    assert load_examples(replace(config, data=None)).checksum == report.MNIST


def test_there_may_be_other_than_ten_classes(config, data, tmp_path):
    for file in data.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    labels = tmp_path / "train-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1] + bytes([11]))
    config = replace(config, data=str(tmp_path))
    with pytest.raises(InputError, match="has label 11 at index 299, where labels are 0 to 9"):
        load_examples(config)
    named = replace(config, labels=tuple("abcdefghijkl"))
    assert load_examples(named).train.labels.max() == 11
    with pytest.raises(InputError, match="where labels are 0 to 4; name all classes"):
        load_examples(replace(config, labels=tuple("abcde")))
