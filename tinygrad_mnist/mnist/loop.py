"""The job: all steps of a training, with a folder from which it can go on if it is stopped."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.mnist import environment
from tinygrad_mnist.mnist.checkpoints import damaged, pack
from tinygrad_mnist.mnist.config import Config
from tinygrad_mnist.mnist.errors import InputError
from tinygrad_mnist.mnist.evaluating import evaluate
from tinygrad_mnist.mnist.images import load_examples
from tinygrad_mnist.mnist.interrupting import Interrupted, postponed
from tinygrad_mnist.mnist.progress import Progress
from tinygrad_mnist.mnist.results import draw_graph, finish, write_diagnosis
from tinygrad_mnist.mnist.runs import BEST, CHECKPOINT, Run
from tinygrad_mnist.mnist.training import Training

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from tinygrad_mnist.mnist.images import DataSet, Examples

# Between two checkpoints within an epoch lie so many seconds, and so many times what one takes
_SECONDS = 5.0
_TIMES = 50.0


def train(
    config: Config | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    progress: Progress | None = None,
    diagnose: bool = False,
) -> Run:
    """Train a network, and leave a folder with all that is to be known of it.

    All that could go wrong for reasons outside is tried before the first step. The folder is there
    with its first checkpoint or not at all; from then on the process may end at any moment, and
    `resume` goes on as if it had not. Ctrl-C finishes the step and saves.

    Parameters
    ----------
    config : Config, optional
        What to train, and how.
    out : path, optional
        The folder; by default a fresh one in `runs`, named after date and time.
    force : bool, optional
        Whether to write into a folder that exists, and replace the run in it.
    progress : Progress, optional
        What tells the user how it goes; by default nothing does.
    diagnose : bool, optional
        Whether to look, before the first step, for what may keep the network from learning: see
        `nn.diagnose`. What is found stands in `diagnosis.txt` and the report; the training is the
        same.

    Returns
    -------
    Run
        The folder.

    Raises
    ------
    InputError
        If the data or the folder can't be used, or the learning rate was too large.
    Interrupted
        After Ctrl-C or SIGTERM; it is a KeyboardInterrupt.
    """
    config = Config() if config is None else config
    progress = Progress() if progress is None else progress
    data = _prepare(config)
    with _quiet():
        threads = config.threads or _faster_threads(config, data.train, progress)
        config = replace(config, threads=threads)  # so that the run can be repeated bit for bit
        with environment.blas_threads(threads):
            training = Training(config, data.train)
            described = environment.describe() | {"threads": threads, "data": data.checksum}
            first = pack(training.state_dict())
            with Run.created(config, described, first, out, force) as run:
                _train(run, training, data, progress, diagnose)
    return run


def resume(
    folder: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Run:
    """Go on with a training that was stopped: its end is bit for bit what it would have been.

    The last bits may differ where the machine, NumPy or its BLAS does; `progress` is told so. A run
    that is over gets its numbers and pictures anew.

    Parameters
    ----------
    folder : path
        The folder of the run.
    data : path, optional
        Where its data set is by now.
    progress : Progress, optional
        What tells the user how it goes; by default nothing does.

    Returns
    -------
    Run
        The folder.

    Raises
    ------
    InputError
        If the folder holds no run, its checkpoint is damaged, the data is not what the run began
        with, or another process is at work on it.
    Interrupted
        After Ctrl-C or SIGTERM; it is a KeyboardInterrupt.
    """
    run = Run(folder)
    progress = Progress() if progress is None else progress
    state = run.checkpoint()
    examples = _prepare(run.config if data is None else replace(run.config, data=str(data)))
    if examples.checksum != run.environment.get("data", examples.checksum):
        raise InputError(
            f"the data set is not the one that {run.folder} was begun with: give that one with "
            f"--data, or train again"
        )
    with _quiet(), run.resumed(), environment.blas_threads(run.threads):
        if differences := environment.differences(run.environment):
            progress.say(
                f"The run began with {differences}: its {run.threads} BLAS threads are kept, but "
                f"the last bits of its weights may become others"
            )
        training = Training(run.config, examples.train)
        if state is None:
            progress.say(f"{run.folder} has no {CHECKPOINT}: it is trained from the beginning")
        else:
            _load(training, run, state)
        _train(run, training, examples, progress)
    return run


def _prepare(config: Config) -> DataSet:
    """Load the data, and all that would otherwise show its absence at the end."""
    import tinygrad_mnist.mnist.pictures
    import tinygrad_mnist.mnist.report  # noqa: F401

    return load_examples(config)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what NumPy says of a network that diverges: its loss is known for it."""
    with np.errstate(over="ignore", invalid="ignore"):
        yield


def _load(training: Training, run: Run, state: dict[str, Any]) -> None:
    """Put a training where a checkpoint left it, and the files of the run where it was then."""
    try:
        training.load_state_dict(state)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise damaged(run.folder / CHECKPOINT, error) from error
    if training.history:
        _write_epoch(run, training)


def _train(
    run: Run, training: Training, data: DataSet, progress: Progress, diagnose: bool = False
) -> None:
    progress.begin(run, training)
    draw_graph(run, training, progress)
    if diagnose:
        write_diagnosis(run, training, progress)
    with postponed() as requests:
        saver = _Saver(run, training)
        while len(training.history) < run.config.epochs:
            if training.epoch == len(training.history):
                training.start_epoch()
            while training.in_epoch:
                training.step()
                progress.step(training)
                if requests.signal is not None:
                    saver.save()
                    raise Interrupted(requests.signal)
                saver.save_if_due()
            _end_epoch(training, data)
            saver.save()
            _write_epoch(run, training)
            progress.end_epoch(training.history[-1])
    finish(run, training, data)


class _Saver:
    """Writes checkpoints, as often as costs little."""

    def __init__(self, run: Run, training: Training) -> None:
        self._run = run
        self._training = training
        self._due = time.perf_counter() + _SECONDS

    def save_if_due(self) -> None:
        """Write a checkpoint if the last one is old: asked after each step."""
        if time.perf_counter() >= self._due:
            self.save()

    def save(self) -> None:
        """Write a checkpoint."""
        began = time.perf_counter()
        self._run.save_checkpoint(self._training.state_dict())
        now = time.perf_counter()
        self._due = now + max(_SECONDS, _TIMES * (now - began))


def _end_epoch(training: Training, data: DataSet) -> None:
    """Look at the images that the run is watched on."""
    training.end_epoch(
        validation=evaluate(training.model, data.validation) if data.validation else None,
        test=evaluate(training.model, data.test) if training.config.test_each_epoch else None,
    )


def _write_epoch(run: Run, training: Training) -> None:
    """Write what users read between epochs; the checkpoint, which counts, was written before."""
    run.save_epochs(training.history)
    if training.epoch == len(training.history):  # else the file is of that epoch already
        run.save_parameters(training.model.state_dict())
    if training.best is not None:
        run.save_parameters(training.best, BEST)


def _faster_threads(config: Config, examples: Examples, progress: Progress) -> int:
    """Try the first steps of the run, on a network that is thrown away."""
    if environment.most_threads() == 1:
        return 1
    trial = Training(config, examples)

    def step() -> None:
        if not trial.in_epoch:
            trial.start_epoch()
        trial.step()

    speeds = environment.thread_speeds(step)
    faster, slower = sorted(speeds, key=lambda threads: -speeds[threads])
    progress.say(
        f"BLAS threads: {faster}, which makes {speeds[faster]:,.0f} steps per second here; "
        f"{slower} made {speeds[slower]:,.0f}"
    )
    return faster
