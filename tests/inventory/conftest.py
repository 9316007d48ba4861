"""What is still to be written is named in `open.txt`, and not held against the rest."""

from pathlib import Path

import pytest

OPEN = set((Path(__file__).parent / "open.txt").read_text(encoding="utf-8").splitlines())


def pytest_collection_modifyitems(items):
    """Expect the failure of each test whose name, or parameters, are a line of `open.txt`."""
    for item in items:
        name, _, parameters = item.name.partition("[")
        if (parameters.removesuffix("]") or name) in OPEN:
            item.add_marker(pytest.mark.xfail(reason="open", strict=False))
