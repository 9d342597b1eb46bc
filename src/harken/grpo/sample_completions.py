"""Samples the completions of a step, all prompts together, and cuts them into micro-batches.

The clips of a step are encoded in one batch; where the tower trains, the encoder's graph is kept, so that the first
update uses it too. Prompts are prefilled and decoded as wide as memory allows, since a token costs a GPU about the same
for many rows as for few. What was sampled is then cut into the micro-batches that the update goes over. All randomness
follows from (seed, step, question, number of the completion), so a width changes a sample only where a row rounds
differently beside longer ones, as in bfloat16.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from harken.config import GrpoConfig
from harken.grpo.encode_clips import encode_clips
from harken.grpo.encoded_clips import EncodedClips
from harken.grpo.micro_batch import PromptBatch, SampledBatch
from harken.grpo.out_of_memory import halve_until_it_fits
from harken.inference.completions import Completions, as_completions, completion_texts
from harken.inference.decode import decode
from harken.inference.engine import OwnEngine, RolloutEngine
from harken.inference.prefill import PrefilledPrompts, join, prefill
from harken.inference.sampling import Sampling
from harken.models.audio_lm import AudioLM, ModelInput
from harken.models.sharding import silent_input
from harken.planning.step_sizes import StepSizes
from harken.questions.grader import understand
from harken.questions.prompt import Prompt
from harken.system.random import uniforms
from harken.system.ranks import SINGLE_PROCESS, Ranks
from harken.training.micro_batches import cut_by_tokens
from harken.types import Question, Response

GRAPH_TOKENS = 64
"""The shortest completions, by their maximum, for which a CUDA graph is recorded: recording costs about two tokens."""


def sample_completions(
    policy: AudioLM,
    questions: Sequence[Question],
    inputs: Sequence[ModelInput],
    prompt: Prompt,
    settings: GrpoConfig,
    *,
    seed: int,
    step: int,
    sizes: StepSizes | None = None,
    warn: Callable[[str], None] = lambda line: None,
    ranks: Ranks = SINGLE_PROCESS,
    engine: RolloutEngine | None = None,
) -> Iterator[SampledBatch]:
    """Sample `completions_per_prompt` completions for every question, and yield them in micro-batches.

    Prompts are taken in the order of their length, so that little of a batch is padding. Where not all fit into memory
    together, the micro-batches of one portion are yielded before the next portion is sampled.

    Args:
        inputs: what the model reads, one for each question.
        sizes: how much is computed at once; smaller afterwards where memory did not suffice. Default: all of it.
        warn: called with a line where prompts do not fit into memory together and are halved.
        engine: what samples; default: the policy itself.
    """
    engine = OwnEngine() if engine is None else engine
    sizes = StepSizes() if sizes is None else sizes
    if settings.tokens_per_micro_batch is not None:
        sizes.tokens_per_micro_batch = min(sizes.tokens_per_micro_batch, settings.tokens_per_micro_batch)
    if not questions:
        return
    order = sorted(range(len(questions)), key=lambda i: inputs[i].length)
    prompts = PromptBatch([questions[i] for i in order], [inputs[i] for i in order])
    clips = encode_clips(policy.encode_audio, prompts, warn, ranks if policy.audio_trains else None)
    prompts = PromptBatch(prompts.questions, prompts.inputs, clips.audio)
    graph = clips if clips.has_graph else None
    sampler = _Sampler(policy, prompt, settings, seed, step, graph, sizes, engine)
    with engine.holding(policy):
        for portion in sampler.portions(prompts.inputs):
            batches = [prompts.groups(portion.start, portion.stop)]
            yield from halve_until_it_fits(
                batches,
                lambda batches=batches: [part for batch in batches for part in sampler.sample(batch)],
                warn=warn,
                advice="set memory.rollout_rows, or see `harken plan`",
            )
            if len(batches) > 1:
                sizes.rollout_rows = max(len(batch.questions) for batch in batches) * settings.completions_per_prompt


def stand_in(policy: AudioLM, beside: SampledBatch | None) -> SampledBatch:
    """A micro-batch for a rank that has fewer of them than the others.

    It goes through the same passes, so that the ranks meet in each of them, and adds nothing: one row of one token
    about a silent clip, without a response.

    Args:
        beside: another micro-batch of this rank. None for a rank that has no questions; its silent clip is then encoded
            with a graph, since all ranks go backward through the encoder once where it trains.
    """
    inputs = [silent_input(policy)]
    if beside is None:
        clips = EncodedClips(policy.encode_audio(inputs))
        audio = clips.audio
    else:
        clips = beside.clips
        with torch.no_grad():
            audio = policy.encode_audio(inputs)
    end_of_sequence = torch.tensor([policy.eos_token_ids[0]])
    return SampledBatch(
        questions=[],
        inputs=inputs,
        audio=audio,
        completions=as_completions([end_of_sequence], policy.device),
        responses=[],
        pending_verdicts=[],
        clips=clips if clips is not None and clips.has_graph else None,
    )


def micro_batch_parts(
    inputs: Sequence[ModelInput], lengths: Sequence[int], settings: GrpoConfig, sizes: StepSizes
) -> list[slice]:
    """The micro-batches, as parts of P prompts in their order, whose G completions each have these lengths: [P * G]."""
    group = settings.completions_per_prompt
    groups = [lengths[first : first + group] for first in range(0, len(lengths), group)]
    if settings.policy_pass == "repeated":
        widths = [group * (prompt.length + max(own)) for prompt, own in zip(inputs, groups, strict=True)]
    else:  # the last token of a completion is predicted and never read
        widths = [prompt.length + sum(own) - group for prompt, own in zip(inputs, groups, strict=True)]
    return cut_by_tokens(widths, sizes.tokens_per_micro_batch)


@dataclass(frozen=True, slots=True)
class _Sampler:
    """Samples completions; one for all prompts of a step."""

    policy: AudioLM
    prompt: Prompt
    settings: GrpoConfig
    seed: int
    step: int
    clips: EncodedClips | None
    sizes: StepSizes
    engine: RolloutEngine

    def portions(self, inputs: Sequence[ModelInput]) -> list[slice]:
        """The prompts that are decoded together, in order."""
        if self.engine.splits_batches:
            return [slice(0, len(inputs))]
        group, rows, tokens = self.settings.completions_per_prompt, self.sizes.rollout_rows, self.sizes.rollout_tokens
        widths = [group * (prompt.length + self.settings.max_completion_tokens) for prompt in inputs]
        most_prompts = None if rows is None else max(1, rows // group)
        return cut_by_tokens(widths, sys.maxsize if tokens is None else tokens, most_prompts)

    def sample(self, batch: PromptBatch) -> list[SampledBatch]:
        """Completions of all prompts of the batch, cut into micro-batches."""
        completions, prefilled = self._decode(batch)
        lengths = completions.lengths.tolist()
        responses = self._understand(batch, completions, lengths)
        whole = SampledBatch(
            questions=batch.questions,
            inputs=batch.inputs,
            audio=batch.audio,
            completions=completions,
            responses=responses,
            pending_verdicts=[{} for _ in responses],
            clips=self.clips,
        )
        if not prefilled:
            return whole.cut(micro_batch_parts(batch.inputs, lengths, self.settings, self.sizes))
        micro_batches = whole.cut(self._parts_before(batch))
        for micro_batch, own in zip(micro_batches, prefilled, strict=True):
            micro_batch.prefilled = own
        return micro_batches

    def _decode(self, batch: PromptBatch) -> tuple[Completions, list[PrefilledPrompts]]:
        """The completions, and where the update continues it, the pass over the prompts of each micro-batch with its
        graph."""
        policy, settings, group = self.policy, self.settings, self.settings.completions_per_prompt
        sampling = Sampling(
            settings.temperature,
            settings.max_completion_tokens,
            top_p=settings.top_p,
            top_k=settings.top_k,
            cuda_graph=settings.cuda_graph and settings.max_completion_tokens >= GRAPH_TOKENS,
        )
        numbers = self._uniforms(batch)
        if settings.policy_pass == "continued":
            embedded = policy.embed(batch.inputs, batch.audio)
            prefilled = [prefill(policy, embedded[part]) for part in self._parts_before(batch)]
            return decode(policy, join(prefilled), group, sampling, numbers), prefilled
        with torch.no_grad():
            embedded = policy.embed(batch.inputs, batch.audio)
        return self.engine.sample(embedded, group, sampling, numbers, self._most_rows(batch)), []

    def _most_rows(self, batch: PromptBatch) -> int | None:
        """The rows that are decoded together where a single group is too large."""
        limits = [] if self.sizes.rollout_rows is None else [self.sizes.rollout_rows]
        if self.sizes.rollout_tokens is not None and len(batch.inputs) == 1:
            row = batch.inputs[0].length + self.settings.max_completion_tokens
            limits.append(max(1, self.sizes.rollout_tokens // row))
        return min(limits, default=None)

    def _parts_before(self, batch: PromptBatch) -> list[slice]:
        """The micro-batches of prompts whose completions are not sampled yet and may be as long as possible."""
        longest = [self.settings.max_completion_tokens] * (len(batch.inputs) * self.settings.completions_per_prompt)
        return micro_batch_parts(batch.inputs, longest, self.settings, self.sizes)

    def _uniforms(self, batch: PromptBatch) -> Tensor:
        """[R, max_completion_tokens] a random number for every token that may be sampled."""
        length = self.settings.max_completion_tokens
        rows = [
            uniforms(self.seed, self.step, question.id, g, length)
            for question in batch.questions
            for g in range(self.settings.completions_per_prompt)
        ]
        return torch.from_numpy(np.stack(rows))

    def _understand(self, batch: PromptBatch, completions: Completions, lengths: Sequence[int]) -> list[Response]:
        group = self.settings.completions_per_prompt
        ended = completions.ended.tolist()
        return [
            understand(
                text,
                batch.questions[r // group],
                letters_shown=self.prompt.letters_shown,
                tags_asked=self.prompt.tags_asked,
                tokens=lengths[r],
                ended=bool(ended[r]),
            )
            for r, text in enumerate(completion_texts(self.policy, completions))
        ]
