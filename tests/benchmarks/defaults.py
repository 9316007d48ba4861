"""The study behind the defaults of `train`: each choice changed, judged by validation images.

`python -m tests.benchmarks.defaults FOLDER [--round 1|2] [--seeds N] [--epochs N]` trains each
contestant in a subfolder of FOLDER, on 50,000 images and one BLAS thread, and prints a table of how
well it does on the 10,000 training images set aside, which alone counts: no choice is made on the
test images. What is there is not trained again.
"""

import argparse
import statistics
import time
from pathlib import Path

from tinygrad_mnist.mnist import Config, Run, train

VALIDATION = 10_000

START = {"hidden": (256, 128), "dropout": 0.2, "init": "he", "weight_decay": 0.0}

FIRST = {  # one choice changed
    "nothing": {},
    "hidden 128,64": {"hidden": (128, 64)},
    "hidden 512,256": {"hidden": (512, 256)},
    "hidden 512,128": {"hidden": (512, 128)},
    "hidden 256,256": {"hidden": (256, 256)},
    "dropout 0": {"dropout": 0.0},
    "dropout 0.1": {"dropout": 0.1},
    "dropout 0.3": {"dropout": 0.3},
    "dropout 0.4": {"dropout": 0.4},
    "dropout 0.2,0": {"dropout": (0.2, 0.0)},
    "dropout 0.3,0.1": {"dropout": (0.3, 0.1)},
    "lr 0.005": {"lr": 0.005},
    "lr 0.01": {"lr": 0.01},
    "lr 0.05": {"lr": 0.05},
    "momentum 0, lr 0.1": {"momentum": 0.0, "lr": 0.1},
    "momentum 0.95, lr 0.01": {"momentum": 0.95, "lr": 0.01},
    "schedule constant": {"schedule": "constant"},
    "weight decay 1e-5": {"weight_decay": 1e-5},
    "weight decay 1e-4": {"weight_decay": 1e-4},
    "init glorot": {"init": "glorot"},
    "init xavier": {"init": "xavier"},
    "activation leaky_relu": {"activation": "leaky_relu"},
    "activation tanh": {"activation": "tanh"},
    "optimizer adam": {"optimizer": "adam"},
    "optimizer adamw": {"optimizer": "adamw", "weight_decay": 0.01},
    "optimizer rmsprop": {"optimizer": "rmsprop"},
}

SECOND = {  # what lowered the loss most in the first round, for more seeds
    "nothing": {},
    "weight decay 1e-4": {"weight_decay": 1e-4},
}


def main(arguments: list[str] | None = None) -> None:
    """Train what is missing, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.defaults")
    parser.add_argument("folder", type=Path, help="where the runs are, or will be")
    parser.add_argument("--round", type=int, choices=[1, 2], default=1)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args(arguments)

    print("| changed | validation accuracy, mean | each seed | loss | processor time, s |")
    print("|---|---|---|---|---|")
    for name, changes in (FIRST if options.round == 1 else SECOND).items():
        runs = [trained(options, name, changes, seed) for seed in range(options.seeds)]
        print(row(name, runs), flush=True)


def trained(options: argparse.Namespace, name: str, changes: dict, seed: int) -> Run:
    """Return the run of a contestant and a seed, trained if it is not there."""
    folder = options.folder / f"{name.replace(' ', '_')}-{seed}"
    if not (folder / "seconds").exists():
        began = time.process_time()
        choices = START | {"epochs": options.epochs, "seed": seed} | changes
        train(Config(validation=VALIDATION, threads=1, **choices), out=folder, force=True)
        (folder / "seconds").write_text(f"{time.process_time() - began:.1f}")
    return Run(folder)


def row(name: str, runs: list[Run]) -> str:
    """Return a contestant's line of the table."""
    ends = [run.epochs()[-1] for run in runs]
    accuracies = [100 * end.validation_accuracy for end in ends]
    loss = statistics.mean(end.validation_loss for end in ends)
    seconds = statistics.mean(float((run.folder / "seconds").read_text()) for run in runs)
    each = ", ".join(f"{accuracy:.2f}" for accuracy in accuracies)
    return f"| {name} | {statistics.mean(accuracies):.2f} % | {each} | {loss:.4f} | {seconds:.0f} |"


if __name__ == "__main__":
    main()
