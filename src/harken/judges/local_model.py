"""A judge's language model in this process: it replies to prompts greedily, in batches, on a thread of its own.

The model is a folder or a Hub id of a causal language model. The thread takes the prompts that are waiting, up to a
batch, so that a single prompt is answered at once and many are answered together. A prompt gets the same reply as from
the same model behind a server: it is tokenized as servers do it, and left padding changes nothing but rounding. Replies
are stored on disk like those of a server. Of the checkpoint's generation_config.json only the end tokens are used: its
sampling defaults may punish repetition.
"""

import hashlib
import json
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from harken.config import LocalJudgeConfig
from harken.errors import CheckpointError
from harken.judges.judge import Aspect
from harken.judges.prompts import MAX_NEW_TOKENS
from harken.models.fit_of_weights import refuse_unusable_json
from harken.models.loading import checkpoint_errors, pick_device
from harken.models.weights import load_weights
from harken.system.model_messages import Failure, Reply
from harken.system.reply_cache import ReplyCache

LONGEST_SCORE = max(tokens for aspect, tokens in MAX_NEW_TOKENS.items() if aspect != "rubric")


class LocalJudgeModel:
    """A `TextModel`. Raises CheckpointError for a model that cannot be loaded, ConfigError for a missing device."""

    def __init__(self, config: LocalJudgeConfig, cache: Path) -> None:
        self._config = config
        device = pick_device(config.device)
        with checkpoint_errors(config.path):
            refuse_unusable_json(config.path)
            self._tokenizer = AutoTokenizer.from_pretrained(config.path)
            self._model = load_weights(
                AutoModelForCausalLM, config.path, dtype=getattr(torch, config.dtype), attn_implementation=None
            )
        if config.style == "chat" and not self._tokenizer.chat_template:
            raise CheckpointError(f"{config.path}: has no chat template; set judge.local.style: completion")
        self._model.to(device).eval()
        with checkpoint_errors(config.path), torch.inference_mode():  # of a wrong config.json, a model may be made
            self._model(input_ids=torch.zeros(1, 1, dtype=torch.long, device=device))
        end = self._model.generation_config.eos_token_id
        end = self._tokenizer.eos_token_id if end is None else end
        # Replaces the checkpoint's own, from which `generate` would take every setting that is not given.
        self._model.generation_config = GenerationConfig(
            max_new_tokens=LONGEST_SCORE,
            do_sample=False,
            eos_token_id=end,
            pad_token_id=end[0] if isinstance(end, list) else end,  # stands after the end, and is not decoded
        )
        self._longest = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        self._cache = ReplyCache(cache)
        self._waiting: dict[str, tuple[str, int]] = {}
        self._lock = Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="judge")

    def submit(self, text: str, aspect: Aspect) -> Future[Reply | Failure]:
        """Aspects with one score share batches, so each reply has the room of the longest; rubrics have their own."""
        room = MAX_NEW_TOKENS[aspect] if aspect == "rubric" else LONGEST_SCORE
        content = json.dumps([self._config.path, self._config.style, text])
        key = hashlib.sha256(content.encode()).hexdigest()
        stored = self._cache.get(key)
        if stored is not None:
            reply: Future[Reply | Failure] = Future()
            reply.set_result(stored)
            return reply
        with self._lock:
            self._waiting[key] = text, room
        return self._thread.submit(self._reply, key, text, room)

    def close(self) -> None:
        """Wait for the batch that is under way, and cancel the rest."""
        self._thread.shutdown(cancel_futures=True)
        self._cache.close()

    def _reply(self, key: str, text: str, reply_tokens: int) -> Reply | Failure:
        """Reply to this text, and to others that wait; they find their replies stored when their turn comes."""
        stored = self._cache.get(key)
        if stored is not None:
            return stored
        waiting = self._take_batch(key, text, reply_tokens)
        batch = {each_key: self._tokens(each_text) for each_key, each_text in waiting.items()}
        room = self._longest - reply_tokens if self._longest is not None else None
        if room is not None and len(batch[key]) > room:
            return Failure(f"prompt too long: {len(batch[key])} tokens, the judge model has room for {room}")
        batch = {each_key: tokens for each_key, tokens in batch.items() if room is None or len(tokens) <= room}
        try:
            replies = self._generate(list(batch.values()), reply_tokens)
        except torch.OutOfMemoryError as error:
            memory = " ".join(str(error).split())
            return Failure(f"out of memory: {len(batch)} prompts: {memory}; lower judge.local.batch_size")
        for each_key, reply in zip(batch, replies, strict=True):
            self._cache.put(each_key, Reply(reply, ended=True))
        return Reply(replies[0], ended=True)

    def _take_batch(self, key: str, text: str, reply_tokens: int) -> dict[str, str]:
        """This text first, then those that have waited longest and want replies of the same room, as many as fit."""
        batch = {key: text}
        with self._lock:
            self._waiting.pop(key, None)
            alike = [each_key for each_key, (_, room) in self._waiting.items() if room == reply_tokens]
            for each_key in alike[: self._config.batch_size - 1]:
                batch[each_key], _ = self._waiting.pop(each_key)
        return batch

    def _tokens(self, text: str) -> list[int]:
        if self._config.style == "completion":
            return self._tokenizer(text)["input_ids"]
        turn = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        return self._tokenizer(turn, add_special_tokens=False)["input_ids"]

    @torch.inference_mode()
    def _generate(self, batch: list[list[int]], reply_tokens: int) -> list[str]:
        longest = max(len(tokens) for tokens in batch)
        ids = torch.tensor([[0] * (longest - len(tokens)) + tokens for tokens in batch], device=self._model.device)
        mask = torch.tensor(
            [[0] * (longest - len(tokens)) + [1] * len(tokens) for tokens in batch], device=self._model.device
        )
        new_tokens = self._model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=reply_tokens)[:, longest:]
        return self._tokenizer.batch_decode(new_tokens, skip_special_tokens=True)
