"""Questions a second of an evaluation: batched, against plain transformers' `generate` one question at a time.

Every form reads the same clips from disk and answers the same questions greedily with as many tokens. It is timed from
the first clip to the last answer, without loading the model. The forms are interleaved; figures are medians of the
repeats, ratios are those of each repeat:
    plain        decodes the clip, makes its features and generates, one question after another
    here         is batched, with decoding and features in the thread that computes
    ahead        is batched, with decoding and features of the next window in threads, as `harken evaluate` does
The program also prints the share of questions that plain and ahead answer alike.

    harken tiny --out tiny --text ../shared/realaqa/train.json
    python benchmarks/evaluate_throughput.py --model tiny --data ../shared/realaqa/test.json --limit 256
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

from harken.benchmarks.registry import find_reader
from harken.config import PromptConfig, SourceConfig
from harken.data.audio import SAMPLE_RATE_HZ, load_waveform
from harken.data.load import load_sources
from harken.inference.predict import predict
from harken.inference.prompt_inputs import PromptInputs
from harken.inference.sampling import Sampling
from harken.models.audio_lm import AudioLM, ModelInput
from harken.models.loading import load_model
from harken.models.qwen_omni import QwenOmni
from harken.questions.choice_orders import Trial
from harken.questions.prompt import Prompt
from harken.types import Question

PROMPT = Prompt.from_config(PromptConfig())


class InputsHere(PromptInputs):
    """Inputs that are made when they are read."""

    def ahead(self, windows: Iterable[Sequence[Question]]) -> Iterator[list[ModelInput]]:
        for window in windows:
            yield self(window)


def plain(model: QwenOmni, questions: Sequence[Question], max_tokens: int) -> dict[str, str]:
    """Question id -> answer, made one question at a time as a plain script does it.

    The rendering is the model's own; `tests/models/test_model_equality.py` shows that it equals the processor's.
    """
    answers = {}
    module: Any = model.module
    config = GenerationConfig(
        max_new_tokens=max_tokens, do_sample=False, pad_token_id=0, eos_token_id=list(model.eos_token_ids)
    )
    for question in questions:
        assert question.audio is not None
        prompt = model.render(PROMPT.conversation(question), load_waveform(question.audio))
        assert prompt.features is not None
        ids = prompt.input_ids[None].to(model.device)
        features = prompt.features[None].to(model.device, next(model.module.parameters()).dtype)
        with torch.no_grad():
            tokens = module.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                input_features=features,
                feature_attention_mask=torch.ones(1, features.shape[2], dtype=torch.long, device=model.device),
                generation_config=config,
            )
        answers[question.id] = model.decode(tokens[0, prompt.length :].tolist())
    return answers


def batched(
    model: AudioLM, questions: Sequence[Question], inputs: PromptInputs, max_tokens: int, size: int
) -> dict[str, str]:
    """Question id -> answer, made in batches as `harken evaluate` does it."""
    trials = [Trial(question) for question in questions]
    batches = predict(model, trials, inputs, Sampling(0, max_tokens), batch_size=size)
    return {trial.question.id: answer.text for batch in batches for trial, (answer,) in batch}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    model = load_model(arguments.model, dtype=getattr(torch, arguments.dtype))
    if not isinstance(model, QwenOmni):
        raise SystemExit("plain generate is written for Qwen2.5-Omni here")
    loaded = load_sources([SourceConfig(file=arguments.data)], find_reader, need_answer=False)
    shortest_s = 2 * model.min_samples / SAMPLE_RATE_HZ  # plain generate pads no clip
    long_enough = [q for q in loaded.questions if q.audio_span and loaded.durations_s[q.audio_span] > shortest_s]
    questions = long_enough[: arguments.limit]
    tokens, size = arguments.tokens, arguments.batch_size
    forms = {
        "plain": lambda: plain(model, questions, tokens),
        "here": lambda: batched(model, questions, InputsHere(model, PROMPT, 0, crop_long_audio=True), tokens, size),
        "ahead": lambda: batched(model, questions, PromptInputs(model, PROMPT, 0, crop_long_audio=True), tokens, size),
    }
    rates: dict[str, list[float]] = {name: [] for name in forms}
    answers: dict[str, dict[str, str]] = {}
    for repeat in range(arguments.repeats + 1):
        for name, form in forms.items():
            started = time.perf_counter()
            answers[name] = form()
            if repeat:  # the first round warms up
                rates[name].append(len(questions) / (time.perf_counter() - started))
    report = {
        "device": torch.cuda.get_device_name() if model.device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        **{key: str(value) for key, value in vars(arguments).items()},
        "n": len(questions),
        "questions_per_s": {name: statistics.median(values) for name, values in rates.items()},
        "ratio_to_plain": {
            name: statistics.median(a / b for a, b in zip(rates[name], rates["plain"], strict=True)) for name in rates
        },
        "ahead_to_here": statistics.median(a / b for a, b in zip(rates["ahead"], rates["here"], strict=True)),
        "same_answers": sum(answers["plain"][name] == answers["ahead"][name] for name in answers["plain"])
        / len(questions),
    }
    print(json.dumps(report, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
