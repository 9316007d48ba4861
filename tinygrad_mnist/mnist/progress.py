"""What a run tells the user while it trains: nothing, a line per epoch, or a bar as well."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Self

from tinygrad_mnist.mnist.models import sizes

if TYPE_CHECKING:
    from rich.console import Console

    from tinygrad_mnist.mnist.runs import Epoch, Run
    from tinygrad_mnist.mnist.training import Training

_REFRESH = 0.1  # seconds between two looks at the bar


class Progress:
    """Told what happens in a run, and keeps silent; the others speak.

    Attributes
    ----------
    run : Run or None
        The run that it was told of last.
    """

    run: Run | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def begin(self, run: Run, training: Training) -> None:  # noqa: ARG002
        """Hear that the folder is made and the first step comes next."""
        self.run = run

    def step(self, training: Training) -> None:
        """Hear that a step was taken: very often."""

    def end_epoch(self, epoch: Epoch) -> None:
        """Hear that a row of `metrics.csv` was written."""

    def say(self, text: str) -> None:
        """Hear anything else that the user should know."""


class Lines(Progress):
    """One plain line for each epoch, as files and pipes take it."""

    def begin(self, run: Run, training: Training) -> None:
        """Say what is trained, and where its files will be."""
        super().begin(run, training)
        config = run.config
        images, parameters = len(training.examples.x), training.model.parameters()
        self.say(
            f"{'-'.join(map(str, sizes(config)))}, {sum(p.size for p in parameters):,} parameters; "
            f"{images:,} images, {config.epochs} epochs of {training.steps_per_epoch:,} steps"
        )
        self.say(f"Files of this run: {run.folder}")
        if training.epoch:
            self.say(f"Going on in epoch {training.epoch}, after {training.position:,} images")

    def end_epoch(self, epoch: Epoch) -> None:
        """Say how well it does by now."""
        assert self.run is not None
        epochs = self.run.config.epochs
        parts = [f"epoch {epoch.epoch:>{len(str(epochs))}}/{epochs}"]
        for images in ("train", "validation", "test"):
            loss, accuracy = (getattr(epoch, f"{images}_{name}") for name in ("loss", "accuracy"))
            if loss is not None:
                parts.append(f"{images} loss {loss:.4f}, {percent(accuracy)}")
        parts.append(f"{epoch.seconds:.1f} s")
        self.say("  ".join(parts))

    def say(self, text: str) -> None:
        """Print a line, at once even in a pipe."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


class Bar(Lines):
    """The lines, and below them a bar with loss, accuracy, images per second and time left."""

    def __init__(self, console: Console) -> None:
        from rich import progress as rich

        self._console = console
        self._bar = rich.Progress(
            rich.TextColumn("epoch {task.fields[epoch]}"),
            rich.BarColumn(bar_width=None),
            rich.TextColumn("loss {task.fields[loss]:.4f}, {task.fields[accuracy]}"),
            rich.TextColumn("{task.fields[speed]:,.0f} images/s"),
            rich.TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            expand=True,
        )
        self._task: Any = None
        self._seen = 0.0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, run: Run, training: Training) -> None:
        """Show an empty bar."""
        super().begin(run, training)
        total = run.config.epochs * len(training.examples.x)
        self._task = self._bar.add_task("", total=total, **_fields(training))

    def step(self, training: Training) -> None:
        """Move the bar, ten times per second at most."""
        now = time.perf_counter()
        if now - self._seen >= _REFRESH:
            self._seen = now
            done = (training.epoch - 1) * len(training.examples.x) + training.position
            self._bar.update(self._task, completed=done, **_fields(training))

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def _fields(training: Training) -> dict[str, Any]:
    return {
        "epoch": f"{max(training.epoch, 1)}/{training.config.epochs}",
        "loss": training.loss,
        "accuracy": percent(training.accuracy),
        "speed": training.position / training.seconds,
    }


def percent(share: float) -> str:
    """Return a share, 0 to 1, as users read it."""
    return f"{100 * share:.2f} %"


def fitting_progress() -> Progress:
    """Return a bar for a terminal, and plain lines for anything else."""
    if sys.stdout.isatty():
        from rich.console import Console

        console = Console()
        if not console.is_dumb_terminal:
            return Bar(console)
    return Lines()
