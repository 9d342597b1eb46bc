"""Counts, without timing anything, what a GRPO step and a decoded token ask of a device: results/counts.json.

Kernels launched, places where the host waits, bytes moved by casts, attention calls and bytes of masks (`counting.py`
defines each). Models are tiny or small, of the real architectures; no token ends a completion. A step is the second one
of a process, with completions of R tokens; a token is the difference to a step with R + 16, divided by 16. So what a
longer completion adds to the other passes is part of a token.

    git worktree add BEFORE 1845dae
    benchmarks/peers/swift_environment.sh ENVIRONMENT
    python benchmarks/counts.py --before BEFORE --swift ENVIRONMENT

Without `--before` and `--swift` those sides keep the figures that they had. `--only` selects cases by their name.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio_step import PEERS
from harken.models.tiny_checkpoint import WRITERS, write_tiny
from harness import RESULTS, machine, write_cases
from text_model import write_text_model

FOLDER = Path(__file__).parent
MORE_TOKENS = 16
GROUP = 8
Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Case:
    """A step that is counted.

    Attributes:
        kind, forms: of peers/own_step_side.py.
        arch: of the tiny checkpoint; "" for a case with a peer, which has a checkpoint of its own.
        peer: "" for none.
    """

    kind: str
    prompts: int
    tokens: int
    arch: str = ""
    peer: str = ""
    forms: tuple[str, ...] = ("packed", "rollout")


CASES = {
    "text, against TRL 1.16": Case("text", 1, 8, peer="TRL"),
    "audio, against ms-swift 4.6": Case("audio", 1, 8, peer="ms-swift"),
    "R1-AQA's step, Qwen2.5-Omni": Case("audio", 16, 10, arch="qwen2_5_omni"),
    "R1-AQA's step, Qwen2-Audio": Case("audio", 16, 10, arch="qwen2_audio"),
    "R1-AQA's step, Audio Flamingo 3": Case("audio", 16, 10, arch="audioflamingo3"),
    "R1-AQA's step with LoRA in bf16_mixed, Qwen2.5-Omni": Case("lora", 16, 10, arch="qwen2_5_omni"),
}


def main() -> None:
    options = read_options()
    with tempfile.TemporaryDirectory() as temporary:
        for name, case in CASES.items():
            if options.only in name:
                sides = count_case(case, Path(temporary), options)
                kept = earlier_sides(options.results, name)
                write_cases(options.results, "counts", {name: {"sides": kept | sides}})
                print(name, json.dumps(sides, indent=1), flush=True)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="checkout of an earlier commit, which takes part")
    parser.add_argument("--swift", type=Path, help="environment made by peers/swift_environment.sh")
    parser.add_argument("--only", default="", help="count only cases whose name contains this")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON results")
    return parser.parse_args()


def earlier_sides(results: Path, name: str) -> dict[str, Any]:
    file = results / "counts.json"
    held = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return held.get(name, {}).get("sides", {})


def count_case(case: Case, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Side -> {"step": figures, "token": figures, "commit" of a version of harken}."""
    checkpoint = checkpoint_of(case, folder, options.swift)
    if checkpoint is None:
        return {}
    versions = {"harken": FOLDER.parent} | ({} if options.before is None else {"before": options.before})
    sides: dict[str, Any] = {}
    for version, checkout in versions.items():
        for form in case.forms:
            command = [sys.executable, str(PEERS / "own_step_side.py"), case.kind, str(checkpoint)]
            path = os.pathsep.join(str(checkout.resolve() / part) for part in ("src", "benchmarks"))
            shape = [str(case.prompts), str(GROUP)]
            sides[f"{version}, {form}"] = count_side(
                lambda tokens, command=command, shape=shape, form=form: [*command, *shape, str(tokens), form],
                case.tokens,
                folder,
                PYTHONPATH=os.pathsep.join([path, str(FOLDER)]),
            ) | {"commit": commit_of(checkout)}
    if case.peer == "TRL":
        program = [sys.executable, str(PEERS / "trl_step.py"), str(checkpoint), "300"]
        sides["TRL 1.16"] = count_side(
            lambda tokens: [*program, str(tokens), str(GROUP)], case.tokens, folder, PYTHONPATH=str(FOLDER)
        )
    elif case.peer == "ms-swift":
        sides["ms-swift 4.6"] = count_swift(case, folder, options.swift)
    return sides


def checkpoint_of(case: Case, folder: Path, swift: Path | None) -> Path | None:
    """Where the case's checkpoint lies; None where it needs ms-swift's environment and there is none."""
    if case.peer == "TRL":
        write_text_model(folder / "text")
        return folder / "text"
    if case.peer == "ms-swift":
        if swift is None:
            return None
        python = str(swift.resolve() / "bin" / "python")
        subprocess.run([python, str(PEERS / "swift_files.py"), str(folder / "swift")], check=True, capture_output=True)
        return folder / "swift" / "model"
    assert case.arch in WRITERS
    if not (folder / case.arch).exists():
        write_tiny(case.arch, folder / case.arch, ["Which sound is heard in the audio?", "one", "two"])
    return folder / case.arch


def count_swift(case: Case, folder: Path, swift: Path) -> dict[str, Figures]:
    files, python = folder / "swift", str(swift.resolve() / "bin" / "python")
    program = [python, str(PEERS / "swift_step.py"), str(files / "model"), str(files / "data.jsonl")]
    offline = {"CUDA_VISIBLE_DEVICES": "", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    offline |= {"HF_DATASETS_OFFLINE": "1", "HF_HOME": str(files / "hf"), "MODELSCOPE_CACHE": str(files / "cache")}
    return count_side(
        lambda tokens: [*program, str(tokens), str(GROUP)],
        case.tokens,
        folder,
        **offline,
        HOME=str(files),
        PATH=f"{Path(python).parent}:/usr/bin:/bin",
        PYTHONPATH=str(FOLDER),
    )


def count_side(command: Any, tokens: int, folder: Path, **environment: str) -> dict[str, Figures]:
    """The figures of a step with completions of `tokens` tokens, and those of one more token.

    Args:
        command: tokens of a completion -> the command of the side.
    """
    few, many = (count_step(command(n), folder, environment) for n in (tokens, tokens + MORE_TOKENS))
    return {"step": few, "token": {name: (many[name] - few[name]) / MORE_TOKENS for name in few}}


def count_step(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> dict[str, int]:
    """Run a process that makes two steps, and return its counts of the second: the first one also warms up."""
    base = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "HARKEN_COUNT": "1"}
    log = folder / "side.log"
    with log.open("w") as errors:
        done = subprocess.run(
            command, input="step\nstep\n", stdout=subprocess.PIPE, stderr=errors, text=True, env={**base, **environment}
        )
    counts = [line.removeprefix("COUNTS ") for line in done.stdout.splitlines() if line.startswith("COUNTS ")]
    if len(counts) != 2:
        raise RuntimeError(f"{command}: ended with {done.returncode}:\n{log.read_text()[-2000:]}")
    return json.loads(counts[1])


def commit_of(checkout: Path) -> str:
    if checkout == FOLDER.parent:
        return machine()["commit"]
    command = ["git", "-C", str(checkout), "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
