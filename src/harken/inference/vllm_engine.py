"""vLLM as rollout engine, in the process of the policy: one engine for each GPU, without tensor parallelism.

    holding(policy)   wake the engine, load the language model's weights, forget what was computed with older ones
    sample            embedded prompts -> completions with the engine's log-probabilities
    end of holding    on a GPU the engine sleeps: its memory is free for the update

The policy embeds the prompts, so vLLM sees no clip. It has no audio tower whose weights or caches could be old, and its
own processors, which pad a clip of Qwen2.5-Omni to 300 s, never run. Tested with vLLM 0.32 on a CPU.
"""

import contextlib
import importlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harken.config.rollout import RolloutConfig
from harken.errors import ConfigError, HarkenError
from harken.inference.completions import Completions, as_completions
from harken.inference.sampling import Sampling
from harken.inference.vllm_weights import vllm_config, vllm_weights
from harken.models.audio_lm import AudioLM

GIB = 2**30
MOST_ROWS = 1024
"""Completions that the engine decodes together at most."""
SEED_BITS = 2**48
"""A prompt's seed is its first random number times this; the seeds of its completions follow each other."""


class VllmEngine:
    """See `RolloutEngine`.

    Args:
        policy: its language model gives the engine's sizes; weights come with `holding`.
        dtype: the type that the policy computes in.
        longest: most tokens of a prompt and its completion.
        rows: completions of a step on this rank.
        joins_ranks: whether this process is one of several ranks, which all make their engines now.
    """

    splits_batches = True

    def __init__(
        self,
        policy: AudioLM,
        settings: RolloutConfig,
        *,
        dtype: torch.dtype,
        longest: int,
        rows: int,
        joins_ranks: bool = False,
    ) -> None:
        self._dtype, self._device = dtype, policy.device
        self._end_tokens = list(policy.eos_token_ids)
        self._sleeps = policy.device.type == "cuda"
        vllm = _import_vllm()
        self.version: str = vllm.__version__
        self._sampling_params: Any = vllm.SamplingParams
        config = vllm_config(policy, dtype)
        longest = min(longest, config["max_position_embeddings"])
        with tempfile.TemporaryDirectory(prefix="harken-vllm-") as folder, self._apart():
            (Path(folder) / "config.json").write_text(json.dumps(config), encoding="utf-8")
            options = _options(policy.device, settings, dtype, longest, rows)
            if joins_ranks:
                options["distributed_executor_backend"] = "external_launcher"
            try:
                self._llm: Any = vllm.LLM(model=folder, **options)
            except (ValueError, RuntimeError) as error:
                reason = " ".join(str(error).split())
                raise ConfigError(f"grpo.rollout.engine: vllm: the engine does not start ({reason})") from error
            if joins_ranks:
                # When an engine goes, vLLM destroys the process group of the ranks, which is not its own.
                self._llm.llm_engine.engine_core._finalizer.detach()
            self._sleep()

    @contextlib.contextmanager
    def holding(self, policy: AudioLM) -> Iterator[None]:
        with self._apart():
            if self._sleeps:
                torch.cuda.empty_cache()  # the engine's memory does not come from torch's
                self._llm.wake_up(tags=["weights"])
            self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": vllm_weights(policy)})
            if self._sleeps:
                self._llm.wake_up(tags=["kv_cache"])
            self._forget_computed()
        try:
            yield
        finally:
            self._sleep()

    def sample(
        self,
        prompts: Sequence[Tensor],
        completions_per_prompt: int,
        sampling: Sampling,
        uniforms: Tensor,
        most_rows: int | None = None,
    ) -> Completions:
        requests = [{"prompt_embeds": prompt.detach().to("cpu", self._dtype)} for prompt in prompts]
        seeds = (uniforms[::completions_per_prompt, 0] * SEED_BITS).long().tolist()
        settings = [
            self._sampling_params(
                n=completions_per_prompt,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                top_k=sampling.top_k,
                max_tokens=sampling.max_completion_tokens,
                seed=seed,
                stop_token_ids=self._end_tokens,
                logprobs=0,  # those of the sampled tokens alone
                flat_logprobs=True,
                detokenize=False,
            )
            for seed in seeds
        ]
        with self._apart():
            try:
                outputs = self._llm.generate(requests, settings, use_tqdm=False)
            except torch.OutOfMemoryError as error:  # requests that have begun stay in the engine: no second try
                raise HarkenError(
                    f"the vLLM engine has not enough memory ({error}): set a smaller grpo.rollout.kv_cache_gib"
                ) from error
        rows = [completion for output in outputs for completion in output.outputs]
        return read_completions(rows, self._device)

    def _forget_computed(self) -> None:
        """Drop the keys and values of prompts, which are of older weights: an unchanged prompt would find them."""
        if not self._llm.reset_prefix_cache():
            raise RuntimeError("vLLM did not reset its prefix cache")

    def _sleep(self) -> None:
        if self._sleeps:
            self._llm.sleep(level=2)

    @contextlib.contextmanager
    def _apart(self) -> Iterator[None]:
        """vLLM draws from torch's generators, seeds them, and computes in its own precision: none of this may reach the
        training around it, or the other way round."""
        devices = [self._device.index or 0] if self._device.type == "cuda" else []
        with (
            torch.random.fork_rng(devices=devices),
            torch.autocast(self._device.type, enabled=False),
            torch.no_grad(),
        ):
            yield


def _options(
    device: torch.device, settings: RolloutConfig, dtype: torch.dtype, longest: int, rows: int
) -> dict[str, Any]:
    """The arguments of `vllm.LLM`."""
    options: dict[str, Any] = {
        "skip_tokenizer_init": True,
        "enable_prompt_embeds": True,
        "load_format": "dummy",  # weights come with `holding`
        "dtype": str(dtype).removeprefix("torch."),
        "max_model_len": longest,
        "max_num_seqs": min(rows, MOST_ROWS),
        "logprobs_mode": "raw_logprobs",  # before temperature, as harken's own
        "kv_cache_memory_bytes": int(settings.kv_cache_gib * GIB),
        "gpu_memory_utilization": 0.05,  # what must be free at the start; the cache has its own size
        "enable_sleep_mode": device.type == "cuda",
        "disable_log_stats": True,
        "seed": 0,
    }
    if device.type == "cpu":
        # vLLM 0.32 takes a number back where a prompt is computed in pieces, which generators of a CPU refuse.
        options |= {"enforce_eager": True, "enable_chunked_prefill": False}
        options["max_num_batched_tokens"] = max(longest, 8192)
    return options


def read_completions(rows: Sequence[Any], device: torch.device) -> Completions:
    """vLLM's outputs, R completions in row order, as `Completions`.

    Raises HarkenError where the engine stopped a completion for another reason than its end or its length, or gave a
    log-probability that is no number.
    """
    if unusual := {row.finish_reason for row in rows} - {"stop", "length"}:
        raise HarkenError(f"the vLLM engine ended completions with {', '.join(map(str, sorted(unusual, key=str)))}")
    completions = as_completions([torch.tensor(list(row.token_ids), dtype=torch.long) for row in rows], device)
    logp = completions.logp.cpu()
    for r, row in enumerate(rows):
        logp[r, : len(row.token_ids)] = torch.tensor(_sampled_logp(row))
    if not bool(logp.isfinite().all()):
        raise HarkenError("the vLLM engine gave log-probabilities that are not finite: the policy has diverged")
    ended = torch.tensor([row.finish_reason == "stop" for row in rows], device=device)
    return Completions(completions.tokens, completions.mask, logp.to(device), ended)


def _sampled_logp(row: Any) -> list[float]:
    """The log-probability of each token of a completion."""
    return [entries[token].logprob for token, entries in zip(row.token_ids, row.logprobs, strict=True)]


def _import_vllm() -> Any:
    """The package, set up for an engine inside this process. Raises ConfigError where it is not installed."""
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = (
        "0"  # else the engine, and the weights' way to it, is another process
    )
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")  # else it binds this process to cores of its choice
    try:
        return importlib.import_module("vllm")
    except ImportError as error:
        raise ConfigError(
            f"grpo.rollout.engine: vllm: vLLM cannot be imported ({error}): pip install 'harken[vllm]', or set "
            "grpo.rollout.engine: harken"
        ) from error
