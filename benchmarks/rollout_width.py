"""Times the rollout of a step one prompt at a time against all prompts together.

The work is that of a step with 16 prompts x 8 completions x 64 tokens on a small random model of the Qwen2.5-Omni
architecture. Both forms encode the clips, prefill and decode; they alternate in each round, and the figure is the
median of the ratios of their CPU times. No token ends a completion, so both decode equally many.

    OMP_NUM_THREADS=1 python benchmarks/rollout_width.py --rounds 3

With `--before FOLDER`, a checkout of commit 1845dae (`git worktree add FOLDER 1845dae`), that commit takes part: its
recipes sampled one prompt at a time.
"""

import argparse
import copy
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from harken.config import GrpoConfig
from harken.grpo.sample_completions import sample_completions
from harken.models.audio_lm import AudioLM, ModelInput
from harken.models.qwen_omni import QwenOmni
from harken.models.tiny_checkpoint import write_tiny
from harken.planning.step_sizes import StepSizes
from harken.types import Question
from harness import Cost, Peer, Side, interleaved, machine, ratio
from own_step import PROMPT
from peers.rollout_side import clip, questions_of
from text_model import SHAPE

BEFORE, NARROW, WIDE = "commit 1845dae", "one prompt at a time", "all together"


def rollout_seconds(
    model: AudioLM,
    questions: Sequence[Question],
    inputs: Sequence[ModelInput],
    settings: GrpoConfig,
    step: int,
    prompts: int,
) -> tuple[float, dict[str, list[str]]]:
    """CPU seconds of the rollout with so many prompts at a time, and the texts by question."""
    rows = prompts * settings.completions_per_prompt
    sizes = StepSizes(rollout_rows=rows, tokens_per_micro_batch=1)
    started, texts = time.process_time(), {}
    for first in range(0, len(questions), prompts):  # before, the clips of a micro-batch were encoded together
        chosen = slice(first, first + prompts)
        for batch in sample_completions(
            model, questions[chosen], inputs[chosen], PROMPT, settings, seed=0, step=step, sizes=sizes
        ):
            for response in batch.responses:
                texts.setdefault(response.question.id, []).append(response.text)
    return time.process_time() - started, texts


def build() -> QwenOmni:
    """A random model whose language model has the sizes of the other programs here. No token ends a completion."""
    with tempfile.TemporaryDirectory() as folder:
        write_tiny("qwen2_5_omni", Path(folder) / "tiny", [question.text for question in questions_of(4)])
        tiny = QwenOmni.load(str(Path(folder) / "tiny"), torch.float32)
        config: Any = copy.deepcopy(tiny.module.config)
        for name in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"):
            setattr(config.text_config, name, SHAPE[name])
        config.text_config.num_key_value_heads = SHAPE["num_key_value_heads"]
        config.text_config.layer_types = ["full_attention"] * SHAPE["num_hidden_layers"]
        half_head = SHAPE["hidden_size"] // SHAPE["num_attention_heads"] // 2
        config.text_config.rope_parameters["mrope_section"] = [half_head // 4, *[half_head * 3 // 8] * 2]
        config.audio_config.output_dim = SHAPE["hidden_size"]
        torch.manual_seed(0)
        module: Any = type(tiny.module)
        model = QwenOmni(module(config).eval().requires_grad_(False), tiny.tokenizer, tiny.feature_extractor)
    model.eos_token_ids = (-1,)
    return model


def warmed_up(
    prompts: int, group: int, tokens: int, seconds: float
) -> tuple[QwenOmni, Sequence[Question], list[ModelInput], GrpoConfig]:
    """Model, questions, what the model reads of them, and settings, after a small rollout."""
    model, questions = build(), questions_of(prompts)
    inputs = [model.render(PROMPT.conversation(question), clip(i, seconds)) for i, question in enumerate(questions)]
    settings = GrpoConfig(
        prompts_per_step=prompts, completions_per_prompt=group, max_completion_tokens=tokens, temperature=1.0
    )
    rollout_seconds(model, questions[:2], inputs[:2], settings, 0, 2)
    return model, questions, inputs, settings


def shares(prompts: int, group: int, tokens: int, seconds: float) -> dict[str, float]:
    """The shares of matrix products and of attention in the rollout of all prompts together, by torch's profiler."""
    model, questions, inputs, settings = warmed_up(prompts, group, tokens, seconds)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        rollout_seconds(model, questions, inputs, settings, 1, prompts)
    own = {event.key: event.self_cpu_time_total for event in profile.key_averages()}
    products = sum(own.get(f"aten::{name}", 0.0) for name in ("mm", "addmm", "bmm"))
    attention = sum(time for name, time in own.items() if "scaled_dot_product" in name)
    total = sum(own.values())
    return {"matrix products": products / total, "attention": attention / total}


def measure(rounds: int, prompts: int, group: int, tokens: int, seconds: float, before: Path | None) -> dict[str, Any]:
    """The figures of so many rounds."""
    model, questions, inputs, settings = warmed_up(prompts, group, tokens, seconds)
    texts: dict[str, dict[int, Any]] = {NARROW: {}, WIDE: {}}

    def side(name: str, width: int) -> Side:
        def run() -> Cost:
            step = len(texts[name])
            cpu_s, texts[name][step] = rollout_seconds(model, questions, inputs, settings, step, width)
            return Cost(cpu_s, cpu_s)

        return run

    sides: dict[str, Side] = {NARROW: side(NARROW, 1), WIDE: side(WIDE, prompts)}
    with tempfile.TemporaryDirectory() as folder:
        if before is not None:
            model.save(Path(folder) / "model")
            sides[BEFORE] = earlier(before, Path(folder), [str(n) for n in (prompts, group, tokens, seconds)])
        costs = interleaved(sides, rounds=rounds, warm_up=0)
        if before is not None:
            sides[BEFORE].close()  # pyright: ignore[reportFunctionMemberAccess]
    return {
        "machine": machine(),
        "work": f"{prompts} prompts x {group} completions x {tokens} tokens, clips of {seconds} s",
        "prompt_tokens": sorted(prompt.length for prompt in inputs),
        "cpu_s": {name: [round(cost.cpu_s, 2) for cost in side] for name, side in costs.items()},
        "ratio": {name: ratio(costs[name], costs[WIDE]) for name in costs if name != WIDE},
        "same completions": texts[NARROW] == texts[WIDE],
    }


def earlier(checkout: Path, folder: Path, shape: list[str]) -> Peer:
    """The rollout of an earlier commit in a process of its own."""
    program = Path(__file__).parent / "peers" / "rollout_side.py"
    path = os.pathsep.join(str(checkout.resolve() / part) for part in ("src", "benchmarks"))
    environment = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    command = [sys.executable, str(program), str(folder / "model"), *shape]
    return Peer(command, folder / "log", **environment)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a clip")
    parser.add_argument("--before", type=Path, help="checkout of an earlier commit")
    parser.add_argument("--shares", action="store_true", help="print shares of matrix products and attention instead")
    options = vars(parser.parse_args())
    if options.pop("shares"):
        work = {name: options[name] for name in ("prompts", "group", "tokens", "seconds")}
        print(json.dumps(shares(**work), indent=1))
    else:
        print(json.dumps(measure(**options), indent=1))


if __name__ == "__main__":
    main()
