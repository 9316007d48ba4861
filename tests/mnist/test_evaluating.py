"""Loss, accuracy and confusion of a network on images that it does not learn from."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_mnist import Tensor, nn
from tinygrad_mnist.mnist import Evaluation, Examples, evaluate

sizes = st.integers(1, 40)
logits = sizes.flatmap(lambda n: hnp.arrays(np.float64, (n, 10), elements=st.floats(-50, 50)))


@pytest.mark.filterwarnings("ignore:cross_entropy was given probabilities")
@given(logits, st.integers(0, 2**32 - 1))
def test_an_evaluation_is_what_the_formulas_say(logits, seed):
    labels = np.random.default_rng(seed).integers(0, 10, len(logits))
    evaluation = Evaluation(logits, labels)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    own = probabilities[np.arange(len(labels)), labels]
    assert evaluation.loss == pytest.approx(-np.log(own).mean(), rel=1e-9, abs=1e-12)
    np.testing.assert_allclose(evaluation.probabilities, probabilities, rtol=1e-9, atol=1e-300)
    assert evaluation.losses.mean() == pytest.approx(evaluation.loss, rel=1e-9, abs=1e-12)
    right = sum(int(row.argmax() == label) for row, label in zip(logits, labels, strict=True))
    assert evaluation.accuracy == right / len(labels)
    assert np.trace(evaluation.confusion) == right
    np.testing.assert_array_equal(
        evaluation.confusion.sum(axis=1), np.bincount(labels, minlength=10)
    )


class Recorder(nn.Module):
    """Remembers how it was called."""

    def __init__(self):
        self.weight = Tensor(np.eye(784, 10, dtype=np.float32), requires_grad=True)
        self.calls = []

    def forward(self, x):
        out = x @ self.weight
        self.calls.append((len(x), self.training, out.requires_grad))
        return out


@pytest.mark.parametrize("count", [1, 999, 1000, 1001, 2345])
def test_every_image_counts_once_whatever_the_chunks(count):
    x = np.random.default_rng(0).random((count, 784), dtype=np.float32)
    model = Recorder()
    evaluation = evaluate(model, Examples(x, np.zeros(count, np.intp)))
    np.testing.assert_allclose(evaluation.logits, x[:, :10], rtol=1e-6)
    assert sum(n for n, _, _ in model.calls) == count
    assert max(n for n, _, _ in model.calls) <= 1000


@pytest.mark.parametrize("training", [True, False])
def test_no_dropout_no_graph_and_the_mode_as_before(training):
    model = Recorder().train(training)
    evaluate(model, Examples(np.zeros((3, 784), np.float32), np.zeros(3, np.intp)))
    assert model.calls == [(3, False, False)]
    assert model.training is training


def test_the_mode_is_as_before_when_the_network_fails():
    model = Recorder()
    with pytest.raises(ValueError, match="matmul"):
        evaluate(model, Examples(np.zeros((3, 5), np.float32), np.zeros(3, np.intp)))
    assert model.training
