"""Questions with right answers + facts about their clips -> the same questions with reasoning to teach.

Takes a manifest, a captions file and a served language model, gives manifest.jsonl with `reasoning`, rejected.jsonl and
card.md, as Audio-Thinker's SFT with chain of thought (5.1.1) needs. The four parts stand in the reasoning as lines that
begin with their names [O]; think and answer tags are put round them by the prompt that trains. The generator names the
choice it arrives at, and what SFT would train on is graded as a model's answer is: a rationale for another choice, or
one that shows that the answer was known, is no example to learn from. Not taken: tags in the reply, which then needs a
parser that forgives.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from harken.config import PromptConfig, ReasoningRecipe
from harken.data.load import write_rejected
from harken.data.manifest import read_manifest, write_manifest
from harken.data.records import rejection
from harken.errors import short_repr
from harken.generate.clip_facts import Clip, facts, quoted, read_clips
from harken.generate.data_card import Part, account, card_text, show, usage
from harken.generate.instructions import REASONING, Instruction
from harken.generate.reply_json import BadReplyError, object_in, plain_text
from harken.generate.retries import Asker, Unusable, ask_each
from harken.questions.grader import form, grade
from harken.questions.prompt import Prompt
from harken.system.files import write_text
from harken.system.progress import StepProgress
from harken.types import Question

PARTS = ("planning", "caption", "reasoning", "summary")
"""In order, as Audio-Thinker names them [P]."""

_TARGET = Prompt.from_config(PromptConfig(style="r1_aqa_think"))

_GIVES_AWAY = re.compile(
    # The answer was handed over. "The correct answer is a dog" and "of the given options" are a listener's words.
    r"\b(?:given|provided|stated|supplied|known|expected|labell?ed|reference|gold(?:en)?|intended|target)"
    r" (?:correct |right )?(?:answer|choice|option)\b"
    r"|\b(?:answer|choice|option) (?:(?:that|which) )?(?:is|was|has been) (?:already |simply |explicitly )?"
    r"(?:given|provided|supplied|known|stated)\b"
    r"|\bground[- ]truth\b|\banswer key\b|\barrive at (?:it|this|the given)\b"
    r"|\b(?:i|we) (?:already )?(?:was|were|am|are|have been) (?:told|given|informed)\b"
    r"|\b(?:i|we) (?:already )?know the (?:correct |right )?answer\b"
    # Something was read that a listener does not have.
    r"|\bcaptions?\b|\b(?:the|this|these|given|provided|audio|accompanying) "
    r"(?:descriptions?|annotations?|metadata|labels?|notes? (?:say|state|mention|describe|report|indicate)s?)\b"
    r"|\b(?:according to|as per|in|from) (?:the (?:notes?|text)|A[1-4])\b",
    re.IGNORECASE,
)


def generate_reasoning(recipe: ReasoningRecipe, out: Path, asker: Asker, console: Console) -> None:
    """Write `out`, once the asker has all the replies that it will have.

    Raises DataError, ConfigError, ServerError.
    """
    instruction = Instruction.resolve(REASONING, recipe.prompt_file)
    root = recipe.manifest.parent
    questions, rejected = read_manifest(recipe.manifest)
    n = len(questions) + len(rejected)
    clips, unread = read_clips(recipe.captions)
    pairs, unpaired = pair(questions, clips, root)
    with StepProgress(console, "reasoning", len(pairs), 500) as progress:
        written = ask_each(
            asker,
            [question.id for question, _ in pairs],
            lambda task: _prompt(instruction, *pairs[task]),
            lambda task, text: read_reasoning(text, pairs[task][0]),
            recipe.sampling,
            progress.update,
        )
    if not asker.complete:
        return
    kept = [one for one in written if isinstance(one, Question)]
    bad = [
        (question, one.reason) for (question, _), one in zip(pairs, written, strict=True) if isinstance(one, Unusable)
    ]
    rejected += [rejection(question, reason) for question, reason in unpaired + bad]
    used = {clip.id for _, clip in pairs}
    rows = [("records", len(clips) + len(unread)), ("used", len(used))]
    rows += [("of no question", len(clips) - len(used)), ("rejected, in rejected_captions.jsonl", len(unread))]
    parts = [
        account("questions", n, len(kept), rejected, "manifest.jsonl"),
        Part(
            f"Facts about clips, {recipe.captions.name}", ("clips", "n"), [(name, str(count)) for name, count in rows]
        ),
        usage(asker, recipe),
    ]
    write_rejected(out / "rejected.jsonl", sorted(rejected, key=lambda one: one.line))
    write_rejected(out / "rejected_captions.jsonl", unread)
    write_text(out / "card.md", card_text("Reasoning to teach", parts, recipe, instruction))
    write_manifest(out / "manifest.jsonl", kept, root)
    show(console, parts)


def pair(
    questions: Sequence[Question], clips: Sequence[Clip], root: Path
) -> tuple[list[tuple[Question, Clip]], list[tuple[Question, str]]]:
    """Questions with the facts about their clips, and those that cannot be reasoned about, with the reason.

    A clip is known by its name below `root`, the folder of the manifest's clips.
    """
    clip_of = {root / clip.audio: clip for clip in clips}
    pairs: list[tuple[Question, Clip]] = []
    unpaired: list[tuple[Question, str]] = []
    for question in questions:
        clip = None if question.audio is None else clip_of.get(question.audio)
        if question.answer is None:
            unpaired.append((question, "no answer: the manifest hides it"))
        elif question.audio is None:
            unpaired.append((question, "no clip: a question without audio"))
        elif clip is None:
            name = question.audio.relative_to(root).as_posix()
            unpaired.append((question, f"no facts: no record of the captions file has audio {short_repr(name)}"))
        else:
            pairs.append((question, clip))
    return pairs, unpaired


def read_reasoning(text: str, question: Question) -> Question:
    """The question with the reasoning of a reply. Raises BadReplyError."""
    reply = object_in(text, (*PARTS, "answer"))
    parts = {name: plain_text(reply[name], name) for name in PARTS}
    for name, part in parts.items():
        if found := _GIVES_AWAY.search(part):
            raise BadReplyError(f"gives away what a listener does not have: {short_repr(found[0])} in {name}")
    arrived = grade(plain_text(reply["answer"], "answer"), question.choices, question.answer, letters_shown=False)
    if not arrived.correct:
        raise BadReplyError(f"another answer: arrives at {short_repr(arrived.extracted)}")
    concluded = grade(parts["summary"], question.choices, question.answer, letters_shown=False)
    if concluded.choice is not None and not concluded.correct:
        raise BadReplyError(f"another answer: the summary names {short_repr(question.choices[concluded.choice])}")
    reasoned = replace(question, reasoning="\n".join(f"{name.capitalize()}: {part}" for name, part in parts.items()))
    target = _TARGET.answer_text(reasoned)
    if form(target) != "think" or not grade(target, question.choices, question.answer, letters_shown=False).correct:
        raise BadReplyError(f"target not graded right: {short_repr(target)}")
    return reasoned


def _prompt(instruction: Instruction, question: Question, clip: Clip) -> str:
    assert question.answer is not None
    return instruction.text(
        clip=facts(clip),
        question=quoted(question.text),
        choices=f"[{', '.join(quoted(choice) for choice in question.choices)}]",
        answer=quoted(question.choices[question.answer]),
    )
