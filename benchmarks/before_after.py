"""harken's own steps, passes and rollout in an earlier commit and now: results/before_after.json.

    git worktree add BEFORE 1845dae
    benchmarks/peers/swift_environment.sh ENVIRONMENT
    python benchmarks/before_after.py --before BEFORE --swift ENVIRONMENT

    git worktree add BEFORE cae82c8
    python benchmarks/before_after.py --before BEFORE --name before_objectives --rounds 31 --only "G=4 packed"

The second pair asks what the objectives, the resampling and the reward part listening cost a step that uses none of
them. The work is that of text_step.py, audio_step.py, passes.py, growth.py and rollout_width.py, without their peers.
Each version runs in a process of its own; they take turns within a round, after a round that warms up. Without
`--swift` the steps with audio are left out.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from audio_step import AIMS, PEERS
from growth import GROUPS
from harness import RESULTS, Peer, interleaved, median_interval, ratios, spread, summary, write_cases
from own_step import FORMS
from passes import SHAPES as PASS_SHAPES
from rollout_width import build
from text_model import write_text_model
from text_step import SHAPES as STEP_SHAPES

Cases = dict[str, list[Any]]
"""Name of a case -> its kind and arguments in peers/version_side.py."""
ROLLOUT = (16, 8, 64, 2.0)
"""Prompts, completions of each, tokens, seconds of a clip."""


def text_cases(checkpoint: Path) -> Cases:
    steps = {
        f"step P={p} R={r} G={g} {form}": ["text", str(checkpoint), p, r, g, form, 1]
        for p, r, g in STEP_SHAPES
        for form in FORMS
    }
    growth = {f"growth G={group}": ["text", str(checkpoint), 300, 10, group, "packed", 1] for group in GROUPS[-1:]}
    growth["growth 8 prompts"] = ["text", str(checkpoint), 300, 10, 4, "packed", 8]
    passes = {
        f"{kind} pass P={p} R={r} G={g}": ["passes", str(checkpoint), p, r, g, kind]
        for p, r, g in PASS_SHAPES
        for kind in ("policy", "reference")
    }
    return steps | growth | passes


def audio_cases(folder: Path) -> Cases:
    return {f"audio step R={r} {form}": ["audio", str(folder), r, form] for r in AIMS for form in FORMS}


def rollout_cases(checkpoint: Path) -> Cases:
    prompts, group, tokens, _ = ROLLOUT
    return {f"rollout {prompts} x {group} x {tokens}": ["rollout", str(checkpoint), *ROLLOUT]}


def side(checkout: Path, cases: Cases, turns: int, log: Path) -> Peer:
    """A version of harken with its own benchmarks; the programs of a side are these."""
    path = [str(checkout.resolve() / part) for part in ("src", "benchmarks")]
    environment = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, str(PEERS / "version_side.py"), json.dumps([*cases.values()]), str(turns)]
    return Peer(command, log, **environment, PYTHONPATH=os.pathsep.join(path))


def commit_of(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "rev-parse", "--short=7", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="checkout of an earlier commit")
    parser.add_argument("--swift", type=Path, help="environment made by peers/swift_environment.sh")
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds")
    parser.add_argument("--only", default="", help="measure only cases whose name contains this; keep the others")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON results")
    parser.add_argument("--name", default="before_after", help="name of the JSON results, without .json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        cases = {name: case for name, case in prepare(folder, options.swift).items() if options.only in name}
        turns = options.rounds + 1
        sides = {
            version: side(checkout, cases, turns, folder / f"{version}.log")
            for version, checkout in (("before", options.before), ("now", Path(__file__).parents[1]))
        }
        for name in cases:
            costs = interleaved(sides, rounds=options.rounds)
            values = ratios(costs["before"], costs["now"])
            case = {"ratio": spread(values), "interval": median_interval(values), "seconds": summary(costs)}
            print(name, {key: round(value, 3) for key, value in case["ratio"].items()}, case["interval"], flush=True)
            write_cases(options.results, options.name, {name: case | {"before": commit_of(options.before)}})
        for peer in sides.values():
            peer.close()


def prepare(folder: Path, swift: Path | None) -> Cases:
    """All cases, whose models are written into the folder."""
    write_text_model(folder / "text")
    build().save(folder / "rollout")
    cases = text_cases(folder / "text") | rollout_cases(folder / "rollout")
    if swift is not None:
        python, files = str(swift.resolve() / "bin" / "python"), folder / "swift"
        subprocess.run([python, str(PEERS / "swift_files.py"), str(files)], check=True, capture_output=True)
        cases |= audio_cases(files)
    return cases


if __name__ == "__main__":
    main()
