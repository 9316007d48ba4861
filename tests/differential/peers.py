"""The frameworks that are compared, each running a call of the tables by its own functions."""

import inspect
from importlib.metadata import version
from types import SimpleNamespace

import numpy as np

import tinygrad_mnist
from tests.inventory.arrays import CONSTANTS
from tests.inventory.classes import public_callables
from tinygrad_mnist import ops

FLOAT, COMPLEX = "f", "c"


class Ours:
    """This package; and what others do likewise."""

    name, package = "tinygrad_mnist", "tinygrad_mnist"
    library, own, neural = np, ops, ops

    def __init__(self):
        self.version = version(self.package)
        self.real, self.imag = np.real, np.imag

    def gradient(self, f, arrays):
        """Return the gradient of a function of several arrays, which may be differentiated on."""
        return tinygrad_mnist.grad(f, tuple(range(len(arrays))))(*arrays)

    def run(self, call, arrays):
        """Return the arrays of a call's result."""
        library = self.neural if call.family == "neural" else self.library
        values = dict(zip(call.inputs, arrays, strict=True))
        return self.flat(call.run({**self.constants(), **values}, library, own=self.own))

    def flat(self, result):
        """Return the arrays of a result in order, of nested lists and tuples too."""
        if isinstance(result, (list, tuple)):
            return [leaf for part in result for leaf in self.flat(part)]
        return [result if hasattr(result, "dtype") else np.asarray(result)]

    def value(self, call, arrays):
        """Return the result as NumPy's arrays."""
        return [self.plain(out) for out in self.run(call, arrays)]

    def plain(self, array):
        """Return NumPy's array of the framework's."""
        return np.asarray(array)

    def constants(self):
        """Return the arrays that calls name and do not differentiate."""
        return CONSTANTS

    def kind(self, out):
        """Return the kind of an array's dtype, as NumPy names it."""
        return out.dtype.kind

    def derivatives(self, call, arrays, weights, direction):
        """Return the gradient of the weighted result, and the Hessian times a direction.

        The second is None if the framework refuses it.
        """

        def total(*arrays):
            terms = 0.0
            for out, (a, b) in zip(self.run(call, arrays), weights, strict=True):
                if self.kind(out) == FLOAT:
                    terms = terms + (out * a).sum()
                elif self.kind(out) == COMPLEX:
                    terms = terms + (self.real(out) * a).sum() + (self.imag(out) * b).sum()
            return terms

        def along(*arrays):
            pairs = zip(self.gradient(total, arrays), direction, strict=True)
            return sum((g * d).sum() for g, d in pairs)

        first = [self.plain(g) for g in self.gradient(total, arrays)]
        try:
            return first, [self.plain(g) for g in self.gradient(along, arrays)]
        except Exception:  # noqa: BLE001 - whatever it raises, it has no second order here
            return first, None


class Autograd(Ours):
    """HIPS autograd."""

    name = package = "autograd"

    def __init__(self):
        super().__init__()
        import autograd.numpy
        import autograd.scipy.special

        self.library = self.own = autograd.numpy
        self.real, self.imag = autograd.numpy.real, autograd.numpy.imag
        special = autograd.scipy.special
        self.neural = SimpleNamespace(logsumexp=special.logsumexp, sigmoid=special.expit)

    def kind(self, out):
        if out.dtype == object:
            raise TypeError("an array of objects, one node of the graph for each entry")
        return super().kind(out)

    def gradient(self, f, arrays):
        import autograd

        return autograd.grad(f, tuple(range(len(arrays))))(*arrays)


class Jax(Ours):
    """JAX, in float64."""

    name, package = "JAX", "jax"

    def __init__(self):
        super().__init__()
        import jax

        jax.config.update("jax_enable_x64", True)
        self.library = self.own = jax.numpy
        self.real, self.imag, self.neural = jax.numpy.real, jax.numpy.imag, jax.nn

    def gradient(self, f, arrays):
        import jax

        return jax.grad(f, tuple(range(len(arrays))))(*arrays)


RENAMED = {  # functions and keywords of NumPy, as PyTorch calls them
    "arctan2": "atan2", "around": "round", "array": "as_tensor", "degrees": "rad2deg",
    "expand_dims": "unsqueeze", "max": "amax", "min": "amin", "mod": "remainder",
    "power": "pow", "radians": "deg2rad", "sort": "msort",
}  # fmt: skip
KEYWORDS = {"axis": "dim", "axes": "dim", "keepdims": "keepdim", "ddof": "correction"}


class Torch(Ours):
    """PyTorch: its functions under NumPy's names, with NumPy's names of keywords."""

    name, package = "PyTorch", "torch"

    def __init__(self):
        super().__init__()
        import torch

        torch.set_default_dtype(torch.float64)
        self.real, self.imag = torch.real, torch.imag
        self.library = self.own = SimpleNamespace(linalg=SimpleNamespace(), fft=SimpleNamespace())
        for path in public_callables():
            prefix, _, name = path.rpartition(".")
            home, into = torch, self.library
            if prefix:
                home, into = getattr(torch, prefix), getattr(into, prefix)
            function = getattr(home, RENAMED.get(name, name), None)
            if callable(function) and not isinstance(function, (type, torch.dtype)):
                setattr(into, name, self.adapted(function))
        functions = {**vars(torch), **vars(torch.nn.functional), "array": torch.as_tensor}
        self.neural = SimpleNamespace(
            **{name: self.adapted(f) for name, f in functions.items() if inspect.isroutine(f)}
        )

    def adapted(self, function):
        """Return a function that takes NumPy's keywords too."""

        def call(*args, **kwargs):
            try:
                return function(*args, **kwargs)
            except TypeError:
                renamed = {KEYWORDS.get(key, key): value for key, value in kwargs.items()}
                return function(*args, **renamed)

        return call

    def constants(self):
        import torch

        return {name: torch.as_tensor(array) for name, array in CONSTANTS.items()}

    def leaves(self, arrays):
        import torch

        return [torch.tensor(array, requires_grad=True) for array in arrays]

    def kind(self, out):
        return COMPLEX if out.is_complex() else FLOAT if out.is_floating_point() else "i"

    def flat(self, result):
        import torch

        return [torch.as_tensor(out) for out in super().flat(result)]

    def value(self, call, arrays):
        return super().value(call, self.leaves(arrays))

    def plain(self, array):
        return array.detach().resolve_conj().numpy()

    def gradient(self, f, arrays):
        import torch

        result = f(*arrays)
        if not isinstance(result, torch.Tensor) or not result.requires_grad:
            return [torch.zeros_like(array) for array in arrays]
        return torch.autograd.grad(result, arrays, create_graph=True, materialize_grads=True)

    def derivatives(self, call, arrays, weights, direction):
        import torch

        weights = [torch.as_tensor(pair) for pair in weights]
        direction = [torch.as_tensor(array) for array in direction]
        return super().derivatives(call, self.leaves(arrays), weights, direction)


PEERS = (Autograd, Jax, Torch)
