"""Policy pass and rollout on one card against their repeated forms, and a long decode, for gpu.py."""

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gpu_setup import Work, build_model, make_questions, measure_run, noise_loader
from harken.config import PromptConfig
from harken.inference.completions import Completions
from harken.inference.log_probabilities import score_packed, score_repeated
from harken.inference.prompt_inputs import PromptInputs
from harken.inference.rollout import rollout
from harken.inference.sampling import Sampling
from harken.models.policy import enable_gradient_checkpointing
from harken.questions.prompt import Prompt


class OnePrompt:
    """One prompt with G completions in each form; harken's against transformers' and the repeated one."""

    def __init__(self, work: Work, longest: int) -> None:
        self._work = work
        self.model = build_model(work)
        enable_gradient_checkpointing(self.model.module)
        prompt = Prompt.from_config(PromptConfig())
        self._inputs = PromptInputs(self.model, prompt, 0, load_clips=noise_loader(work))(make_questions(work)[:1])
        generator = np.random.default_rng(0)
        self._uniforms = torch.from_numpy(generator.random((work.group, longest)))
        tokens = torch.from_numpy(generator.integers(20, 200, (work.group, work.completion))).to(work.device)
        mask = torch.ones_like(tokens, dtype=torch.bool)
        self._completions = Completions(tokens, mask, tokens * 0.0, mask[:, 0])

    @property
    def prompt_tokens(self) -> int:
        return self._inputs[0].length

    def sample(self, tokens: int, cuda_graph: bool = False) -> Completions:
        """harken's rollout, which computes the prompt once."""
        with torch.no_grad():
            embedded = self.model.embed(self._inputs, self.model.encode_audio(self._inputs))
        sampling = Sampling(1.0, tokens, cuda_graph=cuda_graph)
        return rollout(self.model, embedded, self._work.group, sampling, self._uniforms)

    def generate(self) -> Tensor:
        """transformers' rollout, which computes the prompt G times."""
        device, tokens = self._work.device, self._work.completion
        ids = torch.stack([prompt.input_ids for prompt in self._inputs]).to(device)
        features = torch.stack([prompt.features for prompt in self._inputs if prompt.features is not None])
        self.model.module.eval()
        return self.model.module.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            input_features=features.to(device, torch.bfloat16),
            feature_attention_mask=torch.ones(features.shape[0], features.shape[2], dtype=torch.long, device=device),
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            pad_token_id=0,
            eos_token_id=None,
            num_return_sequences=self._work.group,
            max_new_tokens=tokens,
            min_new_tokens=tokens,
        )

    def score(self, form: str) -> Tensor:
        """A policy pass, forward and backward; gives the log-probabilities."""
        self.model.module.train()
        self.model.module.zero_grad(set_to_none=True)
        if form == "packed":
            embedded = self.model.embed(self._inputs, self.model.encode_audio(self._inputs))
            scores = score_packed(self.model, embedded, self._completions)
        else:
            scores = score_repeated(self.model, self._inputs, self._completions)
        scores.logp.mean().backward()
        return scores.logp.detach().float()


def measure_passes(work: Work, long: int) -> dict[str, Any]:
    """Policy pass and rollout against their repeated forms, interleaved, and a decode of `long` tokens."""
    prompt = OnePrompt(work, max(long, work.completion))
    runs: dict[str, Callable[[], Any]] = {
        "rollout, prefill once": lambda: prompt.sample(work.completion),
        "rollout, generate": prompt.generate,
        "policy pass, packed": lambda: prompt.score("packed"),
        "policy pass, repeated": lambda: prompt.score("repeated"),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    peaks: dict[str, float | None] = {}
    results: dict[str, Any] = {}
    for repeat in range(work.repeats + 1):
        for name, run in runs.items():
            seconds, peaks[name], results[name] = measure_run(work.device, run)
            if repeat:  # the first round warms up
                times[name].append(seconds)
    prompt.model.module.zero_grad(set_to_none=True)
    medians = {name: statistics.median(values) for name, values in times.items()}
    packed, repeated = results["policy pass, packed"], results["policy pass, repeated"]
    tokens = prompt.prompt_tokens
    return {
        "seconds": medians,
        "peak_gib": peaks,
        "policy_ratio": medians["policy pass, repeated"] / medians["policy pass, packed"],
        "policy_ceiling": work.group * (tokens + work.completion) / (tokens + work.group * work.completion),
        "logp_difference_max": float((packed - repeated).abs().max()),
        "decode": measure_decode(work, prompt, long),
    }


def measure_decode(work: Work, prompt: OnePrompt, tokens: int) -> dict[str, Any]:
    """Tokens a second with a growing cache and in a CUDA graph, and the share of tokens that are the same."""
    decode: dict[str, Any] = {"rows": work.group, "tokens": tokens}
    sampled: dict[str, Completions] = {}
    for form, cuda_graph in (("as rows come", False), ("cuda_graph", True)):
        seconds, peak, sampled[form] = measure_run(
            work.device, lambda cuda_graph=cuda_graph: prompt.sample(tokens, cuda_graph)
        )
        decode[form] = {"tokens_per_s": work.group * tokens / seconds, "peak_gib": peak}
    same = sampled["as rows come"].tokens == sampled["cuda_graph"].tokens
    return decode | {"same_tokens": float(same.float().mean())}
