"""`harken generate reasoning`: a language model writes the reasoning that leads to each right answer.

Audio-Thinker's SFT with chain of thought needs such examples (5.1.1). A manifest with answers and a captions file
become manifest.jsonl with `reasoning`, rejected.jsonl, rejected_captions.jsonl and card.md. The four parts of a
reasoning are lines that begin with their names [O]; the prompt that trains puts the think and answer tags around them.
The model names the choice that it arrives at, and the text that SFT would train on is graded like a model's answer: a
reasoning for another choice, or one that shows that the answer was known, is no example to learn from.
"""

import heapq
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from harken.config import PromptConfig, ReasoningRecipe
from harken.data.load import write_rejected
from harken.data.manifest import iter_manifest, write_manifest
from harken.data.records import rejection
from harken.errors import short_repr
from harken.generate.clients import GeneratorClient
from harken.generate.clip_facts import ClipFacts, ClipFactsFile, facts_of_all, facts_text, quoted
from harken.generate.data_card import account_table, card_markdown, usage_table
from harken.generate.instructions import REASONING, Instruction
from harken.generate.reply_json import BadReplyError, clean_text, parse_object
from harken.generate.usable_replies import Unusable, request_each
from harken.prepare.data_card import CardTable
from harken.questions.grader import grade
from harken.questions.output_parts import form
from harken.questions.prompt import Prompt
from harken.system.disk_list import DiskList
from harken.system.files import write_text
from harken.system.progress import StepProgress
from harken.system.writer_lock import one_writer
from harken.types import Question, Rejected

PARTS = ("planning", "caption", "reasoning", "summary")
"""The parts of a reasoning, in the order and with the names of Audio-Thinker [P]."""

_TARGET = Prompt.from_config(PromptConfig(style="r1_aqa_think"))

_GIVES_AWAY = re.compile(
    # The writer knew the answer. ("The correct answer is a dog" and "of the given options" are a listener's words.)
    r"\b(?:given|provided|stated|supplied|known|expected|labell?ed|reference|gold(?:en)?|intended|target)"
    r" (?:correct |right )?(?:answer|choice|option)\b"
    r"|\b(?:answer|choice|option) (?:(?:that|which) )?(?:is|was|has been) (?:already |simply |explicitly )?"
    r"(?:given|provided|supplied|known|stated)\b"
    r"|\bground[- ]truth\b|\banswer key\b|\barrive at (?:it|this|the given)\b"
    r"|\b(?:i|we) (?:already )?(?:was|were|am|are|have been) (?:told|given|informed)\b"
    r"|\b(?:i|we) (?:already )?know the (?:correct |right )?answer\b"
    # The writer read something that a listener does not have.
    r"|\bcaptions?\b|\b(?:the|this|these|given|provided|audio|accompanying) "
    r"(?:descriptions?|annotations?|metadata|labels?|notes? (?:say|state|mention|describe|report|indicate)s?)\b"
    r"|\b(?:according to|as per|in|from) (?:the (?:notes?|text)|A[1-4])\b",
    re.IGNORECASE,
)


@one_writer
def generate_reasoning(recipe: ReasoningRecipe, out: Path, client: GeneratorClient, console: Console) -> None:
    """Write the files below `out`, once no request waits for a reply.

    Raises DataError, ConfigError, ServerError.
    """
    instruction = Instruction.resolve(REASONING, recipe.prompt_file)
    root = recipe.manifest.parent
    facts = ClipFactsFile(recipe.captions, out)
    pairs = Pairs(iter_manifest(recipe.manifest), facts, root, out)
    with StepProgress(console, "reasoning", len(pairs.tasks), 500) as progress:
        written = request_each(
            client,
            pairs.tasks,
            lambda pair: _prompt(instruction, pair.question, pair.clip),
            lambda pair, text: read_reasoning(text, pair.question),
            recipe.sampling,
            progress.update,
            out,
        )
    if not client.complete:
        return
    unusable = (
        rejection(pair.question, outcome.reason)
        for pair, outcome in zip(pairs.tasks, written, strict=True)
        if isinstance(outcome, Unusable)
    )
    in_order = heapq.merge(pairs.rejected, unusable, key=lambda record: record.line)
    reasons = write_rejected(out / "rejected.jsonl", in_order)
    write_rejected(out / "rejected_captions.jsonl", facts.rejected)
    n_kept = len(pairs) - reasons.total()
    tables = [
        account_table("questions", len(pairs), n_kept, reasons, "manifest.jsonl"),
        _clip_table(recipe.captions.name, len(facts.clips), pairs.n_clips, len(facts.rejected)),
        usage_table(client, recipe),
    ]
    write_text(out / "card.md", card_markdown("Reasoning to teach", tables, recipe, instruction))
    write_manifest(out / "manifest.jsonl", (outcome for outcome in written if isinstance(outcome, Question)), root)
    for table in tables:
        table.show(console)


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and the facts about its clip, or about its clips."""

    question: Question
    clip: ClipFacts

    @property
    def id(self) -> str:
        return self.question.id


class Pairs:
    """The questions of a manifest, each with the facts about its clip.

    Args:
        root: the folder of the manifest's clips; the facts name their clips relative to it.
        folder: where the pairs lie on disk.

    Attributes:
        tasks: the pairs. rejected: the other records, with the reason. Both are in the order of the manifest.
        n_clips: different records of facts that are used.
    """

    def __init__(
        self, questions: Iterable[Question | Rejected], facts: ClipFactsFile, root: Path, folder: Path
    ) -> None:
        self.tasks, self.rejected = DiskList[Pair](folder), DiskList[Rejected](folder)
        self._facts, self._root = facts, root
        self._used = bytearray(len(facts.clips))
        for question in questions:
            outcome = question if isinstance(question, Rejected) else self._paired(question)
            if isinstance(outcome, Pair):
                self.tasks.append(outcome)
            else:
                self.rejected.append(outcome)

    def __len__(self) -> int:
        """The number of records of the manifest."""
        return len(self.tasks) + len(self.rejected)

    @property
    def n_clips(self) -> int:
        return sum(self._used)

    def _paired(self, question: Question) -> Pair | Rejected:
        paths = [span.path for span in question.audio_spans]
        if question.answer is None:
            return rejection(question, "no answer: the manifest hides it")
        if not paths:
            return rejection(question, "no clip: a question without audio")
        names = [path.relative_to(self._root).as_posix() for path in paths]
        records: list[tuple[int, ClipFacts]] = []
        for name in names:
            record = self._facts.find(name)
            if record is None:
                return rejection(question, f"no facts: no record of the captions file has audio {short_repr(name)}")
            records.append(record)
        for index, _ in records:
            self._used[index] = 1
        return Pair(question, facts_of_all([clip for _, clip in records]))


def read_reasoning(text: str, question: Question) -> Question:
    """Read a reply as the reasoning of a question, and return the question with it. Raises BadReplyError."""
    reply = parse_object(text, (*PARTS, "answer"))
    parts = {name: clean_text(reply[name], name) for name in PARTS}
    for name, part in parts.items():
        if match := _GIVES_AWAY.search(part):
            raise BadReplyError(f"gives away what a listener does not have: {short_repr(match[0])} in {name}")
    arrived = grade(clean_text(reply["answer"], "answer"), question.choices, question.answer, letters_shown=False)
    if not arrived.correct:
        raise BadReplyError(f"another answer: arrives at {short_repr(arrived.extracted)}")
    concluded = grade(parts["summary"], question.choices, question.answer, letters_shown=False)
    if concluded.choice is not None and not concluded.correct:
        raise BadReplyError(f"another answer: the summary names {short_repr(question.choices[concluded.choice])}")
    lines = [f"{name.capitalize()}: {part}" for name, part in parts.items()]
    reasoned = replace(question, reasoning="\n".join(lines))
    target = _TARGET.answer_text(reasoned)
    if form(target) != "think" or not grade(target, question.choices, question.answer, letters_shown=False).correct:
        raise BadReplyError(f"target not graded right: {short_repr(target)}")
    return reasoned


def _clip_table(file_name: str, n_clips: int, n_used: int, n_rejected: int) -> CardTable:
    rows = [
        ("records", str(n_clips + n_rejected)),
        ("used", str(n_used)),
        ("no question is about the clip", str(n_clips - n_used)),
        ("rejected, in rejected_captions.jsonl", str(n_rejected)),
    ]
    return CardTable(f"Facts about clips, {file_name}", ("clips", "n"), rows)


def _prompt(instruction: Instruction, question: Question, clip: ClipFacts) -> str:
    assert question.answer is not None
    return instruction.text(
        clip=facts_text(clip),
        question=quoted(question.text),
        choices=f"[{', '.join(quoted(choice) for choice in question.choices)}]",
        answer=quoted(question.choices[question.answer]),
    )
