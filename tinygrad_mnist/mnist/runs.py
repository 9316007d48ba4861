"""Run: a folder with one training run, each of its files written whole or not at all."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import shutil
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_mnist.mnist.config import Config
from tinygrad_mnist.mnist.errors import InputError
from tinygrad_mnist.mnist.models import build_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tinygrad_mnist.nn import Module

CONFIG = "config.json"
METRICS = "metrics.csv"
RESULTS = "metrics.json"
MODEL = "model.safetensors"
CURVES = "curves.svg"
WEIGHTS = "weights.png"
CONFUSION = "confusion.svg"
GRAPH = "graph.svg"
GRAPH_SOURCE = "graph.gv"

_MADE_LATER = (METRICS, RESULTS, MODEL, CURVES, WEIGHTS, CONFUSION, GRAPH, GRAPH_SOURCE)
_ROOM = 16 << 20  # bytes: several times what a run of the default network leaves


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One pass over the training images: a row of `metrics.csv`.

    The loss and accuracy of the training images are means over the steps, as the network was at
    each, with dropout; those of other images are of the network at the end of the epoch.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    test_loss: float | None = None
    test_accuracy: float | None = None
    lr: float
    seconds: float


class Run:
    """A folder with one training run.

    Parameters
    ----------
    folder : path
        A folder that `train` has made.

    Attributes
    ----------
    folder : Path
        Where its files are.
    config : Config
        What it was trained with.
    threads : int
        How many threads BLAS used: another number may change the last bits of all results.

    Raises
    ------
    InputError
        If the folder holds no run, or its `config.json` is damaged.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        path = self.folder / CONFIG
        if not path.is_file():
            raise InputError(f"{self.folder} is not the folder of a run: it has no {CONFIG}")
        try:
            content = json.loads(path.read_text("utf-8"))
            self.config = Config.from_dict(content["config"])
            self.threads = int(content["environment"]["threads"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is damaged ({error}): train again") from error

    @classmethod
    def create(
        cls,
        config: Config,
        environment: Mapping[str, Any],
        out: str | os.PathLike[str] | None = None,
        force: bool = False,
    ) -> Run:
        """Make the folder of a new run, with its `config.json`.

        Parameters
        ----------
        config : Config
            What it will be trained with.
        environment : mapping
            What else the result depends on, to be stored beside the config: at least `threads`.
        out : path, optional
            The folder; by default a fresh one in `runs`, named after date and time.
        force : bool, optional
            Whether to write into a folder that exists, and replace the run in it.

        Raises
        ------
        InputError
            If the folder exists and `force` is not given, can't be written, or has no room.
        """
        folder, made = _make_folder(out, force)
        try:
            _check_room(folder)
            content = {"config": config.to_dict(), "environment": dict(environment)}
            replaced = (folder / CONFIG).exists()
            write_whole(folder / CONFIG, _json(content))
            for name in _MADE_LATER if replaced else ():
                (folder / name).unlink(missing_ok=True)
        except OSError as error:
            if made:
                folder.rmdir()
            raise _unwritable(folder, error) from error
        return cls(folder)

    def write(self, name: str, content: bytes) -> None:
        """Write a file of the run: it is there whole, or as it was before."""
        write_whole(self.folder / name, content)

    def save_model(self, model: Module) -> None:
        """Write the network's parameters."""
        from safetensors.numpy import save

        self.write(MODEL, save(model.state_dict()))

    def model(self) -> Module:
        """Return the trained network.

        Raises
        ------
        InputError
            If its file is missing or damaged, or belongs to another network.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        path = self.folder / MODEL
        if not path.is_file():
            raise InputError(f"{self.folder} has no {MODEL}: its training ended in the first epoch")
        model = build_model(self.config)
        try:
            model.load_state_dict(load(path.read_bytes()))
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise InputError(f"{path} can't be used: {error!s}") from error
        return model

    def save_epochs(self, epochs: Sequence[Epoch]) -> None:
        """Write `metrics.csv`: a row per epoch, empty where nothing was measured."""
        text = io.StringIO()
        writer = csv.DictWriter(text, [field.name for field in fields(Epoch)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(epoch) for epoch in epochs)
        self.write(METRICS, text.getvalue().encode())

    def epochs(self) -> list[Epoch]:
        """Return the rows of `metrics.csv`."""
        with (self.folder / METRICS).open(encoding="utf-8", newline="") as file:
            return [_epoch(row) for row in csv.DictReader(file)]

    def save_results(self, results: Mapping[str, Any]) -> None:
        """Write `metrics.json`: what came out in the end."""
        self.write(RESULTS, _json(results))

    def results(self) -> dict[str, Any]:
        """Return what came out in the end: test `loss`, `accuracy`, and more."""
        results: dict[str, Any] = json.loads((self.folder / RESULTS).read_text("utf-8"))
        return results


def _epoch(row: Mapping[str, str]) -> Epoch:
    numbers: dict[str, Any] = {name: float(text) if text else None for name, text in row.items()}
    return Epoch(**numbers | {"epoch": int(row["epoch"])})


def write_whole(path: Path, content: bytes) -> None:
    """Write a file aside and rename it, so that nobody ever sees half of it."""
    aside = path.with_name(f".{path.name}.part")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()


def _make_folder(out: str | os.PathLike[str] | None, force: bool) -> tuple[Path, bool]:
    """Return the folder of a new run, and whether it is new itself."""
    folder = Path(out) if out is not None else _unused_name()
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        if force and folder.is_dir():
            return folder, False
        remedy = "replace the run in it with --force" if folder.is_dir() else "remove that file"
        raise InputError(f"{folder} exists: choose another --out, or {remedy}") from error
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder, True


def _unused_name() -> Path:
    now = f"{datetime.now().astimezone():%Y-%m-%d_%H-%M-%S}"
    names = (Path("runs", now + (f"_{number}" if number > 1 else "")) for number in count(1))
    return next(name for name in names if not name.exists())


def _check_room(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < _ROOM:
        reason = f"{free >> 20} MiB are free and a run takes up to {_ROOM >> 20}"
        raise OSError(errno.ENOSPC, reason)


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(f"{folder} can't be written ({error.strerror}): choose another --out")
