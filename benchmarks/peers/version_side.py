"""Cases of before_after.py in whichever version of harken is on PYTHONPATH, one after another.

    version_side.py CASES TURNS

CASES is a JSON list of [kind, arguments ...]; each is built, and run once for each of TURNS lines of standard input.
It answers with the cost. It uses only what has the same name in all versions since commit 7d3f87f.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rollout_side import rollout_step

import audio_step
import passes
import text_step
from harness import Cost, timed
from text_model import TextModel


def text_case(checkpoint: str, prompt: int, completion: int, group: int, form: str, prompts: int) -> Callable[[], Any]:
    return text_step.own_side(Path(checkpoint), prompt, completion, group, form, prompts)


def audio_case(folder: str, completion: int, form: str) -> Callable[[], Any]:
    return audio_step.own_side(Path(folder), completion, form)


def passes_case(checkpoint: str, prompt: int, completion: int, group: int, kind: str) -> Callable[[], Cost]:
    """The policy or the reference pass in the form that training used: "shared" before attention in two parts."""
    sides = passes.sides(TextModel.load(Path(checkpoint)), prompt, completion, group)
    return sides.get(f"{kind} shared") or sides[f"{kind} packed"]


KINDS: dict[str, Callable[..., Callable[[], Any]]] = {
    "text": text_case,
    "audio": audio_case,
    "passes": passes_case,
    "rollout": rollout_step,
}


def main() -> None:
    cases, turns = json.loads(sys.argv[1]), int(sys.argv[2])
    out = os.fdopen(os.dup(1), "w")  # what is printed on the way goes elsewhere
    os.dup2(2, 1)
    torch.set_num_threads(1)
    for kind, *arguments in cases:
        run = KINDS[kind](*arguments)
        for _ in range(turns):
            if not sys.stdin.readline():
                return
            print("COST", json.dumps(asdict(timed(run)())), file=out, flush=True)


if __name__ == "__main__":
    main()
