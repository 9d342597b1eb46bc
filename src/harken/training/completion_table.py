"""Samples completions of a step for the trackers, with what a person wants to see and hear beside each.

The sample depends on the seed and the step alone. What the table holds are texts of a model and of data files, so a
tracker writes them as data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harken.config import Recipe
from harken.data.audio import SAMPLE_RATE_HZ
from harken.data.audio_modes import load_clips
from harken.errors import AudioError
from harken.questions.prompt import Prompt
from harken.system.random import uniforms
from harken.system.shown_text import cut
from harken.types import Question, Waveform

MOST_TABLES = 50
"""Tables of one run."""
LONGEST_CLIP_S = 30
LONGEST_TEXT = 4000
"""Characters of a prompt or a completion."""
LONGEST_LABEL = 300

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CompletionTable:
    """Sampled completions of one step.

    Attributes:
        columns: names; each row has a value for each of them.
        clips: by the id of a question, the beginning of its first clip.
        clip_of: for each row, the id of its question where that has a clip, else None.
    """

    step: int
    columns: Sequence[str]
    rows: Sequence[Sequence[str | float | bool | None]]
    clips: Mapping[str, Waveform]
    clip_of: Sequence[str | None]


def table_is_due(step: int, every: int, last_step: int) -> bool:
    """Whether a step whose rollouts are kept has a table: so many are left out between two that 50 are made at most."""
    kept = -(-last_step // every)
    stride = -(-kept // (MOST_TABLES - 1))
    return step == last_step or step % (every * stride) == 0


def completion_table(
    step: int, rows: Sequence[Row], questions: Mapping[tuple[str, str], Question], prompt: Prompt, recipe: Recipe
) -> CompletionTable:
    """Choose completions of the step's rollout rows, `logging.completions` at most.

    Args:
        rows: as `rollouts/step_*.jsonl` holds them, in whole groups.
        questions: by id and text.
    """
    chosen = _chosen(rows, recipe.logging.completions, recipe.seed, step)
    parts = list(dict.fromkeys(name for row in chosen for name in row["rewards"]))
    columns = ["step", "id", "task", "difficulty", "prompt", "completion", "choice", "answer", "correct", "reward"]
    columns += [*(f"reward/{cut(name, LONGEST_LABEL)}" for name in parts), "advantage", "tokens", "clip"]
    clips, values, clip_of = {}, [], []
    for row in chosen:
        question = questions.get((row["id"], row["question"]))
        if question is not None and question.id not in clips and question.audio_spans:
            clip = _clip(question)
            if clip is not None:
                clips[question.id] = clip
        values.append(_values(step, row, parts, question, prompt, row["id"] in clips))
        clip_of.append(row["id"] if row["id"] in clips else None)
    return CompletionTable(step, columns, values, clips, clip_of)


def _chosen(rows: Sequence[Row], most: int, seed: int, step: int) -> list[Row]:
    """Completions of some questions, drawn by seed and step; of each question half of `most` at most."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["id"], row["question"]), []).append(row)
    order = uniforms(seed, step, "tracked completions", 0, len(groups)).argsort()
    members = list(groups.values())
    chosen = [row for place in order for row in members[place][: max(1, most // 2)]]
    return chosen[:most]


def _values(
    step: int, row: Row, parts: Sequence[str], question: Question | None, prompt: Prompt, has_clip: bool
) -> list[str | float | bool | None]:
    text = row["question"] if question is None else prompt.text(question)
    return [
        *(step, cut(row["id"], LONGEST_LABEL), cut(row["task"], LONGEST_LABEL), cut(row["difficulty"], LONGEST_LABEL)),
        *(cut(text, LONGEST_TEXT), cut(row["completion"], LONGEST_TEXT)),
        *(None if row[key] is None else cut(row[key], LONGEST_LABEL) for key in ("choice", "answer")),
        *(row["correct"], row["reward"], *(row["rewards"].get(name) for name in parts)),
        *(row["advantage"], row["tokens"], _clip_words(row, has_clip)),
    ]


def _clip_words(row: Row, has_clip: bool) -> str:
    name = cut(row["clip"], LONGEST_LABEL)
    return name if has_clip or not name else f"{name} (not heard, or it cannot be read)"


def _clip(question: Question) -> Waveform | None:
    """The beginning of the first clip; None where it cannot be read any more, which stops no training."""
    try:
        return load_clips(question)[0][: LONGEST_CLIP_S * SAMPLE_RATE_HZ]
    except (AudioError, OSError):
        return None
