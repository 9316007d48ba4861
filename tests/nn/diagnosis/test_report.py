"""The report of a diagnosis: text, HTML and data."""

import numpy as np

from tests.nn.diagnosis.networks import digits, network, with_bias
from tinygrad_mnist import Tensor, nn, optim


def test_a_healthy_network_has_a_short_report():
    model = network(32)
    optimizer = optim.SGD(model.parameters(), 0.05)
    text = str(nn.diagnose(model, digits(), optimizer=optimizer))
    title, _, head, rule, first, second, _, *facts = text.splitlines()
    assert title == "Diagnosis of MLP on 64 examples: nothing found"
    assert head.split() == [
        "layer", "in:", "mean", "std", "out:", "mean", "std", "dead", "gradient", "/", "weight",
        "update", "/", "weight",
    ]  # fmt: skip
    assert set(rule) == {"-"}
    assert first.startswith("layers.0")
    assert second.startswith("layers.1")
    assert [fact.partition(":")[0] for fact in facts] == [
        "Loss",
        "Learning 32 examples by heart",
        "Examples left out, named by a copy that learned the others",
    ]
    assert max(map(len, text.splitlines())) <= 100


def test_a_finding_is_text_with_cause_and_remedy_and_data():
    diagnosis = nn.diagnose(with_bias(network(32), 0, -50.0), digits())
    assert not diagnosis.ok
    dead = diagnosis.findings[0]
    assert (dead.what, dead.where, dead.value, dead.severity) == (
        "dead units",
        "layers.0",
        1.0,
        "error",
    )
    text = str(diagnosis)
    assert repr(diagnosis) == text
    assert text.splitlines()[0] == "Diagnosis of MLP on 64 examples: 2 findings"
    assert "error: dead units (layers.0)\n    100% of 32 units are 0 for all 64 examples.\n" in text
    assert "    Cause: Their inputs to ReLU" in text
    assert "    Remedy: Lower the learning rate" in text


def test_a_notebook_shows_the_same_escaped():
    class Odd(nn.Module):
        def __init__(self):
            self.parts = {"<b>": nn.Linear(784, 10, rng=0)}

        def forward(self, x):
            return self.parts["<b>"](x * 1000)

    html = nn.diagnose(Odd(), digits())._repr_html_()
    assert "parts.&lt;b&gt;" in html
    assert "<b>" not in html.replace("<b>Diagnosis", "")
    assert html.count("<table>") == html.count("</table>") == 2
    assert "large inputs" in html


def test_a_model_without_weights_has_no_table():
    class Scale(nn.Module):
        def __init__(self):
            self.scale = Tensor(np.ones(10), requires_grad=True)

        def forward(self, x):
            return x[:, :10] * self.scale + x[:, 300:310]

    text = str(nn.diagnose(Scale(), digits()))
    assert "in: mean" not in text
    assert "Loss: " in text
