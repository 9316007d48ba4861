"""What every call in the tables is held to, on NumPy's word alone."""

import warnings

import numpy as np

from tests.inventory.differences import curvature, gradient
from tinygrad_mnist import Tensor, grad, jvp, ops

RTOL = 1e-7


def outputs(result):
    """Return the arrays of a result in order, of nested lists and tuples too."""
    if isinstance(result, (list, tuple)):
        return [leaf for part in result for leaf in outputs(part)]
    return [result if hasattr(result, "dtype") else np.asarray(result)]


def random_weights(result):
    """Return two random arrays for each array of a result: for its real and imaginary part."""
    random = np.random.default_rng(0)
    return [random.normal(size=(2, *out.shape)) for out in outputs(result)]


def weighted(result, weights):
    """Return one number that every entry of a result has a part in."""
    total = 0.0
    for out, (a, b) in zip(outputs(result), weights, strict=True):
        if out.dtype.kind == "f":
            total = total + np.sum(out * a)
        elif out.dtype.kind == "c":
            total = total + np.sum(np.real(out) * a) + np.sum(np.imag(out) * b)
    return total


class Point:
    """A call at its arrays, as a function of one vector that holds them all."""

    def __init__(self, call):
        self.call = call
        self.inputs = {name: array.copy() for name, array in call.inputs.items()}
        self.result = call.run(self.inputs)
        self.weights = random_weights(self.result)
        self.x = self.join(self.inputs)
        random = np.random.default_rng(1)
        self.v = random.uniform(0.3, 1, self.x.size) * random.choice((-1, 1), self.x.size)

    def split(self, vector):
        """Return a vector's entries as arrays of the inputs' shapes."""
        ends = np.cumsum([array.size for array in self.inputs.values()])
        parts = zip(self.inputs.items(), np.split(vector, ends[:-1]), strict=True)
        return {name: part.reshape(array.shape) for (name, array), part in parts}

    def join(self, arrays):
        """Return arrays as one vector."""
        return np.concatenate([np.ravel(arrays[name]) for name in self.inputs])

    def of_numpy(self, vector):
        """Return NumPy's result at a vector as one number."""
        return weighted(self.call.run(self.split(vector)), self.weights)

    def of_tensors(self, inputs):
        """Return the result for Tensors as one number."""
        return weighted(self.call.run(inputs, own=ops), self.weights)

    def along(self, inputs):
        """Return the first derivative along `v`, as a function of Tensors."""
        gradients, tangents = grad(self.of_tensors)(inputs), self.split(self.v)
        return sum(np.sum(gradients[name] * tangents[name]) for name in inputs)


def check(call):
    """Raise AssertionError where a call or its derivatives are not what NumPy's are."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        point = Point(call)
        check_value(call, point.inputs)
        check_single_precision(point)
        first = check_first_order(point)
        check_forward_mode(point, first)
        check_second_order(point)


def check_value(call, inputs):
    """Compare value, shape, dtype and kind of container with NumPy's, bit for bit."""
    expected = call.run(inputs)
    result = call.run({k: Tensor(a.copy(), requires_grad=True) for k, a in inputs.items()}, own=ops)
    assert skeleton(result) == skeleton(expected), "value: other containers than NumPy's"
    for got, true in zip(outputs(result), outputs(expected), strict=True):
        value = got.data if isinstance(got, Tensor) else np.asarray(got)
        np.testing.assert_array_equal(value, true, strict=np.ndim(true) > 0, err_msg="value")
        assert value.dtype == np.asarray(true).dtype, f"value: {value.dtype}, not {true.dtype}"
        if value.dtype.kind == "f":
            np.testing.assert_array_equal(np.signbit(value), np.signbit(true), err_msg="sign")
    return result


def skeleton(result):
    """Return the lists and tuples of a result, without what is in them."""
    if isinstance(result, (list, tuple)):
        return type(result).__name__, [skeleton(part) for part in result]
    return None


def check_single_precision(point):
    """Compare the value with NumPy's in float32, where the gradient is float32 too."""
    inputs = {name: array.astype(np.float32) for name, array in point.inputs.items()}
    check_value(point.call, inputs)
    for name, got in grad(point.of_tensors)(inputs).items():
        assert got.dtype == np.float32, f"float32 {name}: gradient of {got.dtype}"


def check_first_order(point):
    """Compare the gradient with differences of NumPy's values, entry by entry."""
    gradients = grad(point.of_tensors)(point.inputs)
    for name, array in point.inputs.items():
        assert (gradients[name].shape, gradients[name].dtype) == (array.shape, array.dtype)
    got, true = point.join(gradients), gradient(point.of_numpy, point.x)
    np.testing.assert_allclose(got, true, RTOL, RTOL * (1 + np.abs(true).max()), err_msg="order 1")
    return got


def check_forward_mode(point, first):
    """Compare forward mode with reverse mode, along a random direction."""
    _, forward = jvp(
        lambda *arrays: point.of_tensors(dict(zip(point.inputs, arrays, strict=True))),
        list(point.inputs.values()),
        list(point.split(point.v).values()),
    )
    terms = first * point.v
    np.testing.assert_allclose(
        forward, terms.sum(), 1e-11, 1e-11 * (1 + np.abs(terms).sum()), err_msg="forward mode"
    )


def check_second_order(point):
    """Compare reverse over reverse with second differences of NumPy's values."""
    second = point.join(grad(point.along)(point.inputs))
    got, true = second @ point.v, curvature(point.of_numpy, point.x, point.v)
    scale = 1 + abs(true) + np.abs(second).sum()
    np.testing.assert_allclose(got, true, 0, RTOL * scale, err_msg="order 2")
