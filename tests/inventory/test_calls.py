"""Every differentiable function of NumPy, called as NumPy allows: value and derivatives."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from tests.inventory.checks import check, check_value, outputs, random_weights, skeleton, weighted
from tests.inventory.table import CALLS, OTHERS
from tinygrad_mnist import Tensor, jvp, ops, vjp
from tinygrad_mnist.tensor import raw


@pytest.mark.parametrize("call", [*CALLS, *OTHERS], ids=str)
def test_a_call_gives_what_numpy_gives_with_derivatives_of_both_orders(call):
    if "f(" in call.text and not hasattr(np, call.name.partition(".")[0]):
        pytest.skip(f"NumPy {np.__version__} has no {call.name}")
    check(call)


def test_a_call_by_the_name_in_ops_gives_the_same_of_tensors_and_of_arrays():
    for call in CALLS:
        if hasattr(np, call.name.partition(".")[0]):
            for wrap in (np.copy, lambda array: Tensor(array, requires_grad=True)):
                inputs = {name: wrap(array) for name, array in call.inputs.items()}
                with warnings.catch_warnings(), np.errstate(all="ignore"):
                    warnings.simplefilter("ignore")
                    made, expected = (call.run(inputs, library, ops) for library in (ops, np))
                assert skeleton(made) == skeleton(expected), call
                for one, other in zip(outputs(made), outputs(expected), strict=True):
                    assert type(one) is type(other), call
                    np.testing.assert_array_equal(*map(raw, (one, other)), err_msg=str(call))


SHAPES = {
    "empty": lambda array: array[..., :0] if array.ndim else array,
    "of length 1": lambda array: array[..., :1] if array.ndim else array,
    "of no axis": lambda array: array.ravel()[0],
}
STRANGE = {  # what NumPy makes of these is an accident
    'einsum("ii->i", A)',
    "histogramdd((v, w), bins=2, density=True)",
}


@pytest.mark.parametrize("kind", SHAPES)
def test_a_call_with_small_arrays_gives_what_numpy_gives_with_a_gradient(kind):
    """Where NumPy takes them; entries that it leaves unwritten, in transforms of none, may vary."""
    taken = 0
    for call in [*CALLS, *OTHERS]:
        inputs = {name: np.array(SHAPES[kind](array)) for name, array in call.inputs.items()}
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                expected = call.run(inputs)
            except Exception:  # noqa: BLE001 - whatever it says, it does not take them
                continue
            if str(call) in STRANGE:
                continue
            if "fft" in call.name and kind == "empty":
                made = call.run({k: Tensor(a, requires_grad=True) for k, a in inputs.items()})
                assert [r.shape for r in outputs(made)] == [r.shape for r in outputs(expected)]
            else:
                check_value(call, inputs)
            weights, random = random_weights(expected), np.random.default_rng(0)
            loss = lambda *xs, c=call, names=tuple(inputs), w=weights: weighted(  # noqa: E731
                c.run(dict(zip(names, xs, strict=True)), own=ops), w
            )
            arrays = list(inputs.values())
            steps = [random.normal(size=array.shape) for array in arrays]
            pulled = vjp(loss, *arrays)[1](1.0)
            assert [g.shape for g in pulled] == [a.shape for a in arrays], call
            along = sum(np.sum(g * step) for g, step in zip(pulled, steps, strict=True))
            pushed = jvp(loss, arrays, steps)[1]
            finite = np.isfinite(along) and np.isfinite(pushed)
            assert not finite or abs(pushed - along) <= 1e-9 * (1 + abs(along)), call
        taken += 1
    assert taken > 500


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble])
def test_a_call_gives_what_numpy_gives_in_half_and_in_extended_precision(dtype):
    taken = 0
    for call in [*CALLS, *OTHERS]:
        inputs = {name: array.astype(dtype) for name, array in call.inputs.items()}
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                call.run(inputs)
            except (AttributeError, TypeError, ValueError):  # NumPy's linalg takes neither
                continue
            if call.name != "histogram" or dtype is np.float16:  # ours is refused
                check_value(call, inputs)
        taken += 1
    assert taken > 700


def test_a_name_that_is_no_differentiable_function_of_numpy_is_not_in_ops():
    for module, name in [(ops, "argmax"), (ops, "tiles"), (ops.linalg, "matrix_rank")]:
        with pytest.raises(AttributeError, match=rf"{name} is no differentiable function of NumPy"):
            getattr(module, name)
    assert {"tile", "exp", "relu"} <= set(dir(ops))


def test_the_others_are_68_rows_with_two_that_numpy_does_not_let_through():
    """They are np.r_ and np.c_, refused as such; `ops` has them: see `test_creation.py`."""
    assert len({call.name for call in OTHERS}) + 1 == 68


def test_the_readme_counts_the_functions_and_their_calls():
    readme = " ".join((Path(__file__).parents[2] / "README.md").read_text("utf-8").split())
    names = len({call.name for call in CALLS})
    assert f"Every differentiable function of NumPy 2: {names} of {names}," in readme
    assert f"every function of NumPy in {len(CALLS)} calls" in readme
