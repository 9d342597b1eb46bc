"""Measures what a model forgets during training: its word error rate on a small fixed set of transcriptions.

GRPO rewards only the choice, so a model can lose its transcription while every metric of training rises. The recipe's
`probe` section names the set; `Session` measures it before, during and after training. Measurements are comparable only
over the same records, so a record that cannot be used stops the run before it starts. Measuring draws no random number
and changes no weight.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from harken.config import ProbeConfig
from harken.data.audio import check_audio
from harken.data.record_fields import clip_path, text_field
from harken.data.records import Record, RecordError, apart, iter_questions
from harken.errors import AudioError, DataError, short_repr
from harken.inference.completions import as_completions, completion_texts
from harken.inference.log_probabilities import score_packed
from harken.inference.prompt_inputs import PromptInputs
from harken.inference.rollout import rollout
from harken.inference.sampling import Sampling
from harken.inference.unusable_questions import why_unusable
from harken.models.audio_lm import AudioLM, ModelInput
from harken.questions.prompt import TRANSCRIBE, Prompt
from harken.questions.word_error_rate import word_error_rate, words
from harken.types import Question, Rejected

WER_RISE_WARNED = 0.02
"""A rise of the word error rate above this, 2 points absolute since the first measurement, gives a warning [O]."""

BATCH_SIZE = 8
"""Prompts at a time. The size is fixed, so that two measurements of the same weights give the same numbers."""

INSTRUCTION_ALONE = Prompt("{question}", choices="list", form=None)
_KEYS = ("id", "audio", "text", "prompt")


@dataclass(frozen=True, eq=False, slots=True)
class ProbeTask:
    """One clip to transcribe.

    Attributes:
        prompt: what the model reads.
        reference: the right transcript.
        tokens: those of the reference, the end-of-sequence token included.
    """

    prompt: ModelInput
    reference: str
    tokens: Tensor


@dataclass(frozen=True, eq=False, slots=True)
class Probe:
    """Tasks from the shortest prompt to the longest, so that little of a batch is padding."""

    tasks: tuple[ProbeTask, ...]
    max_completion_tokens: int


def load_probe(config: ProbeConfig, model: AudioLM, max_prompt_tokens: int) -> Probe:
    """Read, check and render the whole set, which stays in memory.

    Raises DataError that names file and line of every record that cannot be used, or where there is no record.
    """
    questions, rejected = _read(config)
    for question in questions:
        reason = _fault(question, config, model, max_prompt_tokens)
        if reason is not None:
            line = int(question.source.rpartition(":")[2])
            rejected.append(Rejected(str(config.file), line, question.id, reason))
    _refuse(config, questions, rejected)
    inputs = PromptInputs(model, INSTRUCTION_ALONE, cache_gib=0)(questions)
    tasks = [
        ProbeTask(prompt, _reference(question), model.encode_answer(_reference(question)))
        for question, prompt in zip(questions, inputs, strict=True)
    ]
    return Probe(tuple(sorted(tasks, key=lambda task: task.prompt.length)), config.max_completion_tokens)


def check_probe(config: ProbeConfig) -> None:
    """Raise DataError, as `load_probe` does, for what is wrong without a model: no file, no record, wrong records."""
    _refuse(config, *_read(config))


def _read(config: ProbeConfig) -> tuple[list[Question], list[Rejected]]:
    root = config.file.parent if config.audio_root is None else config.audio_root
    instruction = TRANSCRIBE if config.prompt is None else config.prompt
    return apart(iter_questions(config.file, lambda record, source: _parse(record, root, instruction, source)))


def _refuse(config: ProbeConfig, questions: Sequence[Question], rejected: Sequence[Rejected]) -> None:
    if rejected:
        lines = [f"{record.file}:{record.line}: {record.reason}" for record in sorted(rejected, key=lambda r: r.line)]
        raise DataError(
            "\n".join([*lines, "the probe needs every record of its file: correct these records or remove their lines"])
        )
    if not questions:
        raise DataError(f"{config.file}: holds no records; write one line for each clip, or remove the probe section")


@torch.no_grad()
def measure_probe(model: AudioLM, probe: Probe) -> dict[str, float]:
    """The probe's part of a metric row.

    Returns:
        probe/wer: errors of the greedy transcripts divided by the number of words in all references.
        probe/loss: mean negative log-likelihood over all reference tokens, nats, given the prompt and the earlier
            reference tokens; end-of-sequence tokens count, the prompt does not.
        probe/n: number of records.
    """
    greedy = Sampling(temperature=0, max_completion_tokens=probe.max_completion_tokens)
    logp, transcripts = 0.0, []
    was_training = model.module.training
    model.module.eval()  # without dropout
    try:
        for start in range(0, len(probe.tasks), BATCH_SIZE):
            tasks = probe.tasks[start : start + BATCH_SIZE]
            prompts = [task.prompt for task in tasks]
            embedded = model.embed(prompts, model.encode_audio(prompts))
            references = as_completions([task.tokens for task in tasks], model.device)
            logp += float(score_packed(model, embedded, references).logp.double().sum())
            transcripts += completion_texts(model, rollout(model, embedded, 1, greedy, None))
    finally:
        model.module.train(was_training)
    return {
        "probe/wer": word_error_rate([task.reference for task in probe.tasks], transcripts),
        "probe/loss": -logp / sum(len(task.tokens) for task in probe.tasks),
        "probe/n": float(len(probe.tasks)),
    }


def forgetting_warning(first: Mapping[str, float], now: Mapping[str, float]) -> str | None:
    """A sentence where the word error rate has risen by more than `WER_RISE_WARNED` since `first`, else None."""
    rise = now["probe/wer"] - first["probe/wer"]
    if rise <= WER_RISE_WARNED:
        return None
    return (
        f"word error rate on the probe is {now['probe/wer']:.1%}, {100 * rise:.1f} points above the "
        f"{first['probe/wer']:.1%} of step {first['step']:.0f}: the model is losing its transcription"
    )


def first_measurement(rows: Sequence[Mapping[str, float]]) -> Mapping[str, float] | None:
    """The earliest metric row with a measurement of the probe."""
    return next((row for row in rows if "probe/wer" in row), None)


def _parse(record: Record, audio_root: Path, instruction: str, source: str) -> Question:
    for key in record:
        if key not in _KEYS:
            raise RecordError(f"unknown key {short_repr(key)}; known: {', '.join(_KEYS)}")
    text = text_field(record, "text")
    if not words(text):
        raise RecordError(f"text: no word in {short_repr(text)}")
    return Question(
        id=text_field(record, "id"),
        text=text_field(record, "prompt") if "prompt" in record else instruction,
        choices=(text,),
        answer=0,
        audio=clip_path(text_field(record, "audio"), audio_root),
        source=source,
    )


def _fault(question: Question, config: ProbeConfig, model: AudioLM, max_prompt_tokens: int) -> str | None:
    """Why the model cannot be measured on this record; None where it can."""
    part = question.audio_span
    assert part is not None
    try:
        duration_s = check_audio(part.path).duration_s
    except AudioError as error:
        return str(error)
    reason = why_unusable(question, {part: duration_s}, model, INSTRUCTION_ALONE, max_prompt_tokens=max_prompt_tokens)
    if reason is not None:
        return reason
    # The reference takes the place of the prompt, so that a control token in it is refused in the same words.
    reason = why_unusable(replace(question, text=_reference(question), audio=None), {}, model, INSTRUCTION_ALONE)
    if reason is not None:
        return reason
    length, longest = len(model.encode_answer(_reference(question))), config.max_completion_tokens
    if length > longest:
        return f"text: {length} tokens, probe.max_completion_tokens is {longest}; raise it, or cut clip and text"
    return None


def _reference(question: Question) -> str:
    return INSTRUCTION_ALONE.answer_text(question)
