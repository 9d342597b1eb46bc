"""Results as tables on a terminal and in Markdown.

Takes comparisons, summaries and published tables, gives rich tables or text. One rendering of an estimate everywhere:
`73.2 [70, 76]`; in the narrow columns of a published table the interval and n stand in lines of their own.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from harken.papers import PublishedTable
from harken.results.compare import Comparison, FourWay, SeedComparison
from harken.stats import Estimate


def percent(estimate: Estimate) -> str:
    return f"{100 * estimate.mean:.1f} {_interval(estimate.low, estimate.high)}"


def _interval(low: float, high: float) -> str:
    """In whole percent; with a decimal where both ends would read the same."""
    digits = 0 if f"{100 * low:.0f}" != f"{100 * high:.0f}" else 1
    return f"[{100 * low:.{digits}f}, {100 * high:.{digits}f}]"


def points(gain: Estimate) -> str:
    return f"{100 * gain.mean:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"


def rows_of(comparisons: Sequence[Comparison]) -> list[tuple[str, ...]]:
    return [
        (one.group, str(one.gain.n), percent(one.before), percent(one.after), points(one.gain), p_value(one.p))
        for one in comparisons
    ]


def p_value(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "<.001"


HEADER = ("questions", "n", "before, %", "after, %", "gain, points", "p")


def comparison_table(title: str, comparisons: Sequence[Comparison]) -> Table:
    """Accuracy before and after, with 95 % intervals clustered by clip."""
    caption = "95 % intervals, clustered by clip; gain paired; p: McNemar's exact test, each question by itself"
    return _table(title, HEADER, rows_of(comparisons), caption)


def summary_table(title: str, summary: dict[str, Any]) -> Table:
    """Accuracy of one evaluation by group; the no-think rate too, where outputs have tags."""
    accuracies, rates = summary["accuracy"], summary.get("no_think")
    rows = []
    for name in dict.fromkeys((*accuracies, *(rates or {}))):
        one = accuracies.get(name)  # none where answers are hidden
        row = [name, *(("", "") if one is None else (str(one["n"]), percent(Estimate(**one))))]
        if rates:
            row.append(f"{percent(Estimate(**rates[name]))} of {rates[name]['n']}" if name in rates else "")
        rows.append(row)
    notes = [f"chance {100 * summary['chance']:.1f} %", f"{summary['n_unreadable']} unreadable (counted wrong)"]
    notes += [f"{summary[key]} {words}" for key, words in _COUNTED.items() if summary.get(key)]
    judged = summary.get("judged")
    if judged is not None and judged["accuracy"] is not None:
        said = percent(Estimate(**judged["accuracy"]))
        notes.append(f"a judge's opinion beside it: {said} % right, {judged['n_failed']} calls failed (counted wrong)")
    header = ["questions", "n", "accuracy, % [95 %]"]
    if rates:
        header.append("no-think, % of valid outputs")
        notes.append(f"{summary['forms'].get('malformed', 0)} outputs of neither form (in no rate)")
    return _table(title, header, rows, "; ".join(notes))


SCORE_HEADER = ("questions", "n", "official, %", "all, %", "strict, %")


def score_table(result: Mapping[str, Any]) -> Table:
    """What `harken score` found: all, each label but sub-categories and folders, and AIR-Bench's means."""
    rows = [_score_row("all", result)]
    shown_axes = [axis for axis in result["by"] if axis not in ("sub_category", "folder", "modality")]
    for axis in shown_axes:
        rows += [_score_row(name or f"no {axis}", group) for name, group in result["by"][axis].items()]
    means = result.get("averages", {})
    rows += [_score_row(name, mean) for name, mean in means.items() if isinstance(mean, dict)]
    notes = [
        f"{result['n_missing']} missing and {result['n_unreadable']} unreadable, wrong in the last two columns",
        f"official: over the script's own {result['n_official']} items, on the {result['official_input']}",
    ]
    if result["n_unreadable_letters"]:
        notes.append(f"{result['n_unreadable_letters']} unreadable ones are letters: --letters reads them")
    notes += [
        f"{key.replace('_', ' ')}: {', '.join(means[key])}"
        for key in means
        if key.startswith(("tasks", "folders")) and means[key]
    ]
    title = " ".join(part for part in (result["benchmark"], result["version"]) if part)
    return _table(f"{title}: {result['predictions']}", SCORE_HEADER, rows, "; ".join(notes))


def _score_row(name: str, group: Mapping[str, Any]) -> tuple[str, ...]:
    official, of_all, strict = (group[key] for key in ("official_accuracy", "official_accuracy_all", "choice_accuracy"))
    name = name if len(name) <= 28 else f"{name[:27]}…"  # so that the table fits 80 columns
    return name, str(group.get("n", "")), _share(official), f"{100 * of_all['value']:.1f}", _share(strict)


def _share(figure: Mapping[str, Any]) -> str:
    return f"{100 * figure['value']:.1f} {_interval(*figure['ci95'])}"


SEEDS_HEADER = ("questions", "n", "before, %", "after, %", "gain, points", "bound")


def seed_rows(rows: Sequence[SeedComparison]) -> list[tuple[str, ...]]:
    """Mean over seeds with the smallest and the largest seed: `73.2 (71-75)`; gains in points."""
    return [
        (
            one.group,
            str(one.n),
            *(f"{100 * s.mean:.1f} ({100 * s.low:.0f}-{100 * s.high:.0f})" for s in (one.before, one.after)),
            f"{100 * one.gain.mean:+.1f} (sd {100 * one.gain.sd:.1f})",
            f"{100 * one.lowest_bound:+.1f}",
        )
        for one in rows
    ]


def seeds_table(title: str, rows: Sequence[SeedComparison]) -> Table:
    """Several seeds of one recipe."""
    caption = (
        f"mean of {rows[0].seeds} seeds (smallest-largest); bound: smallest lower 95 % bound of a seed's paired gain"
    )
    return _table(title, SEEDS_HEADER, seed_rows(rows), caption)


FOUR_WAY_HEADER = (*HEADER, "before, no audio, %", "after, no audio, %", "chance, %")


def four_way_rows(rows: Sequence[FourWay]) -> list[tuple[str, ...]]:
    return [(*rows_of([one.comparison])[0], *_unheard(one)) for one in rows]


def four_way_tables(title: str, rows: Sequence[FourWay]) -> tuple[Table, Table]:
    """Accuracy in percent before and after, once with the clip and once without it; each fits 80 columns."""
    heard = comparison_table(title, [one.comparison for one in rows])
    header = ("without the clip", "n", "before, %", "after, %", "chance, %")
    unheard = [(one.comparison.group, str(one.before_unheard.n), *_unheard(one)) for one in rows]
    return heard, _table(None, header, unheard, "a model that listens stays at chance here")


def _unheard(one: FourWay) -> tuple[str, str, str]:
    return percent(one.before_unheard), percent(one.after_unheard), f"{100 * one.chance:.0f}"


def published_header(table: PublishedTable) -> list[str]:
    """Printed headings, the upper one only where the lower ones alone are not different."""
    names = Counter(column.heading[-1] for column in table.columns)
    over = [column.heading if max(names.values()) > 1 else column.heading[-1:] for column in table.columns]
    return [", ".join(table.labels), *(re.sub(r" \([^)]* audios\)", "", " ".join(words)) for words in over)]


def published_rows(table: PublishedTable, runs: Mapping[str, Sequence[Estimate | None]]) -> list[list[str]]:
    """The paper's rows, then each of ours: accuracies with the digits of the table, their intervals, and n."""
    rows, section = [], ""
    empty = [""] * len(table.columns)
    for row in table.rows:
        if row.section != section:
            section = row.section
            rows.append([f"{section}:", *empty])
        figures = ["-" if value is None else str(value) for value in row.values]
        rows.append([row.name + (f" {_JUDGED}" if row.judged else ""), *figures])
    digits = max(-int(value.as_tuple().exponent) for row in table.rows for value in row.values if value is not None)
    rows.append(["your runs:" if len(runs) > 1 else "your run:", *empty])
    for name, placed in runs.items():
        rows.append([name, *("-" if one is None else f"{100 * one.mean:.{digits}f}" for one in placed)])
        rows.append(["  95 %", *("" if one is None else f"{100 * one.low:.0f}-{100 * one.high:.0f}" for one in placed)])
        rows.append(["  n", *("" if one is None else str(one.n) for one in placed)])
    return rows


def published_table(table: PublishedTable, runs: Mapping[str, Sequence[Estimate | None]]) -> Table:
    """Runs of ours in the rows of a paper's table."""
    header, *headings = published_header(table)
    narrow = [heading.replace("-", "-\n").replace(" ", "\n") for heading in headings]
    title = f"{table.source}: {table.about}; accuracy, %"
    return _table(title, (header, *narrow), published_rows(table, runs), published_notes(table), gap=0)


def published_notes(table: PublishedTable) -> str:
    notes = ["yours: the choice read by harken's grader, 95 % intervals clustered by clip"]
    if any(row.judged for row in table.rows):
        notes.append(f"{_JUDGED} scored by an LLM judge, not by matching")
    if any(not column.group for column in table.columns):
        notes.append("the paper does not say which mean its AIR-Bench average is")
    return "; ".join(notes)


_JUDGED = "‡"


def trials_table(title: str, summary: dict[str, Any]) -> Table:
    """Figures over several samples of each question, or over several orders of its choices."""
    if "samples" in summary:
        found = summary["samples"]
        n, what = found["n_samples"], "samples"
        rows = [("average", found["average"]), ("majority vote", found["majority"])]
        rows += [(f"pass@{k}", one) for k, one in found["pass_at"].items()]
        note = ""
    else:
        found = summary["orders"]
        n, what = found["n_orders"], "orders of the choices"
        rows = [("mean over orders", found["mean"]), ("same choice in all orders", found["same_choice"])]
        note = f"; over orders {100 * found['low']:.1f}-{100 * found['high']:.1f}, sd {100 * found['sd']:.1f}"
    lines = [(name, str(one["n"]), percent(Estimate(**one))) for name, one in rows]
    return _table(title, (f"{n} {what}", "n", "% [95 %]"), lines, f"predictions.jsonl holds the first of them{note}")


def listening_table(title: str, figures: dict[str, Any]) -> Table:
    """Accuracy with each kind of audio, and how much the clip is worth against it."""
    header = ("audio", "n", "accuracy, %", "unreadable", "real minus it", "changed, %")
    rows = []
    for mode, one in figures["modes"].items():
        accuracy, gain, changed = one["accuracy"], one["real_minus_this"], one["changed"]
        rows.append(
            (
                mode,
                str(one["n"]),
                "" if accuracy is None else percent(Estimate(**accuracy)),
                str(one["n_unreadable"]),
                "" if gain is None else points(Estimate(**gain)),
                "" if changed is None else percent(Estimate(**changed)),
            )
        )
    gain = figures["audio_gain"]
    said = "answers are hidden" if gain is None else f"audio gain (real minus none): {points(Estimate(**gain))} points"
    return _table(title, header, rows, f"{said}; 95 % intervals, clustered by clip; unreadable counted wrong")


_COUNTED = {
    "n_failed": "requests failed (counted wrong)",
    "n_missing_clips": "clips missing (their questions counted wrong)",
    "n_cut_at_maximum": "cut at the maximum length",
    "n_rejected": "records rejected (counted wrong)",
    "n_hidden_answer": "with hidden answers (not scored)",
    "clips_padded": "clips padded with silence",
    "clips_cropped": "clips cropped",
}


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _table(
    title: str | None, header: Sequence[str], rows: Sequence[Sequence[str]], caption: str, gap: int = 1
) -> Table:
    table = Table(
        title=None if title is None else Text(title),
        caption=caption,
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, gap, 0, 0),
    )
    for position, name in enumerate(header):
        # Figures are never cut or folded; long names are, where the terminal is narrow.
        table.add_column(
            Text(name), justify="left" if position == 0 else "right", no_wrap=position > 0, overflow="fold"
        )
    for row in rows:
        # Task names come from data files: shown as they are, never read as markup.
        table.add_row(*(Text(cell) for cell in row))
    return table
