"""`harken generate questions`: a language model writes a question about each clip from the facts about it.

Omni-R1's AVQA-GPT and VGGS-GPT were made like this (section III-C). Every record of the captions file ends up in
manifest.jsonl, or in rejected.jsonl with its reason; card.md counts both. A reply that cannot be used is sent back with
its fault, then the record is rejected. The result depends on the file, the settings and the replies alone. One request
asks for one question, so that a bad question costs no other.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from harken.config import QuestionRecipe
from harken.data.load import write_rejected
from harken.data.manifest import write_manifest
from harken.errors import short_repr
from harken.generate.answer_positions import balance_answer_positions
from harken.generate.clients import GeneratorClient
from harken.generate.clip_facts import ClipFacts, facts_text, read_clip_facts
from harken.generate.data_card import account_table, balance_table, card_markdown, repeats_table, usage_table
from harken.generate.instructions import QUESTIONS, Instruction
from harken.generate.question_filters import drop_reason_by_words, drop_reasons_by_tokens, drop_reasons_without_clip
from harken.generate.reply_json import BadReplyError, clean_text, parse_object
from harken.generate.usable_replies import Unusable, request_each
from harken.questions.grader import grade
from harken.questions.named_choices import mentioned_choices
from harken.system.files import write_text
from harken.system.progress import StepProgress
from harken.system.writer_lock import one_writer
from harken.types import Question, Rejected

KEYS = ("question_text", "multi_choice", "answer")
N_CHOICES = 4
_MENTIONS_NOTES = re.compile(
    r"\bcaptions?\b|\bthe description\b|\b(?:provided|given) (?:notes?|text|description)\b"
    r"|\b(?:according to|in|from) A[1-4]\b",
    re.IGNORECASE,
)


@one_writer
def generate_questions(recipe: QuestionRecipe, out: Path, client: GeneratorClient, console: Console) -> None:
    """Write manifest.jsonl, rejected.jsonl and card.md below `out`, once no request waits for a reply.

    Raises DataError, ConfigError, CheckpointError, ServerError.
    """
    instruction = Instruction.resolve(QUESTIONS, recipe.prompt_file)
    clips, rejected = read_clip_facts(recipe.captions)
    root = recipe.captions.parent
    n_records = len(clips) + len(rejected)
    with StepProgress(console, "questions", len(clips), 500) as progress:
        written = request_each(
            client,
            [clip.id for clip in clips],
            lambda task: instruction.text(clip=facts_text(clips[task])),
            lambda task, text: read_question(text, clips[task], root),
            recipe.sampling,
            progress.update,
        )
    outcomes = _apply_filters(written, clips, recipe, client, console)
    if not client.complete:
        return
    questions = [outcome for outcome in outcomes if isinstance(outcome, Question)]
    kept = balance_answer_positions(questions, recipe.seed)
    rejected += [
        Rejected(str(recipe.captions), clip.line, clip.id, outcome.reason)
        for clip, outcome in zip(clips, outcomes, strict=True)
        if isinstance(outcome, Unusable)
    ]
    tables = [
        account_table("clips", n_records, len(kept), rejected, "manifest.jsonl"),
        balance_table(kept),
        repeats_table(kept),
        usage_table(client, recipe),
    ]
    write_rejected(out / "rejected.jsonl", sorted(rejected, key=lambda record: record.line))
    write_text(out / "card.md", card_markdown("Questions from facts about clips", tables, recipe, instruction))
    write_manifest(out / "manifest.jsonl", kept, root)
    for table in tables:
        table.show(console)


def read_question(text: str, clip: ClipFacts, root: Path) -> Question:
    """Read a reply as a question about a clip in the folder `root`. Raises BadReplyError."""
    reply = parse_object(text, KEYS)
    question = clean_text(reply["question_text"], "question")
    choices = _read_choices(reply["multi_choice"])
    answer = reply["answer"]
    if type(answer) is not int or not 0 <= answer < N_CHOICES:
        raise BadReplyError(f"answer no index: expected 0 to {N_CHOICES - 1}, found {short_repr(answer)}")
    if mentioned_choices(question, choices) == {answer}:
        raise BadReplyError(f"question reveals the answer: it names {short_repr(choices[answer])} and no other choice")
    if match := _MENTIONS_NOTES.search(question):
        raise BadReplyError(f"question speaks of the notes: {short_repr(match[0])}")
    return Question(clip.id, question, choices, answer, root / clip.audio, task=clip.task, dataset=clip.dataset)


def _read_choices(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) != N_CHOICES:
        count = len(value) if isinstance(value, list) else short_repr(value)
        raise BadReplyError(f"choices not {N_CHOICES}: {count}")
    choices = tuple(clean_text(choice, "choice") for choice in value)
    for index, choice in enumerate(choices):
        if any(_graded_same(choice, earlier) for earlier in choices[:index]):
            raise BadReplyError(f"choices not different: {short_repr(choice)} twice")
    return choices


def _graded_same(a: str, b: str) -> bool:
    """Whether the grader reads one choice as the other."""
    return grade(a, [b], 0, letters_shown=False).reason == "exact"


def _apply_filters(
    written: Sequence[Question | Unusable],
    clips: Sequence[ClipFacts],
    recipe: QuestionRecipe,
    client: GeneratorClient,
    console: Console,
) -> list[Question | Unusable]:
    """Apply the cheapest filter first; each sees only the questions that the earlier ones kept."""
    filters = recipe.filters
    outcomes = list(written)

    def drop(reasons: Mapping[int, str | None]) -> None:
        for index, reason in reasons.items():
            if reason is not None:
                outcomes[index] = Unusable(reason)

    def kept() -> dict[int, Question]:
        return {index: outcome for index, outcome in enumerate(outcomes) if isinstance(outcome, Question)}

    drop({index: drop_reason_by_words(filters, question, clips[index]) for index, question in kept().items()})
    if filters.tokenizer is not None and filters.max_tokens is not None:
        drop(drop_reasons_by_tokens(kept(), filters.tokenizer, filters.max_tokens))
    if filters.needs_audio:
        questions = kept()
        with StepProgress(console, "without the clip", filters.needs_audio * len(questions), 500) as progress:
            reasons = drop_reasons_without_clip(
                client, list(questions.values()), filters.needs_audio, recipe.sampling, progress.update
            )
        drop(dict(zip(questions, reasons, strict=True)))
    return outcomes
