"""Rendering DOT: by Graphviz where it is, else by graphviz-pure."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import sysconfig
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import graphviz

from tinygrad_mnist.drawing.crossing import part, routed
from tinygrad_mnist.drawing.pages import page
from tinygrad_mnist.files import write_whole


class NoRenderer(RuntimeWarning):
    """Nothing here makes a picture of DOT source; raised by `pipe`, a warning of `draw`."""


_MISSING = (
    "neither dot nor graphviz-pure is there to make a picture: pip install graphviz-pure, or "
    "install Graphviz from your system's packages (the Python package graphviz draws nothing)"
)
# A PNG's side and area, in pixels: beyond the first cairo gives up, beyond the second browsers do.
_LONGEST, _LARGEST = 30_000, 50_000_000


class Picture(graphviz.Digraph):  # type: ignore[misc]
    """A `graphviz.Digraph` that is rendered by graphviz-pure where dot is missing."""

    def pipe(
        self,
        format: str | None = None,  # noqa: A002
        *positional: Any,
        engine: str | None = None,
        encoding: str | None = None,
        **options: Any,
    ) -> Any:
        """Return the picture; see `graphviz.Digraph.pipe`.

        Raises `NoRenderer`, or `ValueError` if a PNG would be of absurd size.
        """
        kind, program = format or self.format, engine or self.engine
        if kind == "png":
            self._refuse_large()
        options.setdefault("quiet", True)  # dot's doubts about a layout are not the user's
        source = self.source
        rest, across = part(self.body)
        if across and program == "dot":
            bare = self.copy()
            bare.body = rest
            laid = _rendered(bare.source, "dot", "dot", quiet=True).decode()
            source, program = routed(laid, across), "neato"
            options["neato_no_op"] = 2  # all is in its place already
        data = _rendered(source, program, kind, *positional, **options)
        return data.decode(encoding) if encoding else data

    def render(
        self,
        filename: str | os.PathLike[str] | None = None,
        directory: str | os.PathLike[str] | None = None,
        view: bool = False,
        cleanup: bool = False,
        format: str | None = None,  # noqa: A002
        *,
        outfile: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> str:
        """Write source and picture; see `graphviz.Digraph.render`. Raises as `pipe` does."""
        kind = format or (Path(outfile).suffix[1:] if outfile else self.format)
        if kind == "png":
            with suppress(NoRenderer):  # which comes again, when the source is written
                self._refuse_large()
        named = Path(outfile).with_suffix(".gv") if outfile and filename is None else filename
        source = Path(self.save(named, directory=directory))
        path = Path(self.directory, outfile) if outfile else Path(f"{source}.{kind}")
        try:
            path.write_bytes(self.pipe(kind, **options))
        except NoRenderer as error:
            raise NoRenderer(f"{error}; the source is in {source}") from None
        if cleanup:
            source.unlink()
        if view:
            graphviz.view(path)
        return str(path)

    def write(self, file: str | os.PathLike[str]) -> None:
        """Write the picture as the ending of `file` says; without a renderer the source."""
        path, kind = Path(file), ending(file)
        if kind in {"gv", "dot"}:
            write_whole(path, self.source.encode())
            return
        try:
            if kind == "html":
                text = page("graph.html", self.pipe("svg", encoding="utf-8"), title=path.stem)
                write_whole(path, text.encode())
            else:
                write_whole(path, self.pipe(kind))
        except NoRenderer as error:
            source = path.with_suffix(".gv")
            write_whole(source, self.source.encode())
            warnings.warn(NoRenderer(f"{error}; the source is in {source}"), stacklevel=3)

    def _refuse_large(self) -> None:
        """Raise if a PNG of the picture would be of absurd size."""
        _, _, width, height, *_ = Picture.pipe(self, "plain").split(maxsplit=4)
        across, down = (math.ceil(96 * float(inches)) for inches in (width, height))
        if max(across, down) > _LONGEST or across * down > _LARGEST:
            raise ValueError(
                f"a PNG of {across:,} by {down:,} pixels is too large: write an .svg, or fold "
                "modules with depth= or collapse="
            )

    def _repr_mimebundle_(self, *args: Any, **options: Any) -> dict[str, Any]:
        try:
            return dict(super()._repr_mimebundle_(*args, **options))
        except NoRenderer as error:
            return {"text/plain": str(error)}


def ending(file: str | os.PathLike[str]) -> str:
    """Return the format that a file's ending names; refuse what is none, and a missing folder."""
    path = Path(file)
    need_folder(path)
    kind = path.suffix[1:].lower()
    if kind not in {"gv", "dot", "html", *graphviz.FORMATS}:
        raise ValueError(f"{path.name} ends in no format to draw: .svg, .png, .html, .pdf or .gv")
    return kind


def need_folder(path: Path) -> None:
    """Raise if a file can't be written where it is to be, before any work is done."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.name} can't be written: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"{path.name} can't be written: {path.parent} takes no new files")


def _rendered(source: str, engine: str, kind: str, *positional: Any, **options: Any) -> bytes:
    """Return what Graphviz makes of DOT source, or graphviz-pure where that is missing."""
    try:
        return bytes(graphviz.pipe(engine, kind, source.encode(), *positional, **options))
    except graphviz.ExecutableNotFound:
        return _pipe_pure(source, engine, kind, options.get("neato_no_op"))


def _pipe_pure(source: str, engine: str, kind: str, no_op: int | None = None) -> bytes:
    """Return the picture that graphviz-pure makes of DOT source."""
    beside = os.pathsep.join([str(Path(sys.executable).parent), sysconfig.get_path("scripts")])
    command = shutil.which("graphviz-pure", path=beside) or shutil.which("graphviz-pure")
    if command is None:
        raise NoRenderer(_MISSING)
    done = subprocess.run(  # noqa: S603 - an absolute path, and no shell
        [command, f"-K{engine}", f"-T{kind}", *([f"-n{no_op}"] if no_op else [])],
        input=source.encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise NoRenderer(
            f"graphviz-pure makes no {kind} of this ({''.join(reason)}): take svg or png, or "
            "install Graphviz itself"
        )
    return done.stdout
