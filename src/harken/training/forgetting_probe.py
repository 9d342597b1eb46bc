"""What training costs elsewhere: a small fixed set of transcriptions, measured before, during and after.

Takes the recipe's `probe` section and the policy, gives word error rate and token loss for the metric row. GRPO rewards
the choice alone, and a model can lose its transcription while every figure of training rises. Not taken: leaving bad
records out. Figures are comparable only over the same records, and there are few: all are good, or training does not
start. Measuring draws no random number and changes no weight.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from harken.config import ProbeConfig
from harken.data.audio import check_audio
from harken.data.record_fields import clip_path, text_field
from harken.data.records import Record, RecordError, read_questions
from harken.errors import AudioError, DataError, short_repr
from harken.inference.completions import as_completions, completion_texts
from harken.inference.log_probabilities import score_packed
from harken.inference.prompt_inputs import PromptInputs
from harken.inference.rollout import rollout
from harken.inference.sampling import Sampling
from harken.inference.unusable_questions import why_unusable
from harken.models.audio_lm import AudioLM, ModelInput
from harken.questions.prompt import TRANSCRIBE, Prompt
from harken.training.word_error_rate import word_error_rate, words
from harken.types import Question, Rejected

WER_RISE_WARNED = 0.02
"""Above this rise of word error rate since the first measurement, 2 points absolute, a warning is shown [O]."""

BATCH = 8
"""Prompts at a time; the size is fixed so that two measurements of the same weights are the same numbers."""

INSTRUCTION_ALONE = Prompt("{question}", choices="list", form=None)
_KEYS = ("id", "audio", "text", "prompt")


@dataclass(frozen=True, eq=False, slots=True)
class Task:
    """One clip to transcribe, rendered; `tokens` are those of the reference, the end-of-sequence token included."""

    read: ModelInput
    reference: str
    tokens: Tensor


@dataclass(frozen=True, eq=False, slots=True)
class Probe:
    """Tasks from the shortest prompt to the longest, so that little of a batch is padding."""

    tasks: tuple[Task, ...]
    max_completion_tokens: int


def load_probe(config: ProbeConfig, model: AudioLM, max_prompt_tokens: int) -> Probe:
    """Read, check and render the whole set; it stays in memory.

    Raises DataError naming file and line of every record that cannot be used, or where there is none.
    """
    root = config.file.parent if config.audio_root is None else config.audio_root
    instruction = TRANSCRIBE if config.prompt is None else config.prompt
    questions, rejected = read_questions(config.file, lambda record, at: _parse(record, root, instruction, at))
    for question in questions:
        reason = _fault(question, config, model, max_prompt_tokens)
        if reason is not None:
            rejected.append(Rejected(str(config.file), int(question.source.rpartition(":")[2]), question.id, reason))
    if rejected:
        lines = [f"{one.file}:{one.line}: {one.reason}" for one in sorted(rejected, key=lambda one: one.line)]
        raise DataError("\n".join([*lines, "a probe leaves nothing out: mend these records, or remove their lines"]))
    if not questions:
        raise DataError(f"{config.file}: holds no records; write one line for each clip, or remove the probe section")
    inputs = PromptInputs(model, INSTRUCTION_ALONE, cache_gib=0)(questions)
    tasks = [
        Task(read, _reference(question), model.encode_answer(_reference(question)))
        for question, read in zip(questions, inputs, strict=True)
    ]
    return Probe(tuple(sorted(tasks, key=lambda task: task.read.length)), config.max_completion_tokens)


@torch.no_grad()
def measure(model: AudioLM, probe: Probe) -> dict[str, float]:
    """The probe's part of a metric row.

    Returns:
        probe/wer: errors of the greedy transcripts over the words of all references.
        probe/loss: mean negative log-likelihood over all reference tokens, nats, given prompt and earlier reference
            tokens; end-of-sequence tokens count, the prompt does not.
        probe/n: number of records.
    """
    greedy = Sampling(temperature=0, max_completion_tokens=probe.max_completion_tokens)
    logp, said = 0.0, []
    was_training = model.module.training
    model.module.eval()  # no dropout
    try:
        for start in range(0, len(probe.tasks), BATCH):
            batch = probe.tasks[start : start + BATCH]
            read = [task.read for task in batch]
            embedded = model.embed(read, model.encode_audio(read))
            known = as_completions([task.tokens for task in batch], model.device)
            logp += float(score_packed(model, embedded, known).logp.double().sum())
            said += completion_texts(model, rollout(model, embedded, 1, greedy, None))
    finally:
        model.module.train(was_training)
    return {
        "probe/wer": word_error_rate([task.reference for task in probe.tasks], said),
        "probe/loss": -logp / sum(len(task.tokens) for task in probe.tasks),
        "probe/n": float(len(probe.tasks)),
    }


def forgetting(first: Mapping[str, float], now: Mapping[str, float]) -> str | None:
    """A sentence where the word error rate has risen by more than `WER_RISE_WARNED` since `first`, else None."""
    rise = now["probe/wer"] - first["probe/wer"]
    if rise <= WER_RISE_WARNED:
        return None
    return (
        f"word error rate on the probe is {now['probe/wer']:.1%}, {100 * rise:.1f} points above the "
        f"{first['probe/wer']:.1%} of step {first['step']:.0f}: the model is losing its transcription"
    )


def first_measurement(rows: Sequence[Mapping[str, float]]) -> Mapping[str, float] | None:
    """The earliest metric row that holds the probe."""
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
        duration_s = check_audio(part.path)
    except AudioError as error:
        return str(error)
    reason = why_unusable(question, {part: duration_s}, model, INSTRUCTION_ALONE, max_prompt_tokens=max_prompt_tokens)
    if reason is not None:
        return reason
    # The reference in the place of the prompt: a control token in it is refused in the same words.
    reason = why_unusable(replace(question, text=_reference(question), audio=None), {}, model, INSTRUCTION_ALONE)
    if reason is not None:
        return reason
    length, longest = len(model.encode_answer(_reference(question))), config.max_completion_tokens
    if length > longest:
        return f"text: {length} tokens, probe.max_completion_tokens is {longest}; raise it, or cut clip and text"
    return None


def _reference(question: Question) -> str:
    return INSTRUCTION_ALONE.answer_text(question)
