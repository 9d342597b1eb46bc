"""Terminal table of `harken score`: the benchmark's official figure beside strict accuracies."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from harken.results.formatting import interval, terminal_table

SCORE_HEADER = ("questions", "n", "official, %", "all, %", "strict, %")
SHOWN_LABELS = ("task", "difficulty", "category")
LONGEST_NAME = 28
"""Characters of a group's name, so that the table fits 80 columns."""


def score_table(result: Mapping[str, Any]) -> Table:
    """A table of what `score_file` returned: all questions, each task, difficulty and category, and further means."""
    judged = "judged_accuracy" in result
    rows = [_score_row("all", result, judged)]
    for label in SHOWN_LABELS:
        rows += [_score_row(name or f"no {label}", group, judged) for name, group in result["by"][label].items()]
    means = result.get("averages", {})
    rows += [_score_row(name, mean, judged) for name, mean in means.items() if isinstance(mean, dict)]
    header = (*SCORE_HEADER, "judge, %") if judged else SCORE_HEADER
    title = " ".join(part for part in (result["benchmark"], result["version"]) if part)
    return terminal_table(f"{title}: {result['predictions']}", header, rows, "; ".join(_notes(result, means)))


def _notes(result: Mapping[str, Any], means: Mapping[str, Any]) -> list[str]:
    notes = [
        f"{result['n_missing']} missing and {result['n_unreadable']} unreadable answers count as wrong in the last two "
        "columns",
        f"official: over the {result['n_official']} items that the benchmark's script counts, on the "
        f"{result['official_input']}",
    ]
    if "judged_accuracy" in result:
        notes.append(
            f"judge: whether a judge finds that the answer means the right choice, over {result['n_judged_answers']} "
            f"questions; {result['n_judge_failed']} calls failed (counted as wrong)"
        )
    further = [label for label, groups in result["by"].items() if groups and label not in SHOWN_LABELS]
    if further:
        notes.append(f"accuracies by {', '.join(further)}: with --json")
    if result.get("n_judged"):
        notes.append(f"{result['n_judged']} open questions are in no figure: a judge scores them in `harken evaluate`")
    if result["undecided"] and result["n_official"] + result["n_missing"] < result["n"]:
        notes.append(f"the official column leaves out what has no closed form: {result['undecided']}")
    if result.get("n_right_refused"):
        notes.append(f"the script does not count the right choice alone in {result['n_right_refused']} items")
    notes += _file_notes(result)
    if result["n_unreadable_letters"]:
        notes.append(f"{result['n_unreadable_letters']} unreadable answers are letters, which --letters reads")
    lists = {key: names for key, names in means.items() if isinstance(names, list) and names}
    return notes + [f"{key.replace('_', ' ')}: {', '.join(names)}" for key, names in lists.items()]


def _file_notes(result: Mapping[str, Any]) -> list[str]:
    """Sentences on the key of the predictions and on everything unusual in the two files."""
    notes = [f"predictions under {' and '.join(result['prediction_keys'])}"] if result["prediction_keys"] else []
    for key, n in result["other_prediction_keys"].items():
        notes.append(f"{key} has another text in {n} records, which was not read: --key {key} reads it")
    state = result["state"]
    if state["differing"]:
        notes.append(
            f"the benchmark file is closest to that of {state['published']} and differs in "
            f"{len(state['differing'])} of {state['n']} items: {_names(state['differing'])}"
        )
    by_field: dict[str, list[str]] = {}
    for item in result["differing_items"]:
        by_field.setdefault(item["field"], []).append(item["id"])
    for field, ids in by_field.items():
        counted = {
            "answer": f", where the answer of the {'predictions' if result['answers_of'] == 'file' else 'benchmark'} "
            "counts (--answers)",
            "choices": ", where those of the predictions are read",
            "question": "",
        }[field]
        stated = "other choices" if field == "choices" else f"another {field}"
        notes.append(f"the predictions state {stated} in {len(ids)} items{counted}: {_names(ids)}")
    for name, repeats in (
        ("benchmark file", result["repeated_records"]),
        ("predictions", [repeat["id"] for repeat in result["repeated_predictions"]]),
    ):
        if repeats:
            notes.append(
                f"{len(repeats)} records of the {name} repeat an earlier one and do not count: {_names(repeats)}"
            )
    return notes


def _names(ids: Sequence[str]) -> str:
    return ", ".join(ids[:3]) + (", ... (all with --json)" if len(ids) > 3 else "")


def _score_row(name: str, group: Mapping[str, Any], judged: bool) -> tuple[str, ...]:
    official, of_all, strict = (group[key] for key in ("official_accuracy", "official_accuracy_all", "choice_accuracy"))
    name = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
    row = name, str(group.get("n", "")), _share(official), f"{100 * of_all['value']:.1f}", _share(strict)
    return (*row, _share(group["judged_accuracy"]) if "judged_accuracy" in group else "") if judged else row


def _share(figure: Mapping[str, Any]) -> str:
    return f"{100 * figure['value']:.1f} {interval(*figure['ci95'])}"
