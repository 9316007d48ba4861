"""Borrowing: a model and its optimizer are as they were, whatever happened in between."""

import threading

import numpy as np
import pytest

from tests.nn.diagnosis.networks import digits, network
from tinygrad_mnist import Tensor, nn, ops, optim
from tinygrad_mnist.nn.diagnosis.borrowing import borrowed


class Busy(nn.Module):
    """A module with all that a user may keep in one, and change in a forward pass."""

    def __init__(self):
        self.net = network(16, dropout=0.4)
        self.rng = np.random.default_rng(3)
        self.mean = np.zeros(784, np.float32)
        self.seen = []
        self.calls = 0
        self.lock = threading.Lock()
        self.scale = lambda z: z * np.float32(1 + 0 * self.calls)

    def forward(self, x):
        if self.training:
            self.calls += 1
            self.seen.append(self.calls)
            self.mean += 0.1 * (x.mean(axis=0) - self.mean)
        noise = self.rng.normal(0, 0.01, np.shape(x)).astype(np.float32)
        if self.calls == 40:
            self.seen.append("deep in the trials")
        return self.scale(self.net(x + noise))


def state(model):
    """Return everything that a model holds, to compare."""
    return {
        "parameters": {n: (id(p._value), p.data.copy()) for n, p in model.named_parameters()},
        "nodes": [id(p._node) for p in model.parameters()],
        "gradients": [(id(p.grad), p.grad.copy(), p._node.used) for p in model.parameters()],
        "generators": [(id(g), g.bit_generator.state) for _, g in model.generators()],
        "modes": [m.training for m in model.modules()],
        "attributes": [[(k, id(v)) for k, v in vars(m).items()] for m in model.modules()],
        "buffers": model.mean.copy(),
        "lists": list(model.seen),
    }


def busy():
    """Return such a model in the middle of a training, with gradients and half of it in eval."""
    model, (x, labels) = Busy(), digits()
    optimizer = optim.Adam(model.parameters(), 0.01)
    for _ in range(2):
        optimizer.zero_grad()
        ops.cross_entropy(model(x), labels).backward()
        optimizer.step()
    model.net.dropouts[0].eval()
    return model, optimizer, (x, labels)


def test_a_diagnosis_changes_nothing_in_model_and_optimizer():
    model, optimizer, batch = busy()
    before, kept = state(model), optimizer.state_dict()
    slots = [(id(slot), id(slot.kept["exp_avg"])) for slot in optimizer._slots]
    nn.diagnose(model, batch, optimizer=optimizer)
    np.testing.assert_equal(state(model), before)
    np.testing.assert_equal(optimizer.state_dict(), kept)
    assert [(id(slot), id(slot.kept["exp_avg"])) for slot in optimizer._slots] == slots
    assert not optimizer.accumulate


@pytest.mark.parametrize("call", [1, 2, 50])
def test_nothing_is_changed_by_a_diagnosis_that_fails(call):
    model, optimizer, batch = busy()
    before, calls = state(model), []

    def failing(logits, labels):
        calls.append(0)
        if len(calls) == call:
            raise KeyboardInterrupt
        return ops.cross_entropy(logits, labels)

    with pytest.raises(KeyboardInterrupt):
        nn.diagnose(model, batch, loss=failing, optimizer=optimizer)
    np.testing.assert_equal(state(model), before)


def test_a_run_with_a_diagnosis_between_its_steps_is_the_run_without_it():
    def run(look):
        model, optimizer, (x, labels) = busy()
        for _ in range(3):
            if look:
                nn.diagnose(model, (x, labels), optimizer=optimizer)
            optimizer.zero_grad()
            ops.cross_entropy(model(x), labels).backward()
            optimizer.step()
        return model.state_dict()

    np.testing.assert_equal(run(look=True), run(look=False))


def test_a_graph_that_lives_during_a_diagnosis_keeps_its_gradient():
    model, (x, labels) = network(16), digits()
    loss = ops.cross_entropy(model(x), labels)
    nn.diagnose(model, (x, labels))
    loss.backward()
    got = [p.grad.copy() for p in model.parameters()]
    model.zero_grad()
    ops.cross_entropy(model(x), labels).backward()
    np.testing.assert_equal(got, [p.grad for p in model.parameters()])


def test_generators_that_a_closure_holds_are_set_back():
    rng = np.random.default_rng(5)
    model = nn.Sequential(network(16), lambda z: ops.dropout(z, 0.1, rng))
    before = rng.bit_generator.state
    nn.diagnose(model, digits())
    assert rng.bit_generator.state == before


def test_frozen_and_shared_parameters_stay_so():
    model = network(16, 16)
    model.layers[1].weight.requires_grad = False
    model.again = model.layers[0].weight
    with borrowed(model):
        assert model.again is model.layers[0].weight
        assert not model.layers[1].weight.requires_grad
        model.again.data += 1
    assert model.again is model.layers[0].weight
    assert nn.diagnose(model, digits()).layers[1].gradient is None


def test_what_was_added_or_removed_inside_is_undone():
    model = network(16)
    names = list(vars(model))
    with borrowed(model):
        model.extra = Tensor([1.0], requires_grad=True)
        del model.activations
    assert list(vars(model)) == names
