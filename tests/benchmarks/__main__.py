"""The command line: `python -m tests.benchmarks NAME [--small] [--repeats N] [--json]`."""

import argparse
import dataclasses
import json

from tests.benchmarks import epoch, importing, memory, per_op
from tests.benchmarks.measuring import machine

BENCHMARKS = {
    "epoch": epoch.run,
    "per_op": per_op.run,
    "memory": memory.run,
    "import": importing.run,
}


def main() -> None:
    """Measure what the command line names and print Markdown, or one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("name", choices=[*BENCHMARKS, "all"])
    parser.add_argument("--small", action="store_true", help="run once on little, to see it work")
    parser.add_argument("--repeats", type=int, help="runs of each contestant")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()

    names = list(BENCHMARKS) if options.name == "all" else [options.name]
    tables = {n: BENCHMARKS[n](small=options.small, repeats=options.repeats) for n in names}
    if options.json:
        plain = {name: [dataclasses.asdict(t) for t in tables[name]] for name in names}
        print(json.dumps({"machine": machine(), "benchmarks": plain}, indent=2))
        return
    print(machine())
    for name in names:
        for table in tables[name]:
            print(f"\n{table.markdown()}")


if __name__ == "__main__":
    main()
