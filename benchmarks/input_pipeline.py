"""What reading clips adds to a step: files, decoded by threads one step ahead, against features in memory.

The model is the 30 M Qwen2.5-Omni of `audio_step.py`, with clips of 10 s, G = 8 and R = 10; nothing is kept from one
step to the next. The ratio of process seconds counts the reading threads in full. With a free core they run beside the
step, and the ratio on the clock is nearer to 1.

    python benchmarks/input_pipeline.py
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from audio_step import GROUP, PEERS, Clips, load
from harken.inference.prompt_inputs import PromptInputs
from harken.models.audio_lm import ModelInput
from harken.types import Question
from harness import arguments, interleaved, ratio, spread, summary, timed, write_cases
from own_step import PROMPT, OwnStep, settings

AIM = 1.05
"""The ratio that is aimed at, at most."""


def main() -> None:
    options = arguments(__doc__ or "", rounds=5)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "files"
        subprocess.run([sys.executable, str(PEERS / "swift_files.py"), str(folder)], check=True, capture_output=True)
        config = settings(1, GROUP, 10)
        policy = load(folder)
        clips = Clips(policy, folder)

        def windows() -> Iterator[list[Question]]:
            step = 0
            while True:
                step += 1
                yield [clips.question(step)]

        ahead = PromptInputs(policy, PROMPT, 0).prefetch(windows())
        in_memory = PromptInputs(policy, PROMPT, 0)([clips.question(step) for step in range(32)])

        def from_files(questions: Sequence[Question]) -> list[ModelInput]:
            return next(ahead)

        def from_memory(questions: Sequence[Question]) -> list[ModelInput]:
            return [in_memory[int(question.id) % len(in_memory)] for question in questions]

        sides = {
            name: timed(OwnStep(load(folder), lambda step: [clips.question(step)], read, config))
            for name, read in (("files", from_files), ("memory", from_memory))
        }
        costs = interleaved(sides, rounds=options.rounds)
        ahead.close()
    on_the_clock = spread([a.wall_s / b.wall_s for a, b in zip(costs["files"], costs["memory"], strict=True)])
    case = {"aim": AIM, "ratio": ratio(costs["files"], costs["memory"]), "ratio_wall": on_the_clock}
    print(case, flush=True)
    write_cases(options.results, "input_pipeline", {"R=10": case | {"seconds": summary(costs)}})


if __name__ == "__main__":
    main()
