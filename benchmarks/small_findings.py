"""Judges the hypotheses that docs/small.md wrote down before the runs, and sets its table IV beside the paper's.

docs/small.md says what makes a verdict "holds", "does not hold" or "not shown".
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from digits_figures import KINDS, gain, right, without_thinking
from figure_cells import EMPTY, pct, pts, rule, seed_name
from harken.papers import published_table
from harken.results.formatting import markdown
from harken.stats import Estimate
from small_figures import BASE, SETS, answers, gain_over

Outcome = tuple[str, str]
"""Figures and verdict."""
NOT_YET: Outcome = (EMPTY, EMPTY)
PAPER = {"audio": ("✓", "AVQA"), "no_audio": ("✗", "AVQA"), "arc": ("✗", "ARC-Easy")}
"""Row -> the labels of its row in the paper's table IV."""
PAPERS_BASE = ("–", "–")
PAPERS_MODELS = ("Qwen2-Audio", "Qwen2.5-Omni")


def outcomes_table(seeds: Sequence[Path]) -> str:
    return markdown(
        ["seed", "expected", "figures", "verdict"],
        [[seed_name(seed), name, *outcome(seed)] for seed in seeds for name, outcome in EXPECTED.items()],
    )


def alignment(seed: Path) -> Outcome:
    with_audio, without = (answers(seed, BASE, kind) for kind in list(SETS)[:2])
    easy, easy_without = ([row for row in rows if is_easy_speech(row)] for rows in (with_audio, without))
    accuracy, difference, whole = right(easy), gain(easy_without, easy), gain(without, with_audio)
    if accuracy is None or difference is None or whole is None:
        return NOT_YET
    holds = accuracy.mean >= 0.6 and difference.mean >= 0.25
    figures = f"{pct(accuracy)} %, {pts(difference)} over none (n {accuracy.n}); all {pts(whole)} (n {whole.n})"
    return figures, verdict(holds, fails=not holds)


def is_easy_speech(row: dict[str, str]) -> bool:
    return (row["task"], row["difficulty"]) == ("speech", "easy")


def gains_beside(row: str, kind: str, other_kind: str, *, more: bool) -> Callable[[Path], Outcome]:
    """It gains on a set, and more or less than on another."""

    def outcome(seed: Path) -> Outcome:
        gained, other = gain_over(seed, row, kind), gain_over(seed, row, other_kind)
        if gained is None or other is None:
            return NOT_YET
        holds = gained.low > 0 and (gained.mean > other.mean) == more
        return f"{pts(gained)}; {pts(other)} on {SETS[other_kind]}", verdict(holds, gained.high < 0)

    return outcome


def gains(row: str, kind: str, other: str = BASE) -> Callable[[Path], Outcome]:
    def outcome(seed: Path) -> Outcome:
        gained = gain_over(seed, row, kind, other)
        return NOT_YET if gained is None else (pts(gained), verdict(gained.low > 0, gained.high < 0))

    return outcome


def gains_nothing(row: str, kind: str) -> Callable[[Path], Outcome]:
    """A gain contradicts it; an interval around zero, or a loss, does not."""

    def outcome(seed: Path) -> Outcome:
        gained = gain_over(seed, row, kind)
        return NOT_YET if gained is None else (pts(gained), verdict(gained.low <= 0, gained.low > 0))

    return outcome


def no_less(row: str, kind: str, other: str) -> Callable[[Path], Outcome]:
    """The hypothesis that `row` is at least as accurate as `other`. It does not hold where the interval of the gain is
    below zero."""

    def outcome(seed: Path) -> Outcome:
        gained = gain_over(seed, row, kind, other)
        return NOT_YET if gained is None else (pts(gained), verdict(gained.mean >= 0, gained.high < 0))

    return outcome


def follows_the_rule(seed: Path) -> Outcome:
    """ATAR's model answers most questions of a difficulty without thinking where its own p is above (1 + q) / 3."""
    told = []
    for kind in ("noise", "sums"):
        free, no_think, think = (answers(seed, "thinker_atar", f"{kind}{way}") for way in ("", "-no_think", "-think"))
        for difficulty in KINDS[kind]:
            rate = without_thinking(free, difficulty)
            says = rule(right(no_think, difficulty), right(think, difficulty))[1]
            if rate is None or says == EMPTY:
                return NOT_YET
            told.append((difficulty, rate.mean > 0.5, says))
    kept = [difficulty for difficulty, drops, says in told if drops == (says == "drop")]
    figures = ", ".join(f"{difficulty} {'dropped' if drops else 'kept'} ({says})" for difficulty, drops, says in told)
    return figures, verdict(len(kept) == len(told), fails=len(kept) < len(told))


def verdict(holds: bool, fails: bool) -> str:
    return "holds" if holds else "does not hold" if fails else "not shown"


EXPECTED: dict[str, Callable[[Path], Outcome]] = {
    "1. alignment: 60 % on easy speech, 25 points more than without": alignment,
    "2. GRPO with audio gains on realaqa with audio, less without": gains_beside(
        "audio", "test", "test-no-audio", more=True
    ),
    "3. GRPO without audio gains nothing with audio": gains_nothing("no_audio", "test"),
    "4. GRPO on ARC-Easy gains on ARC-Easy": gains("arc", "arc"),
    "5. and on MMAU without audio, less": gains_beside("arc", "mmau-original", "arc", more=False),
    "6. and nothing on realaqa with audio": gains_nothing("arc", "test"),
    "7. SFT gains as much as GRPO on realaqa with audio": no_less("sft_audio", "test", "audio"),
    "8. ATAR drops thinking where p > (1 + q) / 3 and keeps it elsewhere": follows_the_rule,
}
"""A sentence of docs/small.md in short -> its outcome for a seed."""


def beside_table_iv(seeds: Sequence[Path]) -> str:
    """Accuracies, with what each row gains over the base: the paper's on MMAU, and those of this model."""
    header = ["trained"]
    header += [f"{model}, {how} audio" for model in PAPERS_MODELS for how in ("with", "without")]
    header += [f"seed {seed_name(seed)}: {SETS[kind]}" for seed in seeds for kind in OURS]
    return markdown(header, [[title, *papers_cells(row), *our_cells(seeds, row)] for row, title in TRAINED.items()])


TRAINED = {
    BASE: "not",
    "audio": "with audio, on AVQA (here realaqa)",
    "no_audio": "without audio, on AVQA (here realaqa)",
    "arc": "on ARC-Easy, text",
}
OURS = ("test", "test-no-audio", "mmau-original")


def papers_cells(row: str) -> Iterator[str]:
    figures = {each.labels: each.values for each in published_table("omni-r1-v2:IV").rows}
    for model in PAPERS_MODELS:
        base = figures[model, *PAPERS_BASE]
        values = figures[model, *PAPER.get(row, PAPERS_BASE)]
        for value, before in zip(values, base, strict=True):
            assert value is not None
            assert before is not None
            yield f"{value}" if row == BASE else f"{value} ({value - before:+})"


def our_cells(seeds: Sequence[Path], row: str) -> Iterator[str]:
    for seed in seeds:
        for kind in OURS:
            accuracy, gained = right(answers(seed, row, kind)), gain_over(seed, row, kind)
            if accuracy is None:
                yield EMPTY
            else:
                yield f"{100 * accuracy.mean:.1f}" + ("" if row == BASE else f" ({_points(gained)})")


def _points(gained: Estimate | None) -> str:
    return EMPTY if gained is None else f"{100 * gained.mean:+.1f}"
