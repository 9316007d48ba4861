"""``python -m tests.checking.right``: check them all, and say of which there is more to say."""

import warnings

from tests.checking.right import CASES
from tinygrad_mnist import gradcheck
from tinygrad_mnist.checking import GradientError, GradientWarning


def main() -> None:
    """Check every function of the table, and print what `gradcheck` says that is not a pass."""
    for name, (f, inputs, options) in CASES.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", GradientWarning)
            try:
                said = gradcheck(f, *inputs, **options)
            except (GradientError, ValueError) as error:
                print(f"{name}: {error}")
            else:
                print(f"{name}: {said.verdict}" if said.verdict == "pass" else said)


if __name__ == "__main__":
    main()
