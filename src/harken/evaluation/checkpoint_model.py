"""A checkpoint as the model that an evaluation asks.

Its answers go into a journal in the evaluation's folder as they are decoded, so that a stopped evaluation does not
decode them again. Several ranks hold the whole model each and share the questions.
"""

from collections.abc import Iterator, Mapping, Sequence

from harken.config import EvaluationRecipe
from harken.config.evaluation import think_budget
from harken.data.audio_modes import clip_loader
from harken.evaluation.journal import Journal
from harken.inference.choice_likelihoods import choice_logp
from harken.inference.predict import Batch, predict
from harken.inference.prompt_inputs import PromptInputs
from harken.inference.sampling import Sampling
from harken.inference.unusable_questions import count_short_and_long_clips, why_unusable
from harken.models.audio_lm import AudioLM
from harken.questions.choice_orders import Trial
from harken.questions.prompt import Prompt
from harken.system.ranks import SINGLE_PROCESS, Ranks
from harken.types import AudioSpan, Question

FORCED = {"": "", "think": "<think>", "no_think": "<answer>"}
"""Form that the recipe forces -> the text that every completion begins with."""


class CheckpointModel:
    """An `EvaluatedModel`."""

    def __init__(self, model: AudioLM, recipe: EvaluationRecipe, prompt: Prompt, ranks: Ranks = SINGLE_PROCESS) -> None:
        self._model, self._recipe, self._prompt, self._ranks = model, recipe, prompt, ranks
        self._sampling = Sampling(recipe.temperature, recipe.max_completion_tokens, recipe.top_p)

    def why_unusable(self, question: Question, durations_s: Mapping[AudioSpan, float]) -> str | None:
        crop = self._recipe.long_audio == "crop"
        return why_unusable(question, durations_s, self._model, self._prompt, crop=crop)

    def clip_counts(self, questions: Sequence[Question], durations_s: Mapping[AudioSpan, float]) -> dict[str, int]:
        """Count the clips that are padded and those that are cropped."""
        padded, cropped = count_short_and_long_clips(questions, durations_s, self._model)
        return {"clips_padded": padded, "clips_cropped": cropped}

    def choice_logp(self, questions: Sequence[Question], audio: str) -> list[list[float]]:
        """For each question the log-probability of writing each choice as the answer."""
        load_clips = clip_loader(audio, self._recipe.seed)
        inputs = PromptInputs(self._model, self._prompt, 0, crop_long_audio=True, load_clips=load_clips)
        return choice_logp(self._model, questions, inputs, self._prompt, batch_size=self._recipe.batch_size)

    def answer(self, trials: Sequence[Trial], audio: str, journal: Journal) -> Iterator[Batch]:
        """Yield first the answers in the journal, then this rank's share of the others as they are decoded.

        Raises HarkenError when the journal cannot be written.
        """
        earlier = journal.open(self._recipe.samples)
        yield [(trial, earlier[trial.key]) for trial in trials if trial.key in earlier]
        load_clips = clip_loader(audio, self._recipe.seed)
        batches = predict(
            self._model,
            trials,
            PromptInputs(self._model, self._prompt, 0, crop_long_audio=True, load_clips=load_clips),
            self._sampling,
            batch_size=self._recipe.batch_size,
            samples=self._recipe.samples,
            seed=self._recipe.seed,
            forced=FORCED[(self._recipe.force or "").partition(":")[0]],
            think_tokens=think_budget(self._recipe.force),
            done=lambda trial: trial.key in earlier,
            ranks=self._ranks,
        )
        for batch in batches:
            new = [(trial, answers) for trial, answers in batch if trial.key not in earlier]
            journal.append(new)
            yield new
