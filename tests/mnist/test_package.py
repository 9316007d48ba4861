"""What `tinygrad_mnist.mnist` offers, and what importing it loads."""

import subprocess
import sys

from tinygrad_mnist import mnist

HEAVY = {"graphviz", "matplotlib", "PIL", "rich", "safetensors", "threadpoolctl", "typer"}


def test_every_public_name_is_there_and_sorted():
    assert sorted(mnist.__all__) == mnist.__all__
    assert all(hasattr(mnist, name) for name in mnist.__all__)


def test_no_public_function_has_the_name_of_a_module():
    modules = {
        name.split(".")[2] for name in sys.modules if name.startswith("tinygrad_mnist.mnist.")
    }
    assert modules.isdisjoint(mnist.__all__)


def test_importing_it_loads_numpy_alone(root):
    program = (
        "import sys, tinygrad_mnist.mnist; print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert HEAVY.isdisjoint(done.stdout.split())
