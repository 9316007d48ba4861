"""Pictures of a wrong derivative: claimed and measured, along the line where they part."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tinygrad_mnist.checking.report import Report


def draw_curve(report: Report, file: Any = None) -> Figure:
    """Return the figure of a report; see `Report.plot`."""
    if report.fault is None or report.fault.curve is None:
        raise ValueError(
            f"there is nothing to draw for {report.function}: no derivative was found wrong"
        )
    from matplotlib.figure import Figure

    fault, curve = report.fault, report.fault.curve
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.fill_between(
        curve.t, curve.measured - curve.error, curve.measured + curve.error, color="0.85"
    )
    axes.plot(curve.t, curve.measured, color="0.2", label="measured")
    axes.plot(curve.t, curve.claimed, color="#b3261e", linestyle="--", label="claimed")
    axes.axvline(curve.at, color="0.6", linewidth=0.8)
    if fault.mismatch is not None:
        at = [curve.at, curve.at]
        ends = [fault.mismatch.claimed, fault.mismatch.measured]
        axes.plot(at, ends, color="#b3261e", linewidth=0.8)
        axes.plot(at, ends, "o", color="#b3261e", markersize=4, label="here it is wrong")
    finite = np.concatenate([v[np.isfinite(v)] for v in (curve.measured, curve.claimed)])
    if finite.size:
        low, high = np.quantile(finite, (0.02, 0.98))
        room = 0.15 * (high - low) or 1.0
        shown = [] if fault.mismatch is None else [fault.mismatch.claimed, fault.mismatch.measured]
        shown = [v for v in shown if np.isfinite(v)]
        axes.set_ylim(min(low, *shown, low) - room, max(high, *shown, high) + room)
    axes.set_xlabel(curve.entry)
    order = fault.mismatch.order if fault.mismatch is not None else 1
    axes.set_ylabel("derivative" if order == 1 else "second derivative")
    title = f"{report.function} by {curve.entry}"
    if fault.diagnosis:
        title += f": {fault.diagnosis.sentence}"
    axes.set_title(title, fontsize="medium", wrap=True)
    axes.legend(frameon=False)
    if file is not None:
        figure.savefig(file)
    return figure


def as_svg(report: Report) -> str:
    """Return the picture of a report for a page, or nothing where matplotlib is missing."""
    try:
        figure = draw_curve(report)
    except ImportError:
        return ""
    text = io.StringIO()
    figure.savefig(text, format="svg")
    return text.getvalue()[text.getvalue().index("<svg") :]
