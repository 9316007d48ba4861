"""Tables: a model's layers, outputs and parameters."""

import numpy as np
import pytest

from tinygrad_mnist import Tensor, nn


def test_a_summary_shows_each_layer_and_the_total():
    table = nn.summary(nn.MLP((784, 128, 10)), np.zeros((32, 784), np.float32))
    assert str(table).splitlines() == [
        "layer          type    output             parameters",
        "----------------------------------------------------",
        "(model)        MLP     (32, 10) float32            0",
        "layers.0       Linear  (32, 128) float32     100,480",
        "activations.0  ReLU    (32, 128) float32           0",
        "layers.1       Linear  (32, 10) float32        1,290",
        "----------------------------------------------------",
        "total                                        101,770",
    ]
    assert repr(table) == str(table)
    assert table.total == table.trainable == 101_770


def test_a_summary_shows_what_dtype_an_input_leads_to():
    layer = nn.Linear(2, 3)
    assert nn.summary(layer, np.zeros((1, 2))).rows[0].output == "(1, 3) float64"
    assert nn.summary(layer, np.zeros((1, 2), np.uint8)).rows[0].output == "(1, 3) float32"


def test_frozen_shared_and_uncalled_layers_are_told_apart():
    class Odd(nn.Module):
        def __init__(self):
            self.shared = nn.Linear(2, 2)
            self.frozen = [Tensor(np.zeros(5))]
            self.unused = nn.Linear(3, 3)

        def forward(self, x):
            return self.shared(self.shared(x)), {"x": x}

    table = nn.summary(Odd(), np.zeros((1, 2), np.float32))
    assert [tuple(row) for row in table.rows] == [
        ("", "Odd", "(1, 2) float32, dict", 5),
        ("shared", "Linear", "(1, 2) float32", 6),
        ("shared", "Linear", "(1, 2) float32", 0),
        ("unused", "Linear", "not called", 12),
    ]
    assert (table.total, table.trainable) == (23, 18)
    assert "of these trainable" in str(table)


def test_an_overridden_call_is_one_row():
    class Twice(nn.Linear):
        def __call__(self, x):
            return super().__call__(super().__call__(x))

    table = nn.summary(nn.Sequential(Twice(2, 2), nn.Tanh()), np.zeros((1, 2), np.float32))
    assert [(row.name, row.type) for row in table.rows] == [
        ("", "Sequential"),
        ("0", "Twice"),
        ("1", "Tanh"),
    ]


def test_a_layer_made_in_forward_is_shown_as_such():
    class Wasteful(nn.Module):
        def forward(self, x):
            return nn.ReLU()(x)

    rows = nn.summary(Wasteful(), np.zeros(2)).rows
    assert rows[1] == ("(not an attribute)", "ReLU", "(2,) float64", 0)


def test_a_summary_leaves_the_model_as_it_was_also_after_an_error():
    model = nn.MLP((4, 8, 8, 3), dropout=0.5, rng=0)
    model.dropouts[0].eval()
    states = [rng.bit_generator.state for _, rng in model.generators()]
    nn.summary(model, np.zeros((2, 4), np.float32))
    with pytest.raises(ValueError, match="takes 4 numbers along the last axis"):
        nn.summary(model, np.zeros((2, 5), np.float32))
    assert [rng.bit_generator.state for _, rng in model.generators()] == states
    assert model.training
    assert [dropout.training for dropout in model.dropouts] == [False, True]


def test_a_summary_records_no_graph():
    class Asking(nn.Linear):
        def forward(self, x):
            out = super().forward(x)
            self.tracked = out.requires_grad
            return out

    model = Asking(2, 2)
    nn.summary(model, np.zeros((1, 2), np.float32))
    assert not model.tracked
