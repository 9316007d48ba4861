"""The report: whole, in one file, right, and safe whatever names a data set has."""

import base64
import html
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tinygrad_mnist.mnist import Run, report, train
from tinygrad_mnist.mnist.progress import percent

VOID = {"img", "meta", "br", "path", "use", "rect", "image"}
PICTURES = ["confusion.svg", "graph.svg", "mistakes.png", "weights.png"]


class Page(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, content):
        super().__init__()
        self.open, self.links, self.text = [], [], []
        self.feed(content.decode("utf-8"))
        self.close()

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in {"src", "href"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def content(run):
    return (run.folder / "report.html").read_bytes()


def test_the_page_is_well_formed(content):
    assert Page(content).open == []


def test_the_page_holds_every_picture_and_needs_nothing_else(run, content):
    page = Page(content)
    inside = [link for link in page.links if link.startswith("data:image/")]
    pictures = {base64.b64decode(link.split(",", 1)[1]) for link in inside}
    assert pictures == {(run.folder / name).read_bytes() for name in PICTURES}
    assert set(page.links) - set(inside) == set(PICTURES), "beside them only links to these files"
    assert content.count(b"<svg") == 2, "the curves"
    assert b"@import" not in content
    assert b"<script" not in content


def test_the_page_tells_the_results_the_options_and_every_epoch(run, content):
    text = " ".join(" ".join(Page(content).text).split())
    results = run.results()
    assert percent(results["accuracy"]) in text
    assert f"{results['loss']:.4f}" in text
    assert "784-16-8-10 on" in text
    for epoch in run.epochs():
        assert f"{epoch.train_loss:.4f}" in text
    for name, value in (run.config.to_dict() | run.environment).items():
        assert name.replace("_", " ") in text or value is None
    assert run.environment["numpy"] in text


def test_the_papers_figures_stand_beside_a_run_on_mnist_alone(run, content, tmp_path):
    assert b"Beside the paper" not in content
    folder = Path(shutil.copytree(run.folder, tmp_path / "run"))
    saved = json.loads((folder / "config.json").read_text())
    saved["environment"]["data"] = report.MNIST
    (folder / "config.json").write_text(json.dumps(saved))
    text = re.sub(r"<[^>]+>", " ", report.render(Run(folder)).decode())
    text = " ".join(text.split())
    assert f"accuracy {percent(run.results()['accuracy'])} 94 %" in text
    assert f"loss {run.results()['loss']:.4f} 0.36" in text


def test_names_are_shown_and_can_do_no_harm(config, tmp_path):
    names = (*"abcdefgh", "T-shirt/top & more", "<script>alert(1)</script>")
    named = replace(config, epochs=1, labels=names, validation=50)
    run = train(named, out=tmp_path / "<b> $x' \"run")
    content = (run.folder / "report.html").read_bytes()
    assert b"<script" not in content
    assert b"<b> " not in content
    page = Page(content)
    assert page.open == []
    assert names[-1] in html.unescape(" ".join(page.text))
    assert "T-shirt/top &amp;…" in (run.folder / "confusion.svg").read_text()
    assert "On the validation images epoch 1 did best" in " ".join(page.text)
