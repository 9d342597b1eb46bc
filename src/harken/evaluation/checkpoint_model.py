"""A checkpoint as the model that an evaluation asks.

Takes trials, gives their answers, kept in a journal in the evaluation's folder as they come. `served.py` is the same
for a model behind a server.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

from harken.config import EvaluationRecipe
from harken.data.audio_modes import clip_loader
from harken.inference.predict import Batch, predict
from harken.inference.prompt_inputs import PromptInputs
from harken.inference.sampling import Sampling
from harken.inference.unusable_questions import count_short_and_long_clips, why_unusable
from harken.models.audio_lm import AudioLM
from harken.questions.choice_orders import Answer, Trial
from harken.questions.prompt import Prompt
from harken.system.json_lines import append_json_lines, reopen_json_lines
from harken.types import AudioSpan, Question

FORCED = {None: "", "think": "<think>", "no_think": "<answer>"}
"""How a completion of that form begins."""


class CheckpointModel:
    """Asks `model` as the recipe says."""

    def __init__(self, model: AudioLM, recipe: EvaluationRecipe, prompt: Prompt) -> None:
        self._model, self._recipe, self._prompt = model, recipe, prompt
        self._sampling = Sampling(recipe.temperature, recipe.max_completion_tokens, recipe.top_p)

    def fault(self, question: Question, durations_s: Mapping[AudioSpan, float]) -> str | None:
        """Why the question cannot be asked; None where it can."""
        crop = self._recipe.long_audio == "crop"
        return why_unusable(question, durations_s, self._model, self._prompt, crop=crop)

    def counts(self, questions: Sequence[Question], durations_s: Mapping[AudioSpan, float]) -> dict[str, int]:
        """Clips that were padded and clips that were cropped, for the summary."""
        padded, cropped = count_short_and_long_clips(questions, durations_s, self._model)
        return {"clips_padded": padded, "clips_cropped": cropped}

    def answers(self, trials: Sequence[Trial], audio: str, journal: Path) -> Iterator[Batch]:
        """Each trial with its samples, in no particular order; first those in the journal, which are not asked."""
        earlier = {
            (row["id"], row["order"]): [Answer(*values) for values in row["answers"]]
            for row in reopen_json_lines(journal)
        }
        yield [(trial, earlier[trial.key]) for trial in trials if trial.key in earlier]
        hear = clip_loader(audio, self._recipe.seed)
        batches = predict(
            self._model,
            trials,
            PromptInputs(self._model, self._prompt, 0, crop_long_audio=True, load_clip=hear),
            self._sampling,
            batch_size=self._recipe.batch_size,
            samples=self._recipe.samples,
            seed=self._recipe.seed,
            forced=FORCED[self._recipe.force],
            done=lambda trial: trial.key in earlier,
        )
        for batch in batches:
            new = [(trial, answers) for trial, answers in batch if trial.key not in earlier]
            rows = [
                {"id": trial.question.id, "order": trial.order, "answers": [astuple(answer) for answer in answers]}
                for trial, answers in new
            ]
            append_json_lines(journal, rows)
            yield new
