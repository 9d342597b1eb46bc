"""A stand-in for the package vllm that a `VllmEngine` can work with: transformers' Qwen2 or Llama, decoded by
a plain loop.

It reads the config.json that the engine wrote, takes weights by vLLM's names and no others, and keeps the hidden states
of a prompt as vLLM's prefix cache keeps its keys and values, so that whoever forgets to reset it gets old ones.
"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config

__version__ = "0.0.fake"
SamplingParams = SimpleNamespace


class LLM:
    def __init__(self, model: str, **options: Any) -> None:
        self.options, self.calls = options, []
        written = json.loads((Path(model) / "config.json").read_text())
        config = {"qwen2": Qwen2Config, "llama": LlamaConfig}[written["model_type"]](**written)
        torch.manual_seed(options["seed"])  # as vLLM does
        with torch.device("cpu"):
            self.model = AutoModelForCausalLM.from_config(config).to(getattr(torch, options["dtype"])).eval()
        self._prefixes: dict[bytes, Any] = {}

    def collective_rpc(self, method: str, kwargs: dict[str, Any]) -> None:
        assert method == "reload_weights"
        self.calls.append("reload")
        state = {name: weight.clone() for name, weight in kwargs["weights_iterator"]}
        tied = {"lm_head.weight"} if self.model.config.tie_word_embeddings else set()
        assert state.keys() == self.model.state_dict().keys() - tied
        self.model.load_state_dict(state, strict=not tied)

    def reset_prefix_cache(self) -> bool:
        self.calls.append("reset")
        self._prefixes = {}
        return True

    def wake_up(self, tags: list[str]) -> None:
        self.calls.append(f"wake {tags[0]}")

    def sleep(self, level: int) -> None:
        self.calls.append(f"sleep {level}")

    def generate(self, requests: list[dict], settings: list[Any], use_tqdm: bool) -> list[Any]:
        assert not torch.is_grad_enabled()
        assert not torch.is_autocast_enabled("cpu")
        self.calls.append("generate")
        return [
            SimpleNamespace(outputs=[self._complete(request["prompt_embeds"], own, g) for g in range(own.n)])
            for request, own in zip(requests, settings, strict=True)
        ]

    def _complete(self, prompt: torch.Tensor, settings: Any, g: int) -> Any:
        generator = torch.Generator().manual_seed(settings.seed + g)
        first = self._prefixes.setdefault(prompt.numpy().tobytes(), self._next(prompt))
        tokens, logprobs, reason = [], [], "length"
        for _ in range(settings.max_tokens):
            logits = first if not tokens else self._next(torch.cat([prompt, self._embed(tokens)]))
            torch.rand(())  # draws from the generator of all, as vLLM does
            token = int(torch.multinomial(torch.softmax(logits / settings.temperature, -1), 1, generator=generator))
            logp = float(torch.log_softmax(logits, -1)[token])
            tokens.append(token)
            logprobs.append({token: SimpleNamespace(logprob=logp)})
            if token in settings.stop_token_ids:
                reason = "stop"
                break
        return SimpleNamespace(token_ids=tokens, logprobs=logprobs, finish_reason=reason)

    def _embed(self, tokens: list[int]) -> torch.Tensor:
        return self.model.get_input_embeddings()(torch.tensor(tokens))

    def _next(self, embedded: torch.Tensor) -> torch.Tensor:
        return self.model(inputs_embeds=embedded[None]).logits[0, -1].float()
