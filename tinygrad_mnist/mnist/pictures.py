"""The pictures of a run; the same numbers give the same bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from tinygrad_mnist.mnist.evaluating import Evaluation
    from tinygrad_mnist.mnist.runs import Epoch

_CELL = 30  # pixels of a unit's image with its margin
_SHEET_WIDTH = 1200  # pixels at least
_ACROSS, _DOWN = 5, 5  # mistakes that are shown
_LONGEST = 14  # characters of a name

# Colours that colour-blind people can tell apart (Okabe and Ito), and with their own line styles
_TRAIN = {"color": "#0072B2", "linestyle": "-"}
_VALIDATION = {"color": "#D55E00", "linestyle": "--"}
_TEST = {"color": "#009E73", "linestyle": "-."}
_RIGHT, _WRONG = "#0072B2", "#B34700"
_STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e0e0e0",
    "svg.fonttype": "none",  # real text
    "svg.hashsalt": "tinygrad_mnist",  # ids in the file do not depend on chance
}


def curves(epochs: Sequence[Epoch], names: Sequence[str] = ("loss", "accuracy")) -> bytes:
    """Draw loss, accuracy or both of each epoch, as SVG (the paper's figures 2 to 4)."""
    with mpl.style.context(["default", _STYLE]):
        figure = Figure(figsize=(4.5 * len(names), 3.8), layout="constrained")
        for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
            _curve(axes, epochs, "train", name, label="training images, as it learns", **_TRAIN)
            _curve(axes, epochs, "validation", name, label="validation images", **_VALIDATION)
            _curve(axes, epochs, "test", name, label="test images", **_TEST)
            axes.set(xlabel="epoch", title=name)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.legend(frameon=False, loc="upper right" if name == "loss" else "lower right")
            if name == "loss":
                axes.set(title="loss (cross-entropy)")
                axes.set_ylim(bottom=0)
            else:
                axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        return _svg(figure)


def _curve(axes: Axes, epochs: Sequence[Epoch], images: str, name: str, **style: Any) -> None:
    values = [getattr(epoch, f"{images}_{name}") for epoch in epochs]
    if None not in values:
        marker = "." if len(values) < 50 else ""
        axes.plot([epoch.epoch for epoch in epochs], values, marker=marker, **style)


def confusion(counts: NDArray[np.intp], names: Sequence[str]) -> bytes:
    """Draw how often each class (row) was taken for each class (column), as SVG."""
    total, right = int(counts.sum()), int(np.trace(counts))
    mistakes = counts * (1 - np.eye(len(counts), dtype=counts.dtype))
    side = min(max(5.6, 0.5 * len(counts)), 20)
    with mpl.style.context(["default", _STYLE | {"axes.grid": False}]):
        figure = Figure(figsize=(side, side - 0.4), layout="constrained")
        axes = figure.subplots()
        axes.imshow(mistakes, cmap="Oranges", vmin=0, vmax=max(1.0, 1.6 * mistakes.max()))
        for (row, column), n in np.ndenumerate(counts):
            colour = "#0072B2" if row == column else "black"
            weight = "bold" if row == column else "normal"
            if n:
                axes.text(
                    column, row, f"{n}", ha="center", va="center", color=colour, weight=weight
                )
        shown = [_shortened(name) for name in names]
        axes.set_xticks(range(len(counts)), shown, rotation=90 if max(map(len, shown)) > 3 else 0)
        axes.set_yticks(range(len(counts)), shown)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set(
            xlabel="taken for",
            ylabel="shown",
            title=f"{right:,} of {total:,} right, {total - right:,} wrong",
        )
        return _svg(figure)


def mistakes(x: NDArray[np.float32], evaluation: Evaluation, names: Sequence[str]) -> bytes:
    """Draw the images that the network was most wrong about, with what it thought, as PNG.

    Parameters
    ----------
    x : ndarray
        The images as rows, of shape ``(N, 784)``.
    evaluation : Evaluation
        What the network made of them.
    names : sequence of str
        The name of each class.
    """
    wrong = np.flatnonzero(evaluation.predictions != evaluation.labels)
    worst = wrong[np.argsort(-evaluation.losses[wrong], kind="stable")][: _ACROSS * _DOWN]
    down = max(1, -(-len(worst) // _ACROSS))
    title = (
        f"The worst of {len(wrong):,} mistakes: what the network thought, what it is"
        if len(worst)
        else "No mistake on the test images"
    )
    size = 22 if max(map(len, names)) <= 3 else 13  # as large as fits: phones make it small
    with mpl.style.context(["default", _STYLE | {"axes.grid": False}]):
        figure = Figure(figsize=(10, 0.8 + 2.9 * down), dpi=100)
        figure.text(0.5, 1 - 0.4 / figure.get_figheight(), title, ha="center", va="center", size=17)
        grid = figure.add_gridspec(
            down, _ACROSS, left=0.02, right=0.98, bottom=0.01, wspace=0.1, hspace=0.6,
            top=1 - 1.7 / figure.get_figheight(),
        )  # fmt: skip
        for place, index in enumerate(worst):
            axes = figure.add_subplot(grid[place // _ACROSS, place % _ACROSS])
            axes.imshow(x[index].reshape(28, 28), cmap="gray_r", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set(visible=True, color="#bbbbbb")
            label, thought = evaluation.labels[index], evaluation.predictions[index]
            probabilities = evaluation.probabilities[index]
            for line, (class_, colour) in enumerate(((thought, _WRONG), (label, _RIGHT))):
                text = f"{_shortened(names[class_])}  {_percent(probabilities[class_])}"
                axes.text(
                    0.5, 1.04 + 0.19 * (1 - line), text, transform=axes.transAxes,
                    ha="center", va="bottom", color=colour, size=size,
                )  # fmt: skip
        return _png(figure)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "< 1 %"


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def weights(first: NDArray[Any], limit: int = 256) -> bytes:
    """Draw what each unit of the first layer looks for, as PNG (the paper's figure 5).

    Parameters
    ----------
    first : ndarray
        The weights of the first layer, of shape ``(784, units)``.
    limit : int
        How many units are drawn at most.
    """
    count = min(first.shape[1], limit)
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    sheet = np.full((rows * columns, _CELL, _CELL), np.nan)
    sheet[:count, 1:-1, 1:-1] = first[:, :count].T.reshape(-1, 28, 28)
    sheet = sheet.reshape(rows, columns, _CELL, _CELL).swapaxes(1, 2)
    sheet = sheet.reshape(rows * _CELL, columns * _CELL)
    extent = float(np.nanquantile(np.abs(sheet), 0.995)) or 1.0

    zoom = -(-_SHEET_WIDTH // sheet.shape[1])  # a whole number, so that every pixel is as wide
    height, width = zoom * sheet.shape[0], zoom * sheet.shape[1]
    above, below = 60, 130
    total = above + height + below
    with mpl.style.context(["default", _STYLE | {"axes.grid": False}]):
        figure = Figure(figsize=(width / 100, total / 100), dpi=100)
        axes = figure.add_axes((0, below / total, 1, height / total))
        image = axes.imshow(
            sheet, cmap="RdBu", vmin=-extent, vmax=extent, interpolation="nearest", aspect="auto"
        )
        axes.set_axis_off()
        shown = f"{count} of {first.shape[1]}" if count < first.shape[1] else f"{count}"
        title = f"What the {shown} units of the first layer look for"
        figure.text(0.5, 1 - 30 / total, title, ha="center", va="center", size=18)
        bar = figure.colorbar(
            image,
            cax=figure.add_axes((0.25, 85 / total, 0.5, 20 / total)),
            orientation="horizontal",
        )
        bar.set_label("weight of a pixel: red speaks against, blue for", size=14)
        bar.ax.tick_params(labelsize=12)
        bar.outline.set_visible(False)
        return _png(figure)


def _svg(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
