"""A GRPO step as small trainers write it, for comparison: everything once for each of the G completions.

`generate(num_return_sequences=G)` encodes the clip and computes the prompt G times; the passes of policy and reference
take G rows of prompt and completion, encode the clip for each, and make logits for every position. As R1-AQA and its
forks do it, but for the pass under the old policy, which one update per rollout does not need.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from harken.models.audio_lm import ModelInput
from harken.models.qwen_omni import QwenOmni


class RepeatedStep:
    """Each call makes one step on the next prompt; temperature, KL weight, clipping and AdamW as in `own_step`."""

    def __init__(
        self, model: QwenOmni, read: Callable[[int], ModelInput], completion: int, group: int, *, old_pass: bool = False
    ) -> None:
        self._model, self._read, self._length, self._group, self._old = model, read, completion, group, old_pass
        self._reference: Any = copy.deepcopy(model.module).eval().requires_grad_(False)
        trained = [parameter for parameter in model.module.parameters() if parameter.requires_grad]
        self._optimizer = torch.optim.AdamW(trained, lr=1e-6, weight_decay=0.0, fused=True)
        self._step = 0

    def __call__(self) -> None:
        self._step += 1
        module: Any = self._model.module
        one = self._read(self._step)
        rows = self._generate(module.eval(), one)
        said = [self._model.decode(row) for row in rows[:, one.length :].tolist()]
        rewards = torch.tensor([float(len(text) % 2) for text in said])
        advantages = ((rewards - rewards.mean()) / (rewards.std() + 1e-4))[:, None]
        with torch.no_grad():
            reference = self._logp(self._reference, one, rows)
            old = self._logp(module, one, rows) if self._old else None
        logp = self._logp(module.train(), one, rows)
        ratio = (logp - (logp.detach() if old is None else old)).exp()
        surrogate = torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages)
        gap = reference - logp
        loss = (0.04 * (gap.exp() - gap - 1) - surrogate).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad()

    @torch.no_grad()
    def _generate(self, module: Any, one: ModelInput) -> Tensor:
        return module.generate(
            **_arguments(one, one.input_ids[None]),
            **{"do_sample": True, "temperature": 1.2, "top_k": 0, "top_p": 1.0, "num_return_sequences": self._group},
            **{"max_new_tokens": self._length, "min_new_tokens": self._length, "pad_token_id": 0},
            suppress_tokens=sorted(self._model.tokenizer.added_tokens_decoder),
        )

    def _logp(self, module: Any, one: ModelInput, rows: Tensor) -> Tensor:
        logits = module(**_arguments(one, rows), use_cache=False).logits[:, one.length - 1 : -1]
        completions = rows[:, one.length :, None]
        return torch.log_softmax(logits.float(), -1).gather(-1, completions)[..., 0]


def _arguments(one: ModelInput, rows: Tensor) -> dict[str, Tensor]:
    assert one.features is not None
    features: Sequence[int] = one.features.shape
    return {
        "input_ids": rows,
        "attention_mask": torch.ones_like(rows),
        "input_features": one.features.expand(len(rows), *features),
        "feature_attention_mask": torch.ones(len(rows), features[1], dtype=torch.long),
    }
