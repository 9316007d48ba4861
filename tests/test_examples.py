"""The examples: each runs as it stands, and prints what it is there to show."""

import re
import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
SHOWN = {
    "by_hand_and_by_autograd": (
        r"loss by hand     (\S+)\n"
        r"loss by autograd \1\n"
        r"(dW\d: .* numbers, largest difference \d\.\de(-1[3-9]|[+]00) of the largest entry\n){3}"
        r"one step lowers the loss from 2\.\d+ to [12]\.\d+\n"
    ),
    "custom_op": (
        r"value    \[2\.5   0\.125 1\.5  \]\n"
        r"slope    \[-1\.   0\.5  1\. \]\n"
        r"constant 1\.150, where the mean is 10\.820\n"
        r"right    Report\(.*\)\n"
        r"wrong    .*huber with respect to x is wrong at .*\n"
    ),
    "mlp_in_20_lines": r"(epoch \d: 9[5-9]\.\d\d% of 10,000 test images right\n){2}",
    "xor": (
        r"(step +\d+  loss 0\.\d{4}\n){6}"
        r"0 xor 0 = 0\.0\d\d\n0 xor 1 = 0\.9\d\d\n1 xor 0 = 0\.9\d\d\n1 xor 1 = 0\.0\d\d\n"
    ),
}


def test_every_example_has_its_test():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(SHOWN)


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_prints_what_it_is_there_to_show(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert re.fullmatch(SHOWN[name], printed), printed
    assert list(tmp_path.iterdir()) == []


def test_mlp_in_20_lines_has_at_most_20_lines():
    text = (EXAMPLES / "mlp_in_20_lines.py").read_text(encoding="utf-8")
    assert len([line for line in text.splitlines() if line and not line.startswith('"""')]) <= 20
