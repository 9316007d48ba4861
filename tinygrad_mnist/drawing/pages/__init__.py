"""Pages: a picture in one HTML file, which needs no network, with a script that moves it."""

from __future__ import annotations

import html
import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def page(template: str, svg: str, **parts: Any) -> str:
    """Return the text of a page.

    Parameters
    ----------
    template : str
        A file beside this one, with the names of its parts, and of other files, in double braces.
    svg : str
        The picture, as a renderer returns it.
    **parts
        Texts; anything else goes into a script as JSON.
    """
    texts = {name: _safe(part) for name, part in parts.items()}
    texts["svg"] = svg[svg.index("<svg") :]  # without what stands before it in a file of its own
    return "".join(_filled(_read(template), texts))


def _read(file: str) -> str:
    return files(__name__).joinpath(file).read_text("utf-8").rstrip()


def _safe(part: Any) -> str:
    """Return a text without meaning to HTML, or data without meaning to a script's end."""
    if isinstance(part, str):
        return html.escape(part)
    return json.dumps(part, ensure_ascii=False).replace("<", "\\u003c")


def _filled(template: str, parts: Mapping[str, str]) -> Iterator[str]:
    while "{{" in template:
        before, _, rest = template.partition("{{")
        name, _, template = rest.partition("}}")
        yield before
        yield parts[name] if name in parts else _read(name)
    yield template
