"""Losses as modules: they compute what the functions do."""

import numpy as np
import pytest

from tinygrad_mnist import Tensor, nn, ops


def test_cross_entropy_loss_is_the_function():
    logits = Tensor(np.random.default_rng(0).standard_normal((4, 3)), requires_grad=True)
    labels = np.array([0, 2, 1, 1])
    loss = nn.CrossEntropyLoss()(logits, labels)
    assert loss.item() == ops.cross_entropy(logits, labels).item()
    loss.backward()
    p = np.exp(logits.data) / np.exp(logits.data).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(logits.grad, (p - np.eye(3)[labels]) / 4, atol=1e-15)


def test_mse_loss_is_the_function():
    x = Tensor([1.0, 4.0], requires_grad=True)
    loss = nn.MSELoss()(x, np.array([0.0, 2.0]))
    assert loss.item() == 2.5
    loss.backward()
    np.testing.assert_allclose(x.grad, [1.0, 2.0])
    with pytest.raises(ValueError, match=r"\(2,\) and \(2, 1\)"):
        nn.MSELoss()(x, np.zeros((2, 1)))
