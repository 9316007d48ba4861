"""The command line as users meet it: in this process, in a pipe, on a terminal, and killed."""

import importlib.metadata
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.mnist.conftest import TEST
from tinygrad_mnist.mnist import Config, Run
from tinygrad_mnist.mnist.cli import main
from tinygrad_mnist.mnist.idx import _PACKAGED
from tinygrad_mnist.mnist.progress import percent

PROGRAM = [
    sys.executable,
    "-c",
    "import sys; from tinygrad_mnist.mnist.cli import main; sys.exit(main())",
]
SMALL = ["--hidden", "16,8", "--threads", "1"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call(capsys):
    """Run the command line here; return exit code, standard output and standard error."""

    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def start(root, here):
    """Run the command line as a process, in the working folder."""

    def start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE):
        environment = os.environ | {"PYTHONPATH": str(root), "PYTHONUTF8": "1"}
        command = [*PROGRAM, *map(str, arguments)]
        process = subprocess.Popen(
            command, env=environment, stdout=stdout, stderr=stderr, text=True, encoding="utf-8"
        )
        processes.append(process)
        return process

    processes = []
    yield start
    for process in processes:
        process.kill()


# Help and version


def test_the_installed_command_is_this_one():
    (command,) = importlib.metadata.entry_points(group="console_scripts", name="tinygrad-mnist")
    assert command.value == "tinygrad_mnist.mnist.cli:main"


def test_the_version_is_the_packages(call):
    version = importlib.metadata.version("tinygrad_mnist")
    assert call("--version") == (0, f"tinygrad-mnist {version}\n", "")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_the_commands(call, arguments):
    code, out, err = call(*arguments)
    assert (code, err) == (0, "")
    assert "train" in out
    assert "evaluate" in out


def test_help_names_every_option_and_every_choice(call):
    code, out, _ = call("train", "--help")
    words = (
        "--model --hidden --activation --dropout --optimizer --lr --schedule --momentum "
        "--weight-decay --batch-size --epochs --seed --threads --augment --validation --paper "
        "--test-each-epoch --data --labels --out --force --resume leaky_relu adamw cosine 256,128"
    )
    assert code == 0
    assert all(word in out for word in words.split())


def test_help_states_the_defaults(call):
    out = re.sub(r"[\s│]+", " ", call("train", "--help")[1])
    config = Config()
    assert f"default {','.join(map(str, config.hidden))}." in out
    for name in (
        "model",
        "activation",
        "dropout",
        "optimizer",
        "schedule",
        "batch_size",
        "epochs",
        "seed",
        "validation",
    ):
        option = out[out.index(f"--{name.replace('_', '-')} ") :]
        assert option[option.index("default ") :].startswith(f"default {getattr(config, name)}."), (
            name
        )
    assert "default 0.02 for sgd, else 0.001." in out
    assert Config(optimizer="rmsprop").lr == Config(optimizer="adamw").lr == 0.001


# Bad usage


BAD = {
    "No such option: --hiden": ["--hiden", "8"],
    "hidden is (128, '6x'): give sizes from 1 up, such as 128,64": ["--hidden", "128,6x"],
    "hidden is ('',): give sizes from 1 up": ["--hidden", ""],
    "activation 'rleu' is unknown: did you mean 'relu'?": ["--activation", "rleu"],
    "activation has 3 values for 2 hidden layers": ["--activation", "relu,relu,tanh"],
    "dropout is 2.0: give a number from 0 up, below 1": ["--dropout", "2"],
    "optimizer 'sdg' is unknown: did you mean 'sgd'?": ["--optimizer", "sdg"],
    "adam has no momentum: leave it out": ["--optimizer", "adam", "--momentum", "0.9"],
    "lr is 'fast': give a number above 0": ["--lr", "fast"],
    "lr is 0.0: give a number above 0": ["--lr", "0"],
    "batch_size is '3.5': give a whole number from 1 up": ["--batch-size", "3.5"],
    "epochs is 0: give a whole number from 1 up": ["--epochs", "0"],
    "seed is -1: give a whole number from 0 up": ["--seed", "-1"],
    "threads is 'all': give a whole number from 1 up, or auto": ["--threads", "all"],
    "validation is 300, and there are 300 training images": ["--validation", "300"],
    "model 'mpl' is unknown: did you mean 'mlp'?": ["--model", "mpl"],
    "nowhere is not a folder with train-images-idx3-ubyte": ["--data", "nowhere"],
    "nowhere.txt can't be read (No such file or directory): give another": [
        "--labels",
        "nowhere.txt",
    ],
    "run is not the folder of a run: it has no config.json": ["--resume", "run"],
    "Got unexpected extra argument": ["here"],
    "the learning rate 1e+20 is too large; try 1e+19": ["--lr", "1e20"],
}


@pytest.mark.parametrize(("sentence", "arguments"), BAD.items(), ids=BAD)
def test_what_cannot_be_used_is_said_in_one_sentence(call, here, data, sentence, arguments):
    small = [] if "--resume" in arguments else SMALL
    code, out, err = call("train", *small, "--data", data, *arguments)
    assert code == 2
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert sentence in err
    if "learning rate" not in sentence:
        assert out == ""
        assert list(here.iterdir()) == []


def test_a_misspelt_command_is_refused_with_its_near_name(call):
    code, out, err = call("trian")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("Error: No such command 'trian'. Did you mean 'train'?")


def test_a_folder_that_exists_is_refused_without_force(call, here, data):
    short = [*SMALL, "--data", data, "--epochs", "1", "--out", "run"]
    assert call("train", *short)[0] == 0
    before = (here / "run" / "metrics.json").read_text()
    code, out, err = call("train", *short, "--seed", "1")
    assert (code, out) == (2, "")
    assert err == "Error: run exists: choose another --out, or replace the run in it with --force\n"
    assert (here / "run" / "metrics.json").read_text() == before
    assert call("train", *short, "--seed", "1", "--force")[0] == 0
    assert Run("run").config.seed == 1
    assert (here / "run" / "metrics.json").read_text() != before


def test_options_beside_resume_are_refused(call, run):
    before = {file.name: file.read_bytes() for file in run.folder.iterdir()}
    code, out, err = call(
        "train",
        "--resume",
        run.folder,
        "--lr",
        "0.1",
        "--paper",
        "--out",
        "x",
        "--batch-size",
        "8",
        "--diagnose",
    )
    assert (code, out) == (2, "")
    assert err == (
        "Error: --resume goes on with the options that the run was begun with: leave out "
        "--batch-size, --diagnose, --lr, --out, --paper\n"
    )
    assert {file.name: file.read_bytes() for file in run.folder.iterdir()} == before


def test_a_disk_that_fills_up_is_said_with_the_way_to_go_on(call, here, data, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device", "run/.checkpoint.safetensors.part")

    monkeypatch.setattr(Run, "save_checkpoint", fail)
    code, _, err = call("train", *SMALL, "--data", data, "--out", "my run")
    assert code == 2
    assert err == (
        "Error: run/.checkpoint.safetensors.part: No space left on device; once that is mended, go "
        "on with: tinygrad-mnist train --resume 'my run'\n"
    )


# train, then evaluate


def test_training_prints_a_line_per_epoch_the_result_and_what_comes_next(call, here, data):
    code, out, err = call("train", *SMALL, "--data", data, "--epochs", "2", "--out", "my run")
    results = Run("my run").results()
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert [line.split("  ")[0] for line in lines if line.startswith("epoch")] == [
        "epoch 1/2",
        "epoch 2/2",
    ]
    numbers = f"Test images: loss {results['loss']:.4f}, accuracy {percent(results['accuracy'])}"
    (end,) = [line for line in lines if line.startswith(numbers)]
    commands = [shlex.split(line) for line in lines[lines.index(end) :] if line.startswith("  ")]
    assert commands == [
        ["tinygrad-mnist", "evaluate", "my run"],
        ["tinygrad-mnist", "train", "--paper"],
    ]
    assert call(*commands[0][1:]) == (
        0,
        f"{numbers} ({round((1 - results['accuracy']) * TEST)} of {TEST} wrong)\n",
        "",
    )


def test_evaluate_prints_json_with_the_numbers_of_the_run(call, run):
    code, out, err = call("evaluate", run.folder, "--json")
    results = run.results()
    assert (code, err) == (0, "")
    assert json.loads(out) == {"loss": results["loss"], "accuracy": results["accuracy"]}


def test_evaluate_takes_the_best_network_if_there_is_one(call, here, data, run):
    assert (
        call("train", *SMALL, "--data", data, "--epochs", "1", "--validation", "50", "--out", "r")[
            0
        ]
        == 0
    )
    assert call("evaluate", "r", "--best")[1:] == call("evaluate", "r")[1:]
    code, _, err = call("evaluate", run.folder, "--best")
    assert code == 2
    assert "has no best.safetensors" in err


def test_evaluate_takes_another_data_set(call, run):
    code, out, _ = call("evaluate", run.folder, "--data", _PACKAGED)
    assert code == 0
    assert "of 10,000 wrong)" in out


def test_options_arrive_in_the_config(call, here, data):
    options = (
        "--hidden 8,4 --activation tanh,relu --dropout 0.1,0 --optimizer rmsprop --lr 0.002 "
        "--schedule constant --momentum 0.5 --weight-decay 0.001 --batch-size 50 --epochs 1 "
        "--seed 3 --threads 1 --validation 20 --model mlp --augment --test-each-epoch --out run"
    )
    names = here / "names.txt"
    names.write_text("\n".join("abcdefghijk"))
    assert call("train", *options.split(), "--data", data, "--labels", names)[0] == 0
    assert Run("run").config == Config(
        hidden=(8, 4),
        activation=("tanh", "relu"),
        dropout=(0.1, 0.0),
        optimizer="rmsprop",
        lr=0.002,
        schedule="constant",
        momentum=0.5,
        weight_decay=0.001,
        batch_size=50,
        epochs=1,
        seed=3,
        threads=1,
        validation=20,
        augment=True,
        test_each_epoch=True,
        data=str(data),
        labels=tuple("abcdefghijk"),
    )


def test_paper_is_the_papers_recipe_changed_where_asked(call, here, data):
    code, out, _ = call(
        "train", "--paper", "--epochs", "1", "--threads", "1", "--data", data, "--out", "run"
    )
    assert code == 0
    assert Run("run").config == Config.paper(epochs=1, threads=1, data=str(data))
    assert "train --paper" not in out


@pytest.mark.parametrize(
    ("damage", "sentence"),
    {
        "config.json": "is not the folder of a run: it has no config.json",
        "model.safetensors": "has no model.safetensors",
    }.items(),
)
def test_evaluate_refuses_what_is_no_run(call, run, here, damage, sentence):
    for name in {"config.json", "model.safetensors"} - {damage}:
        (here / name).write_bytes((run.folder / name).read_bytes())
    code, out, err = call("evaluate", here)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert sentence in err


# As a process


def test_a_pipe_gets_plain_lines(start, data, here):
    process = start("train", *SMALL, "--data", data, "--epochs", "2")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "\x1b" not in out
    assert "\r" not in out
    assert re.search(r"^epoch 2/2  train loss \d\.\d{4}, [\d.]+ %  \d", out, re.MULTILINE)
    (folder,) = (here / "runs").iterdir()
    assert f"tinygrad-mnist evaluate {Path('runs', folder.name)}" in out
    assert Run(folder).results()["epochs"] == 2


@pytest.mark.skipif(os.name == "nt", reason="no pseudo-terminals there")
def test_a_terminal_gets_a_bar(start, data, here):
    import pty

    ours, theirs = pty.openpty()
    process = start("train", *SMALL, "--data", data, "--epochs", "6", stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert process.wait(timeout=60) == 0
    assert "\u2501".encode() in shown
    assert b" images/s" in shown
    assert shown.count(b"\x1b[?25l") == shown.count(b"\x1b[?25h") == 1


def wait_for(path, process):
    """Wait until a process has written a file."""
    end = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, "it ended too early"
        assert time.monotonic() < end
        time.sleep(0.01)


def wait_for_more(path, rows, process):
    """Wait until a process has written a table with more rows."""
    end = time.monotonic() + 60
    while len(path.read_text().splitlines()) <= rows + 1:
        assert process.poll() is None, "it ended too early"
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.skipif(os.name == "nt", reason="no signals for one process there")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_saves_and_prints_the_command_that_goes_on(start, call, data, here, number, code):
    process = start("train", *SMALL, "--data", data, "--epochs", "9999", "--out", "my run")
    wait_for(here / "my run" / "model.safetensors", process)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    first, command = err.splitlines()
    assert first == "Interrupted, and saved. This goes on:"
    program, *arguments = shlex.split(command)
    assert (program, arguments) == ("tinygrad-mnist", ["train", "--resume", "my run"])
    before = Run("my run").checkpoint()
    process = start(*arguments)
    wait_for_more(here / "my run" / "metrics.csv", len(before["history"]) + 1, process)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == code
    assert f"Going on in epoch {before['epoch']}, after {before['position']} images" in out


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.07, 0.15])
def test_a_killed_run_leaves_no_file_half_written(start, data, here, delay):
    process = start("train", *SMALL, "--data", data, "--epochs", "9999", "--out", "run")
    wait_for(here / "run" / "model.safetensors", process)
    time.sleep(delay)
    process.kill()
    process.communicate(timeout=60)
    run = Run(here / "run")
    assert run.config.epochs == 9999
    assert [epoch.epoch for epoch in run.epochs()] == list(range(1, len(run.epochs()) + 1))
    assert len(run.checkpoint()["history"]) >= len(run.epochs())
    assert len(run.model().parameters()) == 6
