"""The gallery docs/draw.md: `python -m tests.gallery` draws its pictures, `--peers` those of peers.

Each ``python`` block of the page makes the picture whose link follows it, as its variable
``picture`` or as the page ``steps.html``. A kept picture ends in the digest of what it was drawn
from: layouts differ between versions of Graphviz, what they lay out does not.
"""

import hashlib
import linecache
import os
import re
from dataclasses import dataclass
from pathlib import Path

from tests.markdown import blocks

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "draw.md"
IMAGES = DOCS / "images" / "gallery"


@dataclass(frozen=True)
class Shown:
    """What a block of the page makes: the file that shows it, and a picture or a page's text."""

    file: str
    made: object

    @property
    def source(self):
        """What it is drawn from: DOT, or the steps of a page."""
        if isinstance(self.made, str):
            return re.search(r'id="steps">(.*?)</script>', self.made, re.DOTALL)[1]
        return self.made.source

    @property
    def mark(self):
        """The last line of the file that shows it."""
        return f"<!-- {hashlib.sha256(self.source.encode()).hexdigest()} -->\n"


def exhibits(page, folder):
    """Run the blocks of a page in a folder; yield what those with a picture below make."""
    namespace = {"__name__": "__main__"}
    before = Path.cwd()
    os.chdir(folder)
    try:
        python = [block for block in blocks(page) if block.language == "python"]
        for block, following in zip(python, [*python[1:], None], strict=True):
            lines = page.splitlines()[block.line : following and following.line]
            linked = re.search(r"\]\(images/gallery/(\w+)\.(svg|png)\)", "\n".join(lines))
            name = linked[1] if linked else "gallery"
            # so that tooltips count lines from the block's first, wherever it stands
            source = f"{name}.py"
            linecache.cache[source] = (1, None, block.text.splitlines(keepends=True), source)
            exec(compile(block.text, source, "exec"), namespace)
            if linked and linked[2] == "svg":
                yield Shown(f"{name}.svg", namespace.pop("picture"))
            elif linked:
                yield Shown(f"{name}.html", Path(f"{name}.html").read_text("utf-8"))
    finally:
        os.chdir(before)
