"""A sample of wrong rules is caught, and what counts as wrong is decided without gradcheck."""

import subprocess
import sys

import numpy as np
import pytest

from tests.mutation import running, tables, truth
from tests.mutation.mutants import Mutant, copied, mutants
from tests.mutation.running import CAUGHT, MISSED, REFUSED, Result, RightResult
from tinygrad_mnist import ops

OPS = ("tanh", "multiply", "maximum", "softmax", "relu", "mean", "matmul")


def mutant(name, rule, parameter="x"):
    return Mutant(ops.registry[name], parameter, "by hand", "", rule)


def test_there_are_mutants_of_at_least_fifteen_kinds():
    for name in OPS:
        kinds = {one.kind for one in mutants(ops.registry[name])}
        assert len(kinds) >= 15, (name, len(kinds))


def test_names_tell_mutants_apart():
    names = [one.name for name in OPS for one in mutants(ops.registry[name])]
    assert len(set(names)) == len(names)


def test_source_is_rewritten_in_helpers_too():
    names = [one.name for one in mutants(ops.registry["maximum"])]
    assert any("x > y -> x >= y" in name for name in names)
    assert any("np.where(loses, 0, g / 2) -> " in name for name in names)


@pytest.mark.parametrize("name", OPS)
def test_a_copy_of_an_op_is_no_mutant(name):
    op = ops.registry[name]
    points = truth.points(op, generic=12, special=12)
    assert len(points) > 10
    parameter, rule = next(iter(op.rules.items()))
    from tests.mutation.wrapping import as_function, placed

    same = Mutant(op, parameter, "none", "", as_function(rule.names, placed(rule)))
    assert truth.classify(same, points) == truth.SAME


TRUTHS = {
    "wrong": ("tanh", lambda g, out: g * (1 - out), truth.WRONG),
    "wrong beyond 1000": ("square", lambda g, x: g * 2 * np.minimum(x, 1000), truth.WRONG),
    "a little off": ("tanh", lambda g, out: g * (1 - out * out) * (1 + 2e-6), truth.WRONG),
    "too little": ("tanh", lambda g, out: g * (1 - out * out) * (1 + 1e-8), truth.SAME),
    "not linear": ("square", lambda g, x: np.abs(g) * 2 * x, truth.WRONG),
    "a subgradient": ("relu", lambda g, x: np.where(x >= 0, g, 0), truth.SUBGRADIENT),
    "none": ("relu", lambda g, x: np.where(x > 0, g, 2 * g * np.equal(x, 0)), truth.WRONG),
    "both of a tie": ("maximum", lambda g, x, y: np.where(x >= y, g, 0), truth.WRONG),
    "refused": ("tanh", lambda g: None, truth.BREAKS),
}  # fmt: skip


@pytest.mark.parametrize("case", TRUTHS)
def test_what_a_mutant_is_is_known(case):
    name, rule, expected = TRUTHS[case]
    points = truth.points(ops.registry[name])
    assert truth.classify(mutant(name, rule), points) == expected


def test_right_at_first_order_alone_is_wrong():
    from tinygrad_mnist.tensor import raw

    rule = lambda g, x: g * 2 * raw(x)  # noqa: E731
    assert truth.classify(mutant("square", rule), truth.points(ops.registry["square"])) == "wrong"


def test_a_sample_of_mutants_is_caught():
    results = []
    for name in ("tanh", "multiply", "softmax"):
        op = ops.registry[name]
        points = truth.points(op, generic=20, special=20)
        chosen = [m for k, m in enumerate(mutants(op)) if k % 9 == 0 and running.is_an_op(m)]
        results += [running.judge(one, points, running.search) for one in chosen]
    wrong = [r for r in results if r.truth == truth.WRONG]
    assert len(wrong) >= 10
    missed = [r.name for r in wrong if r.verdict not in {CAUGHT, REFUSED}]
    assert missed == []


def test_right_ops_are_not_accused():
    for name in ("relu", "maximum"):
        right = running.check_right(name, 20)
        assert right.checks >= 10
        assert right.accused == []


def test_a_mutant_that_does_not_end_is_stopped():
    def endless(g):
        while True:
            g = g + 1

    before = running.LONGEST
    running.LONGEST = 1
    try:
        result = running.judge(
            mutant("tanh", endless), truth.points(ops.registry["tanh"], 0, 4, 0), running.search
        )
    finally:
        running.LONGEST = before
    assert (result.truth, result.message) == (truth.BREAKS, "does not end")


def test_tables_count_what_results_say():
    results = [
        Result("a", "tanh", "sign flipped", truth.WRONG, CAUGHT),
        Result("b", "tanh", "sign flipped", truth.WRONG, MISSED),
        Result("c", "tanh", "half", truth.SAME),
    ]
    table = tables.of_kinds(results).splitlines()
    assert table[3] == "| sign flipped | 2 | 1 | 1 | 50.0 % | 0 | 0 |"
    assert table[-1] == "| **all** | 2 | 1 | 1 | 50.0 % | 1 | 0 |"
    rights = tables.of_rights([RightResult("tanh", 1, 10, ["one"], 2, 0.1)]).splitlines()
    assert rights[-1] == "| 1 ops | 10 | 1 | 2 |"


def test_the_command_goes_on_where_it_was_stopped(tmp_path):
    line = [
        sys.executable,
        "-m",
        "tests.mutation",
        "--ops",
        "negative",
        "--sample",
        "4",
        "--right",
        "6",
    ]
    line += ["--results", str(tmp_path / "results.jsonl")]
    first = subprocess.run(line, capture_output=True, text=True, check=True)
    assert "| **all** |" in first.stdout
    assert "| right rules | checks | accused | inconclusive |" in first.stdout
    again = subprocess.run(line, capture_output=True, text=True, check=True)
    assert again.stderr.startswith("4 mutants")
    refused = subprocess.run([*line[:4], "nonsense"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "no op is called nonsense" in refused.stderr


def test_a_copy_of_a_right_op_is_drawn_what_the_op_takes():
    for name in ("cholesky", "eigh", "divide"):
        copy = copied(ops.registry[name], {})
        assert (copy.matrices, copy.domain) == (
            ops.registry[name].matrices,
            ops.registry[name].domain,
        )
        assert running.search(copy).verdict == "pass"


def test_points_lie_in_the_domain_and_their_matrices_are_symmetric():
    for point in truth.points(ops.registry["eigh"], 0, 12, 12):
        a = point.arguments["a"]
        np.testing.assert_allclose(a, np.swapaxes(a, -1, -2))
    for point in truth.points(ops.registry["divide"], 0, 20, 20):
        low, high = point.intervals["y"]
        assert ((low < point.arguments["y"]) & (point.arguments["y"] < high)).all()
