"""Full fine-tuning of a Qwen2.5-Omni thinker of the published sizes on one card, in under 9 minutes.

Weights are random, made on the device in bfloat16; clips are noise of 10 s, their features really extracted. In order:

    rates     of a large matrix product and of a large copy, measured: the floor of everything below
    48 GB     a whole GRPO step (rollout, reference, update) as one 48 GB card would make it: its peak
    fast      the same step as this card can make it: its time, beside the floor, and 1,000 steps of it
    decode    tokens a second at R=300, as rows come and in a CUDA graph
    passes    packed row and prefill-once rollout against the repeated form and transformers' generate, interleaved

The floor of a step is operations / matmul rate + bytes / copy rate: 2 operations a weight and token forward, twice that
backward, once more forward where blocks are recomputed; every weight read once a decoded token; gradient, moments and
weights read and written once.

    python benchmarks/gpu.py --out results.json
    python benchmarks/gpu.py --size tiny            # a smoke run on a CPU
"""

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import WhisperFeatureExtractor

from harken.config import GrpoConfig, MemoryConfig, PromptConfig, Recipe
from harken.grpo.micro_batch import RewardedBatch, SampledBatch, ScoredBatch
from harken.grpo.reference_pass import score_with_reference
from harken.grpo.sample_completions import sample_completions
from harken.grpo.update import update
from harken.inference.completions import Completions
from harken.inference.log_probabilities import score_packed, score_repeated
from harken.inference.prompt_inputs import PromptInputs
from harken.inference.rollout import rollout
from harken.inference.sampling import Sampling
from harken.models.loading import pick_device
from harken.models.policy import enable_gradient_checkpointing, mixed_precision
from harken.models.qwen_omni import Qwen2_5OmniThinkerForConditionalGeneration, QwenOmni
from harken.models.tiny_checkpoint import omni_config
from harken.models.tiny_tokenizer import build_tokenizer
from harken.planning.memory import plan_memory
from harken.planning.memory_items import GIB
from harken.planning.planned_run import PlannedRun
from harken.planning.shapes import published_config, shape_of_config
from harken.questions.prompt import Prompt
from harken.system.environment import source_commit
from harken.training.optimizer import build_optimizer
from harken.training.reference_model import make_reference
from harken.types import Question

TEXT = "Which of these instruments is playing the melody in the second half of the recording?"
CHOICES = ("an acoustic guitar", "a violin", "a grand piano", "a clarinet")
SIZES = {"7b": "Qwen/Qwen2.5-Omni-7B", "3b": "Qwen/Qwen2.5-Omni-3B", "tiny": None}
STEPS = 1000
"""Of Omni-R1 (arXiv 2505.09439)."""

CARD_48 = {"weights": "bf16_stochastic", "optimizer": "adamw_8bit", "step_in_backward": True, "reference": "streamed"}
FAST = {**CARD_48, "reference": "copy"}


@dataclass(frozen=True, slots=True)
class Work:
    """What every part shares."""

    size: str
    layers: int | None
    device: torch.device
    seconds: float
    prompts: int
    group: int
    completion: int
    repeats: int


def tokenizer_of(config: Any):
    tokenizer = build_tokenizer([TEXT, *CHOICES])
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in ("<|AUDIO|>", "<|IMAGE|>", "<|VIDEO|>")}
    if config is not None:
        config.audio_token_id = ids["<|AUDIO|>"]
        config.image_token_id, config.video_token_id = ids["<|IMAGE|>"], ids["<|VIDEO|>"]
    return tokenizer


def build(work: Work, dtype: torch.dtype = torch.bfloat16) -> QwenOmni:
    """A thinker with random weights, made on the device; nothing it says ends a completion."""
    path = SIZES[work.size]
    changes = {} if work.layers is None else {"num_hidden_layers": work.layers}
    config: Any = None if path is None else published_config(path, **changes)
    tokenizer = tokenizer_of(config)
    config = config or omni_config(tokenizer)
    before = torch.get_default_dtype()
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    try:
        with work.device:
            module = Qwen2_5OmniThinkerForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(before)
    model = QwenOmni(module, tokenizer, WhisperFeatureExtractor(feature_size=128, chunk_length=300))
    model.eos_token_ids = (-1,)
    model.set_trainable(audio_tower=True, projector=True, language_model=True)
    return model


def questions(work: Work) -> list[Question]:
    return [Question(f"q{i}", TEXT, CHOICES, i % 4, Path(f"clip{i}.wav")) for i in range(work.prompts)]


def hear(work: Work) -> Callable[[Question], np.ndarray]:
    def clip(question: Question) -> np.ndarray:
        generator = np.random.default_rng(int(question.id[1:]))
        return (generator.standard_normal(int(work.seconds * 16_000)) * 0.1).astype(np.float32)

    return clip


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(device: torch.device, run: Callable[[], Any]) -> tuple[float, float | None, Any]:
    """(seconds, peak GiB or None on a CPU, result)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    wait(device)
    started = time.perf_counter()
    result = run()
    wait(device)
    seconds = time.perf_counter() - started
    return seconds, torch.cuda.max_memory_allocated() / GIB if device.type == "cuda" else None, result


def forget(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def rates(work: Work) -> dict[str, float]:
    """Operations a second of a square matrix product in bfloat16, bytes a second of a copy (read and written)."""
    n, size = (8192, 2**30) if work.device.type == "cuda" else (256, 2**22)
    a, b = (torch.randn(n, n, dtype=torch.bfloat16, device=work.device) for _ in range(2))
    source = torch.zeros(size, dtype=torch.uint8, device=work.device)
    target = torch.empty_like(source)
    products = [timed(work.device, lambda: torch.mm(a, b))[0] for _ in range(10)]
    copies = [timed(work.device, lambda: target.copy_(source))[0] for _ in range(10)]
    return {
        "matmul_per_s": 2 * n**3 / statistics.median(products),
        "copy_bytes_per_s": 2 * size / statistics.median(copies),
    }


def step_floor(work: Work, model: QwenOmni, measured_rates: dict[str, float], prompt_tokens: int, checkpointing: bool):
    """Seconds of a step if only matrix products and memory took time: (operations, bytes, seconds)."""
    shape = shape_of_config(model.module.config)
    head = shape.vocabulary * shape.hidden
    rows = work.prompts * work.group
    packed = work.prompts * (prompt_tokens + work.group * (work.completion - 1))
    heard = work.prompts * work.seconds * 50
    language = shape.language - 2 * head
    one_way = 2 * (language * packed + head * rows * work.completion + shape.tower * heard)
    policy = one_way * (4 if checkpointing else 3)
    rollout_way = 2 * (
        language * (work.prompts * prompt_tokens + rows * work.completion) + head * rows * work.completion
    )
    operations = policy + one_way + rollout_way  # the reference's tower once, the policy's with its pass
    parameters = shape.tower + shape.projector + shape.language
    moved = 2 * shape.language * work.completion + parameters * (2 + 2 * 2 + 2 * 2 + 2)
    seconds = operations / measured_rates["matmul_per_s"] + moved / measured_rates["copy_bytes_per_s"]
    return {"operations": operations, "bytes": moved, "floor_s": seconds}


def spread_advantages(batch: ScoredBatch) -> RewardedBatch:
    """Advantages from -1 to 1, whatever was sampled: nothing that random weights say is right."""
    prompts, rows = len(batch.sampled.questions), len(batch.sampled.responses)
    return RewardedBatch(
        sampled=batch.sampled,
        reference_logp=batch.reference_logp,
        reward_parts={},
        rewards=torch.zeros(prompts, rows // prompts),
        advantages=torch.linspace(-1, 1, rows, dtype=torch.float64),
    )


def grpo_step(
    work: Work, mode: dict[str, Any], measured_rates: dict[str, float], *, checkpointing: bool
) -> dict[str, Any]:
    """Whole steps in one memory mode: median time and largest peak after a first one that warms up."""
    model = build(work)
    if checkpointing:
        enable_gradient_checkpointing(model.module)
    settings = GrpoConfig(
        prompts_per_step=work.prompts,
        prompts_per_micro_batch=work.prompts,
        completions_per_prompt=work.group,
        max_completion_tokens=work.completion,
        temperature=1.0,
        max_grad_norm=None,
    )
    memory = MemoryConfig.model_validate(mode)
    reference = make_reference(model, memory.reference)
    optimizer = build_optimizer(model.module, learning_rate=1e-6, betas=settings.betas, weight_decay=0.0, memory=memory)
    prompt = Prompt.from_config(PromptConfig())
    inputs = PromptInputs(model, prompt, 0, load_clip=hear(work))
    parts: dict[str, list[float]] = {"rollout": [], "reference": [], "update": [], "step": []}
    peaks: dict[str, float | None] = {}
    warnings: list[str] = []
    prompt_tokens = inputs(questions(work))[0].length
    for step in range(work.repeats + 1):

        def sample(step=step) -> list[SampledBatch]:
            chosen = questions(work)
            return list(
                sample_completions(
                    model, chosen, inputs(chosen), prompt, settings, seed=0, step=step, warn=warnings.append
                )
            )

        seconds: dict[str, float] = {}
        with mixed_precision(model, "bf16_mixed"):
            seconds["rollout"], peaks["rollout"], sampled = timed(work.device, sample)
            seconds["reference"], peaks["reference"], scored = timed(
                work.device,
                lambda sampled=sampled: score_with_reference(model, reference, sampled, settings, warnings.append),
            )
            batches = [spread_advantages(batch) for batch in scored]
            seconds["update"], peaks["update"], _ = timed(
                work.device, lambda batches=batches: update(model, batches, settings, optimizer, 1e-6, warnings.append)
            )
        del sampled, scored, batches
        if step:
            for name, value in {**seconds, "step": sum(seconds.values())}.items():
                parts[name].append(value)
    found = step_floor(work, model, measured_rates, prompt_tokens, checkpointing)
    step_s = statistics.median(parts["step"])
    values = {"name": "x", "model": {"path": "m", "precision": "bf16_mixed", "gradient_checkpointing": checkpointing}}
    values |= {"data": {"train": [{"file": "q"}]}, "grpo": settings.model_dump(), "memory": mode}
    shape = shape_of_config(model.module.config)
    planned = plan_memory(
        PlannedRun(Recipe.model_validate(values), settings, shape, prompt_tokens, clip_s=work.seconds)
    )
    return {
        "memory": mode,
        "gradient_checkpointing": checkpointing,
        "prompt_tokens": prompt_tokens,
        "seconds": {name: statistics.median(values) for name, values in parts.items()},
        "spread": {name: [min(values), max(values)] for name, values in parts.items()},
        "peak_gib": {name: value for name, value in peaks.items()},
        "planned_gib": planned.peak / GIB,
        **found,
        "of_floor": step_s / found["floor_s"],
        f"{STEPS}_steps_h": STEPS * step_s / 3600,
        "notes": warnings,
    }


def passes(work: Work, long: int) -> dict[str, Any]:
    """Policy pass and rollout against their repeated forms, interleaved; and a decode of `long` tokens."""
    model = build(work)
    enable_gradient_checkpointing(model.module)
    prompt = Prompt.from_config(PromptConfig())
    given = PromptInputs(model, prompt, 0, load_clip=hear(work))(questions(work)[:1])
    generator = np.random.default_rng(0)
    uniforms = torch.from_numpy(generator.random((work.group, max(long, work.completion))))
    tokens = torch.from_numpy(generator.integers(20, 200, (work.group, work.completion))).to(work.device)
    whole = torch.ones_like(tokens, dtype=torch.bool)
    completions = Completions(tokens, whole, tokens * 0.0, whole[:, 0])

    def ours(n: int, cuda_graph: bool = False) -> Completions:
        with torch.no_grad():
            embedded = model.embed(given, model.encode_audio(given))
        return rollout(model, embedded, work.group, Sampling(1.0, n, cuda_graph=cuda_graph), uniforms)

    def theirs() -> Tensor:
        ids = torch.stack([one.input_ids for one in given]).to(work.device)
        features = torch.stack([one.features for one in given if one.features is not None])
        model.module.eval()
        return model.module.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            input_features=features.to(work.device, torch.bfloat16),
            feature_attention_mask=torch.ones(
                features.shape[0], features.shape[2], dtype=torch.long, device=work.device
            ),
            **{
                "do_sample": True,
                "temperature": 1.0,
                "top_k": 0,
                "top_p": 1.0,
                "pad_token_id": 0,
                "eos_token_id": None,
            },
            **{"num_return_sequences": work.group, "max_new_tokens": work.completion},
            min_new_tokens=work.completion,
        )

    def scored(form: str) -> Tensor:
        model.module.train()
        model.module.zero_grad(set_to_none=True)
        if form == "packed":
            scores = score_packed(model, model.embed(given, model.encode_audio(given)), completions)
        else:
            scores = score_repeated(model, given, completions)
        scores.logp.mean().backward()
        return scores.logp.detach().float()

    runs: dict[str, Callable[[], Any]] = {
        "rollout, prefill once": lambda: ours(work.completion),
        "rollout, generate": theirs,
        "policy pass, packed": lambda: scored("packed"),
        "policy pass, repeated": lambda: scored("repeated"),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    peaks: dict[str, float | None] = {}
    results: dict[str, Any] = {}
    for repeat in range(work.repeats + 1):
        for name, run in runs.items():
            seconds, peaks[name], results[name] = timed(work.device, run)
            if repeat:  # the first round warms up
                times[name].append(seconds)
    model.module.zero_grad(set_to_none=True)
    medians = {name: statistics.median(values) for name, values in times.items()}
    decode: dict[str, Any] = {"rows": work.group, "tokens": long}
    said = {}
    for form in ("as rows come", "cuda_graph"):
        seconds, peak, said[form] = timed(work.device, lambda graph=form == "cuda_graph": ours(long, graph))
        decode[form] = {"tokens_per_s": work.group * long / seconds, "peak_gib": peak}
    alike = said["as rows come"].tokens == said["cuda_graph"].tokens
    decode["same_tokens"] = float(alike.float().mean())
    packed, repeated = results["policy pass, packed"], results["policy pass, repeated"]
    return {
        "seconds": medians,
        "peak_gib": peaks,
        "policy_ratio": medians["policy pass, repeated"] / medians["policy pass, packed"],
        "policy_ceiling": work.group
        * (given[0].length + work.completion)
        / (given[0].length + work.group * work.completion),
        "logp_difference_max": float((packed - repeated).abs().max()),
        "decode": decode,
    }


def main(words: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="7b")
    parser.add_argument("--layers", type=int, help="fewer blocks of the language model than published")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--completion", type=int, default=16)
    parser.add_argument("--long", type=int, default=300, help="tokens of the decode")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--checkpointing", action="store_true", help="recompute blocks in the fast mode too")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(words)
    device = pick_device("auto")
    work = Work(
        chosen.size,
        chosen.layers,
        device,
        chosen.seconds,
        chosen.prompts,
        chosen.group,
        chosen.completion,
        chosen.repeats,
    )
    report: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "commit": source_commit(),
        "arguments": {key: str(value) for key, value in vars(chosen).items()},
        "rates": rates(work),
    }
    started = time.perf_counter()
    parts: dict[str, Callable[[], Any]] = {
        "48 GB": lambda: grpo_step(work, CARD_48, report["rates"], checkpointing=True),
        "fast": lambda: grpo_step(work, FAST, report["rates"], checkpointing=chosen.checkpointing),
        "passes": lambda: passes(work, chosen.long),
    }
    for name, run in parts.items():
        forget(device)
        try:
            report[name] = run()
        except torch.OutOfMemoryError as error:
            report[name] = {"error": str(error).split(". ")[0]}
        print(json.dumps({name: report[name]}, indent=1))
        report["seconds"] = time.perf_counter() - started
        if chosen.out:  # what is there so far: a later part may end the process
            chosen.out.write_text(json.dumps(report, indent=1) + "\n")
    return report


if __name__ == "__main__":
    main()
