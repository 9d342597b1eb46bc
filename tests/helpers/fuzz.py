"""Runs commands on damaged files: no traceback, exit code 0 or 2, and a message that names the damaged file.

    python tests/helpers/fuzz.py --count 50000 --seed 0 --out FOLDER

Input number i of a seed is always the same one. FOLDER keeps the world and progress.json; the same command goes on
after the last input that was tried, and --only 123 tries one again. Every failure is a line of failures.jsonl.
"""

import argparse
import collections
import contextlib
import io
import json
import logging
import os
import random
import re
import sys
import traceback
from pathlib import Path

from command_line import CommandResult
from damage import damaged
from fuzz_readers import try_reader
from fuzz_world import TARGETS, Target, check_world, decode_here, make_fuzz_world, remove, remove_outputs, run_on

_WEIGHTS = [target.weight for target in TARGETS]


def try_input(root: Path, seed: int, number: int, commands: float) -> tuple[str, str, str | None]:
    """Try one damaged input.

    Args:
        commands: the share of inputs that go through a command; the others go to a reader alone, which is faster.

    Returns (what read it, how it ended, the failure or None).
    """
    rng = random.Random(f"{seed} {number}")
    if rng.random() >= commands:
        return try_reader(root, rng)
    (target,) = rng.choices(TARGETS, _WEIGHTS)
    name, content = damaged((root / target.file).read_bytes(), target.kind, rng)

    def damage(file: Path) -> None:
        remove(file)  # it may be a link
        file.write_bytes(content)

    try:
        result = run_on(target, root, damage)
        outcome, failure = str(result.code), fault_of(result, target, root, content)
    except Exception:  # noqa: BLE001 (what is looked for)
        outcome, failure = "traceback", "".join(traceback.format_exc()[-1500:])
    remove_outputs(root)
    return f"{' '.join(target.words[:2])} {target.file}", outcome, None if failure is None else f"{name}: {failure}"


def fault_of(result: CommandResult, target: Target, root: Path, content: bytes) -> str | None:
    """What is wrong with how a command ended; None where nothing is."""
    message = " ".join(result.err.replace("│", " ").split())
    if result.code not in (0, 2, *target.wrong):
        return f"exit code {result.code}: {message[-300:]}"
    if "Traceback" in result.err:
        return f"a traceback: {message[-300:]}"
    if result.code != 2 or any(name in message.replace(" ", "") for name in names_of(target, root)):
        return None
    if is_about_what_it_says(message, content):
        return None
    return f"the message does not name {target.file}: {message[-400:]}"


def names_of(target: Target, root: Path) -> list[str]:
    """What a message may call the damaged file: its path where the command was given that; where the command was given
    a folder, and finds the file in it by itself, also the folder or one in between."""
    file, given = Path(target.file), re.findall(r"\{([^}]*)\}", " ".join(target.words))
    return [str(root / place) for place in (file, *(() if target.file in given else file.parents)) if place.name]


def is_about_what_it_says(message: str, content: bytes) -> bool:
    """Whether the damaged file can still be read, and the message is about what it says now: it begins with a value of
    the file, such as the name of another file that is not there; or no record of it can be used, and the message names
    the file that lists each record's own file, line and reason."""
    head = message.removeprefix("error: ").partition(": ")[0]
    listed = "no record was kept; the reasons are in " in message
    return listed or (bool(head) and head in content.decode("utf-8", "replace"))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", type=int)
    parser.add_argument("--commands", type=float, default=0.4, help="share of inputs that go through a command")
    options = parser.parse_args()
    logging.disable(logging.ERROR)
    os.fsync = lambda descriptor: None
    root, progress = (options.out / "world").resolve(), options.out / f"progress_{options.seed}.json"
    if not (options.out / "made").exists():
        remove(root)
        with contextlib.redirect_stdout(io.StringIO()):
            make_fuzz_world(root)
        (options.out / "made").touch()
    decode_here()
    if not (options.out / "checked").exists():
        check_world(root)
        (options.out / "checked").touch()
    if options.only is not None:
        print(try_input(root, options.seed, options.only, options.commands))
        return 0
    state = json.loads(progress.read_text()) if progress.exists() else {"done": 0, "outcomes": {}, "failures": 0}
    outcomes = collections.Counter(state["outcomes"])
    for number in range(state["done"], options.count):
        what, outcome, failure = try_input(root, options.seed, number, options.commands)
        outcomes[f"{what}: {outcome}"] += 1
        if failure is not None:
            state["failures"] += 1
            with (options.out / "failures.jsonl").open("a") as log:
                log.write(json.dumps({"seed": options.seed, "number": number, "what": what, "failure": failure}) + "\n")
        if number % 100 == 99 or number + 1 == options.count:
            progress.write_text(json.dumps({**state, "done": number + 1, "outcomes": outcomes}))
    print(json.dumps(summary(outcomes) | {"failures": state["failures"]}, indent=1))
    return int(state["failures"] > 0)


def summary(outcomes: collections.Counter) -> dict:
    """How many inputs there were, and how they ended."""
    ends = collections.Counter()
    for key, n in outcomes.items():
        ends[key.rpartition(": ")[2]] += n
    return {"tried": sum(ends.values()), "ended": dict(ends), "by": dict(sorted(outcomes.items()))}


if __name__ == "__main__":
    sys.exit(main())
