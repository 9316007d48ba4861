"""Layers: what they compute, how they start, what they refuse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_mnist import Tensor, nn, ops
from tinygrad_mnist.nn.layers import ACTIVATIONS


def normal(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


# Linear


@given(
    lead=st.lists(st.integers(0, 3), max_size=3),
    n=st.integers(1, 4),
    m=st.integers(1, 4),
    bias=st.booleans(),
)
def test_linear_is_x_w_plus_b(lead, n, m, bias):
    layer = nn.Linear(n, m, bias, dtype=np.float64)
    assert layer.weight.shape == (n, m)
    b = 0
    if bias:
        assert not layer.bias.data.any()
        b = layer.bias.data = normal(m)
    x = normal(*lead, n)
    expected = x @ layer.weight.data + b
    np.testing.assert_allclose(layer(x).data, expected, atol=1e-14)
    np.testing.assert_array_equal(layer(Tensor(x)).data, layer(x).data)


def test_linear_starts_as_its_generator_says_in_its_dtype():
    single, double = nn.Linear(5, 4, rng=3), nn.Linear(5, 4, dtype=np.float64, rng=3)
    assert single.weight.dtype == single.bias.dtype == np.float32
    np.testing.assert_array_equal(single.weight.data, double.weight.data.astype(np.float32))
    rng = np.random.default_rng(3)
    np.testing.assert_array_equal(nn.Linear(5, 4, rng=rng).weight.data, single.weight.data)
    assert not np.array_equal(nn.Linear(5, 4, rng=rng).weight.data, single.weight.data)
    assert not np.array_equal(nn.Linear(5, 4).weight.data, nn.Linear(5, 4).weight.data)
    large = nn.Linear(500, 100, init="xavier", rng=0).weight.data
    assert large.std() == pytest.approx(500**-0.5, rel=0.02)


def test_linear_keeps_float32_for_images_of_bytes_and_follows_numpy_for_float64():
    layer = nn.Linear(3, 2)
    assert layer(np.ones((1, 3), np.uint8)).dtype == np.float32
    assert layer(np.ones((1, 3), np.float32)).dtype == np.float32
    drifted = layer(np.ones((1, 3)))
    assert drifted.dtype == np.float64
    drifted.sum().backward()
    assert layer.weight.grad.dtype == np.float32


def test_linear_says_what_input_it_takes_and_when_to_flatten():
    layer = nn.Linear(784, 10)
    flatten = r"Linear\(784, 10\) takes 784 numbers .* shape \(2, 28, 28\): put Flatten\(\) before"
    with pytest.raises(ValueError, match=flatten):
        layer(np.zeros((2, 28, 28), np.float32))
    with pytest.raises(ValueError, match=r"along the last axis of its input, .* shape \(2, 3\)$"):
        layer(np.zeros((2, 3), np.float32))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("wide", "bias"), [(3, 5), (3, 1), (1, 5)])
def test_linear_does_not_blame_the_input_for_a_bias_of_the_wrong_shape(wide, bias, dtype):
    layer = nn.Linear(2, wide)
    layer.bias = Tensor(np.zeros(bias, dtype))
    with pytest.raises(ValueError, match=rf"linear takes .* b \({bias},\)"):
        layer(np.zeros((1, 2), np.float32))


def test_linear_refuses_sizes_initialisers_and_dtypes_that_make_no_layer():
    with pytest.raises(ValueError, match="at least one number in and one out; got the size 0"):
        nn.Linear(0, 3)
    with pytest.raises(TypeError, match="float"):
        nn.Linear(2.5, 3)
    with pytest.raises(ValueError, match="unknown init 'xaver', did you mean 'xavier'\\?"):
        nn.Linear(2, 3, init="xaver")
    with pytest.raises(TypeError, match=r"Linear needs a floating-point dtype.*int64"):
        nn.Linear(2, 3, dtype=np.int64)


# Activations and Flatten

FORMULAS = {
    nn.Identity: lambda x: x,
    nn.ReLU: lambda x: np.maximum(x, 0),
    nn.LeakyReLU: lambda x: np.where(x > 0, x, 0.01 * x),
    nn.Sigmoid: lambda x: 1 / (1 + np.exp(-x)),
    nn.Tanh: np.tanh,
    nn.Softplus: lambda x: np.log(1 + np.exp(x)),
    nn.Softmax: lambda x: np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True),
    nn.LogSoftmax: lambda x: x - np.log(np.exp(x).sum(axis=-1, keepdims=True)),
}


def test_every_activation_of_the_table_is_tested():
    assert set(ACTIVATIONS.values()) <= set(FORMULAS)


@pytest.mark.parametrize("layer", FORMULAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_compute_their_formula_on_arrays_and_tensors(layer, dtype):
    x = normal(4, 3, dtype=dtype)
    on_array, on_tensor = layer()(x), layer()(Tensor(x, requires_grad=True))
    np.testing.assert_allclose(on_array, FORMULAS[layer](x), rtol=10 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(on_array, on_tensor.data)
    assert on_array.dtype == on_tensor.dtype == dtype
    assert on_tensor.requires_grad


def test_parameters_of_activations_arrive():
    x = normal(4, 3)
    np.testing.assert_allclose(nn.LeakyReLU(0.5)(x), np.where(x > 0, x, x / 2))
    np.testing.assert_allclose(nn.Softmax(axis=0)(x).sum(axis=0), 1)
    np.testing.assert_allclose(np.exp(nn.LogSoftmax(axis=0)(x)).sum(axis=0), 1)


@pytest.mark.parametrize("shape", [(5,), (5, 2, 3), (0, 2, 3), (2, 0)])
def test_flatten_keeps_the_first_axis_alone(shape):
    x = normal(*shape)
    flat = nn.Flatten()(Tensor(x))
    assert flat.shape == (shape[0], int(np.prod(shape[1:])))
    np.testing.assert_array_equal(flat.data.ravel(), x.ravel())


# Dropout


def test_dropout_in_use_and_with_probability_0_returns_its_input_itself():
    x = Tensor(normal(3))
    assert nn.Dropout(0.9).eval()(x) is x
    assert nn.Dropout(0.0)(x) is x


def test_dropout_drops_its_share_and_keeps_the_mean():
    p, n = 0.2, 100_000
    out = nn.Dropout(p, rng=0)(np.ones(n))
    assert set(np.unique(out)) == {0.0, 1 / (1 - p)}
    deviation = np.sqrt(p / (1 - p) / n)  # of the mean
    assert abs(out.mean() - 1) < 4 * deviation


def test_dropout_of_everything_is_zero_and_divides_by_nothing():
    assert not nn.Dropout(1.0)(np.ones(5)).any()


def test_dropout_draws_a_new_mask_each_time_the_same_ones_for_a_seed():
    first, second = nn.Dropout(0.5, rng=1), nn.Dropout(0.5, rng=1)
    masks = [first(np.ones(64)) for _ in range(2)]
    assert not np.array_equal(*masks)
    np.testing.assert_array_equal(masks, [second(np.ones(64)) for _ in range(2)])


def test_dropout_goes_on_where_a_saved_generator_stood():
    model = nn.MLP((4, 16, 2), dropout=0.5, rng=0)
    x = normal(8, 4, dtype=np.float32)
    model(x)
    states = {name: rng.bit_generator.state for name, rng in model.generators()}
    expected = model(x).data
    other = nn.MLP((4, 16, 2), dropout=0.5, rng=9)
    other.load_state_dict(model.state_dict())
    for name, rng in other.generators():
        rng.bit_generator.state = states[name]
    np.testing.assert_array_equal(other(x).data, expected)


@pytest.mark.parametrize("p", [-0.1, 1.1, np.nan])
def test_dropout_refuses_what_is_no_probability(p):
    with pytest.raises(ValueError, match="probability to drop, from 0 to 1"):
        nn.Dropout(p)


# MLP


def test_an_mlp_applies_activation_then_dropout_after_each_layer_but_the_last():
    model = nn.MLP((4, 6, 5, 3), ("tanh", "sigmoid"), (0.0, 0.5), dtype=np.float64, rng=0)
    x = normal(7, 4)
    (w1, b1), (w2, b2), (w3, b3) = ((f.weight.data, f.bias.data) for f in model.layers)
    state = model.dropouts[1].rng.bit_generator.state
    out = model(x)
    model.dropouts[1].rng.bit_generator.state = state
    h = 1 / (1 + np.exp(-(np.tanh(x @ w1 + b1) @ w2 + b2)))
    np.testing.assert_allclose(out.data, model.dropouts[1](h) @ w3 + b3, atol=1e-12)
    assert model.dropouts[0] is None
    model.eval()
    np.testing.assert_allclose(model(x).data, h @ w3 + b3, atol=1e-12)


def test_an_mlp_names_its_layers_the_same_with_and_without_dropout():
    expected = [f"layers.{k}.{name}" for k in range(3) for name in ("weight", "bias")]
    for dropout in (0.0, 0.5):
        model = nn.MLP((4, 6, 5, 3), dropout=dropout)
        assert [name for name, _ in model.named_parameters()] == expected
    assert len(nn.MLP((4, 6, 3), bias=False).parameters()) == 2


def test_one_seed_decides_all_of_an_mlp_and_dropout_does_not_change_its_weights():
    first, second = nn.MLP((4, 6, 3), rng=7), nn.MLP((4, 6, 3), dropout=0.5, rng=7)
    for name, value in first.state_dict().items():
        np.testing.assert_array_equal(value, second.state_dict()[name])
    third = nn.MLP((4, 6, 3), rng=8)
    assert not np.array_equal(first.layers[0].weight.data, third.layers[0].weight.data)
    square = nn.MLP((5, 5, 5), rng=7)
    assert not np.array_equal(square.layers[0].weight.data, square.layers[1].weight.data)
    rng = np.random.default_rng(7)
    twins = [nn.MLP((4, 6, 3), rng=rng).layers[0].weight.data for _ in range(2)]
    np.testing.assert_array_equal(twins[0], first.layers[0].weight.data)
    assert not np.array_equal(*twins)


def test_an_mlp_without_hidden_layers_is_linear():
    model = nn.MLP((4, 3), dropout=0.5, rng=0)
    x = normal(2, 4, dtype=np.float32)
    np.testing.assert_array_equal(model(x).data, model.layers[0](x).data)


def test_an_mlp_starts_near_the_loss_of_guessing():
    logits = nn.MLP((784, 128, 64, 10), rng=0)(normal(500, 784, dtype=np.float32) / 4)
    loss = ops.cross_entropy(logits, np.arange(500) % 10)
    assert abs(loss.item() - np.log(10)) < 0.3


def test_an_mlp_refuses_what_it_cannot_mean():
    with pytest.raises(ValueError, match=r"sizes of input and output at least; got \(784,\)"):
        nn.MLP((784,))
    with pytest.raises(
        ValueError, match=r"unknown activation 'rellu', did you mean 'relu'\? .* leaky_relu, relu"
    ):
        nn.MLP((4, 6, 3), "rellu")
    with pytest.raises(ValueError, match="unknown activation 'ReLU', did you mean 'relu'"):
        nn.MLP((4, 6, 3), "ReLU")
    with pytest.raises(ValueError, match="unknown activation 'zzz'; there are identity"):
        nn.MLP((4, 6, 3), "zzz")
    with pytest.raises(ValueError, match=r"one activation, .* there are 2 hidden layers, and 1"):
        nn.MLP((4, 6, 6, 3), ["relu"])
    with pytest.raises(ValueError, match=r"one dropout, .* there are 1 hidden layers, and 2"):
        nn.MLP((4, 6, 3), dropout=[0.1, 0.2])


def test_gradients_of_a_model_are_those_of_finite_differences():
    model = nn.MLP((3, 4, 2), "tanh", dtype=np.float64, rng=0)
    x, labels = normal(3, 3), np.array([0, 1, 1])
    ops.cross_entropy(model(x), labels).backward()
    for k, p in enumerate(model.parameters()):
        along, start = normal(*p.shape, seed=k), p.data.copy()
        losses = []
        for step in (1e-6, -1e-6):
            p.data = start + step * along
            losses.append(ops.cross_entropy(model(x), labels).item())
        p.data = start
        slope = (losses[0] - losses[1]) / 2e-6
        assert np.vdot(p.grad, along) == pytest.approx(slope, rel=1e-7)


def test_nothing_touches_numpys_global_state():
    before = np.random.get_state()  # noqa: NPY002
    model = nn.MLP((4, 6, 3), dropout=0.5)
    model(np.ones((2, 4), np.float32)).sum().backward()
    after = np.random.get_state()  # noqa: NPY002
    assert before[0] == after[0]
    np.testing.assert_array_equal(before[1], after[1])
    assert before[2:] == after[2:]
