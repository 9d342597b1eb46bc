"""Writes the table of findings about spoken digits, each derived from the figures of the other tables.

Which differences are clear of zero, where thinking is dropped although it helps or kept although it does not, whether
ATAR's models do what the rule says, and how long the answers are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from digits_figures import KINDS, gain, mean_tokens, right, rows_of, seeds_of, without_thinking
from figure_cells import EMPTY, clear_of_zero, mean_pct, pts, rule, seed_name
from harken.results.formatting import markdown
from harken.stats import Estimate

COMPARED = (
    ("GRPO against SFT with as many steps, answers alone", "answers", "answers_grpo", "answers_sft"),
    *((f"ATAR against the accuracy reward, {kind}", kind, f"{kind}_atar", f"{kind}_accuracy") for kind in KINDS),
    *(
        (f"ATAR without balance against the accuracy reward, {kind}", kind, f"{kind}_no_balance", f"{kind}_accuracy")
        for kind in KINDS
        if kind != "pairs"
    ),
    *((f"price for thinking against ATAR, {kind}", kind, f"{kind}_priced", f"{kind}_atar") for kind in KINDS),
)
"""(name of the comparison, kind of questions, model, model whose accuracy is subtracted from that of the first)."""


ADAPTIVE = {"atar": "ATAR", "no_balance": "ATAR without balance"}


@dataclass(frozen=True, slots=True)
class Case:
    """One difficulty of one kind of question, asked of a model that one of `ADAPTIVE` trained.

    Attributes:
        no_think: the share of greedy answers without thinking.
        p, q: the accuracy of the same model without thinking and with it.
        helps: q - p, paired.
    """

    name: str
    no_think: Estimate
    p: Estimate
    q: Estimate
    helps: Estimate

    @property
    def is_dropped(self) -> bool:
        return self.no_think.mean > 0.5

    @property
    def follows_the_rule(self) -> bool:
        return self.is_dropped == (rule(self.p, self.q)[1] == "drop")

    def __str__(self) -> str:
        return f"{self.name}: no-think {mean_pct(self.no_think)} %, thinking helps by {pts(self.helps)}"


def cases(runs: Path) -> Iterator[Case]:
    """Every case that has been evaluated."""
    for seed in seeds_of(runs):
        for reward, title in ADAPTIVE.items():
            for kind, difficulties in KINDS.items():
                for difficulty in difficulties:
                    name = f"seed {seed_name(seed)}, {title}, {kind} {difficulty}"
                    case = case_of(seed / f"{kind}_{reward}" / "eval", kind, difficulty, name)
                    if case is not None:
                        yield case


def case_of(folder: Path, kind: str, difficulty: str, name: str) -> Case | None:
    free, no_think, think = (rows_of(folder / f"{kind}-test{way}") for way in ("/real", "-no_think", "-think"))
    rate, helps = without_thinking(free, difficulty), gain(no_think, think, difficulty)
    p, q = right(no_think, difficulty), right(think, difficulty)
    if rate is None or helps is None or p is None or q is None:
        return None
    return Case(name, rate, p, q, helps)


def findings_table(runs: Path) -> str:
    rows = [*compared_rows(runs), *case_rows([*cases(runs)]), *token_rows(runs)]
    return markdown(["what", "figures", "in short"], rows)


def compared_rows(runs: Path) -> Iterator[list[str]]:
    for what, kind, model, other in COMPARED:
        gains = [
            gain(*(rows_of(seed / name / "eval" / f"{kind}-test" / "real") for name in (other, model)))
            for seed in seeds_of(runs)
        ]
        yield [what, ", ".join(pts(each) for each in gains), clear_of_zero(gains)]


def case_rows(all_cases: Sequence[Case]) -> Iterator[list[str]]:
    dropped = [case for case in all_cases if case.is_dropped and case.helps.low > 0]
    kept = [case for case in all_cases if not case.is_dropped and case.helps.low <= 0]
    following = [case for case in all_cases if case.follows_the_rule]
    for what, members in (
        ("thinking helps and ATAR drops it", dropped),
        ("thinking does not help and ATAR keeps it", kept),
    ):
        short = f"{len(members)} of {len(all_cases)} cases" if all_cases else EMPTY
        yield [what, "; ".join(map(str, members)), short]
    others = "; ".join(str(case) for case in all_cases if case not in following)
    short = f"in {len(following)} of {len(all_cases)} cases" if all_cases else EMPTY
    yield ["the rule, with p and q of the model itself, says what ATAR does", others and f"not so: {others}", short]


def token_rows(runs: Path) -> Iterator[list[str]]:
    for kind in KINDS:
        means = [
            [
                mean_tokens(rows_of(seed / f"{kind}_{reward}" / "eval" / f"{kind}-test" / "real"))
                for seed in seeds_of(runs)
            ]
            for reward in ("atar", "accuracy")
        ]
        cells = [", ".join(f"{each:.1f}" for each in row if each is not None) or EMPTY for row in means]
        yield [f"tokens an answer, {kind}: ATAR beside the accuracy reward", " beside ".join(cells), ""]
