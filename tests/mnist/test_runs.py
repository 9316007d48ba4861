"""The folder of a run: what is refused, what is replaced, and that no file is ever half written."""

import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_mnist.mnist import Config, InputError, Run
from tinygrad_mnist.mnist.models import build_model
from tinygrad_mnist.mnist.runs import Epoch, write_whole

ENVIRONMENT = {"threads": 1, "numpy": "2.0"}
REFUSED = OSError(errno.ENOSPC, "No space left on device")

shares = st.floats(0, 1)
losses = st.floats(0, allow_infinity=False)
rows = st.builds(
    Epoch,
    epoch=st.integers(1),
    train_loss=losses,
    train_accuracy=shares,
    validation_loss=st.none() | losses,
    validation_accuracy=st.none() | shares,
    test_loss=st.none() | losses,
    test_accuracy=st.none() | shares,
    lr=losses,
    seconds=losses,
)


@pytest.fixture
def folder(tmp_path):
    """Where no folder is yet."""
    return tmp_path / "run"


@pytest.fixture
def copy(run, folder):
    """A trained run that may be damaged."""
    return Path(shutil.copytree(run.folder, folder))


def content(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


# Writing


def test_a_file_is_written_and_nothing_else_is_left(tmp_path):
    write_whole(tmp_path / "file", b"new")
    write_whole(tmp_path / "file", b"newer")
    assert content(tmp_path) == {"file": b"newer"}


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_file_that_could_not_be_written_is_as_before(tmp_path, monkeypatch, call):
    def fail(*_):
        raise REFUSED

    write_whole(tmp_path / "file", b"old")
    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), fail)
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "file", b"new")
    assert content(tmp_path) == {"file": b"old"}


@pytest.mark.skipif(os.name == "nt", reason="files have no mode there")
def test_others_may_read_a_file_as_they_may_read_any(tmp_path):
    (tmp_path / "any").write_bytes(b"")
    write_whole(tmp_path / "file", b"")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "any").stat().st_mode


# A new folder


def test_a_new_run_has_its_config_and_environment(folder):
    run = Run.create(Config(seed=7), ENVIRONMENT, folder)
    assert (run.folder, run.config, run.threads) == (folder, Config(seed=7), 1)
    saved = json.loads((folder / "config.json").read_text())
    assert saved == {
        "config": json.loads(json.dumps(Config(seed=7).to_dict())),
        "environment": ENVIRONMENT,
    }


def test_the_default_is_a_fresh_folder_named_after_date_and_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Run.create(Config(), ENVIRONMENT)
    assert run.folder.match(
        "runs/[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]_[0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
    )


def test_two_runs_of_one_second_have_two_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = {Run.create(Config(), ENVIRONMENT).folder for _ in range(5)}
    assert len(folders) == 5


def test_a_folder_that_exists_is_refused(copy):
    before = content(copy)
    with pytest.raises(
        InputError, match="exists: choose another --out, or replace the run in it with --force"
    ):
        Run.create(Config(), ENVIRONMENT, copy)
    assert content(copy) == before


def test_force_replaces_the_run_and_nothing_else(copy):
    (copy / "notes.txt").write_text("mine")
    Run.create(Config(seed=9), ENVIRONMENT, copy, force=True)
    assert set(content(copy)) == {"config.json", "notes.txt"}
    assert Run(copy).config.seed == 9


def test_force_deletes_nothing_in_a_folder_without_a_run(folder):
    folder.mkdir()
    (folder / "metrics.csv").write_text("mine")
    Run.create(Config(), ENVIRONMENT, folder, force=True)
    assert (folder / "metrics.csv").read_text() == "mine"


@pytest.mark.parametrize("force", [True, False])
def test_a_file_is_no_folder(tmp_path, force):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="file exists: choose another --out, or remove that file"):
        Run.create(Config(), ENVIRONMENT, tmp_path / "file", force)
    with pytest.raises(InputError, match=r"can't be written \(Not a directory\)"):
        Run.create(Config(), ENVIRONMENT, tmp_path / "file" / "run", force)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_is_noticed_and_leaves_no_folder(folder, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1 << 20))
    with pytest.raises(
        InputError, match=r"can't be written \(1 MiB are free and a run takes up to 16\)"
    ):
        Run.create(Config(), ENVIRONMENT, folder)
    assert not folder.exists()


def test_a_folder_that_cannot_be_written_keeps_its_run(copy, monkeypatch):
    def fail(_):
        raise REFUSED

    before = content(copy)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(InputError, match="No space left on device"):
        Run.create(Config(), ENVIRONMENT, copy, force=True)
    assert content(copy) == before


# A folder that is there


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"is not the folder of a run: it has no config\.json"):
        Run(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    {
        "": "Expecting value",
        "{": "Expecting property name",
        "[]": "list indices",
        "{}": "'config'",
        '{"config": {"epohcs": 1}}': "did you mean 'epochs'",
        '{"config": {"epochs": 0}}': "epochs is 0",
        '{"config": {}}': "'environment'",
        "\ud800": "utf-8",
    }.items(),
)
def test_a_damaged_config_is_refused(copy, text, reason):
    (copy / "config.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match=rf"config\.json is damaged \(.*{reason}"):
        Run(copy)


# The model


def test_a_model_comes_back_bit_for_bit(run, copy):
    state = run.model().state_dict()
    Run(copy).save_model(run.model())
    again = Run(copy).model().state_dict()
    assert state.keys() == again.keys()
    assert all(state[name].tobytes() == again[name].tobytes() for name in state)


def test_a_run_that_was_stopped_early_has_no_model(copy):
    (copy / "model.safetensors").unlink()
    with pytest.raises(
        InputError, match=r"has no model\.safetensors: its training ended in the first"
    ):
        Run(copy).model()


@pytest.mark.parametrize("size", [0, 4, 8, 100, -1])
def test_a_model_cut_short_is_refused(copy, size):
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match=r"model\.safetensors can't be used"):
        Run(copy).model()


def test_the_model_of_another_network_is_refused(copy):
    run = Run(copy)
    run.save_model(build_model(replace(run.config, hidden=(5,))))
    with pytest.raises(InputError, match=r"model\.safetensors can't be used"):
        run.model()


# Numbers


@given(st.lists(rows, max_size=4))
def test_metrics_come_back_as_they_were(tmp_path_factory, epochs):
    run = Run.create(Config(), ENVIRONMENT, tmp_path_factory.mktemp("runs") / "run")
    run.save_epochs(epochs)
    assert run.epochs() == epochs


def test_what_was_not_measured_is_empty(folder):
    run = Run.create(Config(), ENVIRONMENT, folder)
    run.save_epochs([Epoch(epoch=1, train_loss=0.5, train_accuracy=0.75, lr=0.1, seconds=2.0)])
    assert (folder / "metrics.csv").read_text() == (
        "epoch,train_loss,train_accuracy,validation_loss,validation_accuracy,"
        "test_loss,test_accuracy,lr,seconds\n"
        "1,0.5,0.75,,,,,0.1,2.0\n"
    )


def test_results_come_back_as_they_were(folder):
    run = Run.create(Config(), ENVIRONMENT, folder)
    run.save_results({"loss": 0.1, "accuracy": np.float64(0.5)})
    assert run.results() == {"loss": 0.1, "accuracy": 0.5}
