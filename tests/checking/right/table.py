"""Where right functions are entered, each with what `gradcheck` is given for it."""

from __future__ import annotations

from typing import Any

CASES: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any]]] = {}


def right(*inputs: Any, **options: Any) -> Any:
    """Enter a function into the table: to be searched, or to be checked at `inputs`."""

    def enter(f: Any) -> Any:
        name = getattr(f, "name", None) or f.__name__
        assert name not in CASES
        CASES[name] = (f, inputs, options)
        return f

    return enter
