"""What a run says: nothing, plain lines, or lines above a bar."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from tinygrad_mnist.mnist import load_examples
from tinygrad_mnist.mnist.progress import Bar, Lines, Progress, percent
from tinygrad_mnist.mnist.training import Training


def tell_all(progress, run):
    """Tell a progress of a whole run."""
    training = Training(run.config, load_examples(run.config).train)
    with progress:
        progress.begin(run, training)
        for epoch in run.epochs():
            training.start_epoch()
            while training.in_epoch:
                training.step()
                progress.step(training)
            progress.end_epoch(epoch)
        progress.say("done [bold]")


def expected(run):
    first, second = run.epochs()
    return [
        "784-16-8-10, 12,786 parameters; 300 images, 2 epochs of 10 steps",
        f"Files of this run: {run.folder}",
        *(
            f"epoch {e.epoch}/2  train loss {e.train_loss:.4f}, {percent(e.train_accuracy)}  "
            f"{e.seconds:.1f} s"
            for e in (first, second)
        ),
        "done [bold]",
    ]


def test_a_share_is_read_as_percent():
    assert percent(0.98524) == "98.52 %"


def test_the_default_says_nothing(run, capsys):
    progress = Progress()
    tell_all(progress, run)
    assert capsys.readouterr() == ("", "")
    assert progress.run is run


def test_lines_are_plain(run, capsys):
    tell_all(Lines(), run)
    assert capsys.readouterr().out.splitlines() == expected(run)


def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)


def test_a_line_says_how_well_it_does_on_what_was_looked_at(run, capsys):
    progress = Lines()
    progress.run = run
    measured = {"validation_loss": 0.5, "validation_accuracy": 0.9, "test_loss": 0.25}
    progress.end_epoch(replace(run.epochs()[0], seconds=1.0, **measured, test_accuracy=0.95))
    assert capsys.readouterr().out.endswith(
        " %  validation loss 0.5000, 90.00 %  test loss 0.2500, 95.00 %  1.0 s\n"
    )


def test_a_run_that_goes_on_says_from_where(run, capsys):
    training = Training(run.config, load_examples(run.config).train)
    training.start_epoch()
    training.step()
    Lines().begin(run, training)
    assert capsys.readouterr().out.splitlines()[-1] == "Going on in epoch 1, after 32 images"


def test_a_bar_shows_loss_accuracy_speed_and_time_below_the_lines(run, monkeypatch):
    monkeypatch.setattr("tinygrad_mnist.mnist.progress._REFRESH", 0)
    console = terminal()
    bar = Bar(console)
    bar._bar.live.auto_refresh = False
    monkeypatch.setattr(bar._bar, "update", update_and_refresh(bar._bar))
    tell_all(bar, run)
    shown = console.file.getvalue()
    for line in expected(run):
        assert line in shown
    assert "epoch 2/2" in shown
    assert " images/s " in shown
    assert "\u2501" in shown
    assert shown.endswith("\x1b[?25h\r\x1b[1A\x1b[2K"), "the bar is gone, and the cursor is back"


def update_and_refresh(bar):
    original = type(bar).update

    def update(*args, **fields):
        original(bar, *args, **fields)
        bar.refresh()

    return update


def test_a_bar_leaves_the_terminal_as_it_was_after_an_error():
    console = terminal()
    with pytest.raises(KeyError, match="oops"), Bar(console):
        raise KeyError("oops")
    assert console.file.getvalue().count("\x1b[?25l") == console.file.getvalue().count("\x1b[?25h")
