"""The house: what imports what, what is public, and what an import loads."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import tinygrad_mnist
from tinygrad_mnist.operation import Op

ROOT = Path(tinygrad_mnist.__file__).parent
MODULES = {
    ".".join(("tinygrad_mnist", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in sorted(ROOT.rglob("*.py"))
}

# From the ground up; a module imports only from those before it, or from its own room.
ROOMS = (
    "targets",
    "files",
    "notebook",
    "nested",
    "graph",
    "recording",
    "generated",
    "rules",
    "protocols",
    "calling",
    "operation",
    "methods",
    "tensor",
    "ops",
    "switches",
    "reports",
    "engine",
    "traces",
    "autograd",
    "editing",
    "compiler",
    "checking",
    "drawing",
    "optim",
    "nn",
    "mnist",
)


def room(module):
    """Return the part of the package that a module belongs to."""
    return module.split(".")[1] if "." in module else ""


def imports(module, path):
    """Return the modules of this package that a module imports, wherever in its text."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [base])])
            members = {f"{base}.{alias.name}" for alias in node.names}
            found |= {m if m in MODULES else base for m in members}
    return {name for name in found if name.split(".")[0] == "tinygrad_mnist"}


def test_the_reader_of_imports_sees_every_kind_of_import_statement(tmp_path):
    path = tmp_path / "sample.py"
    path.write_text(
        "import numpy\nimport tinygrad_mnist.graph\nfrom tinygrad_mnist import tensor\n"
        "def f():\n    from .. import ops\n    from ..operation import op\n",
        encoding="utf-8",
    )
    assert imports("tinygrad_mnist.nn.sample", path) == {
        "tinygrad_mnist.graph",
        "tinygrad_mnist.tensor",
        "tinygrad_mnist.ops",
        "tinygrad_mnist.operation",
    }


def test_every_module_belongs_to_a_room_that_has_its_place():
    assert {room(module) for module in MODULES} <= {"", *ROOMS}


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module):
    if module == "tinygrad_mnist":
        return
    below = {*ROOMS[: ROOMS.index(room(module)) + 1], *([""] if room(module) == "mnist" else [])}
    for name in imports(module, MODULES[module]):
        assert room(name) in below, f"{module} imports {name}"


def test_no_import_inside_the_package_goes_through_its_front_door():
    for module, path in MODULES.items():
        if room(module) not in {"", "mnist"}:
            assert "tinygrad_mnist" not in imports(module, path), module


def test_op_tensor_and_grad_are_read_in_one_sitting():
    files = ("operation.py", "tensor.py", "autograd.py")
    assert sum(len((ROOT / file).read_text("utf-8").splitlines()) for file in files) <= 700


PUBLIC = {
    "Tensor", "op", "grad", "value_and_grad", "vjp", "jvp", "hvp", "jacobian", "hessian",
    "no_grad", "checkpoint", "map_gradient", "detect_anomaly", "gradcheck", "draw",
    "nn", "optim", "ops",
}  # fmt: skip


def with_numbers_in_order(name):
    """Return a key that sorts log2 before log10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


@pytest.mark.parametrize("package", ["tinygrad_mnist", "tinygrad_mnist.ops"])
def test_the_lists_of_public_names_are_sorted_and_true(package):
    module = import_module(package)
    constants_classes_rest = sorted(
        module.__all__,
        key=lambda name: (not name.isupper(), name[0].islower(), with_numbers_in_order(name)),
    )
    assert module.__all__ == constants_classes_rest
    assert len(set(module.__all__)) == len(module.__all__)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_the_public_names_are_there():
    missing = {name for name in PUBLIC if not hasattr(tinygrad_mnist, name)}
    assert missing == set()
    assert set(tinygrad_mnist.__all__) >= PUBLIC


def test_the_lists_of_public_names_are_complete():
    own = {
        name
        for name, value in vars(tinygrad_mnist).items()
        if not name.startswith("_")
        and getattr(value, "__module__", "").startswith("tinygrad_mnist")
    }
    assert own <= set(tinygrad_mnist.__all__)
    ops = tinygrad_mnist.ops
    assert set(ops.__all__) >= {
        name for name, value in vars(ops).items() if isinstance(value, Op) and name[0] != "_"
    }


def test_no_module_has_the_name_of_a_public_function():
    for module in MODULES:
        package, _, name = module.rpartition(".")
        if package:
            value = getattr(import_module(package), name, None)
            assert value is None or value is sys.modules.get(module), module


def loaded(statement):
    """Return the modules that a fresh interpreter has loaded after a statement."""
    code = f"import sys; {statement}; print('\\n'.join(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_numpy_and_the_standard_library_alone():
    new = loaded("import tinygrad_mnist") - loaded("import numpy")
    own = {name for name in new if name.split(".")[0] == "tinygrad_mnist"}
    foreign = {
        name
        for name in new - own
        if name.split(".")[0] not in sys.stdlib_module_names
        and not name.startswith(("numpy.", "_"))
    }
    assert foreign == set()
    later = {"mnist", "checking", "compiler", "drawing", "notebook"}
    assert {room(name) for name in own} & later == set()
    assert "tinygrad_mnist.nn.diagnosis" not in own


def test_the_directory_of_the_package_lists_its_public_names():
    assert set(dir(tinygrad_mnist)) >= set(tinygrad_mnist.__all__)


def test_an_unknown_name_is_refused_by_name():
    with pytest.raises(AttributeError, match="nonsense"):
        _ = tinygrad_mnist.nonsense
