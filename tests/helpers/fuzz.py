"""Runs commands on damaged files: no traceback, exit code 0 or 2, and a message that names a file.

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
import warnings
from pathlib import Path

from command_line import CommandResult, harken
from damage import BY_STRUCTURE, damaged
from fuzz_readers import try_reader
from fuzz_world import OUTPUTS, TARGETS, Target, copy_of, decode_here, make_fuzz_world, remove, words_of

_FILE_NAME = re.compile(r"[\w-]\.(jsonl?|ya?ml|csv|md|txt|safetensors|pt|wav|jinja)\b")
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
    file = root / target.file
    before = file.read_bytes() if file.exists() else b""
    if target.writes:
        remove(root / "kept")
        copy_of(root / target.writes, root / "kept")
    name, content = damaged(before, target.kind, rng)
    what = f"{' '.join(target.words[:2])} {target.file}"
    try:
        remove(file)  # it may be a link
        file.write_bytes(content)
        outcome, failure = run_command(target, root, name)
    finally:
        for output in OUTPUTS:
            remove(root / output)
        if target.writes:
            remove(root / target.writes)
            (root / "kept").rename(root / target.writes)
        if not file.is_relative_to(root / target.writes) or not target.writes:
            file.write_bytes(before)
    return what, outcome, None if failure is None else f"{name}: {failure}"


def run_command(target: Target, root: Path, damage: str) -> tuple[str, str | None]:
    """(exit code as text, what is wrong with the result)."""
    stdin, sys.stdin = sys.stdin, io.StringIO("aaq")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = harken(*words_of(target, root))
    except Exception:  # noqa: BLE001 (what is looked for)
        return "traceback", "".join(traceback.format_exc()[-1500:])
    finally:
        sys.stdin = stdin
    return str(result.code), fault_of(result, target, root, damage)


def fault_of(result: CommandResult, target: Target, root: Path, damage: str) -> str | None:
    message = " ".join(result.err.replace("│", " ").split())
    if result.code not in (0, 2, *target.wrong):
        return f"exit code {result.code}: {message[-300:]}"
    if "Traceback" in result.err:
        return f"a traceback: {message[-300:]}"
    if result.code != 2:
        return None
    squeezed = message.replace(" ", "")
    if damage in BY_STRUCTURE:  # a value may now name another file, and the message is about that one
        return None if message.startswith("error: ") and ": " in message[7:] else f"no place: {message[-300:]}"
    if str(root) not in squeezed and not _FILE_NAME.search(message):  # it may be a file with the reasons
        return f"the message names no file: {message[-300:]}"
    return None


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
