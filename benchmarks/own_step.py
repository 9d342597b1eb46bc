"""harken's own GRPO step for the programs that compare it: the functions that `harken train` calls, in its order.

`OwnStep` takes a model, questions and settings, and each call makes one step. It writes no files of a run folder, as
the peers do not write any here either.
"""

from collections.abc import Callable, Sequence

from harken.config import GrpoConfig, PromptConfig, RewardConfig, RewardPart
from harken.grpo.micro_batch import RewardedBatch
from harken.grpo.reference_pass import score_with_reference
from harken.grpo.rewarding import Rewarder
from harken.grpo.sample_completions import sample_completions
from harken.grpo.update import update
from harken.models.audio_lm import AudioLM, ModelInput
from harken.models.policy import frozen_copy
from harken.questions.prompt import Prompt
from harken.training.optimizer import build_optimizer
from harken.types import Question, Response

PROMPT = Prompt.from_config(PromptConfig())
FORMS = ("continued", "packed")
"""The values of `grpo.policy_pass` that are compared with peers."""


def parity(response: Response) -> float:
    """A reward that random weights can earn: whether the text has an odd number of characters."""
    return float(len(response.text) % 2)


def settings(prompts: int, group: int, completion_tokens: int, policy_pass: str = "continued") -> GrpoConfig:
    return GrpoConfig.model_validate(
        {
            "prompts_per_step": prompts,
            "completions_per_prompt": group,
            "max_completion_tokens": completion_tokens,
            "temperature": 1.2,
            "beta": 0.04,
            "learning_rate": 1e-6,
            "policy_pass": policy_pass,
        }
    )


class OwnStep:
    """Each call makes one step on the next questions.

    Args:
        questions: step number, from 1 -> the questions of that step.
        read: questions -> what the model reads, one input for each question.
    """

    def __init__(
        self,
        policy: AudioLM,
        questions: Callable[[int], Sequence[Question]],
        read: Callable[[Sequence[Question]], Sequence[ModelInput]],
        config: GrpoConfig,
    ) -> None:
        self._policy, self._questions, self._read, self._config = policy, questions, read, config
        self._reference = frozen_copy(policy)
        self._optimizer = build_optimizer(
            policy.module, learning_rate=config.learning_rate, betas=config.betas, weight_decay=config.weight_decay
        )
        rewards = RewardConfig(parts=(RewardPart(name="own_step:parity"),))
        self._rewarder = Rewarder(rewards, config, PROMPT)
        self._step = 0

    def __call__(self) -> list[RewardedBatch]:
        self._step += 1
        questions = self._questions(self._step)
        inputs = self._read(questions)
        sampled = list(
            sample_completions(self._policy, questions, inputs, PROMPT, self._config, seed=0, step=self._step)
        )
        scored = score_with_reference(self._policy, self._reference, sampled, self._config)
        batches = self._rewarder.reward(scored, progress=0.0).batches
        update(self._policy, batches, self._config, self._optimizer, self._config.learning_rate)
        return batches
