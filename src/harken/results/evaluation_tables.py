"""Terminal tables of one evaluation: its summary, its repeated trials, and its listening test."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from harken.results.formatting import percent, points, terminal_table
from harken.stats import Estimate

_COUNTS = {
    "n_failed": "requests failed (counted as wrong)",
    "n_missing_clips": "clips are missing (their questions are counted as wrong)",
    "n_cut_at_maximum": "were cut at the maximum length",
    "n_rejected": "records were rejected (counted as wrong)",
    "n_repeated": "records repeat an earlier one (not counted again; listed in rejected.jsonl)",
    "n_open": "have no choices (scored by the official rule, by a judge or as transcripts, not here)",
    "n_hidden_answer": "have a hidden answer (not scored)",
    "clips_cut": "clips are cut short or damaged, and used as far as they decode",
    "clips_beyond_full_scale": "clips are louder than full scale in places, which are clipped",
    "clips_cancelled": "clips are silent after mixing, because their channels cancel each other out",
    "clips_padded": "clips were padded with silence",
    "clips_cropped": "clips were cropped",
}


def summary_table(title: str, summary: Mapping[str, Any]) -> Table:
    """Accuracy by group; where outputs have tags, also the share of answers without thinking (the no-think rate)."""
    accuracies, rates = summary["accuracy"], summary.get("no_think")
    rows = []
    for name in dict.fromkeys((*accuracies, *(rates or {}))):
        group = accuracies.get(name)  # None where answers are hidden
        row = [name, *(("", "") if group is None else (str(group["n"]), percent(Estimate(**group))))]
        if rates:
            row.append(f"{percent(Estimate(**rates[name]))} of {rates[name]['n']}" if name in rates else "")
        rows.append(row)
    header = ["questions", "n", "accuracy, % [95 %]", *(["no-think, % of valid outputs"] if rates else [])]
    return terminal_table(title, header, rows, "; ".join(_summary_notes(summary)))


def _summary_notes(summary: Mapping[str, Any]) -> list[str]:
    notes = [] if summary["chance"] is None else [f"chance {100 * summary['chance']:.1f} %"]
    notes += [f"{summary['n_unreadable']} unreadable (counted as wrong)"]
    notes += [f"{summary[key]} {words}" for key, words in _COUNTS.items() if summary.get(key)]
    judged = summary.get("judged")
    if judged is not None and judged["accuracy"] is not None:
        accuracy = percent(Estimate(**judged["accuracy"]))
        notes.append(f"a judge finds {accuracy} % right, {judged['n_failed']} calls failed (counted as wrong)")
    of_open = summary.get("open")
    if of_open is not None:
        notes.append(
            f"a judge finds {percent(Estimate(**of_open['score']))} % of the answers to {of_open['n']} open questions "
            f"right, {of_open['n_failed']} calls failed (counted as 0)"
        )
    if summary.get("right_share") is not None:
        share = summary["right_share"]
        notes.append(f"the right choice has {percent(Estimate(**share))} % of the probability of all choices")
    transcripts = summary.get("transcripts")
    if transcripts is not None:
        rate, score = (percent(Estimate(**transcripts[key])) for key in ("word_error_rate", "score"))
        notes.append(f"word error rate {rate} %, mean of 1 - it {score} %, over {transcripts['n']} questions")
    rubric = summary.get("rubric")
    if rubric is not None:
        score = percent(Estimate(**rubric["score"]))
        notes.append(
            f"a judge gives {score} % of the points of the rubrics of {rubric['n']} questions, "
            f"{rubric['n_failed']} calls failed (counted as 0)"
        )
    if "official" in summary:
        official = summary["official"]
        value, groups = official["official_accuracy"]["value"], [name for name, by in official["by"].items() if by]
        by = f", by {', '.join(groups)}" if groups else ""
        notes.append(f"official accuracy {100 * value:.1f} % of {official['n_official']}{by}: in summary.json")
    if summary.get("no_think"):
        notes.append(f"{summary['forms'].get('malformed', 0)} outputs are malformed and in no rate")
    return notes


def trials_table(title: str, summary: Mapping[str, Any]) -> Table:
    """Figures over several samples of each question, or over several orders of its choices."""
    if "samples" in summary:
        figures = summary["samples"]
        header = f"{figures['n_samples']} samples"
        rows = [("average", figures["average"]), ("majority vote", figures["majority"])]
        rows += [(f"pass@{k}", figure) for k, figure in figures["pass_at"].items()]
        note = ""
    else:
        figures = summary["orders"]
        header = f"{figures['n_orders']} orders of the choices"
        rows = [("mean over orders", figures["mean"]), ("same choice in all orders", figures["same_choice"])]
        low, high, sd = (100 * figures[key] for key in ("low", "high", "sd"))
        note = f"; accuracy of single orders {low:.1f}-{high:.1f}, sd {sd:.1f}"
    cells = [(name, str(figure["n"]), percent(Estimate(**figure))) for name, figure in rows]
    return terminal_table(title, (header, "n", "% [95 %]"), cells, f"predictions.jsonl holds the first of them{note}")


def wordings_table(title: str, figures: Mapping[str, Any]) -> Table:
    """Figures over several wordings of each question."""
    rows = [("mean over wordings", figures["mean"]), ("same choice in all wordings", figures["same_choice"])]
    cells = [(name, str(figure["n"]), percent(Estimate(**figure))) for name, figure in rows]
    low, high, sd = (100 * figures[key] for key in ("low", "high", "sd"))
    spread = "" if figures["item_sd_orders"] is None else f", over orders {figures['item_sd_orders']:.2f}"
    note = (
        f"accuracy of single wordings {low:.1f}-{high:.1f}, sd {sd:.1f}; spread per question (sd of its accuracy, mean "
        f"over questions): over wordings {figures['item_sd']:.2f}{spread}; {figures['n_without']} questions have no "
        "other wording"
    )
    return terminal_table(title, (f"{figures['n_wordings']} wordings", "n", "% [95 %]"), cells, note)


def listening_table(title: str, figures: Mapping[str, Any]) -> Table:
    """Accuracy in each audio mode, and how far the accuracy with the clip lies above it."""
    header = ("audio", "n", "accuracy, %", "unreadable", "real minus it", "changed, %")
    rows = []
    for mode, figure in figures["modes"].items():
        accuracy, gain, changed = figure["accuracy"], figure["real_minus_this"], figure["changed"]
        rows.append(
            (
                mode,
                str(figure["n"]),
                "" if accuracy is None else percent(Estimate(**accuracy)),
                str(figure["n_unreadable"]),
                "" if gain is None else points(Estimate(**gain)),
                "" if changed is None else percent(Estimate(**changed)),
            )
        )
    gain = figures["audio_gain"]
    if gain is None:
        result = "The benchmark hides its answers, so there is no accuracy and no audio gain."
    else:
        result = f"Audio gain (real minus none): {points(Estimate(**gain))} points."
    caption = f"{result} Intervals are 95 %, clustered by clip. Unreadable answers count as wrong."
    return terminal_table(title, header, rows, caption)


def tasks_table(title: str, summaries: Mapping[str, Mapping[str, Any]]) -> Table:
    """One row for each task: accuracy over all its questions, and what its benchmark's own script would say."""
    rows = []
    for name, summary in summaries.items():
        figure, official = summary["accuracy"].get("all"), summary.get("official")
        rows.append(
            (
                name,
                str(summary["n"]),
                "hidden" if figure is None else percent(Estimate(**figure)),
                "" if official is None else f"{100 * official['official_accuracy']['value']:.1f}",
                "" if summary["chance"] is None else f"{100 * summary['chance']:.1f}",
                str(summary["n_unreadable"]),
            )
        )
    header = ("task", "n", "accuracy, % [95 %]", "official, %", "chance, %", "unreadable")
    caption = "Every question counts; unreadable answers count as wrong. Intervals are clustered by clip."
    return terminal_table(title, header, rows, caption)
