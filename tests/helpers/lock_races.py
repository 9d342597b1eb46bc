"""Two processes that start on one folder at the same moment: lock_races.py RECIPE FOLDER RACES.

Processes are forked after the imports. Prints for each race the exit codes and the last line of each process, as JSON.
"""

import json
import os
import sys
import time
from pathlib import Path

from small_runs import quiet_console

from harken.config import load_recipe
from harken.errors import HarkenError
from harken.grpo.loop import train


def start(recipe: Path, out: Path, moment: float) -> tuple[int, int]:
    """Fork a process that trains from `moment` on. Returns its number and the pipe that it reports to."""
    reader, writer = os.pipe()
    if (child := os.fork()) != 0:
        os.close(writer)
        return child, reader
    code, line = 0, "done"
    time.sleep(max(0.0, moment - time.time()))
    try:
        train(load_recipe(recipe), out, quiet_console())
    except HarkenError as error:
        code, line = 2, str(error)
    os.write(writer, line.encode())
    os._exit(code)


def main(recipe: str, folder: str, races: str) -> None:
    results = []
    for race in range(int(races)):
        moment = time.time() + 0.05
        started = [start(Path(recipe), Path(folder) / str(race), moment) for _ in range(2)]
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child, _ in started]
        lines = [os.read(reader, 4096).decode() for _, reader in started]
        results.append({"codes": codes, "lines": lines, "pids": [child for child, _ in started]})
    print(json.dumps(results))


main(*sys.argv[1:])
