"""The work of `tinygrad-mnist gradcheck`: find a function by name, check it, say what was found."""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import os
import sys
import warnings
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_mnist.checking.gradients import gradcheck
from tinygrad_mnist.checking.report import GradientError, GradientWarning, Report

if TYPE_CHECKING:
    from types import ModuleType

EXIT_CODES = {"pass": 0, "wrong": 1, "inconclusive": 3}


class TargetError(ValueError):
    """What was named can't be found, or can't be checked."""


def check_target(target: str, *, order: int, examples: int, seed: int) -> Report:
    """Check the function that a text names, and return the report whatever its verdict.

    Parameters
    ----------
    target : str
        ``package.module:name`` or ``path/to/file.py:name``.
    order, examples, seed : int
        As `gradcheck` takes them.

    Raises
    ------
    TargetError
        If there is no such function, or if it can't be checked.
    """
    function = find_target(target)
    if not callable(function) or isinstance(function, type):
        a_class = isinstance(function, type)
        kind = "a class: name an instance of it" if a_class else "not a function"
        raise TargetError(f"{target} is {kind}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", GradientWarning)
            return gradcheck(function, order=order, examples=examples, seed=seed)
    except GradientError as error:
        if error.report is None:
            raise
        return error.report
    except Exception as error:
        raise TargetError(f"{target} can't be checked: {_said(error)}") from error


def find_target(target: str) -> Any:
    """Return what a text names, ``package.module:name`` or ``path/to/file.py:name``.

    Raises
    ------
    TargetError
    """
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name:
        raise TargetError(
            f"{target!r} names nothing: write package.module:name or path/to/file.py:name"
        )
    found: Any = _module(place)
    for part in name.split("."):
        if not hasattr(found, part):
            near = get_close_matches(part, [n for n in dir(found) if n[0] != "_"], 1)
            hint = f": did you mean {near[0]!r}?" if near else ""
            raise TargetError(f"{place} has no {part!r}{hint}")
        found = getattr(found, part)
    return found


def _module(place: str) -> ModuleType:
    """Import a module by its name or its file."""
    path = Path(place)
    is_file = path.suffix == ".py" or os.sep in place
    if is_file and not (path.is_file() and path.suffix == ".py"):
        raise TargetError(f"there is no file of Python {place}")
    sys.path.insert(0, str(path.parent.absolute() if is_file else Path.cwd()))
    try:
        if not is_file:
            return importlib.import_module(place)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise TargetError(f"{place} can't be imported: {_said(error)}") from error
    finally:
        sys.path.pop(0)
    return module


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def as_json(report: Report) -> str:
    """Return a report as one JSON object."""
    told: dict[str, Any] = {
        "function": report.function,
        "verdict": report.verdict,
        "order": report.order,
        "points": report.points,
        "compared": report.compared,
        "kinks": report.kinks,
        "unjudged": report.unjudged,
        "skipped": report.skipped,
        "worst": report.worst,
        "noise": report.noise,
        "notes": list(report.notes),
        "fault": None,
    }
    if report.fault is not None:
        told["fault"] = {
            "sentence": report.fault.sentence,
            "mismatch": None if report.mismatch is None else asdict(report.mismatch),
            "diagnosis": None if report.diagnosis is None else asdict(report.diagnosis),
            "line": report.line,
        }
    return json.dumps(_finite(told))


def _finite(value: Any) -> Any:
    """Return nested values with None for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
