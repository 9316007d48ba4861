"""NumPy's functions without an op: some give plain arrays, some can't take a Tensor.

What is neither here nor an op raises too, by name, as it would lose the history without a word.
"""

from __future__ import annotations

from operator import attrgetter

import numpy as np

PIECEWISE_CONSTANT = """
    all allclose any argmax argmin argpartition argsort argwhere around array_equal array_equiv
    ceil count_nonzero digitize equal fix flatnonzero floor floor_divide greater greater_equal
    heaviside isclose iscomplex isfinite isin isinf isnan isneginf isposinf isreal less less_equal
    lexsort linalg.matrix_rank logical_and logical_not logical_or logical_xor nanargmax nanargmin
    nonzero not_equal rint round searchsorted sign signbit spacing trunc
"""
SHAPE_AND_DTYPE = """
    can_cast common_type einsum_path empty_like iscomplexobj isrealobj may_share_memory
    min_scalar_type ndim ones_like result_type shape shares_memory size typename zeros_like
"""
INDICES_AND_TEXT = """
    array2string array_repr array_str diag_indices_from ix_ tril_indices_from triu_indices_from
"""

FUNCTIONS = [
    attrgetter(name)(np)
    for name in (PIECEWISE_CONSTANT + SHAPE_AND_DTYPE + INDICES_AND_TEXT).split()
]


IN_PLACE = "copyto fill_diagonal place put put_along_axis putmask"
TO_FILES = "save savetxt savez savez_compressed"
INTEGERS = """
    bitwise_and bitwise_count bitwise_or bitwise_xor busday_count busday_offset datetime_as_string
    gcd invert is_busday isnat lcm left_shift packbits ravel_multi_index right_shift unpackbits
    unravel_index
"""
WAYS_OUT = {
    IN_PLACE: "writes in place, and a Tensor is a value: use np.where(mask, values, t) or "
    "ops.set_at(t, index, values), which return a new one",
    TO_FILES: "keeps no history: give it t.data, the plain array",
    INTEGERS: "works on integers, bits or dates, which have no gradient: give it t.data, the "
    "plain array, converted to one of these",
}

REFUSED = {getattr(np, name): way for names, way in WAYS_OUT.items() for name in names.split()}
