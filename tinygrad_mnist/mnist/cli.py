"""The command line, `tinygrad-mnist`: what each command takes, and what it prints."""

from __future__ import annotations

import json
import shlex
import signal
import warnings
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from tinygrad_mnist.mnist.config import MODELS, OPTIMIZERS, SCHEDULES, Config
from tinygrad_mnist.mnist.environment import blas_threads
from tinygrad_mnist.mnist.errors import InputError
from tinygrad_mnist.mnist.evaluating import evaluate
from tinygrad_mnist.mnist.images import load_examples
from tinygrad_mnist.mnist.interrupting import Interrupted
from tinygrad_mnist.mnist.loop import resume, train
from tinygrad_mnist.mnist.names import load_names
from tinygrad_mnist.mnist.options import each, one_or_each, read
from tinygrad_mnist.mnist.progress import Progress, fitting_progress, percent
from tinygrad_mnist.mnist.runs import REPORT, Run
from tinygrad_mnist.nn.layers import ACTIVATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NAME = "tinygrad-mnist"
_UNUSABLE = 2  # exit code: bad usage or bad input
_KILLED = 128  # exit code, plus the number of the signal: as shells give it

# The errors that the parser raises; typer names one of them alone.
_UsageError: Any = typer.BadParameter.__base__

app = typer.Typer(
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those that the program was called with.

    Returns
    -------
    int
        0 on success; 2 if the options or what they name can't be used, after one sentence on the
        standard error; 130 after Ctrl-C, 143 after SIGTERM.
    """
    try:
        return app(arguments, prog_name=_NAME, standalone_mode=False) or 0
    except _UsageError as error:
        return _refuse(error.format_message())
    except InputError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(_failed(error))


def _failed(error: OSError) -> str:
    return f"{error.filename or 'a file'}: {error.strerror or error}"


def _refuse(sentence: str) -> int:
    typer.echo(f"Error: {sentence}", err=True)
    return _UNUSABLE


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"{_NAME} {version('tinygrad_mnist')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _commands(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            metavar="",
            help="Print the version, and stop.",
        ),
    ] = False,
) -> None:
    """Train a network on MNIST by automatic differentiation in plain NumPy, and look at it."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


_OPTIONS = "Options"
_NETWORK = "The network"
_LEARNING = "How it learns"
_FILES = "Data and files"


def _option(name: str, panel: str, metavar: str, text: str, default: str = "") -> Any:
    text = f"{text}; default {default}." if default else f"{text}."
    return typer.Option(name, help=text, metavar=metavar, rich_help_panel=panel, show_default=False)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


@app.command("train")
def _train(
    model: Annotated[
        str | None, _option("--model", _NETWORK, "NAME", f"Kind: {_listed(MODELS)}", "mlp")
    ] = None,
    hidden: Annotated[
        str | None,
        _option("--hidden", _NETWORK, "SIZES", "Size of each hidden layer", "256,128"),
    ] = None,
    activation: Annotated[
        str | None,
        _option(
            "--activation",
            _NETWORK,
            "NAMES",
            f"What follows a hidden layer ({_listed(ACTIVATIONS)}): one, or one for each",
            "relu",
        ),
    ] = None,
    dropout: Annotated[
        str | None,
        _option(
            "--dropout",
            _NETWORK,
            "SHARES",
            "Share of a hidden layer that each step drops: one, or one for each",
            "0.2",
        ),
    ] = None,
    optimizer: Annotated[
        str | None,
        _option("--optimizer", _LEARNING, "NAME", f"One of {_listed(OPTIMIZERS)}", "sgd"),
    ] = None,
    lr: Annotated[
        str | None,
        _option("--lr", _LEARNING, "X", "Learning rate to start from", "0.02 for sgd, else 0.001"),
    ] = None,
    schedule: Annotated[
        str | None,
        _option(
            "--schedule",
            _LEARNING,
            "NAME",
            f"How the learning rate goes on: {_listed(SCHEDULES)}",
            "cosine",
        ),
    ] = None,
    momentum: Annotated[
        str | None,
        _option(
            "--momentum",
            _LEARNING,
            "X",
            "Share of the last direction that is kept",
            "0.9 for sgd, 0 for rmsprop",
        ),
    ] = None,
    weight_decay: Annotated[
        str | None,
        _option(
            "--weight-decay",
            _LEARNING,
            "X",
            "Pull of all weights towards 0",
            "0.0001 for sgd, 0.01 for adamw, else 0",
        ),
    ] = None,
    batch_size: Annotated[
        str | None, _option("--batch-size", _LEARNING, "N", "Images per step", "32")
    ] = None,
    epochs: Annotated[
        str | None, _option("--epochs", _LEARNING, "N", "Passes over all images", "30")
    ] = None,
    seed: Annotated[
        str | None, _option("--seed", _LEARNING, "N", "Decides all that is random", "0")
    ] = None,
    threads: Annotated[
        str | None,
        _option(
            "--threads",
            _LEARNING,
            "N",
            "BLAS threads, or auto: try 1 and all, and take what is faster",
            "auto",
        ),
    ] = None,
    augment: Annotated[
        bool,
        _option(
            "--augment",
            _LEARNING,
            "",
            "Turn, shift and bend each image a little, anew in each epoch; a step takes 3 times as "
            "long",
        ),
    ] = False,
    paper: Annotated[
        bool,
        _option(
            "--paper",
            _LEARNING,
            "",
            "The paper's own recipe: 784-128-64-10 without bias and dropout, weights from N(0, 1) "
            "divided by sqrt(n), plain gradient descent, test images after each epoch. Other "
            "options change it",
        ),
    ] = False,
    data: Annotated[
        str | None,
        _option(
            "--data",
            _FILES,
            "DIR",
            "Folder with the four IDX files of a data set, gzipped or not",
            "the MNIST that comes along",
        ),
    ] = None,
    labels: Annotated[
        str | None,
        _option(
            "--labels",
            _FILES,
            "FILE",
            "Text with the name of each class on a line, label 0 first",
            "the digits",
        ),
    ] = None,
    validation: Annotated[
        str | None,
        _option(
            "--validation",
            _FILES,
            "N",
            "Training images to set aside, and to look at after each epoch",
            "0",
        ),
    ] = None,
    test_each_epoch: Annotated[
        bool | None,
        _option(
            "--test-each-epoch/--no-test-each-epoch",
            _FILES,
            "",
            "Look at the test images after each epoch, or once, at the end",
            "once, but with --paper",
        ),
    ] = None,
    out: Annotated[
        str | None,
        _option("--out", _FILES, "DIR", "Folder for this run", "a fresh one, runs/<date-time>"),
    ] = None,
    force: Annotated[
        bool, _option("--force", _FILES, "", "Replace the run in --out, if there is one")
    ] = False,
    diagnose: Annotated[
        bool,
        _option(
            "--diagnose",
            _LEARNING,
            "",
            "Look first for what may keep the network from learning, and say cause and remedy",
        ),
    ] = False,
    resume_folder: Annotated[
        str | None,
        _option("--resume", _FILES, "DIR", "Go on with a run that was stopped, as it was begun"),
    ] = None,
) -> None:
    """Train a network, and leave a folder with its weights, numbers and pictures.

    Without options: two hidden layers, 30 epochs of all of MNIST, about 98.6 % right in the end.
    """
    given = {
        "model": model,
        "hidden": each(hidden, int),
        "activation": one_or_each(activation, str),
        "dropout": one_or_each(dropout, float),
        "optimizer": optimizer,
        "lr": read(lr, float),
        "schedule": schedule,
        "momentum": read(momentum, float),
        "weight_decay": read(weight_decay, float),
        "batch_size": read(batch_size, int),
        "epochs": read(epochs, int),
        "seed": read(seed, int),
        "threads": None if threads == "auto" else read(threads, int),
        "augment": augment or None,
        "data": data,
        "labels": None if labels is None else load_names(labels),
        "validation": read(validation, int),
        "test_each_epoch": test_each_epoch,
    }
    choices: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if resume_folder is not None:
        _refuse_beside_resume(
            choices.keys() | _given(out=out, force=force, paper=paper, diagnose=diagnose)
        )

        def job(progress: Progress) -> Run:
            return resume(resume_folder, data=data, progress=progress)
    else:
        config = Config.paper(**choices) if paper else Config(**choices)

        def job(progress: Progress) -> Run:
            return train(config, out=out, force=force, progress=progress, diagnose=diagnose)

    with fitting_progress() as progress:
        try:
            run = job(progress)
        except OSError as error:
            if progress.run is None:
                raise
            raise InputError(
                f"{_failed(error)}; once that is mended, go on with: {_resuming(progress.run)}"
            ) from error
        except KeyboardInterrupt as interrupt:
            _say_interrupted(progress)
            number = interrupt.signal if isinstance(interrupt, Interrupted) else signal.SIGINT
            raise typer.Exit(_KILLED + number) from None
    _print_end(run)


def _given(**options: Any) -> set[str]:
    return {name for name, value in options.items() if value}


def _refuse_beside_resume(names: Iterable[str]) -> None:
    """Refuse options that a run which goes on can't take any more."""
    if others := sorted(set(names) - {"data"}):
        options = _listed(f"--{name.replace('_', '-')}" for name in others)
        raise InputError(
            f"--resume goes on with the options that the run was begun with: leave out {options}"
        )


def _say_interrupted(progress: Progress) -> None:
    if progress.run is None:
        typer.echo("Interrupted before the first step.", err=True)
    else:
        typer.echo("Interrupted, and saved. This goes on:", err=True)
        typer.echo(f"  {_resuming(progress.run)}", err=True)


def _resuming(run: Run) -> str:
    return f"{_NAME} train --resume {_quoted(run)}"


def _quoted(run: Run) -> str:
    return shlex.quote(run.folder.as_posix())


def _print_end(run: Run) -> None:
    results = run.results()
    typer.echo(
        f"Test images: loss {results['loss']:.4f}, accuracy {percent(results['accuracy'])}; "
        f"{results['seconds']:.0f} s of training"
    )
    typer.echo(f"Look at {run.folder / REPORT}. Next:")
    typer.echo(f"  {_NAME} evaluate {_quoted(run)}")
    if run.config.bias:  # which the paper's recipe alone goes without
        typer.echo(f"  {_NAME} train --paper")


@app.command("evaluate")
def _evaluate(
    folder: Annotated[str, typer.Argument(help="Folder of a run.", metavar="DIR")],
    data: Annotated[
        str | None,
        _option("--data", _OPTIONS, "DIR", "Folder with another data set", "that of the run"),
    ] = None,
    best: Annotated[
        bool,
        _option(
            "--best",
            _OPTIONS,
            "",
            "Take the network after the epoch that did best on the validation images, not the last",
        ),
    ] = False,
    as_json: Annotated[
        bool, _option("--json", _OPTIONS, "", "Print one JSON object, for programs to read")
    ] = False,
) -> None:
    """Measure loss and accuracy of a trained network on the test images."""
    run = Run(folder)
    model = run.model(best=best)
    config = run.config if data is None else replace(run.config, data=data)
    test = load_examples(replace(config, validation=0)).test
    with blas_threads(run.threads):
        evaluation = evaluate(model, test)
    if as_json:
        typer.echo(json.dumps({"loss": evaluation.loss, "accuracy": evaluation.accuracy}))
    else:
        wrong = int(np.count_nonzero(evaluation.predictions != evaluation.labels))
        typer.echo(
            f"Test images: loss {evaluation.loss:.4f}, accuracy {percent(evaluation.accuracy)} "
            f"({wrong:,} of {len(test.x):,} wrong)"
        )


@app.command("gradcheck")
def _gradcheck(
    target: Annotated[
        str,
        typer.Argument(help="package.module:name, or path/to/file.py:name.", metavar="FUNCTION"),
    ],
    order: Annotated[
        int, _option("--order", _OPTIONS, "N", "1, or also the gradient's own gradient: 2", "2")
    ] = 2,
    examples: Annotated[
        int, _option("--examples", _OPTIONS, "N", "At how many inputs to check it", "50")
    ] = 50,
    seed: Annotated[
        int, _option("--seed", _OPTIONS, "N", "Decides what is drawn: another searches on", "0")
    ] = 0,
    as_json: Annotated[
        bool, _option("--json", _OPTIONS, "", "Print one JSON object, for programs to read")
    ] = False,
) -> None:
    """Search for an input at which a function's gradient is wrong, and say what is wrong.

    The exit code is 0 if none was found, 1 if one was, 2 if the function can't be checked, and 3 if
    too little of it could be judged.
    """
    from tinygrad_mnist.checking import command
    from tinygrad_mnist.targets import TargetError

    try:
        report = command.check_target(target, order=order, examples=examples, seed=seed)
    except TargetError as error:
        raise InputError(str(error)) from error
    typer.echo(command.as_json(report) if as_json else str(report))
    raise typer.Exit(command.EXIT_CODES[report.verdict])


@app.command("graph")
def _graph(
    what: Annotated[
        str,
        typer.Argument(
            help="A run's folder, package.module:name or path/to/file.py:name: a Tensor, a module "
            "or a function.",
            metavar="WHAT",
        ),
    ],
    out: Annotated[
        str, _option("--out", _OPTIONS, "FILE", "A .svg, .png, .html, .pdf or .gv", "graph.svg")
    ] = "graph.svg",
    inputs: Annotated[
        list[str] | None,
        _option("--input", _OPTIONS, "SHAPE", "Shape of an input, as 32,784; once for each"),
    ] = None,
    order: Annotated[
        int, _option("--order", _OPTIONS, "N", "Show the gradient's graph too: 1, or 2 of it", "0")
    ] = 0,
    depth: Annotated[
        int | None, _option("--depth", _OPTIONS, "N", "Fold modules deeper than this")
    ] = None,
    values: Annotated[bool, _option("--values", _OPTIONS, "", "Show numbers")] = False,
    steps: Annotated[
        bool, _option("--steps", _OPTIONS, "", "A page to go through it step by step: --out X.html")
    ] = False,
) -> None:
    """Draw the compute graph of a run's network, or of a Tensor, module or function of yours."""
    from tinygrad_mnist.drawing import NoRenderer, draw, draw_steps
    from tinygrad_mnist.mnist import graphs

    found, given = graphs.find(what, [each(text, int) for text in inputs or ()])
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", NoRenderer)
            if steps:
                draw_steps(found, out, *given)
            else:
                draw(found, *given, file=out, order=order, depth=depth, values=values)
    except Exception as error:
        notes = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
        raise InputError(f"{what} can't be drawn: {error}{notes}") from error
    for warning in caught:
        typer.echo(f"{warning.message}", err=True)
    if not caught:
        typer.echo(f"Drawn: {out}")
