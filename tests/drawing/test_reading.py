"""What a graph is read as: inputs, parameters, operations, in every mode."""

import numpy as np
import pytest

from tests.drawing import subjects
from tests.drawing.shown import edges, labels, leaf
from tinygrad_mnist import Tensor, checkpoint, grad, nn, no_grad, ops
from tinygrad_mnist.drawing import draw
from tinygrad_mnist.graph import current_mode


def test_inputs_bear_the_names_of_arguments_and_nested_ones_say_where_they_are():
    def f(batch, scale, *rest):
        return (batch["a"][0] * batch["a"][1] + scale) * rest[0]

    picture = draw(f, {"a": [np.ones(2), np.ones(2)]}, 2.0, np.ones(2))
    names = {"batch['a'][0] 2", "batch['a'][1] 2", "scale scalar", "x3 2"}
    assert names <= set(labels(picture).values())


def test_tensors_that_a_function_reaches_bear_the_names_of_its_variables():
    slope, named = leaf(3), Tensor(1.0, requires_grad=True, name="offset")
    assert "x * slope + offset" in labels(draw(lambda x: x * slope + named, np.ones(3))).values()


def test_whole_numbers_and_frozen_parameters_are_shown_too():
    model = nn.Linear(4, 3, rng=0)
    model.bias.requires_grad = False

    def loss(x, truth):
        return ops.cross_entropy(model(x), truth)

    shown = " ".join(labels(draw(loss, subjects.ones(2, 4), np.array([0, 2]))).values())
    assert "truth 2 int64" in shown
    assert "bias 3" in shown


def test_an_input_that_nothing_reads_is_shown_as_not_used():
    assert "y 2, not used" in labels(draw(lambda x, y: x * 2.0, np.ones(2), np.ones(2))).values()


def test_shared_parameters_stand_apart_and_others_in_their_operation():
    shared = nn.Linear(3, 3, rng=0)
    twice = labels(draw(nn.Sequential(shared, nn.ReLU(), shared), subjects.ones(2, 3)))
    assert "0.weight 3x3" in twice.values()
    once = labels(draw(nn.Sequential(shared, nn.ReLU()), subjects.ones(2, 3)))
    assert not any(label.startswith("0.weight") for label in once.values())


def test_a_leaf_with_many_readers_is_named_by_them_instead_of_edges():
    w = leaf(2, 2)

    def f(x):
        for f in (np.sin, np.cos, np.exp, np.tanh, np.sin, np.exp, np.cos, np.tanh, np.sin):
            x = f(x @ w)
        return x

    picture = draw(f, np.ones((2, 2)))
    assert "w 2x2, read by 9 nodes" in labels(picture).values()
    assert not [edge for edge in edges(picture) if edge[0].startswith("w ")]
    assert "x @ w" in labels(picture).values()


def test_a_picture_of_a_gradient_shows_the_operations_of_the_rules():
    shown = labels(draw(grad(lambda x: np.sin(x) * x), 2.0)).values()
    assert any("cos" in label for label in shown)
    assert not any("alias" in label for label in shown)


def test_a_checkpoint_is_one_node():
    picture = draw(checkpoint(lambda x: np.exp(np.sin(x))), leaf(3))
    assert "checkpoint" in labels(picture).values()


def test_notes_show_static_arguments_that_are_not_the_default_but_no_generators():
    picture = draw(
        lambda x: ops.dropout(x, 0.25, rng=np.random.default_rng(0)).sum(axis=1), leaf(2, 3)
    )
    shown = set(labels(picture).values())
    assert "sum axis=1" in shown
    assert any("p=0.25" in label and "rng" not in label for label in shown)


def test_several_tensors_are_several_outputs():
    x = leaf(3)
    picture = draw([x * 2.0, {"b": x.sum()}])
    assert {"output 1 3", "output 2 scalar"} <= set(labels(picture).values())


def test_a_leaf_and_a_constant_alone_can_be_drawn():
    assert edges(draw(leaf(3))) == [("p1 3", "output 3", "")]
    assert edges(draw(Tensor(np.ones(2)))) == [("c1 2", "output 2", "")]


# After backward, and in every mode ---------------------------------------------------------------


def test_after_backward_the_graph_is_still_drawn_and_says_what_is_gone():
    w = leaf(3)
    loss = (np.exp(w * np.array([1.0, 2.0, 3.0])) * 2.0).sum()
    before = draw(loss)
    loss.backward()
    after = draw(loss)
    assert "exp(w * c1) * 2" in labels(before).values()
    assert "exp(w * …) * …" in labels(after).values()
    assert "… is a constant that is no longer kept" in after.source
    assert "no longer kept" not in before.source


def test_drawing_a_call_leaves_everything_as_it_was():
    model = nn.Sequential(nn.Linear(4, 3, rng=0), nn.Dropout(0.5, rng=1))
    x = subjects.ones(2, 4)
    model(x).sum().backward()
    grads = [p.grad.copy() for p in model.parameters()]
    states = [g.bit_generator.state for _, g in model.generators()]
    draw(model, x)
    assert [g.bit_generator.state for _, g in model.generators()] == states
    assert all(np.array_equal(p.grad, g) for p, g in zip(model.parameters(), grads, strict=True))
    assert x.flags.writeable
    assert all(p.data.flags.writeable for p in model.parameters())


def test_a_call_is_drawn_inside_no_grad_too():
    with no_grad():
        picture = draw(lambda x: x * 2.0, leaf(3))
        assert not current_mode().recording
    assert "x * 2" in labels(picture).values()


def test_an_exception_in_what_is_drawn_arrives_and_the_mode_is_as_before():
    generator = np.random.default_rng(0)
    state = generator.bit_generator.state

    def f(x):
        ops.dropout(x, 0.5, rng=generator)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        draw(f, np.ones(3))
    assert generator.bit_generator.state == state
    assert current_mode().scopes is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3,), "draw takes Tensors, or a module or function with its inputs; got int"),
        (([Tensor(1.0), "x"],), "got str"),
        ((Tensor(1.0), 2.0), "inputs for a module or function"),
        ((lambda x: 3.0, 1.0), "nothing to draw: <lambda> returned no Tensor; got float"),
    ],
)
def test_what_can_not_be_drawn_is_refused(arguments, message):
    with pytest.raises(TypeError, match=message):
        draw(*arguments)


@pytest.mark.parametrize("what", [None, [], {"a": ()}])
def test_nothing_is_no_picture(what):
    with pytest.raises(TypeError, match="draw takes Tensors, but there are none in"):
        draw(what)
