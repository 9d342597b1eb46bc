"""Times the rollout of a step one prompt at a time against all prompts together.

The work is that of a step with 16 prompts x 8 completions x 64 tokens on a small random model of the Qwen2.5-Omni
architecture. Both forms encode the clips, prefill and decode; they alternate in each round, and the figure is the
median of the ratios of their CPU times. No token ends a completion, so both decode equally many.

    OMP_NUM_THREADS=1 python benchmarks/rollout_width.py --rounds 3
"""

import argparse
import copy
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harken.config import GrpoConfig, PromptConfig
from harken.grpo.sample_completions import sample_completions
from harken.inference.prompt_inputs import PromptInputs
from harken.models.audio_lm import AudioLM, ModelInput
from harken.models.qwen_omni import QwenOmni
from harken.models.tiny_checkpoint import write_tiny
from harken.planning.step_sizes import StepSizes
from harken.questions.prompt import Prompt
from harken.types import Question
from text_model import SHAPE

PROMPT = Prompt.from_config(PromptConfig())


def questions_of(prompts: int) -> list[Question]:
    """Questions of different lengths, each about a clip of its own."""
    return [
        Question(
            f"q{i}",
            "Which sound is heard in the audio? " + "Listen closely. " * (i % 4),
            ("one", "two"),
            0,
            Path(f"{i}"),
        )
        for i in range(prompts)
    ]


def clip(question: Question, seconds: float) -> np.ndarray:
    noise = np.random.default_rng(int(question.id[1:])).normal(size=int(16_000 * seconds))
    return (0.1 * noise).astype(np.float32)


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


def measure(rounds: int, prompts: int, group: int, tokens: int, seconds: float) -> dict[str, object]:
    """The figures of so many rounds."""
    model = build()
    questions = questions_of(prompts)
    inputs = PromptInputs(model, PROMPT, 1, load_clips=lambda question: [clip(question, seconds)])(questions)
    settings = GrpoConfig(
        prompts_per_step=prompts, completions_per_prompt=group, max_completion_tokens=tokens, temperature=1.0
    )
    pairs, equal = [], True
    rollout_seconds(model, questions[:2], inputs[:2], settings, 0, 2)  # warms up
    for number in range(rounds):
        narrow, apart = rollout_seconds(model, questions, inputs, settings, number, 1)
        wide, together = rollout_seconds(model, questions, inputs, settings, number, prompts)
        equal &= apart == together
        pairs.append((narrow, wide))
        print(f"round {number + 1}: {narrow:.1f} s one prompt at a time, {wide:.1f} s together", file=sys.stderr)
    narrow, wide = ([pair[i] for pair in pairs] for i in (0, 1))
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "work": f"{prompts} prompts x {group} completions x {tokens} tokens, clips of {seconds} s",
        "prompt_tokens": sorted(prompt.length for prompt in inputs),
        "one prompt at a time, CPU s": [round(value, 2) for value in narrow],
        "all together, CPU s": [round(value, 2) for value in wide],
        "ratio": round(statistics.median(a / b for a, b in pairs), 2),
        "same completions": equal,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a clip")
    arguments = parser.parse_args()
    figures = measure(arguments.rounds, arguments.prompts, arguments.group, arguments.tokens, arguments.seconds)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
