"""One step's experience: sampled completions, what they said, what they earned.

Takes the questions of a step, gives micro-batches of whole groups; `harken.grpo.rewarding` puts rewards and advantages
in. Audio is encoded here, once per prompt and step; where the tower trains its graph is kept for the update. Not taken:
sampling, rewarding and updating one micro-batch after another; a reward or a normalisation may need the whole step.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harken.config import GrpoConfig
from harken.errors import HarkenError
from harken.inference.completions import Completions, as_completions, completion_texts
from harken.inference.decode import decode
from harken.inference.prefill import PrefilledPrompts, prefill
from harken.inference.rollout import rollout
from harken.inference.sampling import Sampling
from harken.judges.step_verdicts import PendingVerdicts
from harken.models.audio_lm import AudioLM, ModelInput
from harken.models.sharding import silent_input
from harken.questions.grader import understand
from harken.questions.prompt import Prompt
from harken.system.random import uniforms
from harken.types import Question, Response

Encode = Callable[[Sequence[ModelInput]], list[Tensor | None]]
"""As `AudioLM.encode_audio`."""


@dataclass(eq=False, slots=True)
class MicroBatch:
    """P whole groups, R = P * G rows. One without responses is a stand-in, which adds nothing to a step.

    Attributes:
        audio: encoded audio of each prompt; carries the encoder's graph where the tower or projector trains, until the
            first backward pass.
        responses: R, what the completions say.
        pending_verdicts: [R] a judge's verdicts on them that are under way; empty where no judge is used.
        rewards: part name -> [R], not weighed; filled by `harken.grpo.rewarding`, as the two below.
        reward: [P, G] weighted sum.
        advantages: [R].
        reference_logp: [R, L], filled by the reference pass.
        old_logp: [R, L], filled by the update.
        prefilled: the prompts' pass with its graph, until the first update; only with `policy_pass: continued`.
    """

    questions: Sequence[Question]
    inputs: Sequence[ModelInput]
    audio: Sequence[Tensor | None]
    completions: Completions
    responses: list[Response]
    pending_verdicts: PendingVerdicts
    rewards: dict[str, list[float]] = field(init=False)
    reward: Tensor = field(init=False)
    advantages: Tensor = field(init=False)
    reference_logp: Tensor | None = None
    old_logp: Tensor | None = None
    prefilled: PrefilledPrompts | None = None

    def groups(self, first: int, last: int) -> "MicroBatch":
        """The micro-batch of the groups from `first` up to `last`, or to the end. Its encoded audio has no graph any
        more where the tower trains: it is to be encoded again."""
        group = len(self.responses) // len(self.questions)
        rows = slice(first * group, last * group)
        said = self.completions
        part = MicroBatch(
            self.questions[first:last],
            self.inputs[first:last],
            [None if one is None else one.detach() for one in self.audio[first:last]],
            Completions(said.tokens[rows], said.mask[rows], said.logp[rows], said.ended[rows]),
            self.responses[rows],
            self.pending_verdicts[rows],
            None if self.reference_logp is None else self.reference_logp[rows],
            None if self.old_logp is None else self.old_logp[rows],
        )
        if hasattr(self, "advantages"):  # rewarded already
            part.rewards = {name: values[rows] for name, values in self.rewards.items()}
            part.reward, part.advantages = self.reward[first:last], self.advantages[rows]
        return part


def sample(
    policy: AudioLM,
    questions: Sequence[Question],
    inputs: Sequence[ModelInput],
    prompt: Prompt,
    settings: GrpoConfig,
    *,
    seed: int,
    step: int,
    encode: Encode | None = None,
    most_rows: int | None = None,
    note: Callable[[str], None] = lambda line: None,
) -> Iterator[MicroBatch]:
    """Sample and understand `completions_per_prompt` completions for every question of the step, one micro-batch after
    another. Prompts of like length go together, so that little of a micro-batch is padding.

    Args:
        inputs: what the model reads, one for each question.
        encode: gives the audio of prompts; default: the policy's own tower.
        most_rows: decoded at once; None = all of a micro-batch.
        note: told where a micro-batch does not fit into memory and is halved.
    """
    size = settings.prompts_per_micro_batch
    by_length = sorted(range(len(questions)), key=lambda i: inputs[i].length)
    waiting = [by_length[start : start + size] for start in range(0, len(questions), size)]
    while waiting:
        chunk, *waiting = waiting
        asked, read = [questions[i] for i in chunk], [inputs[i] for i in chunk]
        try:
            yield _sample(policy, asked, read, encode or policy.encode_audio, prompt, settings, seed, step, most_rows)
            continue
        except torch.OutOfMemoryError as error:
            said = str(error).split(". ")[0]
        half = len(chunk) // 2
        if half == 0:
            raise HarkenError(
                f"not enough memory to sample {settings.completions_per_prompt} completions of one question ({said}): "
                "set memory.rollout_rows, or see `harken plan`"
            )
        waiting = [chunk[:half], chunk[half:], *waiting]
        note(f"sampling for {len(chunk)} questions at once does not fit into memory; going on with {half} ({said})")


def _sample(
    policy: AudioLM,
    questions: Sequence[Question],
    inputs: Sequence[ModelInput],
    encode: Encode,
    prompt: Prompt,
    settings: GrpoConfig,
    seed: int,
    step: int,
    most_rows: int | None,
) -> MicroBatch:
    group = settings.completions_per_prompt
    sampling = Sampling(
        settings.temperature,
        settings.max_completion_tokens,
        top_p=settings.top_p,
        top_k=settings.top_k,
        cuda_graph=settings.cuda_graph,
    )
    numbers = np.stack(
        [uniforms(seed, step, q.id, g, settings.max_completion_tokens) for q in questions for g in range(group)]
    )
    audio = encode(inputs)
    prefilled = None
    if settings.policy_pass == "continued":
        prefilled = prefill(policy, policy.embed(inputs, audio))
        completions = decode(policy, prefilled.copy(), group, sampling, torch.from_numpy(numbers))
    else:
        with torch.no_grad():
            embedded = policy.embed(inputs, audio)
        completions = rollout(policy, embedded, group, sampling, torch.from_numpy(numbers), most_rows)
    lengths, ended = completions.lengths.tolist(), completions.ended.tolist()
    responses = [
        understand(
            text,
            questions[r // group],
            letters_shown=prompt.letters_shown,
            tokens=int(lengths[r]),
            ended=bool(ended[r]),
        )
        for r, text in enumerate(completion_texts(policy, completions))
    ]
    return MicroBatch(questions, inputs, audio, completions, responses, [{} for _ in responses], prefilled=prefilled)


def stand_in(policy: AudioLM) -> MicroBatch:
    """A micro-batch for a rank that has fewer than the others: it goes through the same passes, so that the ranks meet
    in each of them. One row of one token about a silent clip, its tower's graph made now as with the others."""
    inputs = [silent_input(policy)]
    end = torch.tensor([policy.eos_token_ids[0]])
    batch = MicroBatch([], inputs, policy.encode_audio(inputs), as_completions([end], policy.device), [], [])
    batch.advantages = torch.zeros(1, dtype=torch.float64)
    return batch


def rollout_rows(batches: Sequence[MicroBatch]) -> list[dict[str, Any]]:
    """One record per completion for the run folder: what was asked, said, understood and earned."""
    rows = []
    for batch in batches:
        for r, said in enumerate(batch.responses):
            question, grade = said.question, said.grade
            rows.append(
                {
                    "id": question.id,
                    "clip": question.clip,
                    "task": question.task,
                    "difficulty": question.difficulty,
                    "question": question.text,
                    "choices": list(question.choices),
                    "g": r % batch.reward.shape[1],
                    "completion": said.text,
                    "form": said.form,
                    "reasoning": said.reasoning,
                    "extracted": grade.extracted,
                    "choice": None if grade.choice is None else question.choices[grade.choice],
                    "answer": None if question.answer is None else question.choices[question.answer],
                    "correct": grade.correct,
                    "reason": grade.reason,
                    "tokens": said.tokens,
                    "ended": said.ended,
                    "reward": float(batch.reward.flatten()[r]),
                    "judged": {
                        aspect: timed.result().verdict.score for aspect, timed in batch.pending_verdicts[r].items()
                    },
                    "rewards": {name: values[r] for name, values in batch.rewards.items()},
                    "advantage": float(batch.advantages[r]),
                }
            )
    return rows
