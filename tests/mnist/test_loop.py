"""The job: the folder that is left, what stops it, and that it goes on as if nothing had."""

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from tests.mnist.conftest import TEST, TRAIN
from tinygrad_mnist import drawing, files
from tinygrad_mnist.mnist import (
    InputError,
    Interrupted,
    Run,
    evaluate,
    load_examples,
    loop,
    results,
    resume,
    train,
)
from tinygrad_mnist.mnist.environment import most_threads
from tinygrad_mnist.mnist.progress import Progress

FILES = {
    ".lock",
    "checkpoint.safetensors",
    "config.json",
    "confusion.svg",
    "curves.svg",
    "graph.svg",
    "metrics.csv",
    "metrics.json",
    "mistakes.png",
    "model.safetensors",
    "report.html",
    "weights.png",
}


class Heard(Progress):
    """Remembers what it was told."""

    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


class Signalled(Progress):
    """Gets a signal after a step, as if someone had pressed Ctrl-C."""

    def __init__(self, epoch, position, number=signal.SIGINT):
        self.at, self.number = (epoch, position), number

    def step(self, training):
        if (training.epoch, training.position) == self.at:
            signal.raise_signal(self.number)


@pytest.fixture
def drawn():
    """Ask for pictures: tests that do not look at them go without, to save most of the time."""


@pytest.fixture(autouse=True)
def _undrawn(request, monkeypatch):
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(results, "_draw", lambda *_: None)
        monkeypatch.setattr(loop, "draw_graph", lambda *_: None)


def rows(run):
    """Return its epochs, but for how long they took."""
    return [replace(epoch, seconds=0) for epoch in run.epochs()]


def assert_same_end(run, expected):
    """Assert that two runs ended with the same weights, bit for bit, and the same numbers."""
    for name in ("model.safetensors", "best.safetensors"):
        paths = [Path(r.folder, name) for r in (run, expected)]
        assert paths[0].exists() == paths[1].exists()
        if paths[0].exists():
            assert paths[0].read_bytes() == paths[1].read_bytes(), name
    assert rows(run) == rows(expected)
    ends = [r.results() | {"seconds": 0} for r in (run, expected)]
    assert ends[0] == ends[1]


# The folder


def test_a_run_leaves_its_files_and_nothing_else(run):
    assert {file.name for file in run.folder.iterdir()} == FILES


def test_the_results_are_those_of_the_saved_network_on_the_test_images(config, run):
    evaluation = evaluate(run.model(), load_examples(config).test)
    end = run.results()
    # evaluated here with the machine's own number of BLAS threads, which changes the last bits
    assert end["loss"] == pytest.approx(evaluation.loss, rel=1e-6)
    assert end["accuracy"] == evaluation.accuracy
    assert (end["epochs"], len(evaluation.labels)) == (2, TEST)
    last = run.epochs()[-1]
    assert last.test_loss is last.test_accuracy is last.validation_loss is None


def test_the_test_images_are_looked_at_after_each_epoch_if_asked(config, run, tmp_path, drawn):
    asked = train(replace(config, test_each_epoch=True), out=tmp_path / "run")
    last, end = asked.epochs()[-1], asked.results()
    assert (last.test_loss, last.test_accuracy) == (end["loss"], end["accuracy"])
    assert "test images" in (asked.folder / "curves.svg").read_text()
    assert (asked.folder / "model.safetensors").read_bytes() == (
        run.folder / "model.safetensors"
    ).read_bytes(), "which changes nothing of the training"


def test_the_saved_weights_are_named_float32_arrays(run):
    shapes = {
        name: (array.dtype, array.shape)
        for name, array in load_file(run.folder / "model.safetensors").items()
    }
    assert shapes["layers.0.weight"] == (np.float32, (784, 16))
    assert shapes["layers.2.bias"] == (np.float32, (10,))
    assert len(shapes) == 6


def test_validation_images_are_looked_at_after_each_epoch(config, tmp_path, drawn):
    run = train(replace(config, validation=100, epochs=1), out=tmp_path / "run")
    (epoch,) = run.epochs()
    assert epoch.test_loss is None
    validation = load_examples(run.config).validation
    assert epoch.validation_accuracy == evaluate(run.model(), validation).accuracy
    assert b"validation images" in (run.folder / "curves.svg").read_bytes()
    best = run.model(best=True).state_dict()
    assert all((best[name] == value).all() for name, value in run.model().state_dict().items())
    assert run.results()["best_epoch"] == 1


def test_the_picture_of_weights_is_of_the_first_layer(run):
    with Image.open(run.folder / "weights.png") as picture:
        assert picture.width == 4 * 30 * 10  # 16 units, 4 in a row


def test_the_graph_ends_in_the_loss(run):
    svg = (run.folder / "graph.svg").read_text()
    assert all(word in svg for word in ("cross_entropy", "layers.0", "dropout", "loss"))


def test_a_softmax_regression_has_no_hidden_layer(config, tmp_path):
    run = train(replace(config, hidden=(), epochs=1), out=tmp_path / "run")
    assert [p.shape for p in run.model().parameters()] == [(784, 10), (10,)]


def test_without_a_renderer_the_source_of_the_graph_is_left(config, tmp_path, monkeypatch, drawn):
    class Unrendered:
        source = "digraph {}"

        def pipe(self, _):
            raise drawing.NoRenderer("install Graphviz")

    monkeypatch.setattr(drawing, "draw", lambda *_: Unrendered())
    heard = Heard()
    run = train(replace(config, epochs=1), out=tmp_path / "run", progress=heard)
    names = {file.name for file in run.folder.iterdir()}
    assert names == FILES - {"graph.svg"} | {"graph.gv"}
    assert (run.folder / "graph.gv").read_text() == "digraph {}"
    assert "digraph {}" in (run.folder / "report.html").read_text()
    assert heard.said == ["No graph.svg, but graph.gv: install Graphviz"]


# What goes wrong


def test_a_diagnosis_is_kept_and_leaves_the_training_as_it_is(config, run, tmp_path, drawn):
    heard = Heard()
    looked = train(config, out=tmp_path / "run", progress=heard, diagnose=True)
    text = (looked.folder / "diagnosis.txt").read_text("utf-8")
    assert text.startswith("Diagnosis of MLP on 256 examples: ")
    assert "update / weight" in text
    assert text in heard.said
    assert "Looked over before training" in (looked.folder / "report.html").read_text("utf-8")
    assert_same_end(looked, run)
    assert "Looked over" not in (run.folder / "report.html").read_text("utf-8")

    train(config, out=tmp_path / "run", force=True)
    assert not (looked.folder / "diagnosis.txt").exists()


@pytest.mark.parametrize(("lr", "what"), [(2.0, "too large"), (0.0002, "too small")])
def test_a_diagnosis_tells_of_a_learning_rate_100_times_off(config, tmp_path, lr, what):
    config = replace(config, lr=lr, hidden=(64, 32), epochs=1)
    with contextlib.suppress(InputError):
        train(config, out=tmp_path / "run", diagnose=True)
    text = (tmp_path / "run" / "diagnosis.txt").read_text("utf-8")
    assert f"error: learning rate {what}" in text


def test_a_learning_rate_far_too_large_is_said_without_warnings(config, tmp_path):
    with pytest.raises(
        InputError,
        match=r"the loss became (inf|nan) in epoch 1, after .* images: the "
        r"learning rate 1e\+08 is too large; try 1e\+07",
    ):
        train(replace(config, lr=1e8), out=tmp_path / "run")


def test_a_network_that_ends_with_weights_that_are_not_finite_is_no_result(config, tmp_path):
    config = replace(config, lr=1e38, epochs=1, batch_size=TRAIN)
    with pytest.raises(
        InputError, match=f"after {TRAIN} images: the learning rate 1e.38 is too large"
    ):
        train(config, out=tmp_path / "run")
    assert not (tmp_path / "run" / "metrics.json").exists()


def test_no_folder_is_made_for_data_that_cannot_be_read(config, tmp_path):
    with pytest.raises(InputError, match="is not a folder with train-images"):
        train(replace(config, data=str(tmp_path / "nowhere")), out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


# BLAS threads


def test_threads_are_as_before_after_a_run(config, tmp_path):
    before = most_threads()
    run = train(replace(config, epochs=1), out=tmp_path / "run")
    assert (run.threads, most_threads()) == (1, before)


def test_auto_takes_the_faster_number_of_threads_and_says_so(config, tmp_path, monkeypatch):
    def speeds(step):
        step()
        return {1: 900.0, 4: 1234.0}

    monkeypatch.setattr(loop.environment, "most_threads", lambda: 4)
    monkeypatch.setattr(loop.environment, "thread_speeds", speeds)
    config = replace(config, threads=None, epochs=1)
    heard = Heard()
    run = train(config, out=tmp_path / "run", progress=heard)
    assert run.threads == run.config.threads == 4
    assert heard.said == ["BLAS threads: 4, which makes 1,234 steps per second here; 1 made 900"]


def test_trying_threads_changes_nothing_of_the_run(config, run, tmp_path, monkeypatch):
    monkeypatch.setattr(loop.environment, "most_threads", lambda: 2)
    monkeypatch.setattr(
        loop.environment,
        "thread_speeds",
        lambda step: [step() for _ in range(50)] and {1: 2.0, 2: 1.0},
    )
    again = train(replace(config, threads=None), out=tmp_path / "run")
    assert (again.folder / "model.safetensors").read_bytes() == (
        run.folder / "model.safetensors"
    ).read_bytes()


def test_the_same_seed_gives_the_same_weights_bit_for_bit(config, run, tmp_path, drawn):
    again = train(config, out=tmp_path / "run")
    for name in ("model.safetensors", "curves.svg", "confusion.svg", "weights.png"):
        assert (again.folder / name).read_bytes() == (run.folder / name).read_bytes(), name
    assert [replace(e, seconds=0) for e in again.epochs()] == [
        replace(e, seconds=0) for e in run.epochs()
    ]


# Stopped and gone on


@pytest.fixture(scope="module")
def hard(config):
    """All that has a state at once."""
    return replace(config, epochs=3, augment=True, validation=60)


@pytest.fixture(scope="module")
def straight(hard, tmp_path_factory):
    """That one, trained without a stop."""
    return train(hard, out=tmp_path_factory.mktemp("straight") / "run")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("at", [(1, 32), (2, 128), (2, 240), (3, 240)])
def test_a_signal_ends_the_step_saves_and_nothing_is_lost(hard, straight, tmp_path, at, number):
    before = most_threads()
    try:
        with pytest.raises(Interrupted, match=str(number)) as caught:
            train(hard, out=tmp_path / "run", progress=Signalled(*at, number))
    except BaseException as error:  # a worker that dies of it would say nothing
        raise AssertionError(error) from error
    assert (caught.value.signal, most_threads()) == (number, before)
    state = Run(tmp_path / "run").checkpoint()
    assert (state["epoch"], state["position"]) == at
    assert not (tmp_path / "run" / "metrics.json").exists()
    assert_same_end(resume(tmp_path / "run"), straight)


def test_a_run_may_be_stopped_many_times(hard, straight, tmp_path):
    with pytest.raises(Interrupted):
        train(hard, out=tmp_path / "run", progress=Signalled(1, 64))
    for at in [(1, 96), (1, 240), (2, 32), (3, 192)]:
        with pytest.raises(Interrupted):
            resume(tmp_path / "run", progress=Signalled(*at))
    assert_same_end(resume(tmp_path / "run"), straight)


def test_a_run_that_is_over_gets_its_pictures_anew(run, tmp_path, drawn):
    folder = Path(shutil.copytree(run.folder, tmp_path / "run"))
    for name in ("report.html", "curves.svg", "metrics.json", "metrics.csv", "model.safetensors"):
        (folder / name).unlink()
    again = resume(folder)
    assert_same_end(again, run)
    assert {file.name for file in folder.iterdir()} == FILES
    for name in ("curves.svg", "weights.png", "mistakes.png"):
        assert (folder / name).read_bytes() == (run.folder / name).read_bytes()


def test_what_was_written_after_the_checkpoint_is_cut_back(hard, straight, tmp_path):
    with pytest.raises(Interrupted):
        train(hard, out=tmp_path / "run", progress=Signalled(2, 32))
    run = Run(tmp_path / "run")
    run.save_epochs(straight.epochs())
    run.save_parameters(straight.model().state_dict(), "best.safetensors")
    (run.folder / ".metrics.csv.part").write_text("half")
    with pytest.raises(Interrupted):
        resume(run.folder, progress=Signalled(2, 64))
    assert rows(run) == rows(straight)[:1]
    assert not (run.folder / ".metrics.csv.part").exists()
    assert_same_end(resume(run.folder), straight)


def test_checkpoints_are_written_every_few_seconds(config, tmp_path, monkeypatch):
    class Clock:
        now = 0.0

        def perf_counter(self):
            self.now += 0.01
            return self.now

    class Seen(Progress):
        def step(self, training):
            self.run and seen.append(self.run.checkpoint()["position"])

    seen = []
    monkeypatch.setattr(loop, "time", Clock())
    monkeypatch.setattr(loop, "_SECONDS", 0.035)
    monkeypatch.setattr(loop, "_TIMES", 0)
    train(replace(config, epochs=1), out=tmp_path / "run", progress=Seen())
    assert seen == [0, 0, 0, 0, 128, 128, 128, 128, 256, 256]


def test_checkpoints_take_a_fiftieth_of_the_time_at_most(config, tmp_path, monkeypatch):
    class Clock:
        now = 0.0

        def perf_counter(self):
            return self.now

    clock = Clock()

    def save(run, state):
        clock.now += 1.0
        saved.append(clock.now)

    class Slow(Progress):
        def step(self, training):
            clock.now += 10.0

    saved = []
    monkeypatch.setattr(loop, "time", clock)
    monkeypatch.setattr(Run, "save_checkpoint", save)
    train(replace(config, epochs=1, batch_size=10), out=tmp_path / "run", progress=Slow())
    within = np.diff(saved[:-1])  # the last is that of the epoch's end
    assert len(within) > 3
    assert (within >= 50).all()


def test_a_run_without_its_checkpoint_begins_anew_and_says_so(config, run, tmp_path):
    folder = Path(shutil.copytree(run.folder, tmp_path / "run"))
    (folder / "checkpoint.safetensors").unlink()
    heard = Heard()
    assert_same_end(resume(folder, progress=heard), run)
    assert "has no checkpoint.safetensors: it is trained from the beginning" in heard.said[0]


def test_resume_uses_the_threads_of_the_run_and_says_where_the_machine_differs(run, tmp_path):
    folder = Path(shutil.copytree(run.folder, tmp_path / "run"))
    path = folder / "config.json"
    saved = json.loads(path.read_text())
    heard = Heard()
    resume(folder, progress=heard)
    assert heard.said == []
    saved["environment"] |= {"numpy": "1.9", "processors": 99}
    path.write_text(json.dumps(saved))
    resume(folder, progress=heard)
    (said,) = heard.said
    assert said == (
        f"The run began with NumPy 1.9 (here {np.__version__}), processors: 99 (here "
        f"{os.cpu_count()}): its 1 BLAS threads are kept, but the last bits of its weights may "
        "become others"
    )


def test_data_that_moved_is_found_again_and_other_data_is_refused(config, run, data, tmp_path):
    folder = Path(shutil.copytree(run.folder, tmp_path / "run"))
    moved = Path(shutil.copytree(data, tmp_path / "moved"))
    path = folder / "config.json"
    path.write_text(path.read_text().replace(str(data), str(tmp_path / "gone")))
    checkpoint = folder / "checkpoint.safetensors"
    checkpoint.unlink()
    with pytest.raises(InputError, match="gone is not a folder with"):
        resume(folder)
    assert_same_end(resume(folder, data=moved), run)
    (moved / "t10k-labels-idx1-ubyte").write_bytes((data / "t10k-labels-idx1-ubyte").read_bytes())
    labels = bytearray((data / "train-labels-idx1-ubyte").read_bytes())
    labels[-1] ^= 1
    (moved / "train-labels-idx1-ubyte").write_bytes(labels)
    with pytest.raises(InputError, match=r"the data set is not the one that .* was begun"):
        resume(folder, data=moved)


@pytest.mark.parametrize("size", [0, 7, 100, 5000, -1])
def test_a_checkpoint_cut_short_is_refused_with_all_files_intact(run, tmp_path, size):
    folder = Path(shutil.copytree(run.folder, tmp_path / "run"))
    path = folder / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(InputError, match=r"checkpoint\.safetensors is damaged \(.*train again"):
        resume(folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_the_checkpoint_of_another_training_is_refused(config, run, tmp_path):
    folder = Path(shutil.copytree(run.folder, tmp_path / "run"))
    state = Run(folder).checkpoint()
    state["order"] = state["order"][:-1]
    Run(folder).save_checkpoint(state)
    with pytest.raises(InputError, match=r"is damaged \(its order of images is none of these"):
        resume(folder)


def test_a_disk_that_fills_up_loses_nothing(hard, straight, tmp_path, monkeypatch):
    real, calls = files.write_aside, []

    def write(path, content):
        if path.name == "checkpoint.safetensors":
            calls.append(path)
            if len(calls) == 3:
                raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return real(path, content)

    monkeypatch.setattr(files, "write_aside", write)
    with pytest.raises(OSError, match="No space left on device"):
        train(hard, out=tmp_path / "run")
    monkeypatch.undo()
    assert Run(tmp_path / "run").checkpoint()["epoch"] == 1
    assert_same_end(resume(tmp_path / "run"), straight)


def test_two_processes_do_not_write_one_run(config, tmp_path):
    class Nosy(Progress):
        def step(self, training):
            if training.epoch == 1 and training.position == 32:
                with pytest.raises(InputError, match="is being written by another process"):
                    resume(tmp_path / "run")
                with pytest.raises(InputError, match="is being written by another process"):
                    train(config, out=tmp_path / "run", force=True)
                seen.append(True)

    seen = []
    train(config, out=tmp_path / "run", progress=Nosy())
    assert seen == [True]


# Killed


@pytest.mark.skipif(os.name == "nt", reason="no fork there")
@pytest.mark.parametrize("seed", [0, 1])
def test_a_run_killed_at_random_moments_ends_as_if_it_had_not_been(
    root, hard, straight, tmp_path, seed
):
    choices = tmp_path / "config"
    choices.write_text(json.dumps(hard.to_dict()))
    command = [sys.executable, "-m", "tests.mnist.killing", tmp_path / "run", choices, "12"]
    done = subprocess.run(
        [*map(str, command), str(seed)], cwd=root, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "12\n")
    run = Run(tmp_path / "run")
    assert_same_end(run, straight)
    assert {file.name for file in run.folder.iterdir()} == FILES | {"best.safetensors"}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config", "run"]
