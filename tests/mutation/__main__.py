"""The command line: `python -m tests.mutation [--sample N] [--ops A,B] [--right N]`."""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from tests.mutation import running, tables, truth
from tests.mutation.running import MISSED, OPEN
from tinygrad_mnist import ops

RESULTS = Path("runs/mutation.jsonl")


def main() -> None:
    """Judge mutants and right ops, and print the tables as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--ops", help="names with commas; all of the registry by default")
    parser.add_argument("--sample", type=int, help="judge so many mutants, chosen by chance")
    parser.add_argument("--right", type=int, default=10_000, help="checks of right ops, in all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--fresh", action="store_true", help="forget what an earlier run judged")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where results are kept")
    parser.add_argument("--peers", type=int, help="ask other checkers of so many mutants instead")
    options = parser.parse_args()

    names = options.ops.split(",") if options.ops else list(ops.registry)
    unknown = [name for name in names if name not in ops.registry]
    if unknown:
        parser.error(f"no op is called {', '.join(unknown)}")
    if options.peers:
        compare_with_peers(names, options.peers, options.seed)
        return
    rights_file = options.results.with_suffix(".right.jsonl")
    if options.fresh:
        options.results.unlink(missing_ok=True)
        rights_file.unlink(missing_ok=True)
    wanted = None
    if options.sample:
        wanted = {m.name for m in running.sample(options.sample, options.seed, names)}
    start = time.perf_counter()
    results = []
    for some in running.judge_all(options.results, names, options.jobs, wanted):
        results += [r for r in some if r.op in names and (wanted is None or r.name in wanted)]
        progress(f"{len(results)} mutants, {time.perf_counter() - start:.0f} s")
    rights = []
    for one in running.check_rights(rights_file, names, options.right, options.jobs):
        rights.append(one)
        progress(
            f"{sum(r.checks for r in rights):,} right checks, {time.perf_counter() - start:.0f} s"
        )
    print(tables.of_kinds(results))
    print(f"\n{tables.of_rights(rights)}")
    for result in results:
        if result.verdict in {MISSED, OPEN}:
            print(f"\n{result.verdict}: {result.name}")
    for right in rights:
        for accused in right.accused:
            print(f"\naccused: {right.op}: {accused}")


def compare_with_peers(names: list[str], count: int, seed: int) -> None:
    """Print how every checker fares at a sample of wrong mutants, and at the right ops."""
    from tests.mutation import peers

    sample = running.sample(2 * count, seed, names)
    points = {op: truth.points(op) for op in dict.fromkeys(m.op for m in sample)}
    wrong = [m for m in sample if truth.classify(m, points[m.op]) == truth.WRONG][:count]
    progress(f"{len(wrong)} wrong mutants of {len({m.op for m in wrong})} ops")
    records: Any = {}
    for records in peers.compare(wrong):
        progress(f"{tables.of_peers(records)}\n")
    print(tables.of_peers(records))


def progress(message: str) -> None:
    """Say on stderr how far the run has come."""
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
