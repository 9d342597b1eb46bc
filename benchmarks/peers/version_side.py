"""Cases of before_after.py in whichever version of harken is on PYTHONPATH, one after another.

    version_side.py CASES TURNS

CASES is a JSON list of [kind, arguments ...]; each is built, and run once for each of TURNS lines of standard input.
It answers with the cost. It uses only what has the same name in all versions since commit 1845dae. Every version
computes with torch's own products: until commit a8e2041 harken took oneDNN's on AMD processors.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from rollout_side import rollout_step

import audio_step
import passes
import text_model
import text_step
from harken.types import Question
from own_step import OwnStep, settings

for _program in (audio_step, text_model):
    if "use_onednn" in vars(_program):
        vars(_program)["use_onednn"] = lambda module: None


def text_case(checkpoint: str, prompt: int, completion: int, group: int, form: str, prompts: int) -> Callable[[], Any]:
    return text_step.own_side(Path(checkpoint), prompt, completion, group, form, prompts)


def audio_case(folder: str, completion: int, form: str) -> Callable[[], Any]:
    model: Any = audio_step.load(Path(folder))
    clips = audio_step.Clips(model, Path(folder))

    def read(questions: Sequence[Question]) -> list[Any]:
        return [clips.read(question) for question in questions]

    config = settings(1, audio_step.GROUP, completion, policy_pass=form)
    return OwnStep(model, lambda step: [clips.question(step)], read, config)


def passes_case(checkpoint: str, prompt: int, completion: int, group: int, kind: str) -> Callable[[], Any]:
    """The policy or the reference pass in the form that training used: "shared" before attention in two parts."""
    sides = passes.sides(text_model.TextModel.load(Path(checkpoint)), prompt, completion, group)
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
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            cost = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
            print("COST", json.dumps(cost), file=out, flush=True)


if __name__ == "__main__":
    main()
