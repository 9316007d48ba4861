"""Every differentiable function of NumPy, called as NumPy allows: value and derivatives."""

from pathlib import Path

import numpy as np
import pytest

from tests.inventory.checks import check
from tests.inventory.table import CALLS

OPEN = set((Path(__file__).parent / "open.txt").read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_call_gives_what_numpy_gives_with_derivatives_of_both_orders(call, request):
    if not hasattr(np, call.name.partition(".")[0]):
        pytest.skip(f"NumPy {np.__version__} has no {call.name}")
    if str(call) in OPEN:
        request.applymarker(pytest.mark.xfail(reason="open", strict=False))
    check(call)
