"""Diagnosis: networks broken on purpose are told why, and healthy ones are left in peace."""

import warnings

import numpy as np
import pytest

from tests.nn.diagnosis.networks import digits, network, trained, with_bias, with_weights
from tinygrad_mnist import Tensor, nn, no_grad, ops, optim
from tinygrad_mnist.mnist import Config
from tinygrad_mnist.mnist.models import build_model


def found(model, batch=None, **options):
    """Return what a diagnosis finds, as pairs of a name and a severity."""
    return {
        finding.what: finding.severity
        for finding in nn.diagnose(model, batch or digits(), **options).findings
    }


# Broken on purpose --------------------------------------------------------------------------------


def test_pixels_up_to_255_are_named_with_the_remedy():
    x, labels = digits()
    diagnosis = nn.diagnose(network(), (x * 255, labels))
    (finding, *others) = diagnosis.findings
    assert (finding.what, finding.where) == ("large inputs", "inputs of layers.0")
    assert "not divided by 255" in finding.cause
    assert "/ 255" in finding.remedy
    assert [other.what for other in others] == ["large first loss"]


def test_bytes_are_pixels_too_unless_the_model_scales_them():
    x, labels = digits()
    x = (x * 255).astype(np.uint8)
    assert "large inputs" in found(network(), (x, labels))

    class Scaling(nn.Module):
        def __init__(self):
            self.net = network()

        def forward(self, x):
            return self.net(x / np.float32(255))

    assert found(Scaling(), (x, labels)) == {}


def test_inputs_that_are_large_but_no_pixels_are_to_be_standardised():
    x = np.random.default_rng(0).normal(-500, 300, (64, 20))
    labels = (x[:, 0] > -500).astype(int)
    finding = nn.diagnose(nn.MLP((20, 16, 2), rng=0), (x, labels)).findings[0]
    assert finding.what == "large inputs"
    assert "standard deviation" in finding.remedy


def test_zero_weights_are_found():
    got = found(with_weights(network(), np.zeros_like))
    assert got["zero weights"] == "error"
    assert got["does not learn by heart"] == "error"


def test_equal_weights_are_found_that_are_not_zero():
    assert "equal weights" in found(with_weights(network(), lambda w: np.full_like(w, 0.01)))


@pytest.mark.parametrize("draw", [np.random.Generator.standard_normal, np.random.Generator.random])
def test_unscaled_weights_are_found(draw):
    rng = np.random.default_rng(0)
    diagnosis = nn.diagnose(with_weights(network(64), lambda w: draw(rng, w.shape)), digits())
    finding = diagnosis.findings[0]
    assert (finding.what, finding.where) == ("large weights", "layers.0.weight")
    assert "0.051" in finding.remedy  # sqrt(2 / 784)


def test_weights_that_let_the_signal_fade_are_found():
    assert "small weights" in found(with_weights(network(), lambda w: w * 0.01))


@pytest.mark.parametrize("layer", [0, 1])
def test_dead_units_are_found_in_their_layer(layer):
    diagnosis = nn.diagnose(with_bias(network(), layer, -30.0), digits())
    dead = [finding.where for finding in diagnosis.findings if finding.what == "dead units"]
    assert dead[0] == f"layers.{layer}"
    assert diagnosis.layers[layer].dead == 1


def test_three_quarters_of_dead_units_are_found_too():
    model = network(64)
    model.layers[0].bias.data[:48] = -30.0
    diagnosis = nn.diagnose(model, digits())
    assert [finding.what for finding in diagnosis.findings] == ["dead units"]
    assert diagnosis.layers[0].dead >= 0.75


def test_dead_units_of_a_forward_pass_by_hand_are_found():
    class ByHand(nn.Module):
        def __init__(self):
            rng = np.random.default_rng(0)
            self.w1 = Tensor(rng.normal(0, 0.05, (784, 32)), requires_grad=True)
            self.b1 = Tensor(np.full(32, -40.0), requires_grad=True)
            self.w2 = Tensor(rng.normal(0, 0.2, (32, 10)), requires_grad=True)

        def forward(self, x):
            return np.maximum(x @ self.w1 + self.b1, 0) @ self.w2

    diagnosis = nn.diagnose(ByHand(), digits())
    assert (diagnosis.findings[0].what, diagnosis.findings[0].where) == ("dead units", "w1")
    assert diagnosis.layers[0].output_mean == pytest.approx(-40, abs=1)


def test_saturated_units_are_found():
    model = with_bias(network(32, activation="sigmoid", init="glorot"), 0, 80.0)
    assert "saturated units" in found(model)


RATES = [
    (lambda p: optim.SGD(p, 0.1), 0.1),
    (lambda p: optim.SGD(p, 0.02, momentum=0.9), 0.02),
    (lambda p: optim.Adam(p, 0.001), 0.001),
    (lambda p: optim.RMSprop(p, 0.001), 0.001),
]


@pytest.mark.parametrize(("make", "lr"), RATES, ids=["sgd", "momentum", "adam", "rmsprop"])
@pytest.mark.parametrize(("factor", "what"), [(100, "too large"), (0.01, "too small")])
def test_a_learning_rate_100_times_off_is_found(make, lr, factor, what):
    model = network(64, 32)
    optimizer = make(model.parameters())
    optimizer.lr = lr * factor
    assert found(model, optimizer=optimizer) == {f"learning rate {what}": "error"}


def test_a_learning_rate_of_0_is_found():
    model = network()
    assert "learning rate too small" in found(model, optimizer=optim.SGD(model.parameters(), 0.0))


def test_labels_shuffled_against_images_are_found():
    for seed in range(3):
        x, labels = digits(128, seed)
        mixed = np.random.default_rng(seed).permutation(labels)
        assert found(network(), (x, mixed)) == {"labels unrelated to inputs": "warning"}
        assert found(network(), (x, labels)) == {}


def test_a_trained_network_shows_shuffled_labels_by_its_first_loss():
    model = network(64)
    trained(model, optim.Adam(model.parameters(), 0.003))
    x, labels = digits(128)
    assert "large first loss" in found(model, (x, np.roll(labels, 1)))


def test_softmax_before_cross_entropy_is_found_without_a_warning():
    got = found(nn.Sequential(network(), nn.Softmax()))
    assert got["softmax twice"] == "error"
    assert "softmax twice" not in found(nn.Sequential(network(), nn.LogSoftmax()))


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Sigmoid])
def test_an_activation_on_the_outputs_is_found(activation):
    assert "activation on outputs" in found(nn.Sequential(network(), activation()))


def test_gradients_that_steps_met_twice_are_found():
    model, (x, labels) = network(), digits()
    optimizer = optim.SGD(model.parameters(), 0.02)
    ops.cross_entropy(model(x), labels).backward()
    optimizer.step()
    assert found(model, optimizer=optimizer) == {}
    ops.cross_entropy(model(x), labels).backward()
    with pytest.warns(UserWarning, match="call zero_grad"):
        optimizer.step()
    assert found(model, optimizer=optimizer)["gradients not cleared"] == "error"


def test_gradients_that_have_added_up_are_found_without_an_optimizer():
    model, (x, labels) = network(), digits()
    for _ in range(4):
        ops.cross_entropy(model(x), labels).backward()
    diagnosis = nn.diagnose(model, (x, labels))
    (finding,) = diagnosis.findings
    assert finding.what == "gradients not cleared"
    assert finding.value == pytest.approx(4, rel=1e-3)


def test_an_optimizer_of_another_model_is_found():
    model = network()
    other = optim.SGD(network().parameters(), 0.02)
    assert found(model, optimizer=other) == {"parameters not optimized": "error"}
    some = optim.SGD([model.layers[0].weight], 0.02)
    assert found(model, optimizer=some)["parameters not optimized"] == "warning"


def test_numbers_that_are_not_finite_are_found_where_they_begin():
    x, labels = digits()
    broken = x.copy()
    broken[3, 5] = np.nan
    (finding,) = nn.diagnose(network(), (broken, labels)).findings
    assert (finding.what, finding.where, finding.value) == ("not finite", "inputs", 1)

    model = network()
    model.layers[1].weight.data[2, 3] = np.inf
    (finding,) = nn.diagnose(model, (x, labels)).findings
    assert finding.where == "layers.1.weight"

    (finding,) = nn.diagnose(nn.Sequential(network(), np.log), (x, labels)).findings
    assert finding.where == "log in 0.layers.2"

    model = nn.Sequential(network(), lambda z: np.sqrt(np.maximum(z, 0) ** 2 + 0.0))
    with np.errstate(all="raise"):
        assert nn.diagnose(model, (x, labels)).examples == 64


def test_a_graph_that_is_cut_is_found():
    assert found(nn.Sequential(network(), lambda z: z.detach())) == {"no gradient": "error"}

    class Half(nn.Module):
        def __init__(self):
            self.first, self.second = nn.Linear(784, 16, rng=0), nn.Linear(16, 10, rng=1)

        def forward(self, x):
            return self.second(ops.relu(self.first(x)).data)

    assert found(Half())["no gradient"] == "warning"


def test_parameters_outside_the_model_are_found_and_left_alone():
    scale = Tensor(np.float32(1.0), requires_grad=True)
    scale.grad = kept = np.array(7.0, np.float32)
    model = nn.Sequential(network(), lambda z: z * scale)
    assert found(model) == {"parameters outside the model": "warning"}
    assert scale.grad is kept
    assert scale.data == 1


def test_a_network_too_deep_for_sigmoid_is_found():
    model = network(*[32] * 9, activation="sigmoid", init="glorot")
    assert "vanishing gradient" in found(model)


# Healthy ------------------------------------------------------------------------------------------

HEALTHY = {
    "default": lambda seed: build_model(Config(), np.random.default_rng(seed)),
    "paper": lambda seed: build_model(Config.paper(), np.random.default_rng(seed)),
    "tanh": lambda seed: network(64, 32, activation="tanh", init="glorot", rng=seed),
    "sigmoid": lambda seed: network(64, 32, activation="sigmoid", init="glorot", rng=seed),
    "softplus": lambda seed: network(32, activation="softplus", rng=seed),
    "leaky": lambda seed: network(32, 16, activation="leaky_relu", rng=seed),
    "narrow": lambda seed: network(12, rng=seed),
    "deep": lambda seed: network(*[48] * 6, rng=seed),
    "much dropout": lambda seed: network(64, dropout=0.5, rng=seed),
    "linear": lambda seed: nn.Linear(784, 10, rng=seed),
}


@pytest.mark.parametrize("name", HEALTHY)
@pytest.mark.parametrize("seed", range(3))
def test_a_healthy_network_is_left_in_peace_before_training_and_after(name, seed):
    model = HEALTHY[name](seed)
    make = [
        lambda: optim.SGD(model.parameters(), 0.02, momentum=0.9),
        lambda: optim.Adam(model.parameters(), 0.003),
    ][name == "sigmoid"]
    optimizer = make()
    batch = digits((32, 64, 128)[seed], seed)
    diagnosis = nn.diagnose(model, batch, optimizer=optimizer)
    assert diagnosis.ok, diagnosis
    trained(model, optimizer, seed=seed)
    diagnosis = nn.diagnose(model, batch, optimizer=make() if seed else optimizer)
    assert diagnosis.ok, diagnosis


def test_a_linear_model_may_start_at_zero():
    assert found(with_weights(nn.Linear(784, 10), np.zeros_like)) == {}


def test_rates_ten_times_smaller_than_usual_are_slow_but_no_fault():
    for make, lr in RATES:
        model = network(64, 32)
        optimizer = make(model.parameters())
        optimizer.lr = lr / 10
        assert found(model, optimizer=optimizer) == {}


def test_a_loop_that_clears_gradients_at_its_start_leaves_none_that_alarm():
    model, (x, labels) = network(64), digits()
    optimizer = optim.SGD(model.parameters(), 0.1)
    for _ in range(5):
        optimizer.zero_grad()
        ops.cross_entropy(model(x), labels).backward()
        optimizer.step()
        assert found(model, optimizer=optimizer) == {}


@pytest.mark.parametrize("seed", range(3))
def test_a_regression_with_a_loss_of_its_own_is_left_in_peace(seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((64, 5)).astype(np.float32)
    y = 2 * x[:, :1] + np.sin(x[:, 1:2])
    model = nn.MLP((5, 24, 1), activation="tanh", init="glorot", rng=seed)
    optimizer = optim.Adam(model.parameters(), 0.01)
    diagnosis = nn.diagnose(model, (x, y), loss=ops.mse_loss, optimizer=optimizer)
    assert diagnosis.ok, diagnosis
    assert diagnosis.expected_loss is None
    optimizer.lr = 1e-5
    assert "learning rate too small" in found(model, (x, y), loss=ops.mse_loss, optimizer=optimizer)


def test_a_loss_that_can_not_reach_0_is_left_in_peace():
    x, labels = digits()

    def smoothed(logits, labels):
        return 0.9 * ops.cross_entropy(logits, labels) - 0.1 * ops.log_softmax(logits).mean()

    assert found(network(), (x, labels), loss=smoothed) == {}
    assert found(network(), (x, labels), loss=nn.CrossEntropyLoss()) == {}


def test_a_model_of_several_inputs_and_plain_lists_is_diagnosed():
    class Pair(nn.Module):
        def __init__(self):
            self.left, self.right = nn.Linear(2, 8, rng=0), nn.Linear(3, 8, rng=1)
            self.out = nn.Linear(8, 2, rng=2)

        def forward(self, a, b):
            return self.out(ops.tanh(self.left(a) + self.right(b)))

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(64, 2)), rng.normal(size=(64, 3))
    diagnosis = nn.diagnose(Pair(), ((a, Tensor(b)), (a[:, 0] > b[:, 0]).astype(int).tolist()))
    assert diagnosis.ok, diagnosis
    assert [layer.name for layer in diagnosis.layers] == ["left", "right", "out"]


# What it says -------------------------------------------------------------------------------------


def test_the_measurements_are_those_of_the_network():
    model, (x, labels) = network(32, dropout=0.3), digits()
    optimizer = optim.SGD(model.parameters(), 0.05)
    diagnosis = nn.diagnose(model, (x, labels), optimizer=optimizer)
    model.eval()
    first = model.layers[0](x)
    loss = ops.cross_entropy(model.layers[1](ops.relu(first)), labels)
    loss.backward()
    layer = diagnosis.layers[0]
    assert diagnosis.first_loss == pytest.approx(loss.item(), rel=1e-5)
    assert diagnosis.expected_loss == pytest.approx(np.log(10))
    assert layer.input_mean == pytest.approx(x.mean(), rel=1e-5)
    assert layer.output_std == pytest.approx(first.data.std(), rel=1e-5)
    assert layer.dead == pytest.approx((first.data <= 0).all(axis=0).mean())
    norm = np.linalg.norm(model.layers[0].weight.grad)
    assert layer.gradient == pytest.approx(norm, rel=1e-4)
    ratio = norm / np.linalg.norm(model.layers[0].weight.data)
    assert layer.gradient_ratio == pytest.approx(ratio, rel=1e-4)
    assert 0.1 * ratio < layer.update_ratio / 0.05 < 3 * ratio
    assert diagnosis.learned_loss <= 0.1 * np.log(10)
    assert diagnosis.related > 0.3 > diagnosis.related_by_chance


def test_two_diagnoses_are_equal():
    batch = digits()
    model = network(dropout=0.3)
    assert str(nn.diagnose(model, batch)) == str(nn.diagnose(model, batch))


def test_a_diagnosis_works_whatever_switches_are_on():
    with no_grad():
        assert found(network()) == {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "dead units" in found(with_bias(network(), 0, -1e30))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((lambda x: x, digits()), TypeError, "takes an nn.Module; got function"),
        ((network(), digits()[0]), TypeError, r"a pair, \(inputs, labels\); got ndarray"),
        ((network(), (1, 2, 3)), TypeError, "got 3 parts"),
        ((network(), (digits()[0], [1, 2])), ValueError, "as many examples, .* got 64, 2"),
        ((network(), (np.zeros((0, 784)), [])), ValueError, "at least one; got 0, 0"),
        ((nn.ReLU(), digits()), ValueError, "ReLU has no parameter that requires a gradient"),
    ],
)
def test_bad_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        nn.diagnose(*arguments)


def test_a_loss_that_is_no_number_and_a_foreign_optimizer_are_refused():
    with pytest.raises(ValueError, match=r"one number; it has the shape \(64, 10\): take its mean"):
        nn.diagnose(network(), digits(), loss=lambda z, y: z)
    with pytest.raises(TypeError, match="takes an optimizer of optim; got str"):
        nn.diagnose(network(), digits(), optimizer="sgd")
