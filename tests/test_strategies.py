"""The calls that ops are tested with have what is hard: the registry's promises rest on them."""

import numpy as np
import pytest

from tests.strategies import samples
from tinygrad_mnist import ops

MATRICES = [op for op in ops.registry.values() if op.matrices]  # drawn by kind: see below
OTHERS = [op for op in ops.registry.values() if not op.matrices]
every_other_op = pytest.mark.parametrize("op", OTHERS, ids=lambda op: op.name)


def drawn(op, each=None):
    """Return the arrays of many calls of an op, with the interval that each is drawn from."""
    found = []
    for call in samples(op, each):
        for name, interval in call.drawn.items():
            arrays = call.arguments[name]
            found += [(a, interval) for a in (arrays if isinstance(arrays, list) else [arrays])]
    return found


@every_other_op
def test_an_op_is_tested_at_large_and_small_numbers_of_both_signs_where_it_takes_them(op):
    arrays = drawn(op, each=max(4, 40 // len(op.cases)))
    entries = np.concatenate([np.ravel(array) for array, _ in arrays])
    low = min(interval[0] for _, interval in arrays)
    high = max(interval[1] for _, interval in arrays)
    assert entries.size > 30
    assert not low < 0 or (entries < 0).any()
    assert not high > 0 or (entries > 0).any()
    assert not low < 0 < high or (entries == 0).any() or (np.abs(entries) < 0.01).any()
    assert not np.isinf(high) or entries.max() > 5
    assert not np.isinf(low) or entries.min() < -5


@every_other_op
def test_an_op_is_tested_in_both_precisions_and_with_several_layouts(op):
    arrays = [array for array, _ in drawn(op, each=max(4, 40 // len(op.cases)))]
    assert {array.dtype for array in arrays} == {np.dtype(np.float32), np.dtype(np.float64)}
    if max(array.ndim for array in arrays):
        assert any(not array.flags.c_contiguous or array.base is not None for array in arrays)


@pytest.mark.parametrize("name", ["absolute", "add", "hypot", "multiply", "sqrt", "tanh"])
def test_a_pointwise_op_is_tested_at_empty_0d_and_broadcast_shapes(name):
    calls = samples(ops.registry[name], each=100)
    shapes = [tuple(np.shape(call.arguments[n]) for n in call.drawn) for call in calls]
    flat = [shape for several in shapes for shape in several]
    assert () in flat
    assert any(0 in shape for shape in flat)
    assert any(1 in shape for shape in flat)
    assert max(map(len, flat)) >= 3
    if len(shapes[0]) > 1:
        assert any(len({*several}) > 1 for several in shapes)
        assert any(len({len(s) for s in several}) > 1 for several in shapes)


def test_some_entries_are_exactly_zero_and_one_and_huge():
    arrays = [array for array, _ in drawn(ops.registry["multiply"], each=300)]
    entries = np.concatenate([np.ravel(array) for array in arrays])
    assert {0.0, 1.0, -1.0} <= {*entries.tolist()}
    assert np.abs(entries).max() > 1e4
    assert np.abs(entries[entries != 0]).min() < 1e-3
    assert any((array.strides[0] if array.ndim else 1) < 0 for array in arrays)


@pytest.mark.parametrize("op", MATRICES, ids=lambda op: op.name)
def test_an_op_of_matrices_is_tested_at_several_sizes_batches_and_precisions(op):
    arrays = [array for array, _ in drawn(op, each=max(4, 40 // len(op.cases)))]
    assert {array.dtype for array in arrays} == {np.dtype(np.float32), np.dtype(np.float64)}
    assert len({array.shape[-1] for array in arrays}) > 1
    assert {array.ndim for array in arrays} > {2} or op.shapes.count("…") == 0
    assert any((array < 0).any() for array in arrays)
