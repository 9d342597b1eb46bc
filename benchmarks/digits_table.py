"""The tables and curves of spoken digits in docs/results.md and README.md, from the folders of recipes/digits/run.py:

    python benchmarks/digits_table.py runs/digits            # print the tables
    python benchmarks/digits_table.py runs/digits --write    # put them into the pages, and draw the curves

A cell without a finished evaluation says so. Accuracies and rates have 95 % intervals clustered by recording, and
differences are paired by question.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path

from digits_figures import (
    KINDS,
    MODES,
    account,
    follows,
    gain,
    mean_tokens,
    readable_right,
    right,
    rows_of,
    seeds_of,
    valid_form,
    with_played_difficulty,
    without_thinking,
)
from digits_findings import ADAPTIVE, findings_table
from digits_readme import ANSWERS, BEGIN, END, first_page
from figure_cells import EMPTY, HELPS, forced_cells, pct, pts, seed_name
from harken.results.evaluation_rows import Row
from harken.results.formatting import markdown
from harken.stats import Estimate
from harken.system.files import write_text
from marked_page import between_marks
from thinker_curves import Panel, curves

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "digits_thinking.svg"
REWARDS = {
    "atar": "ATAR",
    "no_balance": "ATAR without balance",
    "priced": "price of 0.1 for thinking",
    "accuracy": "accuracy reward",
    "sft": "SFT, as many steps",
}
TRAINED = [(kind, reward) for kind in KINDS for reward in REWARDS if (kind, reward) != ("pairs", "no_balance")]
CASES = {
    ("pairs", "two"): "sums of two digits, two choices",
    ("sums", "two"): "sums of two digits, four choices",
    ("sums", "one"): "the same question, one digit",
    ("faint", "drowned"): "digits drowned in noise",
    ("faint", "clean"): "the same question, clean digits beside drowned ones",
    ("noise", "noisy"): "noisy digits",
    ("noise", "clean"): "the same question, clean digits beside noisy ones",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/results.md and README.md")
    given = parser.parse_args()
    results, readme = ROOT / "docs" / "results.md", ROOT / "README.md"
    text, first = tables(given.runs), first_page(given.runs, readme.read_text(encoding="utf-8"))
    if not given.write:
        print(f"{text}\n\n{first}")
        return
    for page, written in ((results, f"\n{text}\n"), (readme, first)):
        write_text(page, between_marks(page.read_text(encoding="utf-8"), BEGIN, written, END))
    if drawn := panels(given.runs):
        write_text(PICTURE, curves(drawn))


def tables(runs: Path) -> str:
    parts = {
        "GRPO beside SFT, answers alone": answers_table(runs),
        "Which clip the answers follow": listening_table(runs),
        "Thinking": thinking_table(runs),
        "Where thinking is dropped and where it is kept": cases_table(runs),
        "No-think rates by what is played": rates_by_clip_table(runs),
        "An unseen speaker": speaker_table(runs),
        "What the tables say": findings_table(runs),
        "Where the time went": account_table(runs),
    }
    if panels(runs):
        parts["Thinking"] += f"\n\n![No-think rates over the steps, by difficulty](images/{PICTURE.name})"
    return "\n\n".join(f"### {title}\n\n{table}" for title, table in parts.items())


def answers_table(runs: Path) -> str:
    header = ["seed", "model", "right, %", "against the warm start", "GRPO against SFT", "right without the clip, %"]
    header += ["of these readable, %", "right of the readable, %", "right on dev, %"]
    rows = []
    for seed in seeds_of(runs):
        real = {name: rows_of(seed / name / "eval" / "answers-test" / "real") for name in ANSWERS}
        for name, title in ANSWERS.items():
            none = rows_of(seed / name / "eval" / "answers-test" / "none")
            readable, named_right = readable_right(none) or (None, None)
            against = gain(real["warm"], real[name]) if name != "warm" else None
            beside = gain(real["answers_sft"], real["answers_grpo"]) if name == "answers_grpo" else None
            dev = right(rows_of(seed / name / "eval" / "answers-dev"))
            figures = [pct(right(real[name])), "" if name == "warm" else pts(against)]
            figures += [pts(beside) if name == "answers_grpo" else "", pct(right(none)), pct(readable)]
            rows.append([seed_name(seed), title, *figures, pct(named_right), pct(dev)])
    return markdown(header, rows)


def listening_table(runs: Path) -> str:
    header = [
        "seed",
        "model",
        *(f"{mode}, right %" for mode in MODES),
        "another clip: as played",
        "as the question's own",
    ]
    rows = []
    for seed in seeds_of(runs):
        for name, title in ANSWERS.items():
            by_mode = {mode: rows_of(seed / name / "eval" / "answers-test" / mode) for mode in MODES}
            counts = follows(by_mode["shuffled"])
            cells = [EMPTY] * 2 if counts is None else [f"{counts[0]} of {counts[2]}", f"{counts[1]} of {counts[2]}"]
            rows.append([seed_name(seed), title, *(pct(right(by_mode[mode])) for mode in MODES), *cells])
    return markdown(header, rows)


def thinking_table(runs: Path) -> str:
    """Columns that say easy and hard: clean and noisy digits, one and two digits; pairs have hard ones alone."""
    header = ["seed", "questions", "model", "no-think greedy, %: easy", "hard", "sampled, %: easy", "hard"]
    header += ["right, %: easy", "hard", "all, against accuracy reward", "all, against SFT"]
    header += ["tokens an answer", "valid form, %"]
    rows = []
    for seed in seeds_of(runs):
        for kind, reward in [(kind, "") for kind in KINDS] + TRAINED:
            model = model_of(kind, reward)
            real, sampled = (
                rows_of(seed / model / "eval" / name) for name in (f"{kind}-test/real", f"{kind}-test-sampled")
            )
            others = {
                other: rows_of(seed / model_of(kind, other) / "eval" / f"{kind}-test/real")
                for other in ("accuracy", "sft")
            }
            tokens = mean_tokens(real)
            cells = [*by_difficulty(without_thinking, real, kind), *by_difficulty(without_thinking, sampled, kind)]
            cells += by_difficulty(right, real, kind)
            cells += ["" if reward in ("", other) else pts(gain(others[other], real)) for other in ("accuracy", "sft")]
            cells += [EMPTY if tokens is None else f"{tokens:.1f}", pct(valid_form(real))]
            rows.append([seed_name(seed), kind, REWARDS.get(reward, "start"), *cells])
    order = sorted(rows, key=lambda row: (list(KINDS).index(row[1]), row[0]))
    return markdown(header, order)


def cases_table(runs: Path) -> str:
    """p and q of the start and of ATAR's models, each form forced, and what the rule says of them."""
    models = {"": "start", **ADAPTIVE}
    rows = []
    for (kind, difficulty), title in CASES.items():
        for seed in seeds_of(runs):
            for reward, name in models.items():
                if reward and (kind, reward) not in TRAINED:
                    continue
                folder = seed / model_of(kind, reward) / "eval"
                forced = [rows_of(folder / f"{kind}-test-{way}") for way in ("no_think", "think")]
                rate = without_thinking(rows_of(folder / f"{kind}-test/real"), difficulty)
                rows.append([seed_name(seed), title, name, *forced_cells(*forced, difficulty), pct(rate)])
    return markdown(["seed", "questions", "model", *HELPS, "no-think, %"], rows)


def rates_by_clip_table(runs: Path) -> str:
    """The no-think rates with each kind of audio; with another clip also by the clip that was played."""
    header = ["seed", "questions", "model", "difficulty", *MODES, "another clip, by what was played"]
    rows = []
    for kind in ("faint", "noise", "sums"):
        easy, hard = KINDS[kind]
        for seed, reward in product(seeds_of(runs), (*ADAPTIVE, "priced")):
            folder = seed / model_of(kind, reward) / "eval" / f"{kind}-test"
            by_mode = {mode: rows_of(folder / mode) for mode in MODES}
            by_clip = with_played_difficulty(by_mode["shuffled"], lambda clip: clip.noisy or len(clip.digits) == 2)
            for difficulty, level in ((easy, "easy"), (hard, "hard")):
                rates = [pct(without_thinking(by_mode[mode], difficulty)) for mode in MODES]
                played_rate = pct(without_thinking(by_clip, level))
                rows.append([seed_name(seed), kind, REWARDS[reward], difficulty, *rates, played_rate])
    return markdown(header, rows)


def speaker_table(runs: Path) -> str:
    header = ["seed", "questions", "model", "right, %: known speakers", "unseen speaker"]
    header += ["no-think, %: known, easy", "hard", "unseen, easy", "hard"]
    rows = []
    for seed in seeds_of(runs):
        for kind, model, title in [("answers", name, title) for name, title in ANSWERS.items()] + [
            (kind, model_of(kind, "atar"), "ATAR") for kind in KINDS
        ]:
            known, unseen = (rows_of(seed / model / "eval" / name) for name in (f"{kind}-test/real", f"{kind}-speaker"))
            rates = [cell for rows_here in (known, unseen) for cell in by_difficulty(without_thinking, rows_here, kind)]
            rows.append([seed_name(seed), kind, title, pct(right(known)), pct(right(unseen)), *rates])
    return markdown(header, rows)


def account_table(runs: Path) -> str:
    header = ["seed", "steps", "seconds on the clock", "seconds of a processor", "load", "commit"]
    return markdown(
        header, [row for seed in seeds_of(runs) for row in account_rows(seed)] or [["", EMPTY, "", "", "", ""]]
    )


def account_rows(seed: Path) -> Iterator[list[str]]:
    """A line for training, one for evaluation and one for the rest, summed over the steps of a seed."""
    steps = account(seed)
    for name in ("train", "evaluate", "data and tiny"):
        own = [step for step in steps if (step["step"].split()[0] if " " in step["step"] else "data and tiny") == name]
        if not own:
            continue
        sums = [f"{sum(step[key] for step in own):.0f}" for key in ("seconds", "cpu_s")]
        loads = [step["load"] for step in own]
        commits = ", ".join(sorted({step["commit"][:7] for step in own}))
        n = len({step["step"] for step in own})  # a step that was stopped has more than one line
        yield [seed_name(seed), f"{name} ({n})", *sums, f"{min(loads):.0f} to {max(loads):.0f}", commits]


def panels(runs: Path) -> list[Panel]:
    """One panel for each kind of question and reward that has been trained."""
    styles = {kind: dict(zip(names, ("easy", "hard")[-len(names) :], strict=True)) for kind, names in KINDS.items()}
    drawn: list[Panel] = []
    for kind, reward in TRAINED:
        done = [file.parent for file in sorted(runs.glob(f"seed*/{kind}_{reward}/done"))]
        if reward != "sft" and done:
            drawn.append((f"{kind}: {REWARDS[reward]}", done, styles[kind]))
    return drawn


def model_of(kind: str, reward: str) -> str:
    return f"{kind}_{reward}" if reward else "start"


def by_difficulty(figure: Callable[[Sequence[Row], str], Estimate | None], rows: Sequence[Row], kind: str) -> list[str]:
    """[easy, hard] of a kind of question; the first is empty for pairs, and both for questions without difficulties."""
    names = KINDS.get(kind, ())
    cells = [pct(figure(rows, name)) for name in names]
    return ["", *cells][-2:] if cells else ["", ""]


if __name__ == "__main__":
    main()
