"""What a text on the command line names: ``package.module:name`` or ``path/to/file.py:name``."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType


class TargetError(ValueError):
    """What was named can't be found, or is not what it should be."""


def find_target(target: str) -> Any:
    """Return what a text names, ``package.module:name`` or ``path/to/file.py:name``.

    Raises
    ------
    TargetError
    """
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name:
        raise TargetError(
            f"{target!r} names nothing: write package.module:name or path/to/file.py:name"
        )
    found: Any = _module(place)
    for part in name.split("."):
        if not hasattr(found, part):
            near = get_close_matches(part, [n for n in dir(found) if n[0] != "_"], 1)
            hint = f": did you mean {near[0]!r}?" if near else ""
            raise TargetError(f"{place} has no {part!r}{hint}")
        found = getattr(found, part)
    return found


def _module(place: str) -> ModuleType:
    """Import a module by its name or its file."""
    path = Path(place)
    is_file = path.suffix == ".py" or os.sep in place
    if is_file and not (path.is_file() and path.suffix == ".py"):
        raise TargetError(f"there is no file of Python {place}")
    sys.path.insert(0, str(path.parent.absolute() if is_file else Path.cwd()))
    try:
        if not is_file:
            return importlib.import_module(place)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise TargetError(f"{place} can't be imported: {_said(error)}") from error
    finally:
        sys.path.pop(0)
    return module


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
