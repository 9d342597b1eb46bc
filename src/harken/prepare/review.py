"""`harken prepare review`: a person checks a sample of a manifest, one question at a time, by key press.

review.jsonl beside the manifest gets one decision a line, and card.md gets a section with the share of accepted
questions and its 95 % interval. A review that was stopped continues with the next question that has no decision. A seed
always gives the same sample, and a larger sample contains a smaller one. A decision counts only for the question as it
was: if the manifest is written again with other questions, those are shown again.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from harken.data.manifest import read_manifest
from harken.errors import DataError
from harken.prepare.review_terminal import Keys, Player
from harken.results.formatting import percent
from harken.stats import mean_interval
from harken.system.console import escape_unprintable
from harken.system.files import read_text, write_text
from harken.system.json_lines import write_json_lines
from harken.system.run_files import DECISIONS, read_rows
from harken.types import Question

TITLE = "## Review by hand"
HELP = "a accept   r reject   n note   p play again   b back   q quit"


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision about one question; `sha256` identifies the question as it was then."""

    id: str
    sha256: str
    accepted: bool
    note: str


def review(
    manifest: Path, audio_root: Path | None, size: int, seed: int, keys: Keys, player: Player, console: Console
) -> None:
    """Show each question of the sample that has no decision, until all have one, or `q`, or the end of the keys.

    Raises DataError where the manifest or the decisions cannot be read, or the manifest has no question.
    """
    questions, _ = read_manifest(manifest, audio_root)
    if not questions:
        raise DataError(f"{manifest}: has no question to review")
    chosen = draw_sample(questions, size, seed)
    log = manifest.with_name("review.jsonl")
    decisions = {decision.id: decision for decision in read_decisions(log)}
    digests = {question.id: question_digest(question) for question in chosen}

    def reviewed() -> list[Question]:
        return [q for q in chosen if q.id in decisions and decisions[q.id].sha256 == digests[q.id]]

    position = 0
    while position < len(chosen):
        question = chosen[position]
        if question in reviewed():
            position += 1
            continue
        _show(console, question, len(reviewed()) + 1, len(chosen))
        key, note = _ask(question, keys, player, console)
        if key == "q":
            break
        if key == "b":
            position = max(position - 1, 0)
            decisions.pop(chosen[position].id, None)
        else:
            decisions[question.id] = Decision(question.id, digests[question.id], key == "a", note)
            position += 1
        write_json_lines(log, [asdict(decision) for decision in decisions.values()])
    lines = summary_lines(reviewed(), decisions, n=len(questions), size=len(chosen), seed=seed)
    card = manifest.with_name("card.md")
    before = read_text(card) if card.exists() else f"# {manifest.stem}\n"
    write_text(card, replace_section(before, [TITLE, "", *lines]))
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def draw_sample(questions: Sequence[Question], size: int, seed: int) -> list[Question]:
    """The first `size` questions in an order that depends on the seed and the ids alone."""
    ordered = sorted(questions, key=lambda question: hashlib.sha256(f"{seed} {question.id}".encode()).digest())
    return ordered[:size]


def question_digest(question: Question) -> str:
    """Identify what the reviewer sees: id, text, choices, answer, reasoning and clip."""
    content = [question.id, question.text, question.choices, question.answer, question.reasoning]
    content.append(", ".join(span.path.name for span in question.audio_spans) or None)
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def read_decisions(path: Path) -> list[Decision]:
    """Raises DataError where the file holds anything else."""
    rows = read_rows(path, DECISIONS, "no decision; move the file away")
    return [Decision(row["id"], row["sha256"], row["accepted"], row["note"]) for row in rows]


def summary_lines(
    reviewed: Sequence[Question], decisions: dict[str, Decision], *, n: int, size: int, seed: int
) -> list[str]:
    """The share of accepted questions among the reviewed ones, clustered by clip, and the notes."""
    lines = [f"Sample of {size} of {n} questions, seed {seed}; {len(reviewed)} reviewed."]
    if reviewed:
        accepted = [float(decisions[question.id].accepted) for question in reviewed]
        clips = ["\n".join(str(span.path) for span in question.audio_spans) or question.id for question in reviewed]
        share = percent(mean_interval(accepted, clips))
        counts = f"{int(sum(accepted))} of {len(reviewed)}; 95 % interval, clustered by clip"
        lines += ["", f"Accepted: {share} % ({counts})."]
    notes = [decision for question in reviewed if (decision := decisions[question.id]).note]
    lines += [""] * bool(notes)
    for decision in notes:
        verdict = "accepted" if decision.accepted else "rejected"
        lines.append(f"- {escape_unprintable(decision.id)}, {verdict}: {escape_unprintable(decision.note)}")
    return lines


def replace_section(card: str, lines: Sequence[str]) -> str:
    """Put a section into a card, in place of the section with the same title or at the end."""
    title = lines[0]
    kept: list[str] = []
    inside = False
    for line in card.rstrip().split("\n"):
        if line.startswith(("# ", "## ")):
            inside = line == title
        if not inside:
            kept.append(line)
    return "\n".join([*"\n".join(kept).rstrip().split("\n"), "", *lines]) + "\n"


def _ask(question: Question, keys: Keys, player: Player, console: Console) -> tuple[str, str]:
    """Play the clip and wait for a decision: (a, r, b or q; the note)."""
    note = ""
    clips = [span.path for span in question.audio_spans]
    for clip in clips[:1]:
        player.play(clip)
    playing = 0
    while True:
        shown_note = f"   [note: {escape_unprintable(note)}]" if note else ""
        console.print(HELP + shown_note, markup=False, highlight=False)
        key = keys.key() or "q"
        if key == "n":
            console.print("note: ", end="")
            note = keys.line()
        elif key == "p" and clips:
            playing = (playing + 1) % len(clips)
            player.play(clips[playing])
        elif key in ("a", "r", "b", "q"):
            player.stop()
            return key, note


def _show(console: Console, question: Question, number: int, size: int) -> None:
    paths = [span.path for span in question.audio_spans]
    # A name that is too long for a file system is no file, and pathlib would raise.
    named = ", ".join(f"{path}{'' if os.path.isfile(path) else ' (no such file)'}" for path in paths)
    lines = [f"{number} of {size}   {question.id}", f"clip: {named or 'none'}", question.text]
    for index, choice in enumerate(question.choices):
        lines.append(f"  {'*' if index == question.answer else ' '} {choice}")
    lines += question.reasoning.split("\n") if question.reasoning else []
    console.rule()
    for line in lines:
        console.print(Text(escape_unprintable(line)), soft_wrap=True)
