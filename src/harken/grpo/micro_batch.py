"""A micro-batch at each stage of a GRPO step. Each stage has a type of its own, which holds all that is known by then.

    PromptBatch    prompts whose completions are sampled together; a micro-batch is a part of them
    SampledBatch   with completions, made by `sample_completions.py`
                   and with their log-probabilities without the clip, where `without_clip_pass.py` is asked for them
    ScoredBatch    with the reference's log-probabilities, made by `reference_pass.py`
    RewardedBatch  with rewards and advantages, made by `rewarding.py` and used by `update.py`

P prompts with G completions each are R = P * G rows. `groups` cuts a micro-batch into whole groups where memory does
not suffice for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from harken.grpo.encoded_clips import EncodedClips
from harken.inference.completions import Completions, concatenate, padded
from harken.inference.prefill import PrefilledPrompts
from harken.judges.step_verdicts import PendingVerdicts
from harken.models.audio_lm import ModelInput
from harken.types import Question, Response


@dataclass(frozen=True, eq=False, slots=True)
class PromptBatch:
    """Questions, what the model reads of each, and the encoded audio of each: [P]. `audio` is empty before the clips
    are encoded."""

    questions: Sequence[Question]
    inputs: Sequence[ModelInput]
    audio: Sequence[Tensor | None] = ()

    def groups(self, first: int, last: int) -> "PromptBatch":
        """The prompts from `first` up to but not including `last`."""
        return PromptBatch(self.questions[first:last], self.inputs[first:last], self.audio[first:last])


@dataclass(eq=False, slots=True)
class SampledBatch:
    """Prompts with their completions.

    A batch without responses is a stand-in (see `sample_completions.stand_in`): one row that adds nothing to a step.

    Attributes:
        questions, inputs: [P].
        audio: [P] encoded audio, None for a prompt without a clip. Where the tower or the projector trains it collects
            gradients for `clips`. None instead of the list: encode the audio again.
        clips: the encoding of all clips of the step, which micro-batches share; None once it is used, and where
            neither tower nor projector trains.
        completions: R rows.
        responses: [R] completions as text, understood and graded.
        pending_verdicts: [R] the verdicts of the judge that are under way; empty where none is used.
        prefilled: the pass over the prompts with its graph, which serves one backward pass. None unless
            `policy_pass: continued`, and None once it is used.
        without_clip_logp: [R, L] log-probabilities under the policy that does not hear the clip; None without the
            reward part listening, and before `WithoutClip.score`.
    """

    questions: Sequence[Question]
    inputs: Sequence[ModelInput]
    audio: Sequence[Tensor | None] | None
    completions: Completions
    responses: Sequence[Response]
    pending_verdicts: PendingVerdicts
    clips: EncodedClips | None = None
    prefilled: PrefilledPrompts | None = None
    without_clip_logp: Tensor | None = None

    def groups(self, first: int, last: int) -> "SampledBatch":
        """The groups from `first` up to but not including `last`. They take no pass over the prompts along: several
        parts cannot go backward through one graph."""
        rows = self.rows_of(first, last)
        return SampledBatch(
            questions=self.questions[first:last],
            inputs=self.inputs[first:last],
            audio=None if self.audio is None else self.audio[first:last],
            completions=self.completions.rows(rows),
            responses=self.responses[rows],
            pending_verdicts=self.pending_verdicts[rows],
            clips=self.clips,
            without_clip_logp=None if self.without_clip_logp is None else self.without_clip_logp[rows],
        )

    def cut(self, parts: Sequence[slice]) -> list["SampledBatch"]:
        """These parts of the prompts as micro-batches, each padded to no more than its own longest completion."""
        batches = [self.groups(part.start, part.stop) for part in parts]
        for batch in batches:
            longest = int(batch.completions.lengths.max())
            batch.completions = batch.completions.cut(longest)
            if batch.without_clip_logp is not None:
                batch.without_clip_logp = batch.without_clip_logp[:, :longest]
        return batches

    @staticmethod
    def join(parts: Sequence["SampledBatch"]) -> "SampledBatch":
        """The prompts of all parts of a step as one micro-batch, without passes over the prompts."""
        if len(parts) == 1:
            return parts[0]
        audio = [part.audio for part in parts if part.audio is not None]
        without_clip = [part.without_clip_logp for part in parts if part.without_clip_logp is not None]
        return SampledBatch(
            questions=[question for part in parts for question in part.questions],
            inputs=[prompt for part in parts for prompt in part.inputs],
            audio=[clip for clips in audio for clip in clips] if len(audio) == len(parts) else None,
            completions=concatenate([part.completions for part in parts]),
            responses=[response for part in parts for response in part.responses],
            pending_verdicts=[verdicts for part in parts for verdicts in part.pending_verdicts],
            clips=parts[0].clips,
            without_clip_logp=padded(without_clip) if len(without_clip) == len(parts) else None,
        )

    @property
    def packed_tokens(self) -> int:
        """Tokens of the packed rows [prompt | c1 | ... | cG], padded to the longest."""
        lengths = self.completions.lengths.tolist()
        group = len(lengths) // len(self.inputs)
        widths = [prompt.length + sum(lengths[p * group :][:group]) - group for p, prompt in enumerate(self.inputs)]
        return len(widths) * max(widths)

    def rows_of(self, first: int, last: int) -> slice:
        """The rows of the groups from `first` up to but not including `last`."""
        group = len(self.responses) // len(self.questions)
        return slice(first * group, last * group)

    def drop_graphs(self) -> None:
        """Forget the graphs of the rollout, which serve one backward pass."""
        self.prefilled = None
        if self.clips is not None:
            self.audio = self.clips = None


@dataclass(frozen=True, eq=False, slots=True)
class ScoredBatch:
    """Completions with what passes over them say before they are rewarded.

    Attributes:
        reference_logp: [R, L] log-probabilities under the reference; None where the run keeps none (`beta: 0`).
    """

    sampled: SampledBatch
    reference_logp: Tensor | None

    @property
    def questions(self) -> Sequence[Question]:
        return self.sampled.questions

    def groups(self, first: int, last: int) -> "ScoredBatch":
        """The groups from `first` up to but not including `last`."""
        rows = self.sampled.rows_of(first, last)
        reference = None if self.reference_logp is None else self.reference_logp[rows]
        return ScoredBatch(self.sampled.groups(first, last), reference)


@dataclass(eq=False, slots=True)
class RewardedBatch:
    """Completions with their rewards and advantages: what an update needs.

    Attributes:
        reference_logp: [R, L] as in `ScoredBatch`.
        reward_parts: part name -> [R], without weights.
        rewards: [P, G] weighted sums of the parts.
        advantages: [R], float64.
        old_logp: [R, L] log-probabilities under the policy that sampled. None in the first update of a step, whose
            policy is the one that sampled.
    """

    sampled: SampledBatch
    reference_logp: Tensor | None
    reward_parts: dict[str, list[float]]
    rewards: Tensor
    advantages: Tensor
    old_logp: Tensor | None = None

    @property
    def questions(self) -> Sequence[Question]:
        return self.sampled.questions

    def groups(self, first: int, last: int) -> "RewardedBatch":
        """The groups from `first` up to but not including `last`."""
        rows = self.sampled.rows_of(first, last)
        return RewardedBatch(
            sampled=self.sampled.groups(first, last),
            reference_logp=None if self.reference_logp is None else self.reference_logp[rows],
            reward_parts={name: values[rows] for name, values in self.reward_parts.items()},
            rewards=self.rewards[first:last],
            advantages=self.advantages[rows],
            old_logp=None if self.old_logp is None else self.old_logp[rows],
        )
