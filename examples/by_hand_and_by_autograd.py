"""One training step on MNIST, with gradients derived by hand and by autograd: they are equal.

The network is that of the paper behind this project: images of 784 numbers, two hidden layers with
ReLU, softmax over ten digits, cross-entropy, no biases. Its authors, students, built it from
scratch. Here is the derivation that this takes, line by line, and then what replaces it.
"""

import numpy as np

from tinygrad_mnist import mnist, ops, value_and_grad

# 32 images as rows of X, their digits as y, and the weights of three layers. Weights are drawn as
# the paper words it: standard normal, divided by the root of the size of the layer before.
(images, digits), _ = mnist.load()
X, y = images[:32].reshape(32, 784) / 255, digits[:32]
N = len(X)

rng = np.random.default_rng(0)
W1, W2, W3 = (
    rng.standard_normal((n, m)) / np.sqrt(n) for n, m in [(784, 128), (128, 64), (64, 10)]
)

# Forward, both times the same -------------------------------------------------------------------
#
#   A1 = X W1      H1 = max(A1, 0)        equations (1) and (2) of the paper
#   A2 = H1 W2     H2 = max(A2, 0)
#   S  = H2 W3     P  = exp(S) / sum exp(S)              (3)
#   L  = mean of -log P[row, its digit]                  (4) and (5)

# By hand ----------------------------------------------------------------------------------------
#
# Going back, each line is the chain rule for one line above, last first. Write dZ for dL/dZ, which
# has the shape of Z.
#
# 1. Softmax and cross-entropy together. L of one row is log(sum exp S) - S[y]. The derivative of
#    the first part is the softmax P; that of the second is 1 at the digit. So dS = (P - Y) / N,
#    where Y has a 1 at each row's digit: what the network says, minus what is right; 1/N comes
#    from the mean.
# 2. A product, S = H2 W3. Move W3 by a little V: S moves by H2 V, and L by the sum of all entries
#    of dS * (H2 V). That is the sum of all entries of (H2^T dS) * V, so dW3 = H2^T dS. In the same
#    way dH2 = dS W3^T. Look at the shapes: nothing else would fit.
# 3. ReLU. Where a unit was off, nothing passes; where it was on, everything does.


def step_by_hand(W1: np.ndarray, W2: np.ndarray, W3: np.ndarray) -> tuple:
    """Return the loss and its gradients, each line derived on paper."""
    A1 = X @ W1
    H1 = np.maximum(A1, 0)
    A2 = H1 @ W2
    H2 = np.maximum(A2, 0)
    S = H2 @ W3
    E = np.exp(S - S.max(axis=1, keepdims=True))  # a shift changes nothing, and avoids overflow
    P = E / E.sum(axis=1, keepdims=True)
    L = -np.log(P[np.arange(N), y]).mean()

    dS = P.copy()
    dS[np.arange(N), y] -= 1  # P - Y
    dS /= N
    dW3 = H2.T @ dS
    dH2 = dS @ W3.T
    dA2 = dH2 * (A2 > 0)
    dW2 = H1.T @ dA2
    dH1 = dA2 @ W2.T
    dA1 = dH1 * (A1 > 0)
    dW1 = X.T @ dA1
    return L, (dW1, dW2, dW3)


# By autograd ------------------------------------------------------------------------------------
#
# The forward pass alone. Each op knows the one line of the derivation that belongs to it, and
# backward applies them in reverse order.


def loss(weights: tuple) -> np.ndarray:
    """Return the loss of the same network."""
    W1, W2, W3 = weights
    return ops.cross_entropy(ops.relu(ops.relu(X @ W1) @ W2) @ W3, y)


by_hand, hand_gradients = step_by_hand(W1, W2, W3)
by_autograd, gradients = value_and_grad(loss)((W1, W2, W3))

print(f"loss by hand     {by_hand:.12f}")
print(f"loss by autograd {by_autograd:.12f}")
for name, one, other in zip(("W1", "W2", "W3"), hand_gradients, gradients, strict=True):
    apart = np.abs(one - other).max() / np.abs(one).max()
    print(f"d{name}: {one.size:6,} numbers, largest difference {apart:.1e} of the largest entry")
    assert apart < 1e-13

# One step downhill, equation (7) of the paper: W <- W - alpha dW.
stepped = [W - 0.1 * dW for W, dW in zip((W1, W2, W3), gradients, strict=True)]
print(f"one step lowers the loss from {by_autograd:.4f} to {loss(stepped):.4f}")
