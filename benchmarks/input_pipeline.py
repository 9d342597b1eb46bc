"""What reading clips costs a step: files decoded and made into features one step ahead, against features in memory.

The 30 M Qwen2.5-Omni of `audio_step.py`, clips of 10 s, G = 8, R = 10, nothing kept from one step to the next. The
ratio of process seconds counts the reading threads in full; with a core to spare they run beside the step, and the
ratio on the clock is nearer to 1.

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
from harness import arguments, interleaved, ratio, spent, spread, summary, write_cases
from own_step import PROMPT, OwnStep, settings

ASKED = 1.05


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
        held = PromptInputs(policy, PROMPT, 0)([clips.question(step) for step in range(32)])

        def from_files(asked: Sequence[Question]) -> list[ModelInput]:
            return next(ahead)

        def from_memory(asked: Sequence[Question]) -> list[ModelInput]:
            return [held[int(one.id) % len(held)] for one in asked]

        sides = {
            name: spent(OwnStep(load(folder), lambda step: [clips.question(step)], read, config))
            for name, read in (("files", from_files), ("memory", from_memory))
        }
        costs = interleaved(sides, rounds=options.rounds)
        ahead.close()
    on_the_clock = spread([a.wall_s / b.wall_s for a, b in zip(costs["files"], costs["memory"], strict=True)])
    case = {"asked": ASKED, "ratio": ratio(costs["files"], costs["memory"]), "ratio_wall": on_the_clock}
    print(case, flush=True)
    write_cases(options.results, "input_pipeline", {"R=10": case | {"seconds": summary(costs)}})


if __name__ == "__main__":
    main()
