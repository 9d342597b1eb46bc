"""Asks a model all trials of an evaluation; of several ranks each asks a share, and rank 0 gets all answers."""

from collections.abc import Sequence

from harken.data.question_json import question_from_json, question_to_json
from harken.evaluation.evaluated_model import EvaluatedModel
from harken.evaluation.journal import Answers, Journal, answers_from_json, answers_to_json
from harken.questions.choice_orders import Trial
from harken.system.progress import OnProgress
from harken.system.ranks import Ranks


def ask(
    model: EvaluatedModel,
    trials: Sequence[Trial] | None,
    audio: str,
    journal: Journal,
    on_progress: OnProgress,
    ranks: Ranks,
) -> Answers:
    """Ask every trial. All ranks take part and return all answers.

    Args:
        trials: those of rank 0 are asked; the other ranks may pass None.
        audio: the kind of audio, one of `harken.config.data.AUDIO_MODES`.
        on_progress: called with (answered trials, all trials). Of several ranks each sees its own answers alone, and
            the number of all is estimated from them.
    """
    trials = _share(trials, ranks)
    answers: Answers = {}
    n_earlier = None
    for batch in model.answer(trials, audio, journal):
        answers |= {trial.key: samples for trial, samples in batch}
        n_earlier = len(answers) if n_earlier is None else n_earlier
        on_progress(min(len(trials), n_earlier + ranks.size * (len(answers) - n_earlier)), len(trials))
    if ranks.size == 1:
        return answers
    for rows in ranks.gather(answers_to_json(answers)):
        answers |= answers_from_json(rows)
    return answers


def _share(trials: Sequence[Trial] | None, ranks: Ranks) -> Sequence[Trial]:
    """The trials of rank 0, on every rank."""
    if ranks.size == 1:
        return trials or []
    rows = [[question_to_json(trial.question), trial.order] for trial in trials or []]
    return [Trial(question_from_json(question), order) for question, order in ranks.broadcast(rows)]
