"""The report: one HTML page with all of a run, which needs no other file."""

from __future__ import annotations

import base64
import html
import json
import shlex
from string import Template
from typing import TYPE_CHECKING, Any

from tinygrad_mnist.mnist import pictures
from tinygrad_mnist.mnist.models import sizes
from tinygrad_mnist.mnist.progress import percent
from tinygrad_mnist.mnist.runs import CONFUSION, DIAGNOSIS, GRAPH, GRAPH_SOURCE, MISTAKES, WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tinygrad_mnist.mnist.runs import Epoch, Run

MNIST = "1939f699"  # the checksum of MNIST, on which alone the paper's figures say something
PAPER = {"accuracy": 0.94, "loss": 0.36}  # of the test images, section V-A


def render(run: Run) -> bytes:
    """Return the page of a run whose numbers and pictures are written.

    It fits a phone and a desk, and follows the reader's choice of light or dark. The paper's
    figures stand beside the run's own if it was on MNIST.
    """
    config, results, history = run.config, run.results(), run.epochs()
    page = _PAGE.substitute(
        title=_text(f"{'-'.join(map(str, sizes(config)))} on {_data(run)}"),
        accuracy=percent(results["accuracy"]),
        loss=f"{results['loss']:.4f}",
        seconds=f"{results['seconds']:,.0f} s",
        epochs=results["epochs"],
        paper=_paper(results) if run.environment.get("data") == MNIST else "",
        best=_best(results, history),
        curves="".join(
            f"<figure>{_inline(pictures.curves(history, [name]))}</figure>"
            for name in ("loss", "accuracy")
        ),
        confusion=_embedded(run, CONFUSION, "How often each class was taken for each class"),
        mistakes=_embedded(run, MISTAKES, "The images that the network was most wrong about"),
        weights=_embedded(run, WEIGHTS, "The weights of the first layer as images"),
        graph=_graph(run),
        diagnosis=_diagnosis(run),
        options=_pairs(config.to_dict()),
        environment=_pairs(run.environment),
        history=_table(history),
        repeat=_text(f"python -c {shlex.quote(_again(run))}"),
    )
    return page.encode()


def _again(run: Run) -> str:
    return (
        f"from tinygrad_mnist.mnist import Run, train; "
        f"train(Run({run.folder.absolute().as_posix()!r}).config)"
    )


def _text(value: object) -> str:
    return html.escape(str(value))


def _data(run: Run) -> str:
    return "MNIST" if run.config.data is None else str(run.config.data)


def _paper(results: dict[str, Any]) -> str:
    rows = (
        ("accuracy", percent(results["accuracy"]), f"{100 * PAPER['accuracy']:.0f} %"),
        ("loss", f"{results['loss']:.4f}", f"{PAPER['loss']}"),
        ("wrong of 100", f"{100 * (1 - results['accuracy']):.1f}", "6"),
    )
    body = "".join(
        f"<tr><th scope='row'>{name}</th><td class='number'>{ours}</td>"
        f"<td class='number'>{theirs}</td></tr>"
        for name, ours, theirs in rows
    )
    return (
        "<section><h2>Beside the paper</h2>"
        "<div class='scroll'><table><thead><tr><td>test images</td><th scope='col'>this run</th>"
        f"<th scope='col'>the paper</th></tr></thead><tbody>{body}</tbody></table></div>"
        "<p>The paper, “Unconfused Terminator: Red Neuronal desde cero para MNIST”, trains two "
        "hidden layers without dropout for 30 epochs of batches of 32; it does not say their sizes "
        "nor its learning rate.</p></section>"
    )


def _best(results: dict[str, Any], history: Sequence[Epoch]) -> str:
    number = results.get("best_epoch")
    if number is None:
        return ""
    best = next(epoch for epoch in history if epoch.epoch == number)
    return (
        f"<p>On the validation images epoch {number} did best: "
        f"{percent(best.validation_accuracy or 0.0)}, loss {best.validation_loss:.4f}. "
        "The numbers above are those of the last epoch.</p>"
    )


def _inline(svg: bytes) -> str:
    """Return a picture as part of the page, whose colours can follow those of the page."""
    text = svg.decode()
    return text[text.index("<svg") :]


def _embedded(run: Run, name: str, description: str) -> str:
    """Return a picture inside the page, on white, that opens the file when it is clicked."""
    kind = "svg+xml" if name.endswith("svg") else "png"
    content = base64.b64encode((run.folder / name).read_bytes()).decode()
    return (
        f"<a href='{name}'><img class='paper' alt='{_text(description)}' "
        f"src='data:image/{kind};base64,{content}'></a>"
    )


def _graph(run: Run) -> str:
    if (run.folder / GRAPH).exists():
        return _embedded(run, GRAPH, "The graph of the loss")
    return f"<pre>{_text((run.folder / GRAPH_SOURCE).read_text('utf-8'))}</pre>"


def _diagnosis(run: Run) -> str:
    path = run.folder / DIAGNOSIS
    if not path.exists():
        return ""
    text = path.read_text("utf-8").replace("\n      ", " ")  # lines as long as the reader's page
    parts = (
        f"<pre class='{'table' if '---' in part else 'prose'}'>{_text(part)}</pre>"
        for part in text.split("\n\n")
    )
    return f"<section><h2>Looked over before training</h2>{''.join(parts)}</section>"


def _pairs(values: dict[str, Any]) -> str:
    rows = (
        f"<tr><th scope='row'>{_text(name.replace('_', ' '))}</th><td>{_value(value)}</td></tr>"
        for name, value in values.items()
        if value is not None
    )
    return f"<table><tbody>{''.join(rows)}</tbody></table>"


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_value, value))
    if isinstance(value, dict):
        return " ".join(map(_value, value.values()))
    return _text(value if isinstance(value, str) else json.dumps(value))


_FORMATS = {"lr": "{:.3g}", "seconds": "{:.1f}", "gradient_norm": "{:.3f}", "epoch": "{}"}


def _table(history: Sequence[Epoch]) -> str:
    names = [
        name
        for name in vars(history[0])
        if any(getattr(epoch, name) is not None for epoch in history)
    ]
    head = "".join(f"<th scope='col'>{name.replace('_', ' ')}</th>" for name in names)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{_rows(history, names)}</tbody></table>"


def _rows(history: Iterable[Epoch], names: Sequence[str]) -> str:
    def cell(epoch: Epoch, name: str) -> str:
        value = getattr(epoch, name)
        if name.endswith("accuracy"):
            return percent(value)
        return _FORMATS.get(name, "{:.4f}").format(value)

    return "".join(
        "<tr>" + "".join(f"<td class='number'>{cell(epoch, name)}</td>" for name in names) + "</tr>"
        for epoch in history
    )


_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root { color-scheme: light dark; --ground: #fafafa; --card: #fff; --ink: #1b1b1b; --soft: #5c5c5c;
  --line: #dedede; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #141518; --card: #1e2024; --ink: #ececec; --soft: #a5a9b0; --line: #3a3d44; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 64rem; background: var(--ground);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; margin: 0 0 1rem; }
h2 { font-size: 1.15rem; margin: 0 0 .75rem; }
section, details { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: 1rem; margin: 0 0 1rem; }
summary { font-weight: 600; cursor: pointer; }
details[open] summary { margin-bottom: .75rem; }
p { margin: 0 0 .75rem; color: var(--soft); max-width: 44rem; }
.numbers { display: flex; flex-wrap: wrap; gap: 1rem 2.5rem; margin: 0; }
.numbers div { display: flex; flex-direction: column-reverse; }
.numbers dt { color: var(--soft); font-size: .9rem; }
.numbers dd { margin: 0; font-size: 1.9rem; font-weight: 650; font-variant-numeric: tabular-nums; }
.pair { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); }
figure { margin: 0; }
img, figure svg { display: block; width: 100%; height: auto; margin: 0 auto; }
figure.narrow img { max-width: 46rem; }
.paper { background: #fff; border-radius: .4rem; padding: .4rem; }
.graph img { width: auto; max-width: 100%; }
.scroll { overflow-x: auto; }
.scroll + p { margin-top: .75rem; }
table { border-collapse: collapse; font-size: .92rem; }
th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: anywhere; }
th { font-weight: 500; color: var(--soft); }
.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
pre, code { font: .85rem/1.45 ui-monospace, monospace; }
pre { overflow: auto; margin: 0; }
pre.prose { white-space: pre-wrap; margin: .75rem 0; }
/* what the drawn figures have in black and white is the page's own */
figure svg text { fill: var(--ink); }
figure svg [style*="stroke: #000000"] { stroke: var(--soft) !important; }
figure svg [style*="fill: #ffffff"] { fill: none !important; }
figure svg [style*="stroke: #e0e0e0"] { stroke: var(--line) !important; }
</style>
</head>
<body>
<h1>$title</h1>
<section>
<dl class="numbers">
<div><dt>of the test images right</dt><dd>$accuracy</dd></div>
<div><dt>loss on them</dt><dd>$loss</dd></div>
<div><dt>epochs</dt><dd>$epochs</dd></div>
<div><dt>of training</dt><dd>$seconds</dd></div>
</dl>
$best
</section>
$paper
<section>
<h2>How it learned</h2>
<div class="pair">$curves</div>
</section>
<section>
<h2>What it confuses</h2>
<p>In each row the images of one class, in each column what they were taken for.</p>
<figure class="narrow">$confusion</figure>
</section>
<section>
<h2>Its worst mistakes</h2>
<p>Above each image what the network thought, in orange, and what it is, in blue, each with the
probability that the network gave it.</p>
<figure class="narrow">$mistakes</figure>
</section>
<section>
<h2>What it looks for</h2>
<p>The weights of the first layer, an image for each unit: blue pixels speak for what the unit
stands for, red ones against it.</p>
<figure>$weights</figure>
</section>
<section>
<h2>What a step computes</h2>
<figure class="graph">$graph</figure>
</section>
$diagnosis
<details>
<summary>Every epoch</summary>
<div class="scroll">$history</div>
</details>
<details>
<summary>Options, and the machine</summary>
<div class="pair"><div class="scroll">$options</div><div class="scroll">$environment</div></div>
<p>The same again, in a folder of its own:</p>
<pre>$repeat</pre>
</details>
</body>
</html>
""")
