"""XOR, the smallest problem that no straight line solves, learned by two layers written by hand."""

import numpy as np

from tinygrad_mnist import value_and_grad

INPUTS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
WANTED = np.array([[0.0], [1.0], [1.0], [0.0]])


def network(params: dict, x: np.ndarray) -> np.ndarray:
    """Return a number between 0 and 1 for each row of `x`: plain NumPy, no framework in sight."""
    hidden = np.tanh(x @ params["w1"] + params["b1"])
    return 1 / (1 + np.exp(-(hidden @ params["w2"] + params["b2"])))


def loss(params: dict) -> np.ndarray:
    """Return how far the network is from XOR: the cross-entropy of its four answers."""
    p = network(params, INPUTS)
    return -np.mean(WANTED * np.log(p) + (1 - WANTED) * np.log(1 - p))


rng = np.random.default_rng(0)
params = {
    "w1": rng.standard_normal((2, 8)), "b1": np.zeros(8),
    "w2": rng.standard_normal((8, 1)), "b2": np.zeros(1),
}  # fmt: skip

for step in range(501):
    value, gradient = value_and_grad(loss)(params)
    if step % 100 == 0:
        print(f"step {step:3}  loss {value:.4f}")
    params = {name: params[name] - 1.0 * gradient[name] for name in params}

for (a, b), answer in zip(INPUTS, network(params, INPUTS), strict=True):
    print(f"{a:.0f} xor {b:.0f} = {answer.item():.3f}")
