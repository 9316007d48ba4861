"""Folders that are there whole or not at all, and that one process at a time changes."""

from __future__ import annotations

import errno
import glob
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tinygrad_mnist.files import write_aside, write_whole
from tinygrad_mnist.mnist.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_LOCK = ".lock"


def make_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make a folder that has its first files from the moment on at which it is there.

    Raises
    ------
    FileExistsError
        If the name is taken.
    """
    if folder.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))
    prefix = f".{folder.name}.part-"
    aside = folder.with_name(f"{prefix}{os.getpid()}")
    for left in folder.parent.glob(f"{glob.escape(prefix)}*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    try:
        aside.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_whole(aside / name, content)
        aside.rename(folder)
    except BaseException as error:
        shutil.rmtree(aside, ignore_errors=True)
        if isinstance(error, OSError) and error.errno == errno.ENOTEMPTY:  # someone was faster
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder)) from error
        raise


def replace_files(folder: Path, files: Mapping[str, bytes], outdated: Iterable[str]) -> None:
    """Write files into a folder and remove others; if there is no room, all stay as they were."""
    aside: dict[Path, Path] = {}
    try:
        for name, content in files.items():
            aside[folder / name] = write_aside(folder / name, content)
    except BaseException:
        for written in aside.values():
            written.unlink(missing_ok=True)
        raise
    for name in outdated:
        (folder / name).unlink(missing_ok=True)
    for path, written in aside.items():
        written.replace(path)


def remove_parts(folder: Path) -> None:
    """Remove what a process that was killed had begun to write aside."""
    for part in folder.glob(".*.part"):
        part.unlink(missing_ok=True)


def check_room(folder: Path, needed: int) -> None:
    """Raise OSError unless that many bytes are free where a folder is, or will be."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        reason = f"{free >> 20} MiB are free and a run takes up to {-(-needed >> 20)}"
        raise OSError(errno.ENOSPC, reason)


@contextmanager
def held(folder: Path, remedy: str = "choose another --out") -> Iterator[None]:
    """Keep all other processes from changing a folder; the system lets go of it with the process.

    Parameters
    ----------
    folder : path
        A folder that exists.
    remedy : str, optional
        What the user can do if it can't be written.

    Raises
    ------
    InputError
        If another process holds it, or it can't be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"{folder} is being written by another process: wait for it, or choose another folder"
        ) from error
    except OSError as error:
        raise unwritable(folder, error, remedy) from error
    try:
        yield
    finally:
        lock.release()


def unwritable(folder: Path, error: OSError, remedy: str = "choose another --out") -> InputError:
    """Return the error of a folder that can't be written."""
    return InputError(f"{folder} can't be written ({error.strerror}): {remedy}")
