"""`python -m tests.mnist.killing FOLDER CONFIG KILLS SEED`: a training killed at random moments.

CONFIG is the file of a Config. Each process is forked from this one, so that it starts at once.
Many save a checkpoint after each step, so that most kills meet a file being written. The one after
the last kill may finish; the number of kills is printed. Where a machine is so fast that one ends
before, all starts again, with kills that come sooner.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from tinygrad_mnist.mnist import Config, loop, resume, train


def main() -> None:
    """Kill and resume."""
    folder, config_file, kills, seed = sys.argv[1:]
    config = Config.from_dict(json.loads(Path(config_file).read_text("utf-8")))
    chance = random.Random(int(seed))
    loop._TIMES = 0.0
    import tinygrad_mnist.drawing
    import tinygrad_mnist.mnist.report  # noqa: F401 - to be there in each child

    killed, longest = 0, 1.0  # seconds before a kill
    while True:
        loop._SECONDS = chance.choice([0.0, 0.02, 5.0])
        child = os.fork()
        if not child:
            work(folder, config)
        if killed < int(kills):
            drawn = Path(folder, "graph.svg").exists()  # which takes longer than all before it
            time.sleep(chance.uniform(0, longest / 4 if drawn else longest))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if status == 0 and killed < int(kills):
            shutil.rmtree(folder)
            killed, longest = 0, longest / 2
            continue
        if not os.WIFSIGNALED(status):
            print(killed)
            sys.exit(os.waitstatus_to_exitcode(status))
        killed += 1


def work(folder: str, config: Config) -> None:
    """Train in this process, and end it."""
    code = 1
    try:
        if os.path.exists(folder):  # noqa: PTH110
            resume(folder)
        else:
            train(config, out=folder)
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
