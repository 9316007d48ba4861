"""A pytest plugin: what NumPy's tests call is called with Tensors first, and then as it is."""

import collections
import json
import os
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.inventory.table import CALLS, OWN
from tinygrad_mnist import Tensor

FOUND = "FOUND"  # the variable that says in which file to write what was found
FLOATS = (np.float32, np.float64)
MOST = 1_000_000  # entries: some tests fill the memory
METHODS = {"reduce", "accumulate", "outer", "reduceat"}
found = collections.Counter()  # (kind, function, words) -> calls


def differentiable():
    """Return NumPy's functions of the inventory by name."""
    functions = {}
    for name in sorted({call.name for call in CALLS} - OWN):
        function = np
        for part in name.split("."):
            function = getattr(function, part, None)
        if function is not None:
            functions[name] = function
    return functions


class StandIn:
    """A function of NumPy that is tried with Tensors whenever it is called with arrays."""

    def __init__(self, name, function):
        self.__dict__.update(_name=name, _function=function, __doc__=function.__doc__)
        self.__dict__["__name__"] = getattr(function, "__name__", name)

    def __getattr__(self, name):
        value = getattr(self._function, name)
        of_ufunc = isinstance(self._function, np.ufunc) and name in METHODS
        return StandIn(f"{self._name}.{name}", value) if of_ufunc else value

    def __eq__(self, other):
        return getattr(other, "_function", other) is self._function

    def __hash__(self):
        return hash(self._function)

    def __repr__(self):
        return repr(self._function)

    def __call__(self, *args, **kwargs):
        leaves = []
        tracked = [_tracked(value, leaves) for value in args]
        named = {name: _tracked(value, leaves) for name, value in kwargs.items()}
        operands = getattr(self._function, "nin", len(args))
        if not leaves or kwargs.get("out") is not None or len(args) > operands:
            return self._function(*args, **kwargs)
        try:
            made = _quietly(self._function, *tracked, **named)
        except Exception as error:  # noqa: BLE001 - NumPy may raise as well
            words = str(error)
            result = self._function(*args, **kwargs)
            self._note("refused", words)
            return result
        result = self._function(*args, **kwargs)
        plain, tensors = _plain(made)
        self._note("same" if _same(plain, result) else "other values")
        try:
            _quietly(_go_back, tensors)
            if any(t.grad is not None and not _fits(t.grad, t) for t in leaves):
                self._note("a gradient of another shape or dtype")
        except Exception as error:  # noqa: BLE001 - it is what is looked for
            self._note("no way back", f"{type(error).__name__}: {error}")
        return result

    def _note(self, kind, words=""):
        test = os.environ.get("PYTEST_CURRENT_TEST", "").split("::", 1)[-1].split(" ")[0]
        known = kind == "same"
        found[kind, self._name, "" if known else words, "" if known else test] += 1


def _quietly(function, *args, **kwargs):
    """Call a function without its warnings, and without its draws of random numbers."""
    state = np.random.get_state()  # noqa: NPY002 - NumPy's tests seed it
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return function(*args, **kwargs)
        finally:
            np.random.set_state(state)  # noqa: NPY002


def _tracked(value, leaves):
    """Return an argument with a Tensor in place of each array of floating-point numbers."""
    if type(value) is np.ndarray and value.dtype in FLOATS and value.size < MOST:
        leaves.append(Tensor(value, requires_grad=True))
        return leaves[-1]
    if type(value) in (list, tuple) and len(value) < 50:
        return type(value)(_tracked(part, leaves) for part in value)
    return value


def _plain(made):
    """Return a result with arrays in place of Tensors, and these."""
    if isinstance(made, Tensor):
        return made.data if made.ndim else made.data[()], [made]
    if not isinstance(made, (list, tuple)):
        return made, []
    parts = [_plain(part) for part in made]
    values = [value for value, _ in parts]
    whole = type(made)(*values) if hasattr(made, "_fields") else type(made)(values)
    return whole, [tensor for _, tensors in parts for tensor in tensors]


def _same(made, expected):
    """Return whether results are equal bit for bit, any NaN being as good as another."""
    if isinstance(expected, (list, tuple)):
        return len(made) == len(expected) and all(map(_same, made, expected))
    if not isinstance(expected, (np.ndarray, np.generic)):
        return type(made) is type(expected) and made == expected
    made, expected = np.asarray(made), np.asarray(expected)
    if made.dtype != expected.dtype or made.shape != expected.shape:
        return False
    if made.dtype.kind not in "fc":
        return bool(np.all(made == expected))
    pairs = ((made.real, expected.real), (made.imag, expected.imag))
    return all(
        np.array_equal(a, b, equal_nan=True)
        and np.array_equal(np.signbit(a)[~np.isnan(a)], np.signbit(b)[~np.isnan(b)])
        for a, b in pairs
    )


def _go_back(tensors):
    for tensor in tensors:
        if tensor.requires_grad:
            np.sum(np.real(tensor)).backward(retain_graph=True)


def _fits(gradient, leaf):
    return gradient.shape == leaf.shape and gradient.dtype == leaf.dtype


class _Module(ModuleType):
    """NumPy, or a part of it, with stand-ins for its functions."""

    def __init__(self, module):
        super().__init__(module.__name__)
        self.__dict__["_module"] = module

    def __getattr__(self, name):
        return _standing_in(getattr(self._module, name))

    def __setattr__(self, name, value):
        setattr(self._module, name, value)


STAND_INS = {id(function): StandIn(name, function) for name, function in differentiable().items()}


def _standing_in(value):
    if id(value) in STAND_INS:
        return STAND_INS[id(value)]
    return _Module(value) if any(value is one for one in (np, np.linalg, np.fft)) else value


def pytest_collection_modifyitems(items):
    """Give the collected test modules stand-ins for what they import of NumPy."""
    for module in {item.module for item in items}:
        for name, value in list(vars(module).items()):
            if not name.startswith("__"):
                setattr(module, name, _standing_in(value))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish():
    """Write down what was found."""
    rows = [[*key, calls] for key, calls in found.items()]
    Path(os.environ[FOUND]).write_text(json.dumps(rows), encoding="utf-8")
