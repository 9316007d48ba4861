"""The pages that a reader meets: their code runs, prints what they show, and names what exists.

Every ``python`` block of a page is executed, top to bottom in one namespace. The ``text`` block
right below one is what it prints, with ``...`` for what varies; a block without one prints
nothing. Where a block ends in an exception, or warns, its text ends as Python's own report does:
the class and the message, wrapped at will.
"""

import ast
import contextlib
import doctest
import html
import importlib.util
import inspect
import io
import linecache
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import warnings
from functools import cache
from importlib.metadata import version
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

import tinygrad_mnist
from tests.markdown import blocks
from tests.ops_page import shown_signature
from tests.test_architecture import ROOMS
from tinygrad_mnist import Tensor, grad, mnist, nn, ops, optim
from tinygrad_mnist.mnist import cli
from tinygrad_mnist.operation import Op
from tinygrad_mnist.ops import neural

ROOT = Path(__file__).parent.parent
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}
PACKAGE = Path(tinygrad_mnist.__file__).parent


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Let what a page writes go to a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(neural, "_hinted", False)  # a warning that comes once per process


# Code blocks --------------------------------------------------------------------------------------


def shown_below(block, page):
    """Return the ``text`` block right below a block of a page, or nothing."""
    end = block.line + block.text.count("\n")  # where its fence closes
    for other in blocks(page):
        between = page.splitlines()[end : other.line - 2]
        if other.language == "text" and other.line > end and not any(between):
            return other.text
    return ""


def execute(block, name, namespace):
    """Run a block; return what it printed, warned and raised, and whether it raised."""
    printed, raised = io.StringIO(), ""
    code = compile("\n" * (block.line - 1) + block.text, name, "exec")
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(printed):
        warnings.simplefilter("always")
        try:
            exec(code, namespace)
        except Exception as error:  # noqa: BLE001 - whatever it is, the page shows it
            raised = f"{type(error).__name__}: {error}\n"
    warned = "".join(f"{w.category.__name__}: {w.message}\n" for w in caught)
    return printed.getvalue() + warned + raised, bool(warned or raised)


def agrees(shown, got, wrapped):
    """Return whether a text block shows what was printed."""
    flags = doctest.ELLIPSIS | (doctest.NORMALIZE_WHITESPACE if wrapped else 0)
    shown, got = ("\n".join(map(str.rstrip, text.splitlines())) + "\n" for text in (shown, got))
    return doctest.OutputChecker().check_output(shown, got, flags)


def run_page(name, page):
    """Execute the blocks of a page; return complaints about what they print."""
    file = f"{Path(name).stem}.py"  # as which its lines appear in messages
    linecache.cache[file] = (len(page), None, [f"{line}\n" for line in page.splitlines()], file)
    namespace, complaints = {"__name__": "__main__"}, []
    for block in blocks(page):
        if block.language == "python":
            got, wrapped = execute(block, file, namespace)
            shown = shown_below(block, page)
            if not agrees(shown, got, wrapped):
                complaints.append(f"{name}:{block.line} shows\n{shown}and prints\n{got}")
    return complaints


@pytest.mark.parametrize("name", PAGES)
def test_the_code_of_a_page_runs_and_prints_what_stands_below_it(name):
    complaints = run_page(name, PAGES[name])
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        ("```python\nprint(1)\n```\n\n```text\n1\n```\n", None),
        ("```python\nprint(1)\n```\n", "prints\n1"),
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", "shows\n2\nand prints\n1"),
        ("```python\nprint(1)\n```\nwords\n```text\n1\n```\n", "shows\nand prints\n1"),
        ("```python\nx = 1\n```\n\n```text\n1\n```\n", "shows\n1\nand prints\n"),
        ("```python\n1 / 0\n```\n\n```text\nZeroDivisionError: division\nby zero\n```\n", None),
        ("```python\n1 / 0\n```\n", "ZeroDivisionError"),
        ("```python\nx = 1\n```\n```python\nprint(x)\n```\n```text\n1\n```\n", None),
        ("```python\nprint(0.12345)\n```\n```text\n0.1...\n```\n", None),
        (
            "```python\nimport warnings\nwarnings.warn('no')\n```\n```text\nUserWarning: no\n```",
            None,
        ),
    ],
)
def test_the_runner_of_pages_complains_where_code_and_text_differ(page, complaint):
    complaints = run_page("page.md", page)
    if complaint is None:
        assert complaints == []
    else:
        assert complaint in complaints[0]


@pytest.mark.parametrize("name", PAGES)
def test_every_block_says_what_it_is_and_stands_at_the_margin(name):
    text = PAGES[name]
    assert not re.search(r"^[ >]+```", text, re.MULTILINE)
    languages = {"python", "text", "console", "powershell", *([""] if name == "README.md" else [])}
    assert {block.language for block in blocks(text)} <= languages


def test_the_two_commands_of_the_readme_stand_alone_and_first():
    commands = [b.text for b in blocks(PAGES["README.md"]) if not b.language]
    venv = "python3 -m venv .venv && .venv/bin/pip install -q"
    assert commands == [
        f"{venv} '.[mnist]' && .venv/bin/tinygrad-mnist train\n",
        f"{venv} -e '.[dev]' && .venv/bin/pytest\n",
    ]


def test_the_commands_for_windows_are_those_of_the_readme():
    (windows,) = [b.text for b in blocks(PAGES["README.md"]) if b.language == "powershell"]
    commands = "".join(b.text for b in blocks(PAGES["README.md"]) if not b.language)
    for here, there in (("python3", "python"), (" && ", "; "), (".venv/bin/", ".venv\\Scripts\\")):
        commands = commands.replace(here, there)
    assert windows == commands


# Docstrings ---------------------------------------------------------------------------------------

MODULES = {
    ".".join(("tinygrad_mnist", *path.relative_to(PACKAGE).with_suffix("").parts)): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def examples(module):
    """Return the examples of all docstrings in a module's text, each as a doctest."""
    path = MODULES[module]
    names = {"np": np, "optimizer": optim.SGD([Tensor(1.0, requires_grad=True)], lr=0.1)}
    for package in (tinygrad_mnist, nn, optim):
        names |= {name: getattr(package, name) for name in package.__all__}
    names |= vars(importlib.import_module(module.removesuffix(".__init__")))
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            text = ast.get_docstring(node) or ""
            name = f"{module}.{getattr(node, 'name', '__doc__')}"
            line = getattr(node, "lineno", 1)
            test = doctest.DocTestParser().get_doctest(text, names, name, str(path), line)
            if test.examples:
                found.append(test)
    return found


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_print_what_they_show(name):
    complaints = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    for test in examples(name):
        runner.run(test, out=complaints.write)
    assert not complaints.getvalue(), complaints.getvalue()


def test_the_reader_of_docstrings_finds_examples():
    found = {test.name for name in MODULES for test in examples(name)}
    assert {"tinygrad_mnist.operation.op", "tinygrad_mnist.tensor.Tensor"} <= found


# Commands -----------------------------------------------------------------------------------------


def commands(page):
    """Return the words of every command in the ``console`` blocks of a page."""
    for block in blocks(page):
        if block.language == "console":
            text = block.text.replace("\\\n", " ")
            for line in text.splitlines():
                if line.startswith("$ "):
                    yield shlex.split(line[2:])


@cache
def help_of(command):
    """Return what the command line says of a sub-command."""
    printed = io.StringIO()
    plain = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    with mock.patch.dict(os.environ, plain), contextlib.redirect_stdout(printed):
        assert cli.main([*command, "--help"]) == 0
    return printed.getvalue()


def is_real(words):
    """Return whether a command names a script, module or option that exists."""
    program = Path(words[0]).name
    options = [word.partition("=")[0] for word in words if word.startswith("--")]
    if program == "tinygrad-mnist":
        command = tuple(word for word in words[1:2] if not word.startswith("-"))
        known = help_of(command)
        return all(re.search(rf"(?<!\S){option}\b", known) for option in options)
    if program in {"python", "python3"}:
        if words[1] == "-m":
            return words[2] == "venv" or importlib.util.find_spec(words[2]) is not None
        return (ROOT / words[1]).is_file()
    if program == "pytest":
        return all((ROOT / word).exists() for word in words[1:] if word.startswith("tests"))
    return program in {"pip", "ruff", "mypy", "bash", "git", "cd"}


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_of_a_page_exist_with_their_options(name):
    assert [" ".join(words) for words in commands(PAGES[name]) if not is_real(words)] == []


@pytest.mark.parametrize(
    ("command", "real"),
    [
        ("tinygrad-mnist train --hidden 128,64 --epochs=3", True),
        (".venv/bin/tinygrad-mnist evaluate my-run --json", True),
        ("tinygrad-mnist evaluate my-run --hidden 128", False),
        ("tinygrad-mnist train --hid 128", False),
        ("python examples/xor.py", True),
        ("python examples/no.py", False),
        ("python -m tests.benchmarks epoch", True),
        ("pytest tests/test_no.py", False),
        ("nonsense", False),
    ],
)
def test_the_reader_of_commands_knows_what_is_real(command, real):
    assert is_real(command.split()) is real


# Links --------------------------------------------------------------------------------------------


def anchor(heading):
    """Return the anchor that a heading gets on the web."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def prose(page):
    """Return a page without its blocks."""
    return re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)


def headings(page):
    """Return the headings of a page."""
    return re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)


@pytest.mark.parametrize("name", PAGES)
def test_the_links_of_a_page_lead_somewhere(name):
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(PAGES[name])):
        if target.startswith(("https://", "http://")):
            continue
        file, _, place = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        page = path.read_text(encoding="utf-8") if path.suffix == ".md" and path.exists() else ""
        if not path.exists() or (place and place not in map(anchor, headings(page))):
            lost.append(target)
    assert lost == []


# Kinks --------------------------------------------------------------------------------------------


def table_rows(page):
    """Return the cells of every row of a page's tables, without the rows of titles."""
    lines = [line for line in page.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    titles = {k - 1 for k, row in enumerate(rows) if set(row[0]) <= set("-:")}
    return [row for k, row in enumerate(rows) if k not in titles and k - 1 not in titles]


KINKS = table_rows(PAGES["docs/kinks.md"])


def value(cell, **names):
    """Return what a cell of a table says in Python."""
    return eval(cell.strip("`"), {"np": np, "ops": ops, **names})


@pytest.mark.parametrize("row", KINKS, ids=lambda row: f"{row[0]} at {row[1]}".replace("`", ""))
@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_a_kink_has_the_value_that_its_table_says(row):
    function, at, first, second, why = row
    assert why
    x = np.array(value(at), float)
    total = lambda x: np.sum(value(function, x=x))  # noqa: E731
    slope = grad(total)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(slope(x), value(first), rtol=1e-15)
        if second:
            np.testing.assert_allclose(grad(lambda x: np.sum(slope(x)))(x), value(second))


# Error messages -----------------------------------------------------------------------------------


def sections(page, level):
    """Return the headings of one level, each with the text below it."""
    parts = re.split(rf"^{'#' * level} (.+)$", page, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


ERRORS = sections(PAGES["docs/errors.md"], 3)


@pytest.mark.parametrize(("heading", "section"), ERRORS, ids=[heading for heading, _ in ERRORS])
def test_the_heading_of_an_error_is_the_message_that_its_section_reproduces(heading, section):
    shown = " ".join(block.text for block in blocks(section) if block.language == "text")
    words = r"\s+".join(map(re.escape, heading.split())).replace("…", ".*?")
    assert re.search(words, shown, re.DOTALL)
    assert re.search(r"\w+(Error|Warning): ", shown)


# Reference ----------------------------------------------------------------------------------------

PUBLIC = {
    f"{module.__name__}.{name}": (name, getattr(module, name))
    for module in (tinygrad_mnist, nn, optim, mnist)
    for name in module.__all__
}
SPANS = re.findall(r"`([^`]+)`", PAGES["docs/reference.md"])


@pytest.mark.parametrize("path", PUBLIC)
def test_the_reference_has_every_public_name_with_its_signature(path):
    name, thing = PUBLIC[path]
    signature = shown_signature(name, thing)
    line = (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ")
    assert signature in SPANS, f"docs/reference.md lacks the row\n| `{signature}` | {line} |"


def test_the_reference_has_no_name_that_is_not_public():
    rows = table_rows(PAGES["docs/reference.md"])
    names = {re.match(r"`(\w+)", row[0])[1] for row in rows}
    public = {name for name, _ in PUBLIC.values()}
    members = {n for c in (Tensor, Op, nn.Module, optim.SGD, optim.Schedule) for n in dir(c)}
    assert names - public - members - {"name"} == set()


@pytest.mark.parametrize("described", [Tensor, nn.Module, optim.Optimizer, optim.Schedule])
def test_the_reference_names_what_an_object_can_do(described):
    words = {word for span in SPANS for word in re.findall(r"\w+", span)}
    assert {name for name in dir(described) if not name.startswith("_")} - words == set()


# Contributing and changelog -----------------------------------------------------------------------


def test_the_page_on_adding_an_op_adds_an_op(tmp_path):
    page = PAGES["docs/contributing.md"]
    adding = next(text for heading, text in sections(page, 2) if heading == "Adding an op")
    op_text = [b.text for b in blocks(adding) if b.language == "python"][1]
    name = re.search(r"def (\w+)", op_text)[1]
    family = ROOT / re.search(r"`(tinygrad_mnist/ops/\w+\.py)`", adding)[1]
    registry = ROOT / re.search(r"\*\*2\. .*?`(tinygrad_mnist/\S+\.py)`", adding, re.DOTALL)[1]
    (test,) = [word for words in commands(adding) for word in words if word.startswith("tests/")]

    for folder in ("tinygrad_mnist", "tests"):
        ignored = shutil.ignore_patterns("__pycache__", "*.gz")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / family.relative_to(ROOT)).open("a", encoding="utf-8") as file:
        file.write(f"\n\n{op_text}")
    text = registry.read_text(encoding="utf-8")
    text = text.replace(f".{family.stem} import (\n", f".{family.stem} import (\n    {name},\n", 1)
    text = text.replace('    "where",\n', f'    "where",\n    "{name}",\n', 1)
    (tmp_path / registry.relative_to(ROOT)).write_text(text, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "-v", test, "-k", name],
        capture_output=True, text=True, check=False, timeout=120, cwd=tmp_path,
        env={**os.environ, "HYPOTHESIS_PROFILE": "reduced", "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"{test}::\S*{name}\S* PASSED", done.stdout)


def test_the_page_for_contributors_lists_the_rooms_in_their_order():
    listed = re.search(r"Imports point down: (.*?)\.\n", PAGES["docs/contributing.md"], re.DOTALL)[
        1
    ]
    rooms = [room for room in ROOMS if importlib.util.find_spec(f"tinygrad_mnist.{room}")]
    assert re.findall(r"`(\w+)`", listed) == rooms[::-1]


def test_the_changelog_begins_with_the_version_of_the_package():
    first = sections(PAGES["docs/changelog.md"], 2)[0][0]
    assert first.startswith(f"[{version('tinygrad_mnist')}]")


# The picture --------------------------------------------------------------------------------------


def words_in(svg):
    """Return the words that a picture shows, in order of the alphabet."""
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    return sorted(html.unescape(" ".join(texts)).split())


def test_the_picture_of_the_readme_is_what_its_script_draws(tmp_path):
    folder = ROOT / "docs" / "images"
    script = shutil.copy(folder / "graph.py", tmp_path)
    runpy.run_path(script)
    drawn = (tmp_path / "graph.svg").read_text(encoding="utf-8")
    kept = (folder / "graph.svg").read_text(encoding="utf-8")
    assert words_in(kept) == words_in(drawn)
    assert "cross_entropy" in words_in(kept)
