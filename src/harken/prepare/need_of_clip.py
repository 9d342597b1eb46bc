"""`harken prepare filter`: leaves out questions that a model answers without hearing the whole clip.

Evaluations of the manifest's own questions say what a model does without the clip, with silence, noise, another clip or
a fragment (`harken evaluate --audio`, or `--listening`). Several models vote, as in Audio-Contribution Filtering (arXiv
2509.21060), which leaves out what several models answer right with silence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harken.data.manifest import iter_manifest
from harken.errors import ConfigError, DataError, short_repr
from harken.prepare.data_card import Card, CardTable
from harken.prepare.draft import Draft, write_draft
from harken.prepare.leaks import LeakSearch
from harken.prepare.licences import OWN
from harken.results.listening import read_mode
from harken.system.run_files import SUMMARY, read_object
from harken.system.writer_lock import one_writer
from harken.types import Question, Rejected

RIGHT = 0.5
"""An evaluation answers a question right where more than this share of its trials is right."""


@dataclass(frozen=True, slots=True)
class NeedRules:
    """When a question is left out.

    Attributes:
        drop_right: where at least so many evaluations without the whole clip answer it right; None: never for that.
        max_share: where the right choice has a larger share of the probability of all choices, mean over the
            evaluations; None: never for that.
    """

    drop_right: int | None = 1
    max_share: float | None = None


@dataclass(frozen=True, slots=True)
class HeardEvaluation:
    """An evaluation of the manifest: what was heard, and by question id its text, rate and the right choice's share."""

    folder: Path
    audio: str
    texts: dict[str, str]
    rates: dict[str, float | None]
    shares: dict[str, float]

    def right(self, question: Question) -> bool:
        """Whether it answers the question right. Raises DataError where it does not hold the question."""
        if self.texts.get(question.id) != question.text:
            raise DataError(
                f"{self.folder}: does not hold the question {short_repr(question.id)} as {question.source} has it; "
                "evaluate the whole manifest, without limit and subset"
            )
        rate = self.rates[question.id]
        if rate is None:
            raise DataError(
                f"{self.folder}: question {short_repr(question.id)} has no known answer, so it cannot be right"
            )
        return rate > RIGHT

    def share(self, question: Question) -> float:
        if question.id not in self.shares:
            raise DataError(
                f"{self.folder}: has no likelihood of the choices of {short_repr(question.id)}: evaluate with "
                "--likelihoods"
            )
        return self.shares[question.id]


def read_evaluations(folders: Sequence[Path]) -> list[HeardEvaluation]:
    """The evaluations in these folders, also those with the whole clip. A folder of `--listening` holds one for each
    kind of audio."""
    evaluations = []
    for folder in folders:
        parts = (
            [part for part in sorted(folder.iterdir()) if (part / "summary.json").exists()] if folder.is_dir() else []
        )
        evaluations += [_read(part) for part in (parts or [folder])]
    return evaluations


def _read(folder: Path) -> HeardEvaluation:
    if not (folder / "summary.json").exists():
        raise DataError(f"{folder}: no finished evaluation; give a folder that `harken evaluate` wrote")
    summary = read_object(folder / "summary.json", SUMMARY, "evaluate again")
    rows, rates = read_mode(folder)
    shares = {row["id"]: share for row in rows if isinstance(share := row.get("right_share"), float)}
    audio = summary.get("audio", "real")
    return HeardEvaluation(folder, audio, {row["id"]: row["question"] for row in rows}, dict(rates), shares)


@one_writer
def filter_manifest(
    manifest: Path,
    out: Path,
    folders: Sequence[Path],
    rules: NeedRules,
    *,
    answerable: Sequence[Path] = (),
    audio_root: Path | None = None,
) -> Card:
    """Write manifest.jsonl, rejected.jsonl and card.md below `out`: records read = kept + rejected.

    Args:
        folders: evaluations of the manifest without the whole clip, or of `--listening`, of which those with it are
            passed over.
        answerable: evaluations with the whole clip; a question that one of them answers wrong is left out.
        audio_root: folder of the clips, by default the manifest's own.

    Raises ConfigError for rules that leave out nothing or ask for more evaluations than there are, DataError for an
    evaluation of other questions.
    """
    root = manifest.parent if audio_root is None else audio_root
    without = [each for each in read_evaluations(folders) if each.audio != "real"]
    with_clip = [each for each in read_evaluations(answerable) if each.audio == "real"]
    _refuse_empty_rules(rules, without, with_clip, answerable)
    draft = Draft[Question](OWN, out)
    counts = {each.folder: 0 for each in without}
    for outcome in iter_manifest(manifest, root):
        draft.add(outcome)
        if not isinstance(outcome, Rejected) and outcome.audio_spans:
            for each in without:
                counts[each.folder] += each.right(outcome)
    if len(draft) == 0:
        raise DataError(f"{manifest}: holds no record; check that the file is the right one and whole")
    draft.reject(lambda question: reason_to_leave_out(question, without, with_clip, rules))
    rows = [(str(each.folder), each.audio, str(len(each.rates)), str(counts[each.folder])) for each in without]
    draft.tables.append(
        CardTable("Evaluations without the whole clip", ("folder", "audio", "questions", "right"), rows)
    )
    words = _in_words(rules, len(without), len(with_clip))
    draft.notes.append(f"Filtered from {manifest} by need of the clip: {words}.")
    draft.notes.append(f"Clips are named relative to {root}.")
    return write_draft(draft, out, root, LeakSearch((), 1, out, by_sound=False))


def reason_to_leave_out(
    question: Question, without: Sequence[HeardEvaluation], with_clip: Sequence[HeardEvaluation], rules: NeedRules
) -> str | None:
    """Why a question needs no clip or cannot be used; None for one that is kept."""
    if not question.audio_spans:
        return "no clip: nothing can be heard"
    n_right = sum(each.right(question) for each in without)
    if rules.drop_right is not None and n_right >= rules.drop_right:
        return f"right without the whole clip: in {n_right} of {len(without)} evaluations"
    if rules.max_share is not None:
        share = sum(each.share(question) for each in without) / len(without)
        if share > rules.max_share:
            return f"likely without the whole clip: the right choice has {share:.2f}, the limit is {rules.max_share:g}"
    wrong = next((each for each in with_clip if not each.right(question)), None)
    return None if wrong is None else f"wrong with the clip: in {wrong.folder}"


def _refuse_empty_rules(
    rules: NeedRules,
    without: Sequence[HeardEvaluation],
    with_clip: Sequence[HeardEvaluation],
    answerable: Sequence[Path],
) -> None:
    if answerable and not with_clip:
        raise ConfigError(f"{answerable[0]}: was evaluated without the clip; --answerable needs --audio real")
    if not without and not with_clip:
        raise ConfigError(
            "every evaluation heard the whole clip: give one with --audio none, silence, or fragment:0.25"
        )
    if rules.max_share is not None and not without:
        raise ConfigError(f"--max-likelihood {rules.max_share:g}: needs an evaluation without the whole clip")
    if rules.drop_right is None and rules.max_share is None and not with_clip:
        raise ConfigError("nothing is left out: set --drop-right, --max-likelihood or --answerable")
    if rules.drop_right is not None and rules.drop_right > max(1, len(without)):
        raise ConfigError(f"--drop-right {rules.drop_right}: only {len(without)} evaluations without the whole clip")


def _in_words(rules: NeedRules, n_without: int, n_with_clip: int) -> str:
    parts = []
    if rules.drop_right is not None and n_without:
        parts.append(f"left out where {rules.drop_right} or more of {n_without} evaluations are right")
    if rules.max_share is not None:
        parts.append(f"left out where the right choice has more than {rules.max_share:g} of the probability")
    if n_with_clip:
        parts.append("left out where an answer with the clip is wrong")
    return "; ".join(parts)
