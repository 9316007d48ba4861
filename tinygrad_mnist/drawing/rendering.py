"""Rendering DOT: by Graphviz where it is, else by graphviz-pure."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import sysconfig
import warnings
from pathlib import Path
from typing import Any

import graphviz


class NoRenderer(RuntimeWarning):
    """Nothing here makes a picture of DOT source; raised by `pipe`, a warning of `draw`."""


_MISSING = (
    "neither dot nor graphviz-pure is there to make a picture: pip install graphviz-pure, or "
    "install Graphviz from your system's packages (the Python package graphviz draws nothing)"
)
_LARGEST = 30_000  # pixels of a PNG's side: beyond, cairo gives up


class Picture(graphviz.Digraph):  # type: ignore[misc]
    """A `graphviz.Digraph` that is rendered by graphviz-pure where dot is missing."""

    def pipe(self, format: str | None = None, **options: Any) -> Any:  # noqa: A002
        """Return the picture; see `graphviz.Digraph.pipe`. Raises `NoRenderer`."""
        try:
            return super().pipe(format, **options)
        except graphviz.ExecutableNotFound:
            engine, kind = options.get("engine") or self.engine, format or self.format
            data = _pipe_pure(self.source, engine, kind)
            encoding = options.get("encoding")
            return data.decode(encoding) if encoding else data

    def render(
        self,
        filename: str | os.PathLike[str] | None = None,
        directory: str | os.PathLike[str] | None = None,
        *,
        outfile: str | os.PathLike[str] | None = None,
        format: str | None = None,  # noqa: A002
        cleanup: bool = False,
        **options: Any,
    ) -> str:
        """Write source and picture; see `graphviz.Digraph.render`. Raises `NoRenderer`."""
        try:
            where = {"directory": directory, "outfile": outfile, "format": format}
            return str(super().render(filename, cleanup=cleanup, **where, **options))
        except graphviz.ExecutableNotFound:
            source = Path(self.filepath)  # written by now
        kind = format or (Path(outfile).suffix[1:] if outfile else self.format)
        path = Path(self.directory, outfile) if outfile else Path(f"{source}.{kind}")
        try:
            path.write_bytes(_pipe_pure(self.source, options.get("engine") or self.engine, kind))
        except NoRenderer as error:
            raise NoRenderer(f"{error}; the source is in {source}") from None
        if cleanup:
            source.unlink()
        return str(path)

    def write(self, file: str | os.PathLike[str]) -> None:
        """Write the picture as the ending of `file` says; without a renderer the source."""
        path = Path(file)
        kind = path.suffix[1:].lower()
        if kind in {"gv", "dot"}:
            path.write_text(self.source, "utf-8")
            return
        if kind not in graphviz.FORMATS:
            raise ValueError(f"{path.name} ends in no format to draw: .svg, .png, .pdf or .gv")
        try:
            if kind == "png":
                self._refuse_large()
            path.write_bytes(self.pipe(kind))
        except NoRenderer as error:
            source = path.with_suffix(".gv")
            source.write_text(self.source, "utf-8")
            warnings.warn(NoRenderer(f"{error}; the source is in {source}"), stacklevel=3)

    def _refuse_large(self) -> None:
        _, _, width, height, *_ = self.pipe("plain").split(maxsplit=4)
        pixels = [math.ceil(96 * float(inches)) for inches in (width, height)]
        if max(pixels) > _LARGEST:
            raise ValueError(
                f"a PNG of {pixels[0]} by {pixels[1]} pixels is too large: write an .svg"
            )

    def _repr_mimebundle_(self, *args: Any, **options: Any) -> dict[str, Any]:
        try:
            return dict(super()._repr_mimebundle_(*args, **options))
        except NoRenderer as error:
            return {"text/plain": str(error)}


def _pipe_pure(source: str, engine: str, kind: str) -> bytes:
    """Return the picture that graphviz-pure makes of DOT source."""
    beside = os.pathsep.join([str(Path(sys.executable).parent), sysconfig.get_path("scripts")])
    command = shutil.which("graphviz-pure", path=beside) or shutil.which("graphviz-pure")
    if command is None:
        raise NoRenderer(_MISSING)
    done = subprocess.run(  # noqa: S603 - an absolute path, and no shell
        [command, f"-K{engine}", f"-T{kind}"],
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
