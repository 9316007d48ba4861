"""Values, gradients, memory and colours, where they are asked for."""

import re

import numpy as np
import pytest

from tests.drawing import subjects
from tests.drawing.shown import labels, leaf
from tinygrad_mnist import Tensor, checkpoint, draw, nn, ops


def fills(picture):
    """Return the colour of each node, by its label."""
    found = re.findall(
        r'^\t*(n\d+) \[label=<.*> .*fillcolor="(#\w+)"', picture.source, re.MULTILINE
    )
    nodes = labels(picture)
    return {nodes[name]: color for name, color in found}


def brightness(color):
    return sum(int(color[k : k + 2], 16) for k in (1, 3, 5))


# Values -----------------------------------------------------------------------------------------


def test_nothing_is_measured_unless_it_is_asked_for():
    assert set(labels(draw(lambda x: x.sum(), np.ones(3))).values()) == {
        "x 3", "sum", "output scalar",
    }  # fmt: skip


def test_values_of_a_call_are_all_known():
    shown = labels(draw(lambda x: np.exp(x).sum(), np.zeros(3), values=True)).values()
    assert {"x 3 [0, 0, 0]", "exp(x) [1, 1, 1]", "sum 3", "output scalar 3"} <= set(shown)


def test_of_large_arrays_the_ends_and_the_mean_are_shown():
    shown = labels(draw(lambda x: x * 2.0, np.linspace(0, 1, 101), values=True)).values()
    assert "x * 2 0 to 2, mean 1" in shown


def test_values_of_a_history_are_those_that_something_keeps():
    w = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    loss = (np.exp(w) + 1.0).sum()
    shown = labels(draw(loss, values=True)).values()
    assert "w 2 [1, 2] grad not computed" in shown
    assert "exp(w) + … value not kept" in shown
    assert f"loss scalar {np.exp([1, 2]).sum() + 2:.4g}" in shown


def test_gradients_are_shown_after_backward():
    w = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    loss = (w * w).sum()
    loss.backward()
    assert "w 2 [1, 2] grad [2, 4]" in labels(draw(loss, values=True)).values()


def test_nan_and_infinity_are_counted_in_red():
    data = np.ones(100)
    data[:3], data[3] = np.nan, np.inf
    picture = draw(lambda x: x * 2.0, data, values=True)
    assert "x * 2 3 NaN, 1 inf, all 2" in labels(picture).values()
    assert 'color="#B30000"><b>3 NaN, 1 inf, all 2</b>' in picture.source
    assert 'color="#B30000"' not in draw(lambda x: x * 2.0, np.ones(3), values=True).source


def test_values_in_a_block_that_repeats_are_those_of_the_first_and_the_last():
    layers = [layer for k in range(20) for layer in (nn.Linear(1, 1, rng=0), nn.ReLU())]
    for k, layer in enumerate(layers[::2]):
        layer.weight.data = np.full((1, 1), 2.0)
        layer.bias.data = np.full(1, float(k))
    picture = draw(nn.Sequential(*layers), np.ones((1, 1)), values=True)
    (linear,) = [label for label in labels(picture).values() if "linear" in label]
    end = sum(k * 2.0 ** (19 - k) for k in range(20)) + 2.0**20
    assert f"first of 20: [[2]] last: [[{end:.4g}]]" in linear
    assert "bias 1; first of 20: [0]; first of 20: grad not computed; last: [19]" in linear


def test_shared_weights_of_a_block_that_repeats_are_no_first_of_many():
    shared = nn.Linear(2, 2, rng=0)

    def repeat(x):
        for _ in range(20):
            x = np.tanh(shared(x))
        return x

    shown = labels(draw(repeat, np.ones((3, 2), np.float32), values=True)).values()
    (weight,) = [label for label in shown if "weight" in label]
    assert "first of" not in weight.partition("weight")[2].partition("bias")[0]


def test_values_of_cotangents_are_shown_in_their_lane():
    w = Tensor(3.0, requires_grad=True)
    picture = draw(w * w, order=1, values=True)
    assert "∂w scalar 6" in labels(picture).values()


def test_a_checkpoint_keeps_no_values():
    picture = draw(lambda x: checkpoint(np.exp)(x).sum(), np.ones(2), values=True, memory=True)
    assert "checkpoint value not kept" in labels(picture).values()


# Memory -----------------------------------------------------------------------------------------


def test_memory_is_what_rules_keep_and_counts_an_array_once():
    w = leaf(100, 50)

    def loss(x):
        h = np.tanh(x @ w)  # keeps its result, which the product with itself keeps too
        return (h * h).sum()

    picture = draw(loss, np.ones((20, 100)), memory=True)
    kept = 20 * 50 * 8
    also = 20 * 100 * 8  # the input, for w's gradient; w itself only for the input's, not needed
    assert f"kept for backward: {kept / 1000:.3g} kB, and {also / 1000:.3g} kB of" in picture.source


def test_memory_of_a_graph_that_was_freed_is_said_to_be_gone():
    w = leaf(3)
    loss = np.exp(w).sum()
    loss.backward()
    assert "backward has freed what was kept" in draw(loss, memory=True).source


def test_memory_of_a_repeated_block_is_that_of_all_its_repetitions():
    layers = [layer for k in range(20) for layer in (nn.Linear(8, 8, rng=k), nn.Tanh())]
    picture = draw(nn.Sequential(*layers), subjects.ones(4, 8), memory=True)
    assert f"kept for backward: {20 * 4 * 8 * 4 / 1000:.3g} kB" in picture.source
    assert any(f"keeps {20 * 4 * 8 * 4 / 1000:.3g} kB" in t for t in labels(picture).values())


# Colours ----------------------------------------------------------------------------------------


def test_larger_gradients_are_darker():
    w = leaf(2)

    def loss(x):
        small = np.exp(x * w)
        return (ops.softmax(small).sum() * 1000.0).sum()

    picture = draw(loss, np.ones(2), color_by="gradient norm")
    colors = fills(picture)
    dark = next(c for label, c in colors.items() if label.startswith("sum"))
    light = next(c for label, c in colors.items() if label.startswith("small"))
    assert brightness(dark) < brightness(light)
    assert "gradient norm:" in picture.source


def test_gradient_norms_are_those_of_backward():
    w = Tensor(np.array([3.0, 4.0]), requires_grad=True)
    loss = (w**2).sum()
    shown = labels(draw(loss, color_by="gradient_norm")).values()
    assert f"w ** 2 gradient {2**0.5:.4g}" in shown
    assert w.grad is None


def test_memory_colors_what_keeps_most():
    def f(x):
        return np.tanh(np.tanh(x).sum(axis=0)).sum()

    colors = fills(draw(f, np.ones((1000, 2)), color_by="memory"))
    assert "tanh(x) keeps 16 kB" in colors
    assert brightness(colors["tanh(x) keeps 16 kB"]) < brightness(colors["tanh keeps 16 bytes"])


def test_time_is_measured_of_every_operation_of_a_call():
    picture = draw(lambda x: np.exp(x).sum(), np.ones(3), color_by="time")
    assert sum("takes" in label for label in labels(picture).values()) == 2


def test_time_leaves_generators_as_they_were():
    generator = np.random.default_rng(0)
    state = generator.bit_generator.state
    draw(lambda x: ops.dropout(x, 0.5, rng=generator), np.ones(3), color_by="time")
    assert generator.bit_generator.state == state


def test_time_of_a_history_is_said_to_be_unknown():
    picture = draw(leaf(2) * 2.0, color_by="time")
    assert "time is known of a module or function that draw calls itself" in picture.source


def test_rounding_colors_what_moves_the_result_most():
    def f(x):
        return np.cos(x).sum() - 2.0

    shown = labels(draw(f, np.array([1e-4, 2e-4]), color_by="rounding")).values()
    assert any("cos(x) rounding" in label for label in shown)


@pytest.mark.parametrize("measure", ["memory", "gradient_norm", "rounding"])
def test_after_backward_colors_say_what_is_gone(measure):
    loss = np.exp(leaf(3)).sum()
    loss.backward()
    assert "freed" in draw(loss, color_by=measure).source


def test_an_unknown_measure_is_refused_before_anything_runs():
    def never(x):
        raise AssertionError(x)

    with pytest.raises(ValueError, match="can't color by 'beauty': there are time, memory"):
        draw(never, 1.0, color_by="beauty")
