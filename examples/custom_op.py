"""An op of your own: a function, its rule, and what a check says of a right and of a wrong one."""

import numpy as np

from tinygrad_mnist import Tensor, grad, gradcheck, op


@op(pointwise=True)
def huber(x: np.ndarray, delta: float = 1.0) -> np.ndarray:
    """Return x²/2 near 0 and a straight line beyond delta: a square that outliers can't rule."""
    return np.where(np.abs(x) <= delta, x * x / 2, delta * (np.abs(x) - delta / 2))


# The rule's parameter names say what it needs: the cotangent g, the input x, the constant delta.
huber.defvjp(x=lambda g, x, delta: g * np.clip(x, -delta, delta))

print("value   ", huber(np.array([-3.0, 0.5, 2.0])))
print("slope   ", grad(lambda x: huber(x).sum())(np.array([-3.0, 0.5, 2.0])))

# It works on Tensors among NumPy's functions. Here it fits a constant to data with an outlier.
data = np.array([1.0, 1.2, 0.8, 1.1, 50.0])
middle = Tensor(0.0, requires_grad=True)
for _ in range(100):
    huber(data - middle, delta=0.5).sum().backward()
    middle.data = middle.data - 0.2 * middle.grad
    middle.grad = None
print(f"constant {middle.item():.3f}, where the mean is {data.mean():.3f}")

# gradcheck draws inputs by itself, and compares first and second derivatives with differences.
print("right   ", gradcheck(huber))

huber.defvjp(x=lambda g, x, delta: g * np.clip(x, 0.0, delta))  # forgets negative numbers
try:
    gradcheck(huber)
except AssertionError as error:
    print("wrong   ", error)
