"""A file is there whole or as before, whatever fails."""

import errno
import os
from pathlib import Path

import pytest

from tinygrad_mnist.files import write_whole


def content(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def refuse(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_file_is_written_and_nothing_else_is_left(tmp_path):
    write_whole(tmp_path / "file", b"new")
    write_whole(tmp_path / "file", b"newer")
    assert content(tmp_path) == {"file": b"newer"}


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_file_that_could_not_be_written_is_as_before(tmp_path, monkeypatch, call):
    write_whole(tmp_path / "file", b"old")
    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, call)), refuse)
    with pytest.raises(OSError, match="No space left") as caught:
        write_whole(tmp_path / "file", b"new")
    assert call != "fsync" or caught.value.filename == str(tmp_path / "file")
    assert content(tmp_path) == {"file": b"old"}


@pytest.mark.skipif(os.name == "nt", reason="files have no mode there")
def test_others_may_read_a_file_as_they_may_read_any(tmp_path):
    (tmp_path / "any").write_bytes(b"")
    write_whole(tmp_path / "file", b"")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "any").stat().st_mode
