"""Facts about clips -> multiple-choice questions, as Omni-R1's AVQA-GPT and VGGS-GPT were made (section III-C).

Takes a captions file and a served language model, gives manifest.jsonl, rejected.jsonl and card.md: every record of the
file is in the manifest or rejected with its reason. A reply is data: what cannot be used is asked again with its fault,
then rejected. The outcome depends on the file, the settings and the replies alone. Not taken: several questions a
clip in one reply, of which one bad one would cost all.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from harken.config import QuestionRecipe
from harken.data.load import write_rejected
from harken.data.manifest import write_manifest
from harken.errors import short_repr
from harken.generate.answer_positions import balanced
from harken.generate.clip_facts import Clip, facts, read_clips
from harken.generate.data_card import account, card_text, positions, repeats, show, usage
from harken.generate.instructions import QUESTIONS, Instruction
from harken.generate.question_filters import answered_unheard, dropped_by_tokens, dropped_by_words
from harken.generate.reply_json import BadReplyError, object_in, plain_text
from harken.generate.retries import Asker, Unusable, ask_each
from harken.questions.grader import grade
from harken.system.files import write_text
from harken.system.progress import StepProgress
from harken.types import Question, Rejected

KEYS = ("question_text", "multi_choice", "answer")
N_CHOICES = 4
_UNSEEN = re.compile(
    r"\bcaptions?\b|\bthe description\b|\b(?:provided|given) (?:notes?|text|description)\b"
    r"|\b(?:according to|in|from) A[1-4]\b",
    re.IGNORECASE,
)


def generate_questions(recipe: QuestionRecipe, out: Path, asker: Asker, console: Console) -> None:
    """Write `out`, once the asker has all the replies that it will have.

    Raises DataError, ConfigError, CheckpointError, ServerError.
    """
    instruction = Instruction.resolve(QUESTIONS, recipe.prompt_file)
    clips, rejected = read_clips(recipe.captions)
    root = recipe.captions.parent
    n = len(clips) + len(rejected)
    with StepProgress(console, "questions", len(clips), 500) as progress:
        written = ask_each(
            asker,
            [clip.id for clip in clips],
            lambda task: instruction.text(clip=facts(clips[task])),
            lambda task, text: read_question(text, clips[task], root),
            recipe.sampling,
            progress.update,
        )
    outcomes = _filtered(written, clips, recipe, asker, console)
    if not asker.complete:
        return
    kept = balanced([one for one in outcomes if isinstance(one, Question)], recipe.seed)
    rejected += [
        Rejected(str(recipe.captions), clip.line, clip.id, one.reason)
        for clip, one in zip(clips, outcomes, strict=True)
        if isinstance(one, Unusable)
    ]
    parts = [account("clips", n, len(kept), rejected, "manifest.jsonl"), positions(kept), repeats(kept)]
    parts.append(usage(asker, recipe))
    write_rejected(out / "rejected.jsonl", sorted(rejected, key=lambda one: one.line))
    write_text(out / "card.md", card_text("Questions from facts about clips", parts, recipe, instruction))
    write_manifest(out / "manifest.jsonl", kept, root)
    show(console, parts)


def read_question(text: str, clip: Clip, root: Path) -> Question:
    """A reply as a question about a clip in `root`. Raises BadReplyError."""
    reply = object_in(text, KEYS)
    asked = plain_text(reply["question_text"], "question")
    listed = reply["multi_choice"]
    if not isinstance(listed, list) or len(listed) != N_CHOICES:
        found = len(listed) if isinstance(listed, list) else short_repr(listed)
        raise BadReplyError(f"choices not {N_CHOICES}: {found}")
    choices = tuple(plain_text(choice, "choice") for choice in listed)
    for index, choice in enumerate(choices):
        if any(same(choice, other) for other in choices[:index]):
            raise BadReplyError(f"choices not different: {short_repr(choice)} twice")
    answer = reply["answer"]
    if type(answer) is not int or not 0 <= answer < N_CHOICES:
        raise BadReplyError(f"answer no index: expected 0 to {N_CHOICES - 1}, found {short_repr(answer)}")
    if grade(asked, choices, answer, letters_shown=False).correct:
        raise BadReplyError(f"question reveals the answer: it names {short_repr(choices[answer])} and no other choice")
    if word := _UNSEEN.search(asked):
        raise BadReplyError(f"question speaks of the notes: {short_repr(word[0])}")
    return Question(clip.id, asked, choices, answer, root / clip.audio, task=clip.task, dataset=clip.dataset)


def same(a: str, b: str) -> bool:
    """Whether the grader would read one choice as the other."""
    return grade(a, [b], 0, letters_shown=False).reason == "exact"


def _filtered(
    written: Sequence[Question | Unusable],
    clips: Sequence[Clip],
    recipe: QuestionRecipe,
    asker: Asker,
    console: Console,
) -> list[Question | Unusable]:
    """The filters in order of what they cost; each sees what the ones before it left."""
    filters = recipe.filters
    outcomes = list(written)

    def drop(reasons: Mapping[int, str | None]) -> None:
        for place, reason in reasons.items():
            if reason is not None:
                outcomes[place] = Unusable(reason)

    def left() -> dict[int, Question]:
        return {place: one for place, one in enumerate(outcomes) if isinstance(one, Question)}

    drop({place: dropped_by_words(filters, one, clips[place]) for place, one in left().items()})
    if filters.tokenizer is not None and filters.max_tokens is not None:
        drop(dropped_by_tokens(left(), filters.tokenizer, filters.max_tokens))
    if filters.needs_audio:
        asked = left()
        with StepProgress(console, "without the clip", filters.needs_audio * len(asked), 500) as progress:
            reasons = answered_unheard(
                asker, list(asked.values()), filters.needs_audio, recipe.sampling, progress.update
            )
        drop(dict(zip(asked, reasons, strict=True)))
    return outcomes
