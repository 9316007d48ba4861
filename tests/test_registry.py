"""Every op of the registry keeps each promise of the engine; a new op is tested by being listed."""

import gc
import os
import subprocess
import sys
import weakref
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest

from tests.strategies import check_derivatives, samples
from tinygrad_mnist import Tensor, jvp, ops, vjp
from tinygrad_mnist.checking import gradcheck
from tinygrad_mnist.checking.inputs import is_float, real_parts
from tinygrad_mnist.checking.matrices import SYMMETRIC
from tinygrad_mnist.checking.problem import quiet
from tinygrad_mnist.graph import owner_of
from tinygrad_mnist.nested import flatten
from tinygrad_mnist.protocols import overrides

ROOT = Path(__file__).parent.parent
every_op = pytest.mark.parametrize("op", ops.registry.values(), ids=lambda op: op.name)


@pytest.fixture
def calls(op):
    """Return a few calls of the op, as points to check it at; steps to them may warn."""
    with quiet():
        yield [call.problem() for call in samples(op)]


def float_leaves(tree):
    return [leaf for leaf in flatten(tree)[0] if is_float(leaf)]


def random_like(results, seed=1):
    random = np.random.default_rng(seed)
    return [random.normal(size=np.shape(r)).astype(r.dtype) for r in results]


def track(arrays):
    return [Tensor(array, requires_grad=True) for array in arrays]


def backward(results, cotangents):
    for result, cotangent in zip(results, cotangents, strict=True):
        if isinstance(result, Tensor) and result.requires_grad:
            result.backward(cotangent, retain_graph=True)


def call_with_complex(call, real, imaginary):
    """Return the results of a call whose inputs are made complex."""
    return call.problem().call([x + 1j * y for x, y in zip(real, imaginary, strict=True)])


def call_node(op, result):
    """Return the node of the call that made a result, also of one of several, or of a part."""
    node = result._node
    while node.plan.unusual or node.plan.op is not op:
        (node,) = node.parents
    return node


@every_op
def test_derivatives_of_both_orders_agree_with_differences(op):
    check_derivatives(op)


@every_op
@pytest.mark.filterwarnings("ignore::tinygrad_mnist.checking.GradientWarning")
def test_complex_numbers_are_differentiated_like_real_ones_or_refused(op):
    with quiet():
        for call in samples(op, each=1):
            real = call.problem().given
            imaginary = random_like(real)
            try:
                call_with_complex(call, track(real), track(imaginary))
            except TypeError:  # NumPy's or ours; a wrong derivative is no TypeError
                continue
            gradcheck(lambda *parts, call=call: call_with_complex(call, *parts), real, imaginary)


@every_op
def test_every_rule_is_reached_by_the_cases(op):
    drawn = {name for call in samples(op) for name in call.drawn}
    unreached = sorted(set(op.rules) - drawn)
    assert not unreached, (
        f"no case of op {op.name!r} draws {', '.join(unreached)}, so their rules are not "
        "tested: give a case whose shapes has a group for them too"
    )


@every_op
def test_float32_gives_gradients_and_tangents_of_float32(op, calls):
    for call in calls:
        arrays = [array.astype(np.float32) for array in call.given]
        results, pull = vjp(lambda *xs, call=call: call.call(xs), *arrays)
        gradients = pull(random_like(results))
        assert [(g.shape, g.dtype) for g in gradients] == [(a.shape, a.dtype) for a in arrays]
        _, tangents = jvp(lambda *xs, call=call: call.call(xs), arrays, random_like(arrays))
        assert [(t.shape, t.dtype) for t in tangents] == [(r.shape, r.dtype) for r in results]


@every_op
def test_forward_mode_is_the_transpose_of_reverse_mode(op, calls):
    for call in calls:
        arrays = call.split(call.x)
        tangents = [
            scale * t for scale, t in zip(call.split(call.steps), random_like(arrays), strict=True)
        ]
        results, pushed = jvp(lambda *xs, call=call: call.call(xs), arrays, tangents)
        cotangents = random_like(results, seed=2)
        pulled = call.gradients(arrays, cotangents)
        forward = sum(np.sum(c * t) for c, t in zip(cotangents, pushed, strict=True))
        reverse = sum(np.sum(g * t) for g, t in zip(pulled, tangents, strict=True))
        terms = sum(np.sum(np.abs(c * t)) for c, t in zip(cotangents, pushed, strict=True))
        assert abs(forward - reverse) <= 1e-9 * (terms + np.abs(call.x).sum() + 1)


@every_op
def test_tensors_give_what_arrays_give(op):
    with quiet():
        for call in samples(op):
            plain, _ = flatten(op(*call.args, **call.kwargs))
            problem = call.problem()
            for boxed in (track(problem.given), [Tensor(array) for array in problem.given]):
                results = problem.call(boxed)
                parts = [part for out in plain for part in real_parts(out)]
                assert all(isinstance(result, Tensor) for result in results)
                assert [r.dtype for r in results] == [np.asarray(out).dtype for out in parts]
                for result, out in zip(results, parts, strict=True):
                    np.testing.assert_array_equal(result.data, out, strict=True)


@every_op
def test_nothing_that_an_op_or_its_rules_were_given_is_changed(op):
    with quiet():
        for call in samples(op):
            problem = call.problem()
            given = [a for a in flatten(call.arguments)[0] if isinstance(a, np.ndarray)]
            cotangents = random_like(problem.call(problem.given))
            before = [array.copy() for array in (*given, *cotangents)]
            backward(problem.call(track(problem.given)), cotangents)
            problem.gradients([Tensor(a, requires_grad=True) for a in problem.given], cotangents)
            for array, old in zip((*given, *cotangents), before, strict=True):
                np.testing.assert_array_equal(array, old, strict=True)
                assert array.flags.writeable


@every_op
def test_gradients_share_no_memory_with_anything(op, calls):
    for call in calls:
        leaves = track([array.copy() for array in call.given])
        results = call.call(leaves)
        cotangents = random_like(results)
        backward(results, cotangents)
        gradients = [leaf.grad for leaf in leaves if leaf.grad is not None]
        others = [leaf.data for leaf in leaves] + [r.data for r in results] + cotangents
        for a, b in [*combinations(gradients, 2), *product(gradients, others)]:
            assert not np.shares_memory(a, b)


@every_op
def test_an_input_without_a_gradient_is_neither_differentiated_nor_saved_for_its_own_rule(
    op, calls
):
    for call in calls:
        for tracked in range(len(call.given)):
            inputs = [array.copy() for array in call.given]
            kept = set(op.rules[call.parts[tracked].name.split("[")[0]].names)
            inputs[tracked] = leaf = Tensor(inputs[tracked], requires_grad=True)
            results = [r for r in call.call(inputs) if isinstance(r, Tensor)]
            for result in results:
                (parent,) = call_node(op, result).parents
                while parent.plan is not None and op.matrices:  # what made a matrix symmetric
                    parent = parent.parents[0]
                assert parent is leaf._node
            watched = [
                weakref.ref(array)
                for k, (part, array) in enumerate(zip(call.parts, inputs, strict=True))
                if k != tracked
                and part.name.split("[")[0] not in kept
                and not any(np.shares_memory(array, result.data) for result in results)
            ]
            inputs.clear()
            assert [array() for array in watched] == [None] * len(watched)


@every_op
def test_dropping_the_result_frees_the_graph_without_the_garbage_collector(op, calls):
    gc.collect()
    gc.disable()
    try:
        for call in calls:
            leaves = track([array.copy() for array in call.given])
            results = call.call(leaves)
            backward(results, random_like(results))
            inputs = [weakref.ref(leaf.data) for leaf in leaves]
            del leaves, results
            assert [array() for array in inputs] == [None] * len(inputs)
        assert gc.collect() == 0
    finally:
        gc.enable()


def kept_by(op, call):
    """Run a call; return its nodes, and weakly each array with whether rules name it.

    An array that shares its memory with one that is named is kept with it; and so is one of the
    user's at which a result looks, which stays locked as long.
    """
    leaves = track([array.copy() for array in call.given])
    results = [r for r in call.call(leaves) if isinstance(r, Tensor) and r.requires_grad]
    names = [part.name.split("[")[0] for part in call.parts]
    named = {name for part in names for name in op.rules[part].names}
    named |= {name for name, kind in op.matrices.items() if kind in SYMMETRIC}  # by their part
    arrays = [(name in named, leaf.data) for name, leaf in zip(names, leaves, strict=True)]
    owners = [owner_of(result._value) for result in results]
    arrays += [("out" in named, owner) for owner in owners if isinstance(owner, np.ndarray)]
    kept = [array for is_named, array in arrays if is_named]
    kept += [leaf.data for leaf in leaves if any(leaf.data is owner for owner in owners)]
    return [call_node(op, result) for result in results], [
        (weakref.ref(array), any(np.shares_memory(array, other) for other in kept))
        for _, array in arrays
        if array.size
    ]


@every_op
def test_what_is_kept_until_backward_is_what_the_rules_name(op, calls):
    for call in calls:
        nodes, arrays = kept_by(op, call)
        assert [array() is not None for array, _ in arrays] == [named for _, named in arrays]
        assert nodes


@every_op
def test_the_forward_is_numpys_own(op):
    numpys = [function for function, by in overrides.items() if by is op]
    compared = 0
    for call, function in product(samples(op), numpys):
        with quiet():
            mine = op(*call.args, **call.kwargs)
            try:
                theirs = function(*call.args, **call.kwargs)
            except (TypeError, ValueError):  # np.clip, where a bound is missing
                continue
        assert type(mine) is type(theirs)
        for one, other in zip(flatten(mine)[0], flatten(theirs)[0], strict=True):
            np.testing.assert_array_equal(one, other)
            assert np.asarray(one).dtype == np.asarray(other).dtype
        compared += 1
    assert bool(compared) == bool(numpys)


@every_op
def test_arguments_that_an_op_does_not_know_are_an_error_that_names_it(op, calls):
    for call in samples(op, each=1):
        with pytest.raises(TypeError, match=rf"\b{op.name}\b"):
            op(*call.args, **call.kwargs, no_such_argument=1)
    with pytest.raises(TypeError, match=rf"\b{op.name}\b"):
        op()


@every_op
def test_a_tracked_tensor_where_there_is_no_gradient_is_an_error(op):
    static = [n for n in op.names if n not in op.rules and n not in op.nograd]
    with quiet():
        for call in samples(op, each=1):
            for name in static:
                arguments = {**call.arguments, name: Tensor(1.5, requires_grad=True)}
                given = replace(call, arguments=arguments)
                with pytest.raises((TypeError, ValueError), match=r"\w"):
                    op(*given.args, **given.kwargs)


ADDED = """
import numpy as np

from tinygrad_mnist import op, ops


@op
def added_wrong(x):
    return np.tanh(x)


@op
def added_right(x):
    return np.tanh(x)


added_wrong.defvjp(x=lambda g, out: g * (1 + out * out))
added_right.defvjp(x=lambda g, out: g * (1 - out * out))
ops.registry.update(added_wrong=added_wrong, added_right=added_right)
"""


def test_an_op_that_someone_adds_is_tested_without_a_new_test(tmp_path):
    (tmp_path / "adds_ops.py").write_text(ADDED, encoding="utf-8")
    line = [
        sys.executable,
        "-m",
        "pytest",
        "-n",
        "0",
        "-q",
        "-p",
        "adds_ops",
        "-p",
        "no:cacheprovider",
    ]
    run = subprocess.run(
        [*line, "tests/test_registry.py", "-k", "derivatives and added"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert "GradientError: order 1: the gradient of added_wrong" in run.stdout, run.stdout
    assert "1 failed, 1 passed" in run.stdout
