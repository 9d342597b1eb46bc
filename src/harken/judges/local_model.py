"""A judge model in this process: texts -> replies, in batches on a thread of their own, greedy.

Takes a folder or Hub id of a causal language model. The thread takes whatever is waiting, up to a batch, so that single
questions are answered at once and many of them together. The same text gives the same reply as the same model behind a
server: the prompt is tokenized as servers do it, and left padding changes nothing but rounding. Replies are kept on
disk like a server's. Not taken: the checkpoint's own sampling defaults (generation_config.json), which may punish
repetition; only its end tokens are used.
"""

import hashlib
import json
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from harken.config import LocalJudgeConfig
from harken.errors import CheckpointError
from harken.judges.prompts import MAX_NEW_TOKENS
from harken.models.loading import explained, pick_device
from harken.system.model_server import Failure, Reply, ReplyCache


class LocalModel:
    """Raises CheckpointError for a model that cannot be loaded, ConfigError for a device that is not here."""

    def __init__(self, config: LocalJudgeConfig, cache: Path) -> None:
        self._config = config
        device = pick_device(config.device)
        with explained(config.path):
            self._tokenizer = AutoTokenizer.from_pretrained(config.path)
            self._model: Any = AutoModelForCausalLM.from_pretrained(
                config.path, dtype=getattr(torch, config.dtype), use_safetensors=True
            )
        if config.style == "chat" and not self._tokenizer.chat_template:
            raise CheckpointError(f"{config.path}: has no chat template: set judge.local.style: completion")
        self._model.to(device).eval()
        end = self._model.generation_config.eos_token_id
        end = self._tokenizer.eos_token_id if end is None else end
        # In place of the checkpoint's own, from which `generate` would take what it is not given.
        self._model.generation_config = GenerationConfig(
            **{"max_new_tokens": MAX_NEW_TOKENS, "do_sample": False, "eos_token_id": end},
            pad_token_id=end[0] if isinstance(end, list) else end,  # after the end, and left out when decoded
        )
        self._longest = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        self._cache = ReplyCache(cache)
        self._waiting: dict[str, str] = {}
        self._lock = Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="judge")

    def ask(self, text: str) -> Future[Reply | Failure]:
        content = json.dumps([self._config.path, self._config.style, text])
        key = hashlib.sha256(content.encode()).hexdigest()
        known = self._cache.get(key)
        if known is not None:
            answered: Future[Reply | Failure] = Future()
            answered.set_result(known)
            return answered
        with self._lock:
            self._waiting[key] = text
        return self._thread.submit(self._reply, key, text)

    def close(self) -> None:
        """Waits for the batch that is under way, gives up the rest."""
        self._thread.shutdown(cancel_futures=True)
        self._cache.close()

    def _reply(self, key: str, text: str) -> Reply | Failure:
        """Answer this text, and with it others that wait; they find their replies when their turn comes."""
        known = self._cache.get(key)
        if known is not None:
            return known
        batch = {one: self._tokens(waiting) for one, waiting in self._batch(key, text).items()}
        room = self._longest - MAX_NEW_TOKENS if self._longest is not None else None
        if room is not None and len(batch[key]) > room:
            return Failure(f"prompt too long: {len(batch[key])} tokens, the judge model has room for {room}")
        batch = {one: tokens for one, tokens in batch.items() if room is None or len(tokens) <= room}
        try:
            replies = self._generate(list(batch.values()))
        except torch.OutOfMemoryError as error:
            memory = " ".join(str(error).split())
            return Failure(f"out of memory: {len(batch)} prompts: {memory}; lower judge.local.batch_size")
        for one, reply in zip(batch, replies, strict=True):
            self._cache.put(one, Reply(reply, ended=True))
        return Reply(replies[0], ended=True)

    def _batch(self, key: str, text: str) -> dict[str, str]:
        """This text first, then as many as fit of those that have waited longest."""
        batch = {key: text}
        with self._lock:
            self._waiting.pop(key, None)
            for one in list(self._waiting)[: self._config.batch_size - 1]:
                batch[one] = self._waiting.pop(one)
        return batch

    def _tokens(self, text: str) -> list[int]:
        if self._config.style == "completion":
            return self._tokenizer(text)["input_ids"]
        turn = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        return self._tokenizer(turn, add_special_tokens=False)["input_ids"]

    @torch.inference_mode()
    def _generate(self, batch: list[list[int]]) -> list[str]:
        longest = max(len(tokens) for tokens in batch)
        ids = torch.tensor([[0] * (longest - len(tokens)) + tokens for tokens in batch], device=self._model.device)
        mask = torch.tensor(
            [[0] * (longest - len(tokens)) + [1] * len(tokens) for tokens in batch], device=self._model.device
        )
        said = self._model.generate(input_ids=ids, attention_mask=mask)[:, longest:]
        return self._tokenizer.batch_decode(said, skip_special_tokens=True)
