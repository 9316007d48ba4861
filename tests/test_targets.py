"""What is named on the command line is found, or said to be missing with what was meant."""

import pytest

from tinygrad_mnist.targets import TargetError, find_target


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("class Box:\n    lid = 3\n\n\ndef swish(x):\n    return x\n")
    (tmp_path / "broken.py").write_text("import nowhere_at_all\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_modules_files_and_what_is_inside_of_an_object_are_found(here):
    assert find_target("math:pi") == pytest.approx(3.14159, 1e-5)
    assert find_target("mine.py:swish").__name__ == "swish"
    assert find_target(f"{here}/mine.py:Box.lid") == 3


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("swish", r"'swish' names nothing: write package.module:name or path/to/file.py:name"),
        ("mine.py:", "names nothing"),
        ("mine.py:swich", r"mine.py has no 'swich': did you mean 'swish'\?"),
        ("none.py:swish", "there is no file of Python none.py"),
        ("broken.py:f", "broken.py can't be imported: ModuleNotFoundError: .*nowhere_at_all"),
        ("no_such_module:f", "no_such_module can't be imported"),
    ],
)
def test_what_is_not_there_is_said_with_the_way_out(here, target, words):
    with pytest.raises(TargetError, match=words):
        find_target(target)
