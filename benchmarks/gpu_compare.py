"""The comparisons of gpu.py: graphs with single launches, cuDNN's attention on and off, packed with repeated rows."""

import contextlib
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gpu_setup import measure_run
from gpu_step import MeasuredSteps
from harken.inference.completions import Completions
from harken.inference.kv_cache_fixed import FixedCacheDecoder
from harken.inference.log_probabilities import score_packed, score_repeated
from harken.inference.rollout import rollout
from harken.inference.sampling import Sampling
from harken.models.policy import mixed_precision

Runs = dict[str, Callable[[], Any]]


def measure_graphs(steps: MeasuredSteps, tokens: int) -> dict[str, Any]:
    """All rows of a step decoded in three ways: with the growing cache, with the fixed cache that a graph needs, and in
    a CUDA graph. The last two run the same kernels, so their tokens must be equal; the first may round differently."""
    prompts, rows = len(steps.inputs), steps.work.prompts * steps.work.group

    def without_recording() -> Completions:
        allowed, FixedCacheDecoder.can_record = FixedCacheDecoder.can_record, False
        try:
            return sample(steps, prompts, tokens, cuda_graph=True)
        finally:
            FixedCacheDecoder.can_record = allowed

    runs: Runs = {
        "growing cache": lambda: sample(steps, prompts, tokens),
        "fixed cache": without_recording,
        "CUDA graph": lambda: sample(steps, prompts, tokens, cuda_graph=True),
    }
    seconds, peaks, results = interleave(steps, runs)
    graph = results["CUDA graph"].tokens
    return {
        "rows": rows,
        "tokens": tokens,
        "seconds": seconds,
        "tokens_per_s": {name: rows * tokens / value for name, value in seconds.items()},
        "peak_gib": peaks,
        "recorded": FixedCacheDecoder.can_record and steps.work.device.type == "cuda",
        "tokens_equal": torch.equal(graph, results["fixed cache"].tokens),
        "share_of_tokens_as_with_the_growing_cache": float((graph == results["growing cache"].tokens).float().mean()),
    }


def measure_cudnn(steps: MeasuredSteps, tokens: int) -> dict[str, Any]:
    """Decoding and a policy pass of one prompt with cuDNN's attention allowed and forbidden. Lengths are new in each
    round, since cuDNN plans anew for each length."""
    lengths = iter(range(tokens, tokens + 64))

    def allowed(run: Callable[[], Any], on: bool) -> Callable[[], Any]:
        def call() -> Any:
            with cudnn_attention(on):
                return run()

        return call

    runs: Runs = {}
    for name, on in (("cuDNN on", True), ("cuDNN off", False)):
        runs[f"rollout, {name}"] = allowed(lambda: sample(steps, len(steps.inputs), next(lengths)), on)
        runs[f"policy pass, {name}"] = allowed(lambda: score(steps, "packed", next(lengths)), on)
    seconds, peaks, _ = interleave(steps, runs)
    return {"seconds": seconds, "peak_gib": peaks}


@contextlib.contextmanager
def cudnn_attention(on: bool) -> Iterator[None]:
    before = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(on)
    try:
        yield
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)


def measure_repeated(steps: MeasuredSteps, tokens: int) -> dict[str, Any]:
    """Policy pass and rollout of one prompt against their repeated forms."""
    runs: Runs = {
        "rollout, prefill once": lambda: sample(steps, 1, tokens),
        "rollout, generate": lambda: generate(steps, tokens),
        "policy pass, packed": lambda: score(steps, "packed", tokens),
        "policy pass, repeated": lambda: score(steps, "repeated", tokens),
    }
    seconds, peaks, results = interleave(steps, runs)
    packed, repeated = results["policy pass, packed"], results["policy pass, repeated"]
    group, prompt = steps.work.group, steps.inputs[0].length
    return {
        "tokens": tokens,
        "seconds": seconds,
        "peak_gib": peaks,
        "policy_ratio": seconds["policy pass, repeated"] / seconds["policy pass, packed"],
        "policy_ratio_bound": group * (prompt + tokens) / (prompt + group * tokens),
        "logp_difference_max": float((packed - repeated).abs().max()),
    }


def interleave(steps: MeasuredSteps, runs: Runs) -> tuple[dict[str, float], dict[str, float | None], dict[str, Any]]:
    """Median seconds, last peaks and last results of runs that take turns, after a round that warms up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    peaks: dict[str, float | None] = {}
    results: dict[str, Any] = {}
    for repeat in range(steps.work.repeats + 1):
        for name, run in runs.items():
            with mixed_precision(steps.model, steps.recipe.model.precision):
                seconds, peaks[name], results[name] = measure_run(steps.work.device, run)
            steps.model.module.zero_grad(set_to_none=True)
            if repeat:
                times[name].append(seconds)
    return {name: statistics.median(values) for name, values in times.items()}, peaks, results


def sample(steps: MeasuredSteps, prompts: int, tokens: int, *, cuda_graph: bool = False) -> Completions:
    """harken's rollout of the first prompts; it computes each prompt once."""
    inputs = steps.inputs[:prompts]
    with torch.no_grad():
        embedded = steps.model.embed(inputs, steps.model.encode_audio(inputs))
    uniforms = torch.from_numpy(np.random.default_rng(0).random((prompts * steps.work.group, tokens)))
    return rollout(steps.model, embedded, steps.work.group, Sampling(1.0, tokens, cuda_graph=cuda_graph), uniforms)


def generate(steps: MeasuredSteps, tokens: int) -> Tensor:
    """transformers' rollout of one prompt, which computes it G times."""
    prompt, device = steps.inputs[0], steps.work.device
    ids, features = prompt.input_ids[None].to(device), prompt.features
    assert features is not None
    steps.model.module.eval()
    return steps.model.module.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        input_features=features[None].to(device, next(steps.model.module.parameters()).dtype),
        feature_attention_mask=torch.ones(1, features.shape[1], dtype=torch.long, device=device),
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        pad_token_id=0,
        eos_token_id=None,
        num_return_sequences=steps.work.group,
        max_new_tokens=tokens,
        min_new_tokens=tokens,
    )


def score(steps: MeasuredSteps, form: str, tokens: int) -> Tensor:
    """A policy pass over one prompt, forward and backward; gives the log-probabilities."""
    model, inputs = steps.model, steps.inputs[:1]
    numbers = np.random.default_rng(0).integers(20, 200, (steps.work.group, tokens))
    drawn = torch.from_numpy(numbers).to(steps.work.device)
    mask = torch.ones_like(drawn, dtype=torch.bool)
    completions = Completions(drawn, mask, drawn * 0.0, mask[:, 0])
    model.module.train()
    if form == "packed":
        scores = score_packed(model, model.embed(inputs, model.encode_audio(inputs)), completions)
    else:
        scores = score_repeated(model, inputs, completions)
    scores.logp.mean().backward()
    return scores.logp.detach().float()
