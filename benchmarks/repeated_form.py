"""A GRPO step as small trainers write it, for comparison: everything is computed once for each of the G completions.

`generate(num_return_sequences=G)` encodes the clip and computes the prompt G times. The passes of policy and reference
take G rows of prompt and completion, encode the clip for each row, and make logits for every position. R1-AQA and its
forks do it in this way; they add a pass under the old policy, which one update per rollout does not need.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from harken.models.audio_lm import ModelInput
from harken.models.qwen_omni import QwenOmni


class RepeatedStep:
    """Each call makes one step on the next prompt. Temperature, KL weight, clipping and AdamW are those of `own_step`.

    Args:
        read: step number, from 1 -> the prompt of that step.
        old_pass: whether to add the pass under the old policy.
    """

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
        prompt = self._read(self._step)
        rows = self._generate(module.eval(), prompt)
        texts = [self._model.decode(row) for row in rows[:, prompt.length :].tolist()]
        rewards = torch.tensor([float(len(text) % 2) for text in texts])
        advantages = ((rewards - rewards.mean()) / (rewards.std() + 1e-4))[:, None]
        with torch.no_grad():
            reference = self._logp(self._reference, prompt, rows)
            old = self._logp(module, prompt, rows) if self._old else None
        logp = self._logp(module.train(), prompt, rows)
        ratio = (logp - (logp.detach() if old is None else old)).exp()
        surrogate = torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages)
        gap = reference - logp
        loss = (0.04 * (gap.exp() - gap - 1) - surrogate).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad()

    @torch.no_grad()
    def _generate(self, module: Any, prompt: ModelInput) -> Tensor:
        return module.generate(
            **_arguments(prompt, prompt.input_ids[None]),
            do_sample=True,
            temperature=1.2,
            top_k=0,
            top_p=1.0,
            num_return_sequences=self._group,
            max_new_tokens=self._length,
            min_new_tokens=self._length,
            pad_token_id=0,
            suppress_tokens=sorted(self._model.tokenizer.added_tokens_decoder),
        )

    def _logp(self, module: Any, prompt: ModelInput, rows: Tensor) -> Tensor:
        """Log-probabilities of the completions: [G, R]."""
        logits = module(**_arguments(prompt, rows), use_cache=False).logits[:, prompt.length - 1 : -1]
        completions = rows[:, prompt.length :, None]
        return torch.log_softmax(logits.float(), -1).gather(-1, completions)[..., 0]


def _arguments(prompt: ModelInput, rows: Tensor) -> dict[str, Tensor]:
    assert prompt.features is not None
    shape: Sequence[int] = prompt.features.shape
    return {
        "input_ids": rows,
        "attention_mask": torch.ones_like(rows),
        "input_features": prompt.features.expand(len(rows), *shape),
        "feature_attention_mask": torch.ones(len(rows), shape[1], dtype=torch.long),
    }
