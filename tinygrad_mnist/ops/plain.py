"""NumPy's functions without a derivative: called with a Tensor they return plain arrays.

What is neither here nor an op raises, by name: what would lose the history without a word, writes
in place, or works on bits, files and text.
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
