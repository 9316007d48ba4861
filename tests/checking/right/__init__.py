"""Right functions of many sorts, as people write them: none of these may be accused.

Some have rules of their own, most are composed of ops.
"""

from tests.checking.right import (
    broadcasting,
    cancelling,
    choosing,
    iterations,
    losses,
    matrices,
    pointwise,
    reductions,
    structure,
)
from tests.checking.right.table import CASES

__all__ = [
    "CASES",
    "broadcasting",
    "cancelling",
    "choosing",
    "iterations",
    "losses",
    "matrices",
    "pointwise",
    "reductions",
    "structure",
]
