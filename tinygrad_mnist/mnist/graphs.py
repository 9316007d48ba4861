"""The work of `tinygrad-mnist graph`: find what is to be drawn, and inputs for it."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist import nn, ops
from tinygrad_mnist.mnist.errors import InputError
from tinygrad_mnist.targets import TargetError, find_target
from tinygrad_mnist.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BATCH = 32  # rows that a module is drawn with
_TRIES = 40  # draws, of which one has arrays that show something


def find(what: str, shapes: Sequence[Sequence[Any]]) -> tuple[Any, list[Any]]:
    """Return what is to be drawn, and the inputs to call it with.

    Parameters
    ----------
    what : str
        The folder of a run, ``package.module:name`` or ``path/to/file.py:name``: a Tensor, a module
        or a function.
    shapes : sequence of tuple of int
        Of its inputs; none: they are found by trying.

    Raises
    ------
    InputError
        If there is no such thing, or no inputs for it were found.
    """
    if Path(what).is_dir():
        return _loss_of_run(what)
    try:
        found = find_target(what)
    except TargetError as error:
        raise InputError(f"{error}; or give the folder of a run") from error
    if isinstance(found, Tensor):
        if shapes:
            raise InputError(f"{what} is a Tensor, which takes no --input: its history is drawn")
        return found, []
    if not callable(found) or isinstance(found, type):
        raise InputError(f"{what} is no Tensor, module or function: {found!r} can't be drawn")
    random = np.random.default_rng(0)
    for shape in shapes:
        if not all(isinstance(n, int) and n >= 0 for n in shape):
            given = ",".join(map(str, shape))
            raise InputError(f"--input takes a shape, such as 32,784; got {given!r}")
    if shapes:
        dtype = _dtype(found)
        return found, [random.standard_normal(shape).astype(dtype) for shape in shapes]
    return found, _inputs(found, what, random)


def _loss_of_run(folder: str) -> tuple[Callable[..., Any], list[Any]]:
    """Return the loss of a run's network on a batch, as it was trained."""
    from tinygrad_mnist.mnist.models import PIXELS
    from tinygrad_mnist.mnist.runs import Run

    run = Run(folder)
    model = run.model()
    classes = len(run.config.class_names)
    random = np.random.default_rng(0)
    x = random.random((run.config.batch_size, PIXELS), np.float32)
    labels = random.integers(classes, size=len(x))

    def loss(x: Any, labels: Any) -> Any:
        return ops.cross_entropy(model(x), labels)

    return loss, [x, labels]


def _dtype(f: Any) -> np.dtype[Any]:
    parameters = f.parameters() if isinstance(f, nn.Module) else []
    return parameters[0].dtype if parameters else np.dtype(np.float64)


def _inputs(f: Any, what: str, random: np.random.Generator) -> list[Any]:
    """Return inputs that a module or function takes."""
    if isinstance(f, nn.Module):
        wide = next((p.shape[0] for p in f.parameters() if p.ndim == 2), None)
        if wide is not None:
            return [random.standard_normal((BATCH, wide)).astype(_dtype(f))]
    from tinygrad_mnist.checking.sampling import draw_call
    from tinygrad_mnist.checking.shaping import shaped
    from tinygrad_mnist.checking.subjects import Subject

    try:
        subject = Subject.of(f)
        if not subject.required:
            return []
        subject = shaped(subject, 0)[0][0]
    except (TypeError, ValueError) as error:
        reason = textwrap.shorten(str(error.__cause__ or error), 120, placeholder=" ...")
        raise InputError(
            f"{what}: no inputs were found ({reason}); say their shapes by --input"
        ) from error
    calls = [draw_call(subject, lambda some: some[int(random.integers(len(some)))])]
    while len(calls) < _TRIES and not all(2 <= np.size(a) <= 64 for a in calls[-1].args):
        calls.append(draw_call(subject, lambda some: some[int(random.integers(len(some)))]))
    return list(calls[-1].args)
