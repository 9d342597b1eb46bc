"""Samples the completions of a step, one micro-batch after another.

Each clip is encoded once per step. Where the tower trains, the encoder's graph is kept, so that the first update uses
it too. All randomness follows from (seed, step, question, number of the completion), so the size of a micro-batch
changes no sample.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from harken.config import GrpoConfig
from harken.grpo.micro_batch import PromptBatch, SampledBatch
from harken.grpo.out_of_memory import halve_until_it_fits
from harken.inference.completions import Completions, as_completions, completion_texts
from harken.inference.decode import decode
from harken.inference.prefill import PrefilledPrompts, prefill
from harken.inference.rollout import rollout
from harken.inference.sampling import Sampling
from harken.models.audio_lm import AudioLM, ModelInput
from harken.models.sharding import silent_input
from harken.questions.grader import understand
from harken.questions.prompt import Prompt
from harken.system.random import uniforms
from harken.types import Question, Response

EncodeAudio = Callable[[Sequence[ModelInput]], list[Tensor | None]]
"""A function with the signature of `AudioLM.encode_audio`."""


def sample_completions(
    policy: AudioLM,
    questions: Sequence[Question],
    inputs: Sequence[ModelInput],
    prompt: Prompt,
    settings: GrpoConfig,
    *,
    seed: int,
    step: int,
    encode_audio: EncodeAudio | None = None,
    most_rows: int | None = None,
    warn: Callable[[str], None] = lambda line: None,
) -> Iterator[SampledBatch]:
    """Sample `completions_per_prompt` completions for every question, one micro-batch after another.

    Prompts of similar length share a micro-batch, so that little of it is padding.

    Args:
        inputs: what the model reads, one for each question.
        encode_audio: encodes the clips of prompts; default: the policy's own tower.
        most_rows: most completions that are decoded at once; None = all of a micro-batch.
        warn: called with a line where a micro-batch does not fit into memory and is halved.
    """
    sampler = _Sampler(policy, prompt, settings, seed, step, encode_audio or policy.encode_audio, most_rows)
    size = settings.prompts_per_micro_batch
    by_length = sorted(range(len(questions)), key=lambda i: inputs[i].length)
    for start in range(0, len(questions), size):
        chosen = by_length[start : start + size]
        batches = [PromptBatch([questions[i] for i in chosen], [inputs[i] for i in chosen])]
        yield from halve_until_it_fits(
            batches,
            lambda batches=batches: [sampler.sample(batch) for batch in batches],
            warn=warn,
            advice="set memory.rollout_rows, or see `harken plan`",
        )


def stand_in(policy: AudioLM) -> SampledBatch:
    """A micro-batch for a rank that has fewer of them than the others.

    It goes through the same passes, so that the ranks meet in each of them, and adds nothing: one row of one token
    about a silent clip, without a response. Its clip is encoded now, as those of the other ranks are.
    """
    inputs = [silent_input(policy)]
    end_of_sequence = torch.tensor([policy.eos_token_ids[0]])
    return SampledBatch(
        questions=[],
        inputs=inputs,
        audio=policy.encode_audio(inputs),
        completions=as_completions([end_of_sequence], policy.device),
        responses=[],
        pending_verdicts=[],
    )


@dataclass(frozen=True, slots=True)
class _Sampler:
    """What all micro-batches of a step share."""

    policy: AudioLM
    prompt: Prompt
    settings: GrpoConfig
    seed: int
    step: int
    encode_audio: EncodeAudio
    most_rows: int | None

    def sample(self, batch: PromptBatch) -> SampledBatch:
        audio = self.encode_audio(batch.inputs)
        completions, prefilled = self._decode(batch, audio)
        responses = self._understand(batch, completions)
        return SampledBatch(
            questions=batch.questions,
            inputs=batch.inputs,
            audio=audio,
            completions=completions,
            responses=responses,
            pending_verdicts=[{} for _ in responses],
            prefilled=prefilled,
        )

    def _decode(
        self, batch: PromptBatch, audio: Sequence[Tensor | None]
    ) -> tuple[Completions, PrefilledPrompts | None]:
        """The completions, and the pass over the prompts with its graph where the update continues it."""
        policy, settings, group = self.policy, self.settings, self.settings.completions_per_prompt
        sampling = Sampling(
            settings.temperature,
            settings.max_completion_tokens,
            top_p=settings.top_p,
            top_k=settings.top_k,
            cuda_graph=settings.cuda_graph,
        )
        numbers = self._uniforms(batch)
        if settings.policy_pass == "continued":
            prefilled = prefill(policy, policy.embed(batch.inputs, audio))
            return decode(policy, prefilled.copy(), group, sampling, numbers), prefilled
        with torch.no_grad():
            embedded = policy.embed(batch.inputs, audio)
        return rollout(policy, embedded, group, sampling, numbers, self.most_rows), None

    def _uniforms(self, batch: PromptBatch) -> Tensor:
        """[R, max_completion_tokens] a random number for every token that may be sampled."""
        length = self.settings.max_completion_tokens
        rows = [
            uniforms(self.seed, self.step, question.id, g, length)
            for question in batch.questions
            for g in range(self.settings.completions_per_prompt)
        ]
        return torch.from_numpy(np.stack(rows))

    def _understand(self, batch: PromptBatch, completions: Completions) -> list[Response]:
        group = self.settings.completions_per_prompt
        lengths, ended = completions.lengths.tolist(), completions.ended.tolist()
        return [
            understand(
                text,
                batch.questions[r // group],
                letters_shown=self.prompt.letters_shown,
                tokens=int(lengths[r]),
                ended=bool(ended[r]),
            )
            for r, text in enumerate(completion_texts(self.policy, completions))
        ]
