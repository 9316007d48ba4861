"""Config: what it takes, what it refuses and in which words, and its way through JSON."""

import json
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_mnist.mnist import Config, InputError
from tinygrad_mnist.mnist.config import OPTIMIZERS, SCHEDULES
from tinygrad_mnist.nn.initialisers import INITIALISERS
from tinygrad_mnist.nn.layers import ACTIVATIONS

shares = st.floats(0, 1, exclude_max=True)
positive = st.floats(0, exclude_min=True, allow_infinity=False)


def one_or_each(values, count):
    return values | st.tuples(*[values] * count)


@st.composite
def configs(draw):
    hidden = tuple(draw(st.lists(st.integers(1, 999), max_size=3)))
    optimizer = draw(st.sampled_from(list(OPTIMIZERS)))
    momentum = draw(st.none() | shares) if "momentum" in OPTIMIZERS[optimizer] else None
    return Config(
        hidden=hidden,
        activation=draw(one_or_each(st.sampled_from(list(ACTIVATIONS)), len(hidden))),
        dropout=draw(one_or_each(shares, len(hidden))),
        bias=draw(st.booleans()),
        init=draw(st.sampled_from(list(INITIALISERS))),
        optimizer=optimizer,
        lr=draw(st.none() | positive),
        momentum=momentum,
        weight_decay=draw(st.none() | st.just(0) | positive),
        schedule=draw(st.sampled_from(SCHEDULES)),
        batch_size=draw(st.integers(1)),
        epochs=draw(st.integers(1)),
        seed=draw(st.integers(0)),
        threads=draw(st.none() | st.integers(1)),
        validation=draw(st.integers(0)),
        augment=draw(st.booleans()),
        test_each_epoch=draw(st.booleans()),
        data=draw(st.none() | st.just("folder")),
        labels=draw(st.none() | st.just(("cat", "dog"))),
    )


@given(configs())
def test_a_config_comes_back_from_json_as_it_was(config):
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@given(configs())
def test_a_config_is_complete(config):
    settings = {
        name for name in ("lr", "momentum", "weight_decay") if getattr(config, name) is not None
    }
    assert settings == set(OPTIMIZERS[config.optimizer])


def test_the_defaults_are_two_hidden_layers_and_momentum():
    config = Config()
    assert (config.hidden, config.dropout, config.batch_size, config.epochs) == (
        (256, 128),
        0.2,
        32,
        30,
    )
    assert (config.optimizer, config.lr, config.momentum) == ("sgd", 0.02, 0.9)
    assert config.schedule == "cosine"


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_optimizer_has_its_usual_settings(optimizer):
    config = Config(optimizer=optimizer)
    assert {name: getattr(config, name) for name in OPTIMIZERS[optimizer]} == OPTIMIZERS[optimizer]


def test_lists_become_tuples():
    config = Config(hidden=[8, 4], activation=["relu", "tanh"], dropout=[0.1, 0.2])
    assert config == Config(hidden=(8, 4), activation=("relu", "tanh"), dropout=(0.1, 0.2))
    assert hash(config) == hash(replace(config))


def test_a_config_does_not_change():
    with pytest.raises(FrozenInstanceError, match="seed"):
        Config().seed = 1


def test_the_folder_of_the_data_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Config(data="here").data == str(tmp_path / "here")


BAD = {
    "model 'mpl' is unknown: did you mean 'mlp'?": {"model": "mpl"},
    "activation 'rleu' is unknown: did you mean 'relu'?": {"activation": "rleu"},
    "activation 'tan' is unknown: did you mean 'tanh'?": {"activation": ("relu", "tan")},
    "optimizer 'xyz' is unknown: there are adam, adamw, rmsprop, sgd": {"optimizer": "xyz"},
    "schedule 'cosin' is unknown: did you mean 'cosine'?": {"schedule": "cosin"},
    "init 'hee' is unknown: did you mean 'he'?": {"init": "hee"},
    "activation has 3 values for 2 hidden layers: give one for all, or one for each": {
        "activation": ("relu",) * 3
    },
    "dropout has 1 values for 2 hidden layers: give one for all, or one for each": {
        "dropout": (0.5,)
    },
    "hidden is 128: give sizes from 1 up, such as 128,64": {"hidden": 128},
    "hidden is (128, 0): give sizes from 1 up, such as 128,64": {"hidden": (128, 0)},
    "hidden is (128, 'x'): give sizes from 1 up, such as 128,64": {"hidden": (128, "x")},
    "dropout is 1.0: give a number from 0 up, below 1": {"dropout": 1.0},
    "dropout is -0.1: give a number from 0 up, below 1": {"dropout": -0.1},
    "dropout is nan: give a number from 0 up, below 1": {"dropout": float("nan")},
    "lr is 0: give a number above 0": {"lr": 0},
    "lr is inf: give a number above 0": {"lr": float("inf")},
    "lr is 'fast': give a number above 0": {"lr": "fast"},
    "momentum is 1: give a number from 0 up, below 1": {"momentum": 1},
    "adam has no momentum: leave it out": {"optimizer": "adam", "momentum": 0.9},
    "weight_decay is -1: give a number from 0 up": {"weight_decay": -1},
    "batch_size is 0: give a whole number from 1 up": {"batch_size": 0},
    "epochs is 1.5: give a whole number from 1 up": {"epochs": 1.5},
    "epochs is True: give a whole number from 1 up": {"epochs": True},
    "seed is -1: give a whole number from 0 up": {"seed": -1},
    "validation is '1k': give a whole number from 0 up": {"validation": "1k"},
    "threads is 0: give a whole number from 1 up, or auto": {"threads": 0},
    "bias is 1: give True or False": {"bias": 1},
}


@pytest.mark.parametrize(("sentence", "choices"), BAD.items(), ids=BAD)
def test_what_a_config_refuses(sentence, choices):
    with pytest.raises(InputError) as caught:
        Config(**choices)
    assert str(caught.value) == sentence


def test_an_unknown_option_is_refused_with_its_near_name():
    with pytest.raises(InputError, match="option 'bacth_size' is unknown: did you mean 'batch_siz"):
        Config.from_dict({"bacth_size": 32})


# The paper's recipe


def test_the_paper_has_no_bias_no_dropout_and_plain_gradient_descent():
    config = Config.paper()
    assert (config.bias, config.dropout, config.init) == (False, 0.0, "xavier")
    assert (config.optimizer, config.momentum, config.weight_decay) == ("sgd", 0.0, 0.0)
    assert (config.schedule, config.activation, len(config.hidden)) == ("constant", "relu", 2)
    assert (config.batch_size, config.epochs, config.validation, config.data) == (32, 30, 0, None)


def test_the_paper_can_be_changed():
    assert Config.paper(dropout=0.2) == replace(Config.paper(), dropout=0.2)
    assert Config.paper(optimizer="adam").lr == OPTIMIZERS["adam"]["lr"]
