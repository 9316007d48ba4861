"""What the golden pictures in `golden` show; tooltips there name the lines of this file."""

import numpy as np

from tinygrad_mnist import Tensor, detect_anomaly, grad, nn, op, ops
from tinygrad_mnist.drawing import draw, draw_diff


class Residual(nn.Module):
    def __init__(self, size):
        self.first = nn.Linear(size, size, rng=0)
        self.second = nn.Linear(size, size, rng=1)

    def forward(self, x):
        return x + self.second(ops.relu(self.first(x)))


class Recurrent(nn.Module):
    def __init__(self, size):
        self.seen = nn.Linear(size, size, rng=0)
        self.kept = nn.Linear(size, size, rng=1)

    def forward(self, xs, state):
        for x in xs:
            state = np.tanh(self.seen(x) + self.kept(state))
        return state


@op
def swish(x, beta=1.0):
    return x / (1 + np.exp(-beta * x))


swish.defvjp(x=lambda g: g)


def ones(*shape):
    return np.ones(shape, np.float32)


def mlp():
    model = nn.Sequential(
        nn.Linear(784, 128, rng=0), nn.ReLU(), nn.Linear(128, 64, rng=1), nn.ReLU(),
        nn.Linear(64, 10, rng=2),
    )  # fmt: skip

    def loss(images, labels):
        return ops.cross_entropy(model(images), labels)

    return draw(loss, ones(32, 784), np.zeros(32, int))


def logistic_regression():
    weights = Tensor(np.zeros((5, 1)), requires_grad=True)
    bias = Tensor(0.0, requires_grad=True)

    def loss(x, truth):
        p = ops.sigmoid(x @ weights + bias)
        return -(truth * np.log(p) + (1 - truth) * np.log(1 - p)).mean()

    return draw(loss, np.ones((20, 5)), np.ones((20, 1)))


def history():
    w = Tensor(np.ones((3, 2)), requires_grad=True)
    b = Tensor(np.zeros(2), requires_grad=True)
    loss = (np.tanh(np.ones((4, 3)) @ w + b) ** 2).sum(axis=0).mean()
    loss.name = "loss"
    return draw(loss)


def residual():
    return draw(nn.Sequential(nn.Linear(8, 4, rng=0), Residual(4), nn.Linear(4, 2)), ones(6, 8))


def custom_op():
    return draw(lambda x: swish(x, 2.0).sum(), ones(3, 4))


def hundred_layers():
    layers = [layer for k in range(100) for layer in (nn.Linear(8, 8, rng=k), nn.ReLU())]
    return draw(nn.Sequential(*layers, nn.Linear(8, 3)), ones(4, 8))


def shared_weights():
    return draw(Recurrent(4), ones(20, 2, 4), ones(2, 4))


def doubled_forty_times():
    y = Tensor(1.0, requires_grad=True)
    for _ in range(40):
        y = y + y
    return draw(y)


def attention():
    queries, keys, values = (Tensor(np.eye(4), requires_grad=True) for _ in "qkv")

    def attend(x):
        q, k, v = x @ queries, x @ keys, x @ values
        scores = q @ k.mT / 2.0
        weights = ops.softmax(scores)
        return weights @ v

    return draw(attend, np.ones((2, 5, 4)))


def gradient():
    model = nn.MLP((784, 128, 10), rng=0)

    def loss(images, labels):
        logits = model(images)
        return ops.cross_entropy(logits, labels)

    return draw(loss, ones(32, 784), np.zeros(32, int), order=1)


def second_derivative():
    return draw(grad(grad(lambda x: np.sin(x) * x)), 2.0)


def anomaly():
    def loss(x):
        shifted = x - 2.0
        return np.log(shifted).sum()

    with detect_anomaly(), np.errstate(all="ignore"):
        try:
            draw(loss, np.ones(3))
        except FloatingPointError as error:
            return error.picture


def measured():
    w = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    loss = (np.exp(w * np.array([3.0, np.inf])) * 2.0).sum()
    return draw(loss, values=True, memory=True)


def difference():
    a = nn.Sequential(nn.Linear(8, 4, rng=0), nn.ReLU(), nn.Linear(4, 2, rng=1))
    b = nn.Sequential(nn.Linear(8, 6, rng=0), nn.Tanh(), nn.Linear(6, 2, rng=1))
    return draw_diff(a, b, ones(3, 8))


SUBJECTS = {
    picture.__name__: picture
    for picture in (
        mlp, logistic_regression, history, residual, custom_op, hundred_layers, shared_weights,
        doubled_forty_times, attention, gradient, second_derivative, anomaly, measured, difference,
    )
}  # fmt: skip
