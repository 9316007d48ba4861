"""Another library's arrays: they go through forward, backward and a training step as they are."""

import numpy as np
import pytest

from tests.toys import cube, pair, times, total
from tinygrad_mnist import (
    Tensor,
    checkpoint,
    grad,
    hessian,
    hvp,
    jvp,
    map_gradient,
    ops,
    optim,
    vjp,
)
from tinygrad_mnist.nn import MLP, Linear


def unwrapped(value):
    """Return arguments with plain arrays in the places of ducks."""
    if isinstance(value, Duck):
        return value.array
    if isinstance(value, (list, tuple)):
        return type(value)(map(unwrapped, value))
    if isinstance(value, dict):
        return {k: unwrapped(v) for k, v in value.items()}
    return value


def wrapped(value):
    if isinstance(value, (np.ndarray, np.generic)):
        return Duck(np.asarray(value))
    if isinstance(value, (list, tuple)):
        return type(value)(map(wrapped, value))
    return value


class Duck(np.lib.mixins.NDArrayOperatorsMixin):
    """An array that is no ndarray, answers NumPy's protocols, and never becomes an ndarray.

    As CuPy's: no write lock, 0-d results stay arrays, and NumPy's arrays are not mixed with it.
    """

    def __init__(self, array, base=None):
        self.array = array
        self.base = base
        self.flags = None

    def __array__(self, dtype=None, copy=None):
        raise TypeError("a Duck does not become an ndarray by itself")

    @staticmethod
    def _check(arguments):
        for one in arguments:
            if isinstance(one, (list, tuple)):
                Duck._check(one)
            elif isinstance(one, np.ndarray) and one.ndim:
                raise TypeError("a Duck does not mix with ndarrays")

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        if any(isinstance(x, Tensor) for x in inputs):
            return NotImplemented
        self._check(inputs)
        if out is not None:
            kwargs["out"] = unwrapped(out)
        result = getattr(ufunc, method)(*unwrapped(inputs), **unwrapped(kwargs))
        return out[0] if out is not None else wrapped(result)

    def __array_function__(self, function, types, args, kwargs):
        if any(issubclass(t, Tensor) for t in types):
            return NotImplemented
        self._check([*args, *kwargs.values()])
        return wrapped(function(*unwrapped(args), **unwrapped(kwargs)))

    def __getitem__(self, index):
        return Duck(np.asarray(self.array[unwrapped(index)]), base=self)

    def __setitem__(self, index, value):
        self._check([value])
        self.array[unwrapped(index)] = unwrapped(value)

    def __len__(self):
        return len(self.array)

    def __bool__(self):
        return bool(self.array)

    def __float__(self):
        return float(self.array)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(self.array, name)
        if callable(value):
            return lambda *args, **kwargs: wrapped(value(*unwrapped(args), **unwrapped(kwargs)))
        return wrapped(value)


def duck(data):
    return Duck(np.array(data, dtype=float))


def test_the_duck_is_no_ndarray_and_refuses_to_become_one():
    with pytest.raises(TypeError, match="does not become an ndarray"):
        np.asarray(duck([1.0]))
    with pytest.raises(TypeError, match="does not mix"):
        duck([1.0]) + np.ones(1)
    assert isinstance(np.exp(duck([1.0])), Duck)
    assert isinstance(np.sum(duck([1.0])), Duck)


FUNCTIONS = {
    "arithmetic": lambda x: total((x * 2.0 - x / 3.0 + 1.0) * x),
    "operators": lambda x: ((-x) ** 2.0 + abs(x) + 2.0**x).sum(),
    "exponentials": lambda x: total(np.exp(x) + np.log(x) + np.sqrt(x) + np.tanh(x)),
    "sines": lambda x: total(np.sin(x) * np.cos(x)),
    "broadcasting": lambda x: total(x * total(x)),
    "choice": lambda x: total(np.where(x > 1.5, x * x, 0.0)),
    "extremes": lambda x: total(np.maximum(x, 1.5) * np.minimum(x, 2.5)),
    "clip": lambda x: np.clip(x * x, 0.5, 5.0).sum(),
    "reductions": lambda x: x.sum() * x.mean() + x.max() - x.min(),
    "spread": lambda x: x.var() + x.std(),
    "shapes": lambda x: total(x.reshape(1, -1).T * x[::-1]),
    "indexing": lambda x: total(x[1:] * x[:-1]) + x[0],
    "places": lambda x: total(x[[0, 0, 1]]),
    "join": lambda x: total(np.concatenate([x, x * x])) + total(np.stack([x, 2.0 * x])),
    "product": lambda x: x @ x,
    "matrix product": lambda x: total((x[:, None] @ x[None, :]) @ x),
    "relu": lambda x: total(ops.relu(x) * ops.sigmoid(x)),
    "softmax": lambda x: total(ops.softmax(x) * x),
    "log_softmax": lambda x: total(ops.log_softmax(x) * x),
    "logsumexp": ops.logsumexp,
    "cube": lambda x: total(cube(x)),
    "several results": lambda x: total(times(*pair(x, x))),
    "checkpoint": checkpoint(lambda x: total(cube(x))),
    "map_gradient": lambda x: total(map_gradient(x * x, lambda g: 2.0 * g)),
}


@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS)
def test_derivatives_are_the_same_and_stay_in_the_class(f):
    array = np.array([1.0, 2.0, 3.0])
    t = Tensor(duck(array), requires_grad=True)
    loss = f(t)
    assert isinstance(loss.data, Duck)
    loss.backward()
    assert type(t.grad) is Duck
    assert np.allclose(t.grad.array, grad(f)(array))
    first = grad(f)(duck(array))
    assert type(first) is Duck
    assert np.allclose(first.array, grad(f)(array))
    second = grad(lambda x: total(grad(f)(x) * x))
    assert type(second(duck(array))) is Duck
    assert np.allclose(second(duck(array)).array, second(array))


def test_functions_of_functions_stay_in_the_class():
    x, v = duck([1.0, 2.0]), duck([0.5, -1.0])
    f = lambda x: total(cube(x))  # noqa: E731
    out, pull = vjp(cube, x)
    assert (type(out), type(pull(v)[0])) == (Duck, Duck)
    assert type(hvp(f, x, v)) is Duck
    assert np.array_equal(hvp(f, x, v).array, 6 * x.array * v.array)


def test_forward_mode_stays_in_the_class():
    x, v = duck([1.0, 2.0]), duck([0.5, -1.0])
    out, tangent = jvp(cube, (x,), (v,))
    assert (type(out), type(tangent)) == (Duck, Duck)
    assert np.array_equal(tangent.array, 3 * x.array**2 * v.array)


def test_a_hessian_stays_in_the_class():
    h = hessian(lambda x: total(cube(x)))(duck([1.0, 2.0]))
    assert type(h) is Duck
    assert np.array_equal(h.array, np.diag([6.0, 12.0]))


def test_zero_stays_zero_in_the_class():
    f = lambda x: total(np.where(x > 0, np.sqrt(x), 0.0))  # noqa: E731
    assert np.array_equal(grad(f)(duck([0.0, 4.0])).array, [0.0, 0.25])


def test_a_gradient_shares_no_memory():
    x, y = Tensor(duck([1.0]), requires_grad=True), Tensor(duck([1.0]), requires_grad=True)
    cotangent = duck([1.0])
    (x + y).backward(cotangent)
    arrays = [x.grad.array, y.grad.array, cotangent.array]
    for k, one in enumerate(arrays):
        assert not any(np.shares_memory(one, other) for other in arrays[k + 1 :])


def train(model, x, labels, convert, optimizer):
    for parameter in model.parameters():
        parameter.data = convert(parameter.data.copy())
    chosen = optimizer(model.parameters())
    losses = []
    for _ in range(3):
        logits = model(convert(x))
        loss = -(ops.log_softmax(logits) * convert(labels)).sum()
        loss.backward()
        chosen.step()
        chosen.zero_grad()
        losses.append(loss.item())
    return losses, [p.data for p in model.parameters()]


OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "Adam": lambda p: optim.Adam(p, lr=0.1),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize(
    "make",
    [
        lambda: Linear(4, 3, dtype=np.float64, rng=0),
        lambda: MLP((4, 5, 3), dtype=np.float64, rng=0),
    ],
    ids=["Linear", "MLP"],
)
def test_a_model_is_trained_in_the_class(make, optimizer):
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(6, 4)), np.eye(3)[rng.integers(0, 3, 6)]
    losses, weights = train(make(), x, labels, lambda a: a, optimizer)
    found, ducks = train(make(), x, labels, Duck, optimizer)
    assert all(type(w) is Duck for w in ducks)
    assert np.allclose(np.array([unwrapped(v) for v in found], float), losses)
    for w, d in zip(weights, ducks, strict=True):
        assert np.allclose(d.array, w)


def test_a_repr_needs_no_ndarray():
    assert "requires_grad=True" in repr(Tensor(duck([1.0]), requires_grad=True))
