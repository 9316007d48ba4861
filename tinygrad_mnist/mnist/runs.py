"""Run: a folder with one training run, each of its files written whole or not at all."""

from __future__ import annotations

import csv
import io
import json
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_mnist.files import write_whole
from tinygrad_mnist.mnist.checkpoints import damaged, pack, unpack
from tinygrad_mnist.mnist.config import Config
from tinygrad_mnist.mnist.errors import InputError
from tinygrad_mnist.mnist.files import (
    check_room,
    held,
    make_folder,
    remove_parts,
    replace_files,
    unwritable,
)
from tinygrad_mnist.mnist.models import build_model

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np

    from tinygrad_mnist.mnist.checkpoints import State
    from tinygrad_mnist.nn import Module

CONFIG = "config.json"
METRICS = "metrics.csv"
RESULTS = "metrics.json"
MODEL = "model.safetensors"
BEST = "best.safetensors"
CHECKPOINT = "checkpoint.safetensors"
CURVES = "curves.svg"
CONFUSION = "confusion.svg"
WEIGHTS = "weights.png"
MISTAKES = "mistakes.png"
DIAGNOSIS = "diagnosis.txt"
GRAPH = "graph.svg"
GRAPH_SOURCE = "graph.gv"
REPORT = "report.html"

_MADE_LATER = (
    CHECKPOINT,
    METRICS,
    RESULTS,
    MODEL,
    BEST,
    CURVES,
    CONFUSION,
    WEIGHTS,
    MISTAKES,
    DIAGNOSIS,
    GRAPH,
    GRAPH_SOURCE,
    REPORT,
)
_PICTURES = 8 << 20  # bytes: several times what they take


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One pass over the training images: a row of `metrics.csv`.

    The loss and accuracy of the training images are means over the steps, as the network was at
    each, with dropout; those of other images are of the network at the end of the epoch. `lr` is
    the learning rate of the first step, `gradient_norm` the mean of the Euclidean norm of all
    gradients over every 64th step.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    test_loss: float | None = None
    test_accuracy: float | None = None
    lr: float
    gradient_norm: float
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
    environment : dict
        What else its result depends on: versions, the machine, the data's checksum.

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
            self.environment = dict(content["environment"])
            self.threads = int(self.environment["threads"])
            if self.threads < 1:
                raise ValueError(f"threads is {self.threads}")  # noqa: TRY301
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(f"{path} is damaged ({error}): train again") from error

    @classmethod
    @contextmanager
    def created(
        cls,
        config: Config,
        environment: Mapping[str, Any],
        checkpoint: bytes,
        out: str | os.PathLike[str] | None = None,
        force: bool = False,
    ) -> Iterator[Run]:
        """Make the folder of a new run, which can be resumed from the first moment, and hold it.

        Parameters
        ----------
        config : Config
            What it will be trained with.
        environment : mapping
            What else the result depends on, to be stored beside the config: at least `threads`.
        checkpoint : bytes
            The state before the first step.
        out : path, optional
            The folder; by default a fresh one in `runs`, named after date and time.
        force : bool, optional
            Whether to write into a folder that exists, and replace the run in it.

        Raises
        ------
        InputError
            If the folder exists and `force` is not given, can't be written, has no room, or is
            held by another process; then all files are as before.
        """
        folder = Path(out) if out is not None else _unused_name()
        content = {"config": config.to_dict(), "environment": dict(environment)}
        files = {CONFIG: _json(content), CHECKPOINT: checkpoint}
        if not (force and folder.is_dir()):
            _make(folder, files)
            with held(folder):
                yield cls(folder)
            return
        with held(folder):
            outdated = _MADE_LATER if (folder / CONFIG).exists() else ()
            try:
                check_room(folder, _room(checkpoint))
                replace_files(folder, files, outdated)
            except OSError as error:
                raise unwritable(folder, error) from error
            yield cls(folder)

    @contextmanager
    def resumed(self) -> Iterator[None]:
        """Hold the folder of a run that goes on, and remove what was half written.

        Raises
        ------
        InputError
            If it can't be written, has no room, or is held by another process.
        """
        remedy = "mend that, and try again"
        with held(self.folder, remedy):
            try:
                path = self.folder / CHECKPOINT
                check_room(self.folder, _room(path.read_bytes() if path.exists() else b""))
                remove_parts(self.folder)
            except OSError as error:
                raise unwritable(self.folder, error, remedy) from error
            yield

    def write(self, name: str, content: bytes) -> None:
        """Write a file of the run: it is there whole, or as it was before."""
        write_whole(self.folder / name, content)

    def save_parameters(
        self, parameters: Mapping[str, np.ndarray[Any, Any]], name: str = MODEL
    ) -> None:
        """Write a network's parameters."""
        from safetensors.numpy import save

        self.write(name, save(dict(parameters)))

    def model(self, best: bool = False) -> Module:
        """Return the trained network.

        Parameters
        ----------
        best : bool
            Whether it is the one after the epoch that did best on the validation images, and not
            the last.

        Raises
        ------
        InputError
            If its file is missing or damaged, or belongs to another network.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        path = self.folder / (BEST if best else MODEL)
        if best and not self.config.validation:
            raise InputError(
                f"{self.folder} has no {BEST}: to say which epoch was best takes --validation"
            )
        if not path.is_file():
            raise InputError(
                f"{self.folder} has no {path.name}: its training ended in the first epoch"
            )
        model = build_model(self.config)
        try:
            model.load_state_dict(load(path.read_bytes()))
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise InputError(f"{path} can't be used: {error!s}") from error
        return model

    def save_checkpoint(self, state: State) -> None:
        """Write the state of the training, from which it can go on."""
        self.write(CHECKPOINT, pack(state))

    def checkpoint(self) -> dict[str, Any] | None:
        """Return the state that the training was saved in last; None if it never was.

        Raises
        ------
        InputError
            If the file is damaged, of another version, or of a run with other options.
        """
        path = self.folder / CHECKPOINT
        if not path.exists():
            return None
        state = unpack(path)
        given = json.loads(_json(self.config.to_dict()))
        theirs = state.get("config")
        if not isinstance(theirs, dict):
            raise damaged(path, "it has no config")
        for name in given:
            if given[name] != theirs.get(name):
                raise InputError(
                    f"{path} is of a run with {name} {theirs.get(name)}, and {CONFIG} says "
                    f"{given[name]}: put it back, or train again"
                )
        return state

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


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()


def _make(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make the folder of a new run."""
    try:
        check_room(folder, _room(files[CHECKPOINT]))
        make_folder(folder, files)
    except FileExistsError as error:
        remedy = "replace the run in it with --force" if folder.is_dir() else "remove that file"
        raise InputError(f"{folder} exists: choose another --out, or {remedy}") from error
    except OSError as error:
        raise unwritable(folder, error) from error


def _unused_name() -> Path:
    now = f"{datetime.now().astimezone():%Y-%m-%d_%H-%M-%S}"
    names = (Path("runs", now + (f"_{number}" if number > 1 else "")) for number in count(1))
    return next(name for name in names if not name.exists())


def _room(checkpoint: bytes) -> int:
    """Return how many bytes a run takes at most: its arrays several times, and its pictures."""
    return 8 * len(checkpoint) + _PICTURES
