"""Training: each step, each epoch, one seed for all that is random, and the whole state."""

import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_mnist.mnist import Config, Evaluation, Examples, evaluate, load_examples
from tinygrad_mnist.mnist.checkpoints import pack, unpack
from tinygrad_mnist.mnist.config import OPTIMIZERS
from tinygrad_mnist.mnist.training import Training, best_epoch
from tinygrad_mnist.nn.initialisers import INITIALISERS
from tinygrad_mnist.nn.layers import ACTIVATIONS


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


def test_augmentation_changes_neither_first_weights_nor_order(config, examples):
    plain, augmented = (Training(replace(config, augment=a), examples) for a in (False, True))
    assert weights(plain) == weights(augmented)
    run_epoch(plain)
    run_epoch(augmented)
    np.testing.assert_array_equal(plain.order, augmented.order)
    assert weights(plain) != weights(augmented)


# What an epoch leaves


def end(trained, labels):
    """End an epoch with a validation of which as many are right as there are 0 in the labels."""
    logits = np.zeros((4, 10))
    logits[:, 0] = 2
    return trained.end_epoch(Evaluation(logits, np.array(labels)), None)


def test_an_epochs_row_says_what_was_measured(config, examples):
    trained = Training(config, examples)
    run_epoch(trained)
    loss, accuracy = trained.loss, trained.accuracy
    epoch = end(trained, [0, 0, 0, 1])
    assert (epoch.epoch, epoch.lr) == (1, 0.02)
    assert (epoch.train_loss, epoch.train_accuracy) == (loss, accuracy)
    assert epoch.validation_accuracy == 0.75
    assert epoch.test_loss is epoch.test_accuracy is None
    assert trained.history == [epoch]


def test_the_gradient_norm_is_the_mean_over_every_64th_step(config, examples):
    config = replace(config, batch_size=2)  # 150 steps: the norms of steps 0, 64 and 128
    trained = Training(config, examples)
    norms, step = [], trained.optimizer.step

    def watched():
        gradients = [p.grad.ravel() for p in trained.model.parameters()]
        norms.append(np.linalg.norm(np.concatenate(gradients)))
        step()

    trained.optimizer.step = watched
    run_epoch(trained)
    assert end(trained, [0] * 4).gradient_norm == pytest.approx(np.mean(norms[::64]), rel=1e-5)
    assert len(norms) == 150


def test_the_best_parameters_are_those_of_the_first_epoch_that_did_best(config, examples):
    trained = Training(replace(config, epochs=4), examples)
    seen = []
    for labels in ([0, 1, 1, 1], [0, 0, 0, 1], [0, 0, 1, 1], [0, 0, 0, 1]):
        run_epoch(trained)
        end(trained, labels)
        seen.append(trained.model.state_dict())
    assert best_epoch(trained.history).epoch == 2
    assert trained.best.keys() == seen[1].keys()
    assert all(trained.best[name].tobytes() == seen[1][name].tobytes() for name in seen[1])


def test_without_validation_no_epoch_is_best(config, examples):
    trained = Training(config, examples)
    run_epoch(trained)
    trained.end_epoch(None, None)
    assert (trained.best, best_epoch(trained.history)) == (None, None)


# The whole state


RECIPES = {
    "momentum, dropout and cosine": {},
    "augmentation": {"augment": True},
    "adam": {"optimizer": "adam", "schedule": "constant"},
    "adamw": {"optimizer": "adamw"},
    "rmsprop with momentum": {"optimizer": "rmsprop", "momentum": 0.5},
    "plain": {"momentum": 0.0, "dropout": 0.0, "bias": False, "init": "xavier"},
}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("states") / "checkpoint.safetensors"


@pytest.mark.parametrize("recipe", RECIPES)
@settings(max_examples=5)
@given(stops=st.sets(st.integers(0, 12), min_size=1, max_size=3))
def test_a_training_goes_on_from_its_state_as_if_it_had_not_stopped(examples, path, recipe, stops):
    config = Config(hidden=(8, 6), epochs=3, batch_size=70, **RECIPES[recipe])  # 5 steps an epoch
    straight, stopped = (Training(config, examples) for _ in range(2))
    for step in range(13):
        if step in stops:
            path.write_bytes(pack(stopped.state_dict()))
            stopped = Training(replace(config, seed=9), examples)  # which differs in everything
            stopped.load_state_dict(unpack(path))
        for training in (straight, stopped):
            if not training.in_epoch:
                if training.epoch:
                    training.end_epoch(None, None)
                training.start_epoch()
            training.step()
    assert weights(stopped) == weights(straight)
    assert (stopped.loss, stopped.accuracy) == (straight.loss, straight.accuracy)
    assert stopped.optimizer.lr == straight.optimizer.lr
    histories = [[replace(e, seconds=0) for e in t.history] for t in (stopped, straight)]
    assert histories[0] == histories[1]


def test_a_state_holds_copies(config, examples):
    trained = Training(config, examples)
    state = trained.state_dict()
    before = pickle.dumps(state)
    run_epoch(trained)
    trained.end_epoch(None, None)
    assert pickle.dumps(state) == before


BAD = {
    "'position'": lambda state: state.pop("position"),
    "its order of images is none of these": lambda state: state.update(order=np.zeros(300, int)),
    "its order of images": lambda state: state.update(order=np.arange(299)),
    "its epoch and position do not fit": lambda state: state.update(position=301),
    "its epoch and position": lambda state: state.update(epoch=3),
    "missing .* required": lambda state: state.update(history=[{"epoch": 1}]),
    "missing: layers.0.weight": lambda state: state.pop("model.layers.0.weight"),
    "missing: 0.momentum_buffer": lambda state: state.pop("optimizer.0.momentum_buffer"),
    "'model.dropouts.0.rng'": lambda state: state["generators"].pop("model.dropouts.0.rng"),
}


@pytest.mark.parametrize("reason", BAD)
def test_the_state_of_another_training_is_refused(config, examples, reason):
    trained = Training(config, examples)
    run_epoch(trained)
    state = trained.state_dict()
    BAD[reason](state)
    with pytest.raises((KeyError, TypeError, ValueError), match=reason):
        Training(config, examples).load_state_dict(state)


def test_examples_are_taken_with_their_labels():
    examples = Examples(np.arange(6, dtype=np.float32).reshape(3, 2), np.array([7, 8, 9]))
    x, labels = examples.take(np.array([2, 0]))
    assert (x[:, 0].tolist(), labels.tolist()) == ([4, 0], [9, 7])
