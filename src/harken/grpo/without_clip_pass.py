"""Scores the sampled completions again where the model does not hear their clip, for the listening reward.

One more pass over the packed rows, without gradients: [prompt without the clip | c1 | ... | cG]. The log-probabilities
with the clip are those that the rollout has already. The pass needs no rewards, so it runs while the judge still works.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from harken.config import GrpoConfig, ListeningOptions
from harken.data.audio_modes import clip_loader, questions_in_mode
from harken.grpo.micro_batch import SampledBatch
from harken.grpo.out_of_memory import halve_until_it_fits
from harken.inference.log_probabilities import score_packed, score_repeated
from harken.inference.prompt_inputs import PromptInputs
from harken.models.audio_lm import AudioLM, ModelInput
from harken.models.sharding import reshard
from harken.questions.prompt import Prompt
from harken.rewards.listening import HeardCompletion
from harken.system.ranks import SINGLE_PROCESS, Ranks
from harken.types import Question


class WithoutClip:
    """What the model reads of each question in place of its clip, and the pass over it."""

    def __init__(
        self,
        policy: AudioLM,
        prompt: Prompt,
        questions: Sequence[Question],
        options: ListeningOptions,
        settings: GrpoConfig,
        *,
        seed: int,
        cache_gib: float,
    ) -> None:
        """Choose what replaces each clip. It follows from the seed and the questions, so it is the same on every rank
        and after a resume.

        Args:
            questions: all that are trained on; `shuffled` takes their clips.

        Raises DataError where `shuffled` has fewer than two clips to choose from.
        """
        self._policy, self._settings = policy, settings
        others = questions_in_mode(options.against, questions, seed)
        self._others = {question.id: other for question, other in zip(questions, others, strict=True)}
        self._inputs = PromptInputs(policy, prompt, cache_gib, load_clips=clip_loader(options.against, seed))

    def score(
        self,
        batches: Sequence[SampledBatch],
        warn: Callable[[str], None] = lambda line: None,
        ranks: Ranks = SINGLE_PROCESS,
    ) -> list[SampledBatch]:
        """The batches with the log-probabilities of their completions without the clip, in halves where memory did not
        suffice.

        Args:
            batches: every rank must have equally many.
        """
        parts = list(batches)
        self._policy.module.eval()  # without dropout, as the rollout
        scored = halve_until_it_fits(
            parts,
            lambda: [self._logp(batch) for batch in parts],
            warn=warn,
            ranks=ranks,
        )
        reshard(self._policy)
        for batch, logp in zip(parts, scored, strict=True):
            batch.without_clip_logp = logp
        return parts

    @torch.no_grad()
    def _logp(self, batch: SampledBatch) -> Tensor:
        """[R, L]."""
        inputs = self._inputs_of(batch)
        if self._settings.policy_pass == "repeated":
            return score_repeated(self._policy, inputs, batch.completions).logp
        embedded = self._policy.embed(inputs, self._policy.encode_audio(inputs))
        return score_packed(self._policy, embedded, batch.completions).logp

    def _inputs_of(self, batch: SampledBatch) -> Sequence[ModelInput]:
        if not batch.responses:  # a stand-in has no question
            return batch.inputs
        return self._inputs([self._others[question.id] for question in batch.questions])


def heard_groups(sampled: SampledBatch) -> list[list[HeardCompletion] | None]:
    """How likely the completions of each question are with and without its clip; None for a question without a clip,
    and nothing for a stand-in."""
    if not sampled.responses or sampled.without_clip_logp is None:
        return []
    completions = sampled.completions
    both = (completions.logp, sampled.without_clip_logp)
    sums = [(logp * completions.mask).double().sum(1).tolist() for logp in both]
    lengths, tokens = completions.lengths.tolist(), completions.tokens.tolist()
    rows = [
        HeardCompletion(tuple(tokens[r][: lengths[r]]), sums[0][r], sums[1][r], response.grade.correct)
        for r, response in enumerate(sampled.responses)
    ]
    groups = [rows[sampled.rows_of(p, p + 1)] for p in range(len(sampled.questions))]
    return [group if question.audio_spans else None for group, question in zip(groups, sampled.questions, strict=True)]
