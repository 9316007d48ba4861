"""NumPy's own tests run with Tensors, and what differs is seen."""

from pathlib import Path

import numpy as np
import pytest

from tests.numpy_tests import standing_in
from tests.numpy_tests.__main__ import FILES, PAGE, run
from tests.numpy_tests.standing_in import StandIn, found
from tinygrad_mnist import Tensor


@pytest.fixture(autouse=True)
def _nothing_found_before(monkeypatch):
    monkeypatch.setattr(standing_in, "found", found.__class__())


def kinds():
    return {kind for kind, *_ in standing_in.found}


@pytest.mark.skipif(not (Path(np.__file__).parent / f"{FILES[0]}.py").exists(), reason="no tests")
def test_a_file_of_numpys_tests_gives_the_same_with_tensors():
    rows = run("lib/tests/test_twodim_base")
    assert {kind for kind, *_ in rows} <= {"same", "refused"}
    assert sum(calls for (kind, *_), calls in rows.items() if kind == "same") > 10


def test_a_call_is_made_with_tensors_and_then_as_it_is():
    seen = []
    stand_in = StandIn("norm", lambda x, p=None: seen.append(type(x)) or np.linalg.norm(x, p))
    assert stand_in(np.array([3.0, 4.0]), p=2) == 5.0
    assert seen == [Tensor, np.ndarray]
    assert kinds() == {"same"}


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda x: x + isinstance(x, Tensor), "other values"),
        (lambda x: x.astype(np.float32) if isinstance(x, Tensor) else x, "other values"),
        (lambda x: -x if isinstance(x, Tensor) else 0.0 - x, "other values"),
        (lambda x: np.asarray(x) + 1, "refused"),
    ],
    ids=["number", "dtype", "signed zero", "refused"],
)
def test_what_differs_is_noted(function, kind):
    StandIn("f", function)(np.zeros(2))
    assert kinds() == {kind}


def test_a_gradient_that_fails_is_noted(monkeypatch):
    monkeypatch.setattr(standing_in, "_go_back", lambda tensors: 1 / 0)
    StandIn("exp", np.exp)(np.zeros(2))
    assert kinds() == {"same", "no way back"}


def test_the_page_names_all_there_is():
    assert f"{len(FILES)} files of tests" in PAGE.read_text(encoding="utf-8")
