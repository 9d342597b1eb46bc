"""A manifest checked by hand on a sample, one clip at a time, by key press.

Takes a manifest, keys and a player, gives review.jsonl beside it (one decision a line) and a section of card.md with
the share accepted and its 95 % interval. Stopped at any point it goes on at the next question not decided yet. The
sample is the same for a seed, and a larger one holds a smaller one; a decision counts for the question as it was, so a
manifest written anew with other questions is looked at anew. Not taken: a page in the browser, which needs a server for
what a terminal does.
"""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, TextIO

from rich.console import Console
from rich.text import Text

from harken.data.manifest import read_manifest
from harken.data.record_fields import text_field
from harken.data.records import read_records
from harken.errors import DataError, short_repr
from harken.results.formatting import percent
from harken.stats import mean_interval
from harken.system.files import write_text
from harken.system.json_lines import write_json_lines
from harken.types import Question

TITLE = "## Review by hand"
HELP = "a accept   r reject   n note   p play again   b back   q quit"
_PLAYERS = (
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "quiet"),
    ("mpv", "--no-video", "--really-quiet"),
    ("afplay",),
    ("paplay",),
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about one question; `sha256` names the question as it was then."""

    id: str
    sha256: str
    accepted: bool
    note: str


class Keys(Protocol):
    def key(self) -> str:
        """The next key; "" where there are no more."""
        ...

    def line(self) -> str:
        """The rest of the line."""
        ...


class StreamKeys:
    """Keys of a terminal, one press each, or the characters of a file or pipe."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def key(self) -> str:
        if not self._stream.isatty():
            return self._stream.read(1)
        import termios  # where there are terminals of this kind
        import tty

        before = termios.tcgetattr(self._stream)
        try:
            tty.setcbreak(self._stream, termios.TCSADRAIN)  # what was typed ahead stays
            return self._stream.read(1)
        finally:
            termios.tcsetattr(self._stream, termios.TCSADRAIN, before)

    def line(self) -> str:
        return self._stream.readline().strip()


class Player:
    """The first program found that plays sound, run in the background; without one clips are only named."""

    def __init__(self) -> None:
        self._command = next(([found, *words[1:]] for words in _PLAYERS if (found := shutil.which(words[0]))), None)
        self._playing: subprocess.Popen[bytes] | None = None

    def play(self, clip: Path) -> None:
        self.stop()
        if self._command is not None and clip.is_file():
            quiet = subprocess.DEVNULL
            words = [*self._command, str(clip.absolute())]  # absolute: a name that begins with - is no option
            self._playing = subprocess.Popen(words, stdin=quiet, stdout=quiet, stderr=quiet)

    def stop(self) -> None:
        if self._playing is not None:
            self._playing.terminate()
            self._playing.wait()
            self._playing = None


def review(
    manifest: Path, audio_root: Path | None, size: int, seed: int, keys: Keys, player: Player, console: Console
) -> None:
    """Show each question of the sample that is not decided yet, until all are, or `q`, or the keys end.

    Raises DataError where the manifest or the decisions cannot be read, or the manifest holds no question.
    """
    questions, _ = read_manifest(manifest, audio_root)
    if not questions:
        raise DataError(f"{manifest}: no question that could be reviewed")
    asked = sample(questions, size, seed)
    log = manifest.with_name("review.jsonl")
    decided = {one.id: one for one in read_decisions(log)}
    current = {question.id: digest(question) for question in asked}

    def done() -> list[Question]:
        return [one for one in asked if one.id in decided and decided[one.id].sha256 == current[one.id]]

    place = 0
    while place < len(asked):
        question = asked[place]
        if question in done():
            place += 1
            continue
        _show(console, question, len(done()) + 1, len(asked))
        verdict, note = _verdict(question, keys, player, console)
        if verdict == "q":
            break
        if verdict == "b":
            place = max(place - 1, 0)
            decided.pop(asked[place].id, None)
        else:
            decided[question.id] = Decision(question.id, current[question.id], verdict == "a", note)
        write_json_lines(log, [asdict(one) for one in decided.values()])
    lines = summary(done(), decided, n=len(questions), size=len(asked), seed=seed)
    card = manifest.with_name("card.md")
    before = card.read_text(encoding="utf-8") if card.exists() else f"# {manifest.stem}\n"
    write_text(card, with_section(before, [TITLE, "", *lines]))
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def sample(questions: Sequence[Question], size: int, seed: int) -> list[Question]:
    """The first `size` in an order that the seed and the ids give."""
    ordered = sorted(questions, key=lambda one: hashlib.sha256(f"{seed} {one.id}".encode()).digest())
    return ordered[:size]


def digest(question: Question) -> str:
    """Names what was looked at: id, text, choices, answer, reasoning and clip."""
    seen = [question.id, question.text, question.choices, question.answer, question.reasoning]
    seen.append(None if question.audio is None else question.audio.name)
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def read_decisions(path: Path) -> list[Decision]:
    """Raises DataError where the file holds anything else."""
    if not path.exists():
        return []
    records, rejected = read_records(path)
    for one in rejected:
        raise DataError(f"{path}:{one.line}: not a decision: {one.reason}; move the file away")
    decisions = []
    for line, record in records:
        accepted, note = record.get("accepted"), record.get("note")
        if not isinstance(accepted, bool) or not isinstance(note, str) or set(record) != set(Decision.__slots__):
            raise DataError(f"{path}:{line}: not a decision: {short_repr(record)}; move the file away")
        decisions.append(Decision(text_field(record, "id"), text_field(record, "sha256"), accepted, note))
    return decisions


def summary(done: Sequence[Question], decided: dict[str, Decision], *, n: int, size: int, seed: int) -> list[str]:
    """Share accepted among the questions looked at, clustered by clip, and the notes."""
    lines = [f"Sample of {size} of {n} questions, seed {seed}; {len(done)} reviewed."]
    if done:
        accepted = [float(decided[one.id].accepted) for one in done]
        clips = [one.id if one.audio is None else str(one.audio) for one in done]
        rate = percent(mean_interval(accepted, clips))
        lines += ["", f"Accepted: {rate} % ({int(sum(accepted))} of {len(done)}; 95 % interval, clustered by clip)."]
    lines += [""] * any(decided[one.id].note for one in done)
    for one in done:
        if decided[one.id].note:
            verdict = "accepted" if decided[one.id].accepted else "rejected"
            lines.append(f"- {printable(one.id)}, {verdict}: {printable(decided[one.id].note)}")
    return lines


def with_section(card: str, lines: Sequence[str]) -> str:
    """The card with a section put in the place of the one of the same title, or at the end."""
    title = lines[0]
    kept: list[str] = []
    inside = False
    for line in card.rstrip().split("\n"):
        if line.startswith(("# ", "## ")):
            inside = line == title
        if not inside:
            kept.append(line)
    return "\n".join([*"\n".join(kept).rstrip().split("\n"), "", *lines]) + "\n"


def printable(text: str) -> str:
    """Text of unknown origin without what a terminal or a card would take for more than text."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _verdict(question: Question, keys: Keys, player: Player, console: Console) -> tuple[str, str]:
    """(one of a, r, b, q, the note)."""
    note = ""
    if question.audio is not None:
        player.play(question.audio)
    while True:
        console.print(HELP + (f"   [note: {printable(note)}]" if note else ""), markup=False, highlight=False)
        key = keys.key() or "q"
        if key == "n":
            console.print("note: ", end="")
            note = keys.line()
        elif key == "p" and question.audio is not None:
            player.play(question.audio)
        elif key in ("a", "r", "b", "q"):
            player.stop()
            return key, note


def _show(console: Console, question: Question, number: int, size: int) -> None:
    lines = [f"{number} of {size}   {question.id}", f"clip: {question.audio or 'none'}", question.text]
    if question.audio is not None and not question.audio.is_file():
        lines[1] += " (no such file)"
    for index, choice in enumerate(question.choices):
        lines.append(f"  {'*' if index == question.answer else ' '} {choice}")
    lines += question.reasoning.split("\n") if question.reasoning else []
    console.rule()
    for line in lines:
        console.print(Text(printable(line)), soft_wrap=True)
