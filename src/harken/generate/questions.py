"""`harken generate questions`: a language model writes a question about each clip from the facts about it.

Omni-R1's AVQA-GPT and VGGS-GPT were made like this (section III-C). Every record of the captions file ends up in
manifest.jsonl, or in rejected.jsonl with its reason; card.md counts both. A reply that cannot be used is sent back with
its fault, then the record is rejected. The result depends on the file, the settings and the replies alone. One request
asks for one question, so that a bad question costs no other.
"""

import heapq
import re
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console

from harken.config import QuestionRecipe
from harken.data.load import write_rejected
from harken.data.manifest import manifest_record
from harken.errors import short_repr
from harken.generate.answer_positions import balance_answer_positions
from harken.generate.clients import GeneratorClient
from harken.generate.clip_facts import ClipFacts, ClipFactsFile, facts_text
from harken.generate.data_card import WrittenQuestions, account_table, card_markdown, usage_table
from harken.generate.instructions import QUESTIONS, Instruction
from harken.generate.question_filters import drop_by_tokens, drop_reason_by_words, drop_reasons_without_clip
from harken.generate.reply_json import BadReplyError, clean_text, parse_object
from harken.generate.usable_replies import Unusable, request_each
from harken.questions.grader import grade
from harken.questions.named_choices import mentioned_choices
from harken.system.disk_list import DiskList
from harken.system.files import write_text
from harken.system.json_lines import json_lines_file
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
    file = ClipFactsFile(recipe.captions, out)
    clips, root = file.clips, recipe.captions.parent
    with StepProgress(console, "questions", len(clips), 500) as progress:
        outcomes = request_each(
            client,
            clips,
            lambda clip: instruction.text(clip=facts_text(clip)),
            lambda clip, text: read_question(text, clip, root),
            recipe.sampling,
            progress.update,
            out,
        )
    _apply_filters(outcomes, clips, recipe, client, console)
    if not client.complete:
        return
    unusable = (
        Rejected(str(recipe.captions), clip.line, clip.id, outcome.reason)
        for clip, outcome in zip(clips, outcomes, strict=True)
        if isinstance(outcome, Unusable)
    )
    in_order = heapq.merge(file.rejected, unusable, key=lambda record: record.line)
    reasons = write_rejected(out / "rejected.jsonl", in_order)
    written = WrittenQuestions()
    with json_lines_file(out / "manifest.jsonl") as write:
        for question in balance_answer_positions(_Questions(outcomes), recipe.seed):
            written.add(question)
            write(manifest_record(question, root))
        tables = [
            account_table("clips", len(clips) + len(file.rejected), written.n, reasons, "manifest.jsonl"),
            written.balance_table(),
            written.repeats_table(),
            usage_table(client, recipe),
        ]
        write_text(out / "card.md", card_markdown("Questions from facts about clips", tables, recipe, instruction))
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


class _Questions(Sequence[Question]):
    """The outcomes that are questions, at this moment, in their order; `indices` are their places."""

    def __init__(self, outcomes: DiskList[Question | Unusable]) -> None:
        self.indices = array("Q", [i for i, outcome in enumerate(outcomes) if isinstance(outcome, Question)])
        self._outcomes = outcomes

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Question:  # type: ignore[override]
        question = self._outcomes[self.indices[index]]
        assert isinstance(question, Question)
        return question


def _apply_filters(
    outcomes: DiskList[Question | Unusable],
    clips: DiskList[ClipFacts],
    recipe: QuestionRecipe,
    client: GeneratorClient,
    console: Console,
) -> None:
    """Put the reason in the place of each question that a filter drops. The cheapest filter comes first; each sees only
    the questions that the earlier ones kept."""
    filters = recipe.filters

    def drop(questions: _Questions, reasons: Iterable[str | None]) -> None:
        for index, reason in zip(questions.indices, reasons, strict=True):
            if reason is not None:
                outcomes[index] = Unusable(reason)

    questions = _Questions(outcomes)
    pairs = zip(questions, questions.indices, strict=True)
    drop(questions, (drop_reason_by_words(filters, question, clips[index]) for question, index in pairs))
    if filters.tokenizer is not None and filters.max_tokens is not None:
        questions = _Questions(outcomes)
        drop(questions, map(drop_by_tokens(filters.tokenizer, filters.max_tokens), questions))
    if filters.needs_audio:
        questions = _Questions(outcomes)
        with StepProgress(console, "without the clip", filters.needs_audio * len(questions), 500) as progress:
            reasons = drop_reasons_without_clip(
                client, questions, filters.needs_audio, recipe.sampling, progress.update
            )
        drop(questions, reasons)
