"""The work of `tinygrad-mnist gradcheck`: check what is named, and say what was found."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import asdict
from typing import Any

from tinygrad_mnist.checking.gradients import gradcheck
from tinygrad_mnist.checking.report import GradientError, GradientWarning, Report
from tinygrad_mnist.targets import TargetError, find_target

EXIT_CODES = {"pass": 0, "wrong": 1, "inconclusive": 3}


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
        return error.report or Report(target, order)
    except Exception as error:
        raise TargetError(f"{target} can't be checked: {type(error).__name__}: {error}") from error


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
