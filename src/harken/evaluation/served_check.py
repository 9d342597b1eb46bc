"""Asks a checkpoint and the server that serves it the same questions, and counts equal answers.

`harken doctor --served` shows the counts. Engines ignore adapters and config keys that they do not know and answer all
the same, so only a comparison of answers shows whether a server has the model that was trained.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harken.benchmarks.mmau import MMAU
from harken.config import EndpointConfig, EvaluationRecipe, PromptConfig
from harken.data.audio_modes import questions_in_mode
from harken.data.demo_set import write_demo_set
from harken.errors import ConfigError
from harken.evaluation.journal import Journal
from harken.evaluation.served_model import ServedModel
from harken.inference.predict import predict
from harken.inference.prompt_inputs import PromptInputs
from harken.inference.sampling import Sampling
from harken.models.audio_lm import AudioLM
from harken.questions.choice_orders import Answer, Trial
from harken.questions.prompt import Prompt
from harken.system.model_client import ModelClient
from harken.types import Question

N_QUESTIONS = 20
MAX_COMPLETION_TOKENS = 16
FEWEST_EQUAL = 18
"""At least this many of N_QUESTIONS must have equal answers. Not all, because engines round differently: a near tie may
fall the other way."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One question with both answers. `failure` says why the server gave none; "" where it did."""

    question: str
    local: str
    served: str
    failure: str = ""

    @property
    def equal(self) -> bool:
        return not self.failure and self.local == self.served


@dataclass(frozen=True, slots=True)
class Agreement:
    """The pairs of one kind of prompt, with clips or without."""

    pairs: tuple[Pair, ...]

    @property
    def n_equal(self) -> int:
        return sum(pair.equal for pair in self.pairs)

    @property
    def n_distinct(self) -> int:
        """Different answers of the checkpoint. A model that always says the same agrees with many others."""
        return len({pair.local for pair in self.pairs})

    @property
    def holds(self) -> bool:
        return self.n_equal >= FEWEST_EQUAL * len(self.pairs) / N_QUESTIONS

    @property
    def first_difference(self) -> Pair | None:
        return next((pair for pair in self.pairs if not pair.equal), None)


def served_name(client: ModelClient, name: str | None) -> str:
    """The name to ask a server for: the given one, or that of its only model.

    Raises ConfigError where the server lists no model or several, and none is given.
    """
    if name is not None:
        return name
    listed = [model.name for model in client.list_models().result()]
    if len(listed) != 1:
        known = f"lists {', '.join(listed)}" if listed else "lists no model, or cannot be reached"
        raise ConfigError(f"{client.config.base_url}: {known}; name the one to compare with --served-model")
    return listed[0]


def compare_with_server(model: AudioLM, endpoint: EndpointConfig) -> dict[str, Agreement]:
    """Ask both N_QUESTIONS built-in questions greedily, with their clips and without.

    Returns "real" and "none" -> agreement. Raises HarkenError where the server refuses every request or is gone.
    """
    with tempfile.TemporaryDirectory(prefix="harken-doctor-") as folder:
        write_demo_set(Path(folder), seed=0, n_train=4, n_test=N_QUESTIONS)
        questions = MMAU.read(Path(folder) / "test.json")[0]
        return {
            audio: _agreement(model, endpoint, questions_in_mode(audio, questions, 0)) for audio in ("real", "none")
        }


def _agreement(model: AudioLM, endpoint: EndpointConfig, questions: Sequence[Question]) -> Agreement:
    values: Any = {"endpoint": endpoint, "data": {"file": "built-in"}, "max_completion_tokens": MAX_COMPLETION_TOKENS}
    prompt = Prompt.from_config(PromptConfig())
    trials = [Trial(question) for question in questions]
    with ModelClient(endpoint) as client:
        served = ServedModel(client, EvaluationRecipe.model_validate(values), prompt)
        journal = Journal(Path())  # the client keeps the replies, and nothing is written
        replies = {trial.key: answer for batch in served.answer(trials, "real", journal) for trial, (answer,) in batch}
    inputs = PromptInputs(model, prompt, cache_gib=0, crop_long_audio=True)
    batches = predict(model, trials, inputs, Sampling(0, MAX_COMPLETION_TOKENS), batch_size=8)
    local = {trial.key: answer.text for batch in batches for trial, (answer,) in batch}
    return Agreement(tuple(_pair(trial, local[trial.key], replies[trial.key]) for trial in trials))


def _pair(trial: Trial, local: str, reply: Answer) -> Pair:
    return Pair(trial.question.text, local.strip(), reply.text.strip(), reply.failure)
