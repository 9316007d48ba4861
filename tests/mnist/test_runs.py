"""The folder of a run: what is refused, what is replaced, and what comes back from it."""

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
from tinygrad_mnist.mnist.runs import Epoch

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
    gradient_norm=losses,
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


def create(folder=None, force=False, config=None, checkpoint=b"first"):
    """Make the folder of a run, and let go of it."""
    with Run.created(config or Config(), ENVIRONMENT, checkpoint, folder, force) as run:
        return run


def content(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


# A new folder


def test_a_new_run_has_its_config_and_environment(folder):
    run = create(folder, config=Config(seed=7))
    assert (run.folder, run.config, run.threads) == (folder, Config(seed=7), 1)
    saved = json.loads((folder / "config.json").read_text())
    assert saved == {
        "config": json.loads(json.dumps(Config(seed=7).to_dict())),
        "environment": ENVIRONMENT,
    }
    assert (folder / "checkpoint.safetensors").read_bytes() == b"first"


def test_a_run_is_held_until_it_is_over(folder):
    with (
        Run.created(Config(), ENVIRONMENT, b"first", folder) as run,
        pytest.raises(InputError, match="is being written by another process"),
    ):
        run.resumed().__enter__()
    with run.resumed():
        pass


def test_the_default_is_a_fresh_folder_named_after_date_and_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = create()
    assert run.folder.match(
        "runs/[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]_[0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
    )


def test_two_runs_of_one_second_have_two_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = {create().folder for _ in range(5)}
    assert len(folders) == 5


def test_a_folder_that_exists_is_refused(copy):
    before = content(copy)
    with pytest.raises(
        InputError, match="exists: choose another --out, or replace the run in it with --force"
    ):
        create(copy)
    assert content(copy) == before


def test_force_replaces_the_run_and_nothing_else(copy):
    (copy / "notes.txt").write_text("mine")
    create(copy, force=True, config=Config(seed=9))
    assert set(content(copy)) == {
        ".lock",
        "checkpoint.safetensors",
        "config.json",
        "notes.txt",
    }
    assert Run(copy).config.seed == 9


def test_force_deletes_nothing_in_a_folder_without_a_run(folder):
    folder.mkdir()
    (folder / "metrics.csv").write_text("mine")
    create(folder, force=True)
    assert (folder / "metrics.csv").read_text() == "mine"


@pytest.mark.parametrize("force", [True, False])
def test_a_file_is_no_folder(tmp_path, force):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="file exists: choose another --out, or remove that file"):
        create(tmp_path / "file", force)
    with pytest.raises(InputError, match=r"can't be written \(Not a directory\)"):
        create(tmp_path / "file" / "run", force)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_is_noticed_and_leaves_no_folder(folder, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1 << 20))
    with pytest.raises(
        InputError, match=r"can't be written \(1 MiB are free and a run takes up to 16\)"
    ):
        create(folder, checkpoint=bytes(1 << 20))
    assert not folder.exists()


def test_a_full_disk_is_noticed_before_a_run_goes_on(copy, monkeypatch):
    usage = shutil.disk_usage("/")
    before = content(copy)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1 << 20))
    with pytest.raises(InputError, match=r"\(1 MiB are free .*: mend that, and try again"):
        Run(copy).resumed().__enter__()
    assert content(copy) == before


def test_a_folder_that_cannot_be_written_keeps_its_run(copy, monkeypatch):
    def fail(_):
        raise REFUSED

    before = content(copy)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(InputError, match="No space left on device"):
        create(copy, force=True)
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
        '{"config": {}, "environment": {"threads": 0}}': "threads is 0",
        "[" * 100_000: "recursion",
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
    Run(copy).save_parameters(run.model().state_dict())
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
    run.save_parameters(build_model(replace(run.config, hidden=(5,))).state_dict())
    with pytest.raises(InputError, match=r"model\.safetensors can't be used"):
        run.model()


def test_the_best_network_takes_validation_images(run):
    with pytest.raises(InputError, match=r"has no best\.safetensors: .* takes --validation"):
        run.model(best=True)


# The checkpoint


def test_a_checkpoint_comes_back(folder):
    run = create(folder)
    state = {"config": run.config.to_dict(), "order": np.arange(3)}
    run.save_checkpoint(state)
    assert run.checkpoint()["order"].tolist() == [0, 1, 2]


def test_without_a_checkpoint_there_is_none(copy):
    (copy / "checkpoint.safetensors").unlink()
    assert Run(copy).checkpoint() is None


def test_a_checkpoint_without_a_config_is_refused(copy):
    run = Run(copy)
    run.save_checkpoint({"config": [1]})
    with pytest.raises(InputError, match=r"is damaged \(it has no config\)"):
        run.checkpoint()


def test_a_checkpoint_of_other_options_is_refused(copy):
    path = copy / "config.json"
    saved = json.loads(path.read_text())
    saved["config"]["lr"] = 0.5
    path.write_text(json.dumps(saved))
    with pytest.raises(
        InputError, match=r"is of a run with lr 0\.02, and config\.json says 0\.5: put it back"
    ):
        Run(copy).checkpoint()


# Numbers


@given(st.lists(rows, max_size=4))
def test_metrics_come_back_as_they_were(tmp_path_factory, epochs):
    run = create(tmp_path_factory.mktemp("runs") / "run")
    run.save_epochs(epochs)
    assert run.epochs() == epochs


def test_what_was_not_measured_is_empty(folder):
    run = create(folder)
    run.save_epochs(
        [
            Epoch(
                epoch=1, train_loss=0.5, train_accuracy=0.75, lr=0.1, gradient_norm=3.0, seconds=2.0
            )
        ]
    )
    assert (folder / "metrics.csv").read_text() == (
        "epoch,train_loss,train_accuracy,validation_loss,validation_accuracy,"
        "test_loss,test_accuracy,lr,gradient_norm,seconds\n"
        "1,0.5,0.75,,,,,0.1,3.0,2.0\n"
    )


def test_results_come_back_as_they_were(folder):
    run = create(folder)
    run.save_results({"loss": 0.1, "accuracy": np.float64(0.5)})
    assert run.results() == {"loss": 0.1, "accuracy": 0.5}
