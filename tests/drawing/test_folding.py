"""How pictures of large graphs stay small: repeated blocks, modules, the middle left out."""

import itertools
import re

import numpy as np
import pytest

from tests.drawing import subjects
from tests.drawing.shown import boxes, edges, labels, leaf, texts
from tinygrad_mnist import nn, op, ops
from tinygrad_mnist.drawing import draw
from tinygrad_mnist.drawing.folding import BUDGET

# Large graphs -----------------------------------------------------------------------------------


def test_a_chain_of_100_000_operations_is_one_block():
    x = leaf(2)
    y = x
    for k in range(100_000):
        y = y * x if k % 2 else y + x
    picture = draw(y)
    assert "100,000 operations" in picture.source
    assert len(labels(picture)) < 10


def test_a_long_irregular_history_shows_its_start_and_its_end():
    x, random = leaf(2), np.random.default_rng(0)
    y = x
    for k in random.integers(0, 3, 5_000).tolist():
        y = -y if k == 0 else y * x if k == 1 else np.exp(y * 0.0).sum() + y
    picture = draw(y)
    assert len(labels(picture)) <= BUDGET
    assert any("left out" in a for a, _, _ in edges(picture))
    assert any("left out" in b for _, b, _ in edges(picture))
    total = int(re.search(r"([\d,]+) operations, float64", picture.source)[1].replace(",", ""))
    count = 0
    stack, seen = [y._node], {y._node}
    while stack:
        node = stack.pop()
        count += node.plan is not None
        fresh = set(node.parents) - seen
        seen |= fresh
        stack += fresh
    assert total == count


def test_a_large_model_is_drawn_module_by_module():
    sizes = range(2, 62)

    class Block(nn.Module):
        def __init__(self, a, b):
            self.first, self.second = nn.Linear(a, a, rng=0), nn.Linear(a, b, rng=0)

        def forward(self, x):
            h = self.first(x)
            return self.second((ops.relu(h) @ np.ones((h.shape[1], h.shape[1]))) + h.sum())

    blocks = [Block(a, b) for a, b in itertools.pairwise(sizes)]
    picture = draw(nn.Sequential(*blocks), np.ones((2, sizes[0])))
    assert len(labels(picture)) <= BUDGET
    assert "modules are folded, to show 150 nodes at most" in picture.source
    assert sum("Block" in label for label in labels(picture).values()) == len(blocks)


def recurrence(make, steps=20):
    """Return the picture of what `make` makes of the states of a loop."""

    def f(x):
        states = []
        for _ in range(steps):
            x = np.tanh(x @ np.ones((3, 3)))
            states.append(x)
        return make(states)

    return draw(f, np.ones((2, 3)))


@pytest.mark.parametrize(
    ("make", "reader"),
    [
        (np.stack, "stack"),
        (lambda states: np.concatenate([*states, states[-1]]), "concatenate"),
        (sum, "sum of 20"),
        (lambda states: sum(states) / 20.0, "sum of 20"),
    ],
)
def test_a_loop_whose_states_are_all_read_behind_it_is_one_block(make, reader):
    picture = recurrence(make)
    assert boxes(picture) == ["x 20"]
    assert ("x = tanh", reader, "20 values, each 2x3") in edges(picture)


def test_what_reads_the_states_of_a_loop_one_by_one_is_a_block_too():
    picture = recurrence(lambda states: np.stack([s.sum(axis=0) * 2.0 for s in states]))
    assert boxes(picture) == ["x 20", "x 20, side by side"]


def test_a_loop_of_which_other_things_read_some_steps_is_not_joined():
    picture = recurrence(
        lambda states: states[3].sum() + np.exp(states[7]).max() + states[-1].min()
    )
    assert not any("x 20" in box for box in boxes(picture))
    assert sum(label == "x = tanh" for label in labels(picture).values()) > 3


def test_equal_blocks_side_by_side_are_drawn_once():
    weights = [leaf(3, 2) for _ in range(40)]

    def f(x):
        y = np.exp(x).sum(axis=0, keepdims=True)
        return np.concatenate([np.tanh(y @ w) for w in weights])

    picture = draw(f, np.ones((4, 3)))
    assert boxes(picture) == ["x 40, side by side"]
    assert "83 operations" in picture.source
    assert ("tanh", "concatenate", "40 values, each 1x2") in edges(picture)


def test_what_is_computed_alike_and_used_differently_is_not_joined():
    def f(x):
        parts = [x[k] for k in range(13)]
        return parts[0] * np.sin(parts[1]) + np.exp(parts[2]) / parts[3] + sum(parts[4:]).mean()

    assert not any("side by side" in box for box in boxes(draw(f, np.ones((13, 2)))))


def test_blocks_that_calculate_with_other_numbers_are_equal_and_say_so():
    def stepping(x):
        for t in range(20):
            x = x + np.sin(x * (t / 10)) * 0.1
        return x

    assert "x 20 x = x + sin(x * (0 … 1.9)) * 0.1" in labels(draw(stepping, np.ones(3))).values()

    def features(x):
        return np.concatenate([np.sin(x * k) for k in range(1, 30)])

    picture = draw(features, np.ones(3))
    assert "x 29, side by side sin(x * (1 … 29))" in labels(picture).values()
    axes = [0, 0, 1, 0, 1, 1, 0, 1, 0, 0, 0, 1, 1, 1]
    picture = draw(lambda x: np.stack([np.sum(np.exp(x), axis=axis) for axis in axes]), leaf(3, 3))
    assert len(labels(picture)) > len(axes)  # an axis is no such number


def test_blocks_of_blocks_are_joined():
    def f(x):
        for _ in range(5):
            for _ in range(20):
                x = np.tanh(x.sum(axis=0, keepdims=True) + x)
            x = x.reshape(3, 2).reshape(2, 3)
        return x

    picture = draw(f, np.ones((2, 3)))
    assert boxes(picture) == ["x 5", "x 20"]
    assert "310 operations" in picture.source


@op
def tripled(x):
    return x, 2 * x, 3 * x


tripled.defvjp(x=lambda g: g[0])


def test_repeated_blocks_that_pass_on_several_results_are_joined():
    def f(x):
        for _ in range(30):
            a, b, c = tripled(x)
            x = a + b * c
        return x

    picture = draw(f, np.zeros(3))
    assert boxes(picture) == ["x 30"]
    assert len(labels(picture)) < 10


# Chosen by the user -------------------------------------------------------------------------------


def nested():
    return nn.Sequential(nn.Linear(8, 4, rng=0), subjects.Residual(4), nn.Linear(4, 2, rng=1))


def test_depth_says_how_many_boxes_in_each_other_are_drawn():
    x = subjects.ones(2, 8)
    assert len(labels(draw(nested(), x, depth=0))) == 3
    assert boxes(draw(nested(), x, depth=0)) == []
    assert boxes(draw(nested(), x, depth=1)) == ["Sequential 86 parameters"]
    assert "1 Residual, 40 parameters" in labels(draw(nested(), x, depth=1)).values()
    assert len(boxes(draw(nested(), x, depth=2))) == 2


@pytest.mark.parametrize(
    "collapse", ["1", "Residual", "Res*", lambda scope: scope.kind == "Residual"]
)
def test_modules_are_collapsed_by_path_class_pattern_or_function(collapse):
    picture = draw(nested(), subjects.ones(2, 8), collapse=collapse)
    assert "1 Residual, 40 parameters" in labels(picture).values()
    assert boxes(picture) == ["Sequential 86 parameters"]


def test_a_step_that_is_fed_from_outside_is_the_first_of_the_equal_ones():
    kept = nn.Linear(4, 4, rng=0)

    def run(state, xs, scale):
        for x in xs:
            state = np.tanh(x * scale + kept(state))
        return state

    picture = draw(run, subjects.ones(2, 4), subjects.ones(20, 2, 4), subjects.ones(4))
    assert set(boxes(picture)) == {"x 20"}
    assert len(labels(picture)) == 9
    assert ("state 2x4", "kept Linear, 20 parameters linear", "at first") in edges(picture)


def test_a_first_step_that_does_something_else_stays_outside():
    kept = nn.Linear(4, 4, rng=0)

    def run(state, xs):
        state = kept(np.exp(state))
        for x in xs:
            state = np.tanh(x + kept(state))
        return state

    picture = draw(run, subjects.ones(2, 4), subjects.ones(20, 2, 4))
    assert set(boxes(picture)) == {"x 20"}
    assert any(a == "exp(state)" for a, _, _ in edges(picture))


def test_what_only_the_first_of_equal_blocks_reads_has_a_name_in_their_formula_if_all_do():
    start = np.ones(4)

    def run(xs, start=start):
        state = start
        for x in xs:
            state = np.tanh(x * state)
        return state

    picture = draw(run, np.ones((20, 4)), start)
    assert ("start 4", "state = tanh(x * y)", "y at first") in edges(picture)

    def named_alike(xs):
        state = np.ones(4)
        for x in xs:
            state = np.tanh(x * state)
        return state

    picture = draw(named_alike, np.ones((20, 4)))
    assert ("state 4", "state = tanh(x * state)", "at first") in edges(picture)


def test_very_many_leaves_that_one_operation_reads_are_one_node():
    leaves = [leaf() for _ in range(1000)]
    picture = draw(np.stack(leaves).sum())
    shown = list(labels(picture).values())
    assert len(shown) == 4
    assert "scalar, the first of 1,000 like it" in shown[0]


def test_rules_are_folded_before_modules_are():
    sizes = [40 - k for k in range(20)]
    picture = draw(nn.MLP(sizes, rng=0), subjects.ones(2, 40), order=1)
    assert len(labels(picture)) <= BUDGET
    shown = labels(picture).values()
    assert sum(label == "∂ of linear" for label in shown) > 9
    assert sum("Linear" in label and "weight" in label for label in shown) == 19


def test_weights_that_all_equal_blocks_share_stand_outside_of_them():
    kept = nn.Linear(4, 4, rng=0)

    def run(x):
        for _ in range(20):
            x = np.tanh(kept(x))
        return x

    assert "kept.weight 4x4" in labels(draw(run, subjects.ones(2, 4))).values()
    own = [layer for k in range(20) for layer in (nn.Linear(4, 4, rng=k), nn.Tanh())]
    assert "weight 4x4" not in labels(draw(nn.Sequential(*own), subjects.ones(2, 4))).values()


def test_many_weights_that_all_equal_blocks_share_are_listed_and_said_to_be_shared():
    layers = [nn.Linear(4, 4, rng=k) for k in range(4)]

    def run(xs):
        state = subjects.ones(2, 4)
        for x in xs:
            for layer in layers:
                state = np.tanh(layer(state)) + x
        return state

    picture = draw(run, subjects.ones(20, 2, 4))
    shown = labels(picture).values()
    assert sum("weight 4x4, shared bias 4, shared" in label for label in shown) == 4
    assert any(a == "state 2x4" and label == "at first" for a, _, label in edges(picture))


def test_a_frozen_parameter_says_so_where_it_is_listed():
    layer = nn.Linear(4, 2, rng=0)
    layer.weight.requires_grad = False
    assert "weight 4x2, frozen" in " ".join(labels(draw(layer, subjects.ones(2, 4))).values())


def test_a_function_that_collapses_all_leaves_the_outermost_module_open():
    shown = labels(draw(nested(), subjects.ones(2, 8), collapse=lambda scope: True))
    opened = labels(draw(nested(), subjects.ones(2, 8), depth=1))
    assert sorted(shown.values()) == sorted(opened.values())
    assert len(shown) > 3
    only = draw(nested(), subjects.ones(2, 8), collapse=lambda scope: not scope.path)
    assert "collapse leaves the outermost module open; depth=0 folds it" in only.source
    called = draw(lambda x: nested()(x) * 2.0, subjects.ones(2, 8), collapse="Sequential")
    assert any("Sequential" in label for label in labels(called).values())


@pytest.mark.parametrize("collapse", [3, ["MLP"]])
def test_what_is_neither_a_name_nor_a_function_collapses_nothing(collapse):
    with pytest.raises(TypeError, match=r"draw's collapse is the path or class of modules.*; got"):
        draw(nested(), subjects.ones(2, 8), collapse=collapse)


def test_a_name_that_no_module_has_is_said_below_the_picture():
    remark = "collapse='residual' is no module here"
    x = subjects.ones(2, 8)
    assert remark in texts(draw(nested(), x, collapse="residual"))
    assert not any("no module" in text for text in texts(draw(nested(), x, collapse="Res*")))


@pytest.mark.parametrize("depth", [-1, 1.5, "1"])
def test_a_depth_that_counts_no_boxes_is_refused(depth):
    with pytest.raises(ValueError, match=f"depth is how many boxes .*; got {depth!r}"):
        draw(leaf(2), depth=depth)


def test_a_graph_with_many_edges_shows_fewer_nodes():
    states = [leaf(2)]
    for _ in range(100):
        states.append(np.stack(states).sum(axis=0))
    picture = draw(states[-1])
    assert len(edges(picture)) <= 500


def test_a_wide_graph_shows_no_more_than_its_budget():
    x = leaf(2)
    picture = draw(np.stack([np.tanh(x * float(k)) for k in range(2_000)]))
    assert len(labels(picture)) <= BUDGET
    assert any("values" in label for _, _, label in edges(picture))


def test_many_outputs_are_left_out_too():
    x = leaf(2)
    assert len(labels(draw([x * float(k) for k in range(1_000)]))) <= BUDGET
