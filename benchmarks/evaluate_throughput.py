"""Questions a second of an evaluation: batched, against plain transformers' `generate` one question at a time.

Takes a checkpoint and a question file; every form reads the same clips from disk, answers the same questions greedily
with as many tokens, and is timed from the first clip to the last answer, loading left out. Interleaved, medians of the
repeats, ratios of each repeat's pair:
    plain        decode the clip, make its features, generate; one question after another
    here         batched; decoding and features in the thread that computes
    ahead        batched; decoding and features of the next window in threads (what `harken evaluate` does)
and the share of questions on which plain and ahead say the same.

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
    """Made when they are asked for."""

    def ahead(self, windows: Iterable[Sequence[Question]]) -> Iterator[list[ModelInput]]:
        for window in windows:
            yield self(window)


def plain(model: QwenOmni, questions: Sequence[Question], tokens: int) -> dict[str, str]:
    """As a script for one question at a time does it. The rendering is the model's own;
    `tests/models/test_model_equality.py` holds it equal to the processor's."""
    found = {}
    module: Any = model.module
    config = GenerationConfig(
        max_new_tokens=tokens, do_sample=False, pad_token_id=0, eos_token_id=list(model.eos_token_ids)
    )
    for question in questions:
        assert question.audio is not None
        one = model.render(PROMPT.conversation(question), load_waveform(question.audio))
        assert one.features is not None
        ids = one.input_ids[None].to(model.device)
        features = one.features[None].to(model.device, next(model.module.parameters()).dtype)
        with torch.no_grad():
            said = module.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                input_features=features,
                feature_attention_mask=torch.ones(1, features.shape[2], dtype=torch.long, device=model.device),
                generation_config=config,
            )
        found[question.id] = model.decode(said[0, one.length :].tolist())
    return found


def batched(model: AudioLM, questions: Sequence[Question], inputs: PromptInputs, tokens: int, size: int):
    trials = [Trial(question) for question in questions]
    batches = predict(model, trials, inputs, Sampling(0, tokens), batch_size=size)
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
    heard = [q for q in loaded.questions if q.audio is not None and loaded.durations_s[q.audio] > shortest_s]
    questions = heard[: arguments.limit]
    tokens, size = arguments.tokens, arguments.batch_size
    forms = {
        "plain": lambda: plain(model, questions, tokens),
        "here": lambda: batched(model, questions, InputsHere(model, PROMPT, 0, crop_long_audio=True), tokens, size),
        "ahead": lambda: batched(model, questions, PromptInputs(model, PROMPT, 0, crop_long_audio=True), tokens, size),
    }
    rates: dict[str, list[float]] = {name: [] for name in forms}
    said = {}
    for repeat in range(arguments.repeats + 1):
        for name, form in forms.items():
            started = time.perf_counter()
            said[name] = form()
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
        "same_answers": sum(said["plain"][one] == said["ahead"][one] for one in said["plain"]) / len(questions),
    }
    print(json.dumps(report, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
