"""Folders: whole or as before, whatever fails, and one process at a time."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinygrad_mnist.mnist import InputError
from tinygrad_mnist.mnist.files import (
    check_room,
    held,
    make_folder,
    remove_parts,
    replace_files,
)


def content(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def refuse(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def fail_at(monkeypatch, call):
    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, call)), refuse)


def fail_at_the_second(monkeypatch):
    calls = []

    def fsync(_):
        calls.append(1)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)


# A folder


def test_a_folder_is_there_with_its_files(tmp_path):
    make_folder(tmp_path / "new" / "run", {"a": b"1", "b": b"2"})
    assert content(tmp_path / "new" / "run") == {"a": b"1", "b": b"2"}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["run"]


@pytest.mark.parametrize("call", ["fsync", "replace", "rename"])
def test_a_folder_that_could_not_be_made_is_not_there(tmp_path, monkeypatch, call):
    fail_at(monkeypatch, call)
    with pytest.raises(OSError, match="No space left"):
        make_folder(tmp_path / "run", {"a": b"1"})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_left_alone(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(FileExistsError, match="run"):
        make_folder(tmp_path / "run", {"a": b"1"})
    assert list((tmp_path / "run").iterdir()) == []


def test_a_folder_that_another_process_made_meanwhile_is_left_alone(tmp_path, monkeypatch):
    def rename(*_):
        raise OSError(errno.ENOTEMPTY, "Directory not empty")

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(FileExistsError, match="run"):
        make_folder(tmp_path / "run", {"a": b"1"})


def test_what_a_killed_process_had_begun_is_removed(tmp_path):
    (tmp_path / ".[run].part-99").mkdir()
    (tmp_path / ".other.part-99").mkdir()
    make_folder(tmp_path / "[run]", {})
    assert {path.name for path in tmp_path.iterdir()} == {"[run]", ".other.part-99"}
    (tmp_path / "[run]" / ".model.part").write_bytes(b"half")
    (tmp_path / "[run]" / "model").write_bytes(b"whole")
    remove_parts(tmp_path / "[run]")
    assert content(tmp_path / "[run]") == {"model": b"whole"}


def test_files_are_replaced_together(tmp_path):
    for name in "abc":
        (tmp_path / name).write_bytes(b"old")
    replace_files(tmp_path, {"a": b"new", "d": b"new"}, outdated=["b", "missing"])
    assert content(tmp_path) == {"a": b"new", "c": b"old", "d": b"new"}


def test_files_that_could_not_be_replaced_are_all_as_before(tmp_path, monkeypatch):
    for name in "abc":
        (tmp_path / name).write_bytes(b"old")
    fail_at_the_second(monkeypatch)
    with pytest.raises(OSError, match="No space left"):
        replace_files(tmp_path, {"a": b"new", "c": b"new"}, outdated=["b"])
    assert content(tmp_path) == dict.fromkeys("abc", b"old")


def test_room_is_looked_for_where_a_folder_will_be(tmp_path):
    check_room(tmp_path / "not" / "yet", 1)
    with pytest.raises(OSError, match=r"MiB are free and a run takes up to 1048576"):
        check_room(tmp_path / "not" / "yet", 1 << 40)


# One process at a time

HOLD = """
import sys, pathlib
from tinygrad_mnist.mnist.files import held
with held(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_held_by_one_process_and_let_go_by_its_death(tmp_path, root):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    other = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline().strip() == b"held"
        with pytest.raises(InputError, match="is being written by another process: wait"):
            held(tmp_path).__enter__()
    finally:
        other.kill()
        other.communicate()
    for _ in range(2):
        with held(tmp_path):
            pass


def test_a_folder_that_cannot_be_written_cannot_be_held(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=r"can't be written \(.*\): choose another --out"):
        held(tmp_path / "file").__enter__()
