"""Which functions of NumPy are differentiated right: `python -m tests.inventory [NAME...]`."""

import sys

from tests.inventory.checks import check
from tests.inventory.table import CALLS, OTHERS


def main(names):
    """Check the calls of some functions, or of all; print what fails, and counts."""
    calls = [call for call in [*CALLS, *OTHERS] if not names or call.name in names]
    failed = {}
    for call in calls:
        try:
            check(call)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is printed
            failed[call] = error
            text = " ".join(str(error).split())[:200]
            print(f"{call}: {type(error).__name__}: {text}")
    right = {call.name for call in calls} - {call.name for call in failed}
    print(f"{len(right)} of {len({call.name for call in calls})} functions")
    print(f"{len(calls) - len(failed)} of {len(calls)} calls")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
