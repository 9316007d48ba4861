"""Autograd in plain NumPy: define a model by its forward pass, and get its gradients.

Not related to the project called tinygrad.
"""

from tinygrad_mnist import ops
from tinygrad_mnist.autograd import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from tinygrad_mnist.editing import checkpoint, map_gradient
from tinygrad_mnist.operation import op
from tinygrad_mnist.switches import detect_anomaly, no_grad
from tinygrad_mnist.tensor import Tensor

__all__ = [
    "Tensor",
    "checkpoint",
    "detect_anomaly",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "map_gradient",
    "no_grad",
    "op",
    "ops",
    "value_and_grad",
    "vjp",
]
