"""Pictures where Graphviz is, where graphviz-pure is, and where nothing is."""

import os
import sys

import graphviz
import pytest

from tests.drawing import subjects
from tests.drawing.shown import leaf, svg
from tinygrad_mnist.drawing import NoRenderer, draw, rendering


def test_a_picture_is_a_digraph_of_graphviz():
    assert isinstance(draw(leaf(2)), graphviz.Digraph)


@pytest.mark.parametrize("subject", subjects.SUBJECTS)
def test_graphviz_pure_renders_where_dot_is_missing(subject, no_dot):
    picture = subjects.SUBJECTS[subject]()
    assert b"graphviz-pure" in picture.pipe("svg")
    assert svg(picture).tag.endswith("svg")


def test_every_way_to_render_works_without_dot(no_dot, tmp_path):
    picture = draw(leaf(2))
    assert picture.pipe("svg", encoding="utf-8").startswith("<?xml")
    assert picture.pipe("png").startswith(b"\x89PNG")
    assert set(picture._repr_mimebundle_()) == {"image/svg+xml"}
    assert picture.render("a.gv", directory=tmp_path) == str(tmp_path / "a.gv.svg")
    assert picture.render(outfile=tmp_path / "b.png", cleanup=True) == str(tmp_path / "b.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gv", "a.gv.svg", "b.png"]


def test_graphviz_pure_is_found_on_the_path_too(monkeypatch, tmp_path):
    program = tmp_path / "graphviz-pure"
    program.write_text("#!/bin/sh\necho drawn by me\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setattr(rendering.sysconfig, "get_path", lambda _: "/nowhere")
    assert draw(leaf(2)).pipe("svg") == b"drawn by me\n"


def test_a_format_that_graphviz_pure_does_not_know_is_refused_in_one_sentence(no_dot):
    with pytest.raises(NoRenderer, match=r"graphviz-pure makes no pdf .* install Graphviz itself$"):
        draw(leaf(2)).pipe("pdf")


def test_without_any_renderer_the_source_is_kept_and_a_sentence_says_what_to_do(
    no_renderer, tmp_path
):
    picture = draw(leaf(2))
    with pytest.raises(NoRenderer, match="pip install graphviz-pure"):
        picture.pipe("svg")
    with pytest.raises(NoRenderer, match=r"pip install graphviz-pure.*the source is in .*a\.gv"):
        picture.render("a.gv", directory=tmp_path)
    assert (tmp_path / "a.gv").read_text("utf-8") == picture.source
    assert "pip install graphviz-pure" in picture._repr_mimebundle_()["text/plain"]


def test_a_file_without_any_renderer_is_a_warning(no_renderer, tmp_path):
    with pytest.warns(NoRenderer, match=r"the source is in .*graph\.gv") as caught:
        picture = draw(leaf(2), file=tmp_path / "graph.svg")
    assert caught[0].filename == __file__
    assert (tmp_path / "graph.gv").read_text("utf-8") == picture.source


@pytest.mark.parametrize(
    ("name", "start"), [("a.svg", b"<?xml"), ("a.PNG", b"\x89PNG"), ("a.gv", b"digraph")]
)
def test_the_ending_of_a_file_says_what_it_holds(name, start, tmp_path):
    draw(leaf(2), file=tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


@pytest.mark.parametrize("name", ["graph", "graph.docx"])
def test_an_unknown_ending_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match=r"ends in no format to draw: \.svg"):
        draw(leaf(2), file=tmp_path / name)


@pytest.mark.parametrize("name", ["a.svg", "a.html"])
def test_a_folder_that_is_missing_is_said_before_anything_is_run(name, tmp_path):
    ran = []
    with pytest.raises(FileNotFoundError, match=rf"{name} can't be written: .* folder .*none$"):
        draw(lambda x: ran.append(x) or x * x, leaf(2), file=tmp_path / "none" / name)
    assert ran == []


def test_a_folder_that_takes_no_files_is_said_before_anything_is_run(tmp_path, monkeypatch):
    monkeypatch.setattr(rendering.os, "access", lambda *_: False)
    ran = []
    with pytest.raises(PermissionError, match=r"a\.svg can't be written: .* takes no new files"):
        draw(lambda x: ran.append(x) or x * x, leaf(2), file=tmp_path / "a.svg")
    assert ran == []


def test_doubts_of_dot_about_a_layout_are_not_printed(monkeypatch, tmp_path, capfd):
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\necho triangulation failed >&2\necho drawn\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert draw(leaf(2)).pipe("svg") == b"drawn\n"
    draw(leaf(2)).render(outfile=tmp_path / "a.svg")
    assert capfd.readouterr().err == ""


def test_a_png_of_absurd_size_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(rendering, "_LARGEST", 100)
    with pytest.raises(
        ValueError, match=r"a PNG of \d+ by \d+ pixels is too large: write an \.svg"
    ):
        draw(leaf(2), file=tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []
