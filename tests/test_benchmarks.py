"""Each benchmark runs once, small: what it computes and counts is asserted, never a time."""

import json
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from tests.benchmarks import defaults, epoch, memory, per_op
from tests.benchmarks.measuring import (
    ROOT,
    PeerError,
    Table,
    environment,
    fresh,
    not_installed,
    present,
    ratio,
    take_turns,
)
from tinygrad_mnist.mnist import Run, loop, results

EAGER = "tinygrad_mnist, eager"
linux = pytest.mark.skipif(sys.platform != "linux", reason="resident bytes are read from /proc")


def command(*arguments):
    line = [sys.executable, "-m", "tests.benchmarks", *arguments]
    return subprocess.run(line, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


def tables(name):
    reply = json.loads(command(name, "--small", "--json"))
    assert "numpy" in reply["machine"]
    assert list(reply["benchmarks"]) == [name]
    return reply["benchmarks"][name]


def row(table, name, key="contestant"):
    (found,) = [r for r in table["rows"] if r[key] == name]
    return found


def test_epoch_contestants_train_the_same_network():
    one_thread, all_cores = tables("epoch")
    for table in (one_thread, all_cores):
        assert row(table, epoch.BY_HAND)["ratio"] == 1
        assert {r["contestant"] for r in table["rows"]} <= set(epoch.CONTESTANTS)
        for r in table["rows"]:
            assert r["contestant"] == epoch.SKLEARN or r["loss apart"] <= epoch.TOLERANCE
        assert row(table, EAGER)["s"] > 0


@linux
def test_a_node_of_a_long_chain_takes_less_than_a_kibibyte():
    short, long = tables("per_op")
    assert row(short, EAGER)["ratio to NumPy"] > 0
    sizes = row(long, EAGER)
    assert 64 < sizes["bytes per node, 20,000"] < 1024
    assert not any(EAGER in note for note in long["notes"])  # it did not fail


@linux
def test_peak_of_a_step_holds_each_hidden_activation_once():
    (table,) = tables("memory")
    assert row(table, EAGER)["MiB"] < 1.25 * row(table, "NumPy by hand")["MiB"]


def test_import_is_timed_beside_numpy():
    (table,) = tables("import")
    assert row(table, "numpy", "import")["ms more than NumPy"] == 0
    assert row(table, "tinygrad_mnist", "import")["ms"] > 0


def test_the_command_prints_the_machine_and_markdown():
    first, _, rest = command("import", "--small").partition("\n")
    assert "Python" in first
    assert "### Import\n\n| import | ms | ms more than NumPy |\n| --- | ---: | ---: |\n" in rest


def test_a_contestant_that_computes_something_else_is_refused(monkeypatch):
    def wrong(problem):
        return lambda batches: 1.01 * np.asarray(epoch.numpy_by_hand(problem)(batches))

    monkeypatch.setitem(epoch.CONTESTANTS, "wrong", ("numpy", wrong))
    rng = np.random.default_rng(0)
    images = epoch.BATCH * epoch.CHECKED_STEPS
    problem = epoch.Problem(
        rng.random((images, epoch.SIZES[0]), np.float32),
        rng.integers(0, 10, images),
        [rng.random(s, np.float32) / 100 for n, m in pairwise(epoch.SIZES) for s in ((n, m), (m,))],
    )
    with pytest.raises(AssertionError, match="wrong computes something else"):
        epoch.losses_apart(problem, ["wrong"])


def test_a_wrong_gradient_of_a_chain_is_refused():
    x = per_op.start(5)
    with pytest.raises(AssertionError, match="HIPS"):
        per_op.check("HIPS", 5 * x**5, x, 5)


def test_contestants_take_turns():
    calls = []
    times = take_turns({name: lambda name=name: calls.append(name) for name in "abc"}, 3)
    assert "".join(calls) == "abcbcacab"
    assert [len(t.wall) for t in times.values()] == [3, 3, 3]


def test_what_is_missing_is_named_and_left_out():
    here, missing = present({"ours": "tinygrad_mnist", "theirs": "no_such_module"})
    assert here == ["ours"]
    assert not_installed(missing) == ["Not installed: theirs."]
    assert not_installed([]) == []
    assert ratio({"ours": 2.0}, "ours", "theirs") is None


def test_a_failure_in_a_fresh_process_is_reported():
    with pytest.raises(PeerError, match="KeyError: 'nobody'"):
        fresh(memory.peak, name="nobody", width=2, batch=1)


def test_thread_counts_are_set_for_every_library(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert environment(1)["OMP_NUM_THREADS"] == environment(1)["OPENBLAS_NUM_THREADS"] == "1"
    assert "multi_thread_eigen=false" in environment(1)["XLA_FLAGS"]
    assert "OMP_NUM_THREADS" not in environment(None)


def test_a_table_prints_figures_of_three_digits():
    table = Table("T", [{"a": "x", "b": 1234.5, "c": 1 / 3, "d": None, "e": 10_000}], ["Note."])
    assert table.markdown() == (
        "### T\n\n| a | b | c | d | e |\n| --- | ---: | ---: | ---: | ---: |\n"
        "| x | 1,234 | 0.333 |  | 10,000 |\n\nNote."
    )


def test_the_study_of_defaults_trains_each_seed_once_and_judges_by_validation_images(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(defaults, "VALIDATION", 59_000)
    monkeypatch.setattr(defaults, "FIRST", {"hidden 4": {"hidden": (4,)}})
    monkeypatch.setattr(results, "_draw", lambda *_: None)
    monkeypatch.setattr(loop, "draw_graph", lambda *_: None)
    arguments = [str(tmp_path), "--seeds", "2", "--epochs", "1"]
    defaults.main(arguments)
    table = capsys.readouterr().out
    ends = [Run(tmp_path / f"hidden_4-{seed}").epochs()[0] for seed in range(2)]
    mean = 100 * (ends[0].validation_accuracy + ends[1].validation_accuracy) / 2
    assert f"| hidden 4 | {mean:.2f} % | {100 * ends[0].validation_accuracy:.2f}, " in table
    monkeypatch.setattr(defaults, "train", None)
    defaults.main(arguments)
    assert capsys.readouterr().out == table
