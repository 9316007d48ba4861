"""The frameworks that are compared, each running a call of the tables by its own functions."""

from __future__ import annotations

import inspect
from importlib.metadata import version
from operator import attrgetter
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from tests.inventory.arrays import CONSTANTS
from tests.inventory.checks import outputs, weighted

if TYPE_CHECKING:
    from tests.inventory.table import Call


class Peer:
    """A framework whose functions are NumPy's: it differentiates functions of several arrays."""

    def __init__(self, name, package, library, nn, grad):
        self.name, self.version = name, version(package)
        self.library, self.nn, self.grad = library, nn, grad

    def run(self, call: Call, arrays):
        """Return the arrays of a call's result."""
        library = self.nn if call.family == "neural" else self.library
        values = dict(zip(call.inputs, arrays, strict=True))
        return outputs(call.run(values, library, own=library))

    def value(self, call, arrays):
        """Return the result as NumPy's arrays."""
        return [np.asarray(out) for out in self.run(call, arrays)]

    def derivatives(self, call, arrays, weights, direction):
        """Return the gradient of the weighted result and, if there is one, that along a direction.

        The second is the Hessian times the direction; None if the framework refuses it.
        """

        def total(*arrays):
            return weighted(self.run(call, arrays), weights, self.library)

        def along(*arrays):
            return sum(
                (g * d).sum() for g, d in zip(gradient(*arrays), direction, strict=True)
            )

        gradient = self.grad(total, tuple(range(len(arrays))))
        first = [np.asarray(g) for g in gradient(*arrays)]
        try:
            second = self.grad(along, tuple(range(len(arrays))))(*arrays)
        except Exception:  # noqa: BLE001 - whatever a framework raises, it has no second order
            return first, None
        return first, [np.asarray(g) for g in second]


class Torch(Peer):
    """PyTorch: its functions under NumPy's names, with NumPy's names of keywords."""

    def value(self, call, arrays):
        """Return the result as NumPy's arrays."""
        return [out.detach().numpy() for out in self.run(call, self._leaves(arrays))]

    def run(self, call, arrays):
        """Return the arrays of a call's result."""
        import torch

        constants = {name: torch.tensor(array) for name, array in CONSTANTS.items()}
        library = self.nn if call.family == "neural" else self.library
        values = dict(zip(call.inputs, arrays, strict=True))
        result = call.run({**constants, **values}, library, own=library)
        return [torch.as_tensor(out) for out in outputs(result, torch.Tensor)]
