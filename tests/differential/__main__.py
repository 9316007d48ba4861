"""Compare derivatives with other frameworks: `python -m tests.differential`, or `... NAME...`."""

import sys
import warnings
from pathlib import Path

import numpy as np

from tests.differential import page
from tests.differential.comparing import DIFFERS, DRAWS, RTOL, compare
from tests.differential.peers import PEERS, Ours
from tests.differential.reasons import reason
from tests.inventory.table import CALLS, OTHERS, load

NEURAL = load(Path(__file__).parent / "neural.txt")


def main(names):
    """Compare the calls of some functions, or of all; of all, write the page."""
    warnings.simplefilter("ignore")  # frameworks warn of much
    calls = [c for c in [*CALLS, *OTHERS, *NEURAL] if not names or c.name in names]
    ours, verdicts, versions = Ours(), {}, {"NumPy": np.__version__}
    unexplained = False
    for peer in (make() for make in PEERS):
        versions[peer.name], verdicts[peer.name] = peer.version, {}
        for call in calls:
            verdict = verdicts[peer.name][call] = compare(ours, peer, call)
            if names or verdict.kind == DIFFERS:
                why = reason(peer.name, call) if verdict.kind == DIFFERS else ""
                unexplained |= why is None
                print(f"{peer.name}: {call}: {verdict.kind} {verdict.words[:80]} {why or ''}")
        print(f"{peer.name} {peer.version}: done", flush=True)
    if not names:
        page.write(verdicts, versions, DRAWS, RTOL)
    return unexplained


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
