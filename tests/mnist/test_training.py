"""Training: each step, each epoch, the folder that is left, and one seed for all that is random."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import load_file

from tests.mnist.conftest import TEST, TRAIN
from tinygrad_mnist import drawing
from tinygrad_mnist.mnist import (
    Config,
    Examples,
    InputError,
    Run,
    evaluate,
    load_examples,
    train,
    training,
)
from tinygrad_mnist.mnist.config import OPTIMIZERS
from tinygrad_mnist.mnist.environment import most_threads
from tinygrad_mnist.mnist.progress import Progress
from tinygrad_mnist.mnist.training import Training
from tinygrad_mnist.nn.initialisers import INITIALISERS
from tinygrad_mnist.nn.layers import ACTIVATIONS

FILES = {
    "config.json",
    "confusion.svg",
    "curves.svg",
    "graph.svg",
    "metrics.csv",
    "metrics.json",
    "model.safetensors",
    "weights.png",
}


@pytest.fixture(scope="module")
def examples(config):
    return load_examples(config).train


def run_epoch(trained):
    trained.start_epoch()
    while trained.in_epoch:
        trained.step()


def weights(trained):
    return b"".join(array.tobytes() for array in trained.model.state_dict().values())


# Steps


@settings(max_examples=20)
@given(count=st.integers(1, 70), batch_size=st.integers(1, 80))
def test_an_epoch_sees_every_image_once_and_the_last_batch_may_be_smaller(
    examples, count, batch_size
):
    config = Config(hidden=(4,), dropout=0, lr=1e-30, batch_size=batch_size, epochs=2)
    trained = Training(config, examples.take(slice(count)))
    untrained = evaluate(trained.model, trained.examples)
    run_epoch(trained)
    assert sorted(trained.order) == list(range(count))
    assert trained.schedule.steps == trained.steps_per_epoch == math.ceil(count / batch_size)
    # with a learning rate of nothing, the means over the steps are those of all images at once
    assert trained.loss == pytest.approx(untrained.loss, rel=1e-5)
    assert trained.accuracy == pytest.approx(untrained.accuracy)


def test_images_are_in_another_order_in_each_epoch(config, examples):
    trained = Training(config, examples)
    run_epoch(trained)
    first = trained.order
    run_epoch(trained)
    assert not np.array_equal(first, trained.order)


def test_the_first_loss_is_that_of_guessing(config, examples):
    trained = Training(replace(config, dropout=0), examples)
    assert evaluate(trained.model, examples).loss == pytest.approx(math.log(10), rel=0.2)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_learns(examples, optimizer):
    config = Config(hidden=(32,), dropout=0, optimizer=optimizer, epochs=12)
    trained = Training(config, examples)
    for name, value in OPTIMIZERS[optimizer].items():
        assert getattr(trained.optimizer, name) == value
    for _ in range(config.epochs):
        run_epoch(trained)
    assert evaluate(trained.model, examples).accuracy > 0.8


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_can_be_trained(examples, activation):
    trained = Training(Config(hidden=(8, 4), activation=("relu", activation)), examples)
    run_epoch(trained)
    assert math.isfinite(trained.loss)


@pytest.mark.parametrize("init", INITIALISERS)
def test_every_initialiser_gives_weights_of_the_networks_shape(examples, init):
    trained = Training(Config(hidden=(8,), init=init, bias=False), examples)
    assert [p.shape for p in trained.model.parameters()] == [(784, 8), (8, 10)]


def test_the_papers_network_is_the_papers(examples):
    trained = Training(Config.paper(), examples)
    first, second, third = (p.data for p in trained.model.parameters())
    assert [first.shape, second.shape, third.shape] == [(784, 128), (128, 64), (64, 10)]
    for layer in (first, second):
        assert layer.std() == pytest.approx(1 / math.sqrt(len(layer)), rel=0.05)
    before, gradient = first.copy(), []
    step = trained.optimizer.step
    trained.optimizer.step = lambda: (gradient.append(trained.model.parameters()[0].grad), step())
    trained.start_epoch()
    trained.step()
    np.testing.assert_allclose(
        trained.model.parameters()[0].data, before - 0.1 * gradient[0], rtol=1e-6
    )


def test_the_learning_rate_follows_its_schedule(config, run):
    first, second = run.epochs()
    assert (first.lr, second.lr) == (0.02, pytest.approx(0.01))
    trained = Training(replace(config, schedule="constant"), load_examples(config).train)
    run_epoch(trained)
    assert trained.optimizer.lr == 0.02


# Chance


def test_the_same_seed_gives_the_same_weights_bit_for_bit(config, run, tmp_path):
    again = train(config, out=tmp_path / "run")
    for name in ("model.safetensors", "curves.svg", "confusion.svg", "weights.png"):
        assert (again.folder / name).read_bytes() == (run.folder / name).read_bytes(), name
    assert [replace(e, seconds=0) for e in again.epochs()] == [
        replace(e, seconds=0) for e in run.epochs()
    ]


def test_another_seed_gives_other_weights_and_another_order(config, examples):
    one, other = (Training(replace(config, seed=seed), examples) for seed in (0, 1))
    assert weights(one) != weights(other)
    run_epoch(one)
    run_epoch(other)
    assert not np.array_equal(one.order, other.order)


def test_first_weights_and_order_are_the_same_with_dropout_and_without(config, examples):
    one, other = (Training(replace(config, dropout=share), examples) for share in (0.0, 0.5))
    assert weights(one) == weights(other)
    run_epoch(one)
    run_epoch(other)
    np.testing.assert_array_equal(one.order, other.order)
    assert weights(one) != weights(other)


def test_the_global_generator_of_numpy_is_left_alone(config, examples):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    run_epoch(Training(config, examples))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


# The folder


def test_a_run_leaves_its_files_and_nothing_else(run):
    assert {file.name for file in run.folder.iterdir()} == FILES


def test_the_results_are_those_of_the_saved_network_on_the_test_images(config, run):
    evaluation = evaluate(run.model(), load_examples(config).test)
    results = run.results()
    # evaluated here with the machine's own number of BLAS threads, which changes the last bits
    assert results["loss"] == pytest.approx(evaluation.loss, rel=1e-6)
    assert results["accuracy"] == evaluation.accuracy
    assert (results["epochs"], len(evaluation.labels)) == (2, TEST)
    last = run.epochs()[-1]
    assert (last.test_loss, last.test_accuracy) == (results["loss"], results["accuracy"])
    assert last.validation_loss is None


def test_the_saved_weights_are_named_float32_arrays(run):
    shapes = {
        name: (array.dtype, array.shape)
        for name, array in load_file(run.folder / "model.safetensors").items()
    }
    assert shapes["layers.0.weight"] == (np.float32, (784, 16))
    assert shapes["layers.2.bias"] == (np.float32, (10,))
    assert len(shapes) == 6


def test_validation_images_are_watched_in_place_of_the_test_images(config, tmp_path):
    run = train(replace(config, validation=100, epochs=1), out=tmp_path / "run")
    (epoch,) = run.epochs()
    assert epoch.test_loss is None
    validation = load_examples(run.config).validation
    assert epoch.validation_accuracy == evaluate(run.model(), validation).accuracy
    assert b"validation images" in (run.folder / "curves.svg").read_bytes()


def test_the_picture_of_weights_is_of_the_first_layer(run):
    with Image.open(run.folder / "weights.png") as picture:
        assert picture.width == 4 * 30 * 10  # 16 units, 4 in a row


def test_the_graph_ends_in_the_loss(run):
    svg = (run.folder / "graph.svg").read_text()
    assert all(word in svg for word in ("cross_entropy", "layers.0", "dropout", "loss"))


def test_a_softmax_regression_has_no_hidden_layer(config, tmp_path):
    run = train(replace(config, hidden=(), epochs=1), out=tmp_path / "run")
    assert [p.shape for p in run.model().parameters()] == [(784, 10), (10,)]


def test_without_a_renderer_the_source_of_the_graph_is_left(config, tmp_path, monkeypatch):
    class Unrendered:
        source = "digraph {}"

        def pipe(self, _):
            raise drawing.NoRenderer("install Graphviz")

    class Heard(Progress):
        def say(self, text):
            said.append(text)

    said = []
    monkeypatch.setattr(drawing, "draw", lambda *_: Unrendered())
    run = train(replace(config, epochs=1), out=tmp_path / "run", progress=Heard())
    names = {file.name for file in run.folder.iterdir()}
    assert names == FILES - {"graph.svg"} | {"graph.gv"}
    assert (run.folder / "graph.gv").read_text() == "digraph {}"
    assert said == ["No graph.svg, but graph.gv: install Graphviz"]


# What goes wrong


def test_a_learning_rate_far_too_large_is_said_without_warnings(config, tmp_path):
    with pytest.raises(
        InputError,
        match=r"the loss became (inf|nan) in epoch 1, after .* images: the "
        r"learning rate 1e\+08 is too large; try 1e\+07",
    ):
        train(replace(config, lr=1e8), out=tmp_path / "run")


def test_a_network_that_ends_with_weights_that_are_not_finite_is_no_result(
    examples, tmp_path, config
):
    config = replace(config, lr=1e38, epochs=1, batch_size=TRAIN)
    with pytest.raises(
        InputError, match=f"after {TRAIN} images: the learning rate 1e.38 is too large"
    ):
        train(config, out=tmp_path / "run")
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_no_folder_is_made_for_data_that_cannot_be_read(config, tmp_path):
    with pytest.raises(InputError, match="is not a folder with train-images"):
        train(replace(config, data=str(tmp_path / "nowhere")), out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_after_an_interrupt_the_folder_is_as_the_last_whole_epoch_left_it(config, tmp_path):
    class Impatient(Progress):
        def step(self, training):
            if training.epoch == 2 and training.position > 100:
                raise KeyboardInterrupt

    before = most_threads()
    with pytest.raises(KeyboardInterrupt):
        train(replace(config, epochs=3), out=tmp_path / "run", progress=Impatient())
    names = {file.name for file in (tmp_path / "run").iterdir()}
    assert names == {"config.json", "graph.svg", "metrics.csv", "model.safetensors"}
    assert (len(Run(tmp_path / "run").epochs()), most_threads()) == (1, before)


# BLAS threads


def test_threads_are_as_before_after_a_run(config, tmp_path):
    before = most_threads()
    run = train(replace(config, epochs=1), out=tmp_path / "run")
    assert (run.threads, most_threads()) == (1, before)


def test_auto_takes_the_faster_number_of_threads_and_says_so(config, tmp_path, monkeypatch):
    class Heard(Progress):
        def say(self, text):
            said.append(text)

    def speeds(step):
        step()
        return {1: 900.0, 4: 1234.0}

    said = []
    monkeypatch.setattr(training.environment, "most_threads", lambda: 4)
    monkeypatch.setattr(training.environment, "thread_speeds", speeds)
    config = replace(config, threads=None, epochs=1)
    run = train(config, out=tmp_path / "run", progress=Heard())
    assert run.threads == 4
    assert said == ["BLAS threads: 4, which makes 1,234 steps per second here; 1 made 900"]


def test_trying_threads_changes_nothing_of_the_run(config, run, tmp_path, monkeypatch):
    monkeypatch.setattr(training.environment, "most_threads", lambda: 2)
    monkeypatch.setattr(
        training.environment,
        "thread_speeds",
        lambda step: [step() for _ in range(50)] and {1: 2.0, 2: 1.0},
    )
    again = train(replace(config, threads=None), out=tmp_path / "run")
    assert (again.folder / "model.safetensors").read_bytes() == (
        run.folder / "model.safetensors"
    ).read_bytes()


def test_examples_are_taken_with_their_labels():
    examples = Examples(np.arange(6, dtype=np.float32).reshape(3, 2), np.array([7, 8, 9]))
    x, labels = examples.take(np.array([2, 0]))
    assert (x[:, 0].tolist(), labels.tolist()) == ([4, 0], [9, 7])
