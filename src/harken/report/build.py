"""Builds the report: run folders become one self-contained HTML file.

`harken report` calls `write_report`. The size of the file is bounded: questions and clips are sampled where a run has
more than fit, and the page says how many of how many it holds.
"""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from harken.report.accuracy import accuracy_table, seed_comparisons
from harken.report.clips import ClipFinder
from harken.report.comparison import compare_runs
from harken.report.curve_names import SECTIONS
from harken.report.curves import panels
from harken.report.embedded_clips import clip_finders, embed_clips
from harken.report.facts import run_facts, run_names, shared_facts_first
from harken.report.page import render_page, render_summary
from harken.report.paper import paper_tables
from harken.report.question_sample import spread_kinds, take_within
from harken.report.question_sets import QuestionSet, question_sets, set_names
from harken.report.questions import TRAINING, Item, clips_of, evaluation_items, training_items
from harken.report.result_line import result_lines
from harken.report.run import Run, read_run
from harken.system.files import write_text

TEXT_BUDGET = 9_000_000
"""Bytes of questions and completions that one file holds at most."""


def write_report(paths: Sequence[Path], out: Path, audio_roots: Sequence[Path] = ()) -> None:
    """Read the runs and write the page.

    Args:
        paths: run folders; one given twice counts once.
        audio_roots: folders of the clips, where they have moved since recipes and evaluations named them.

    Raises DataError where a folder is not a run or holds a damaged file.
    """
    runs = [read_run(path) for path in dict.fromkeys(path.resolve() for path in paths)]
    write_text(out, report_page(runs, audio_roots))


def report_page(runs: Sequence[Run], audio_roots: Sequence[Path] = ()) -> str:
    """The page of one or more runs, as HTML."""
    names = run_names([run.path for run in runs])
    sets = [question_sets(run) for run in runs]
    items = [*evaluation_items(sets), *training_items(runs)]
    kept = take_within(spread_kinds(items), TEXT_BUDGET)
    clips = embed_clips(kept, {} if audio_roots else clip_finders(runs, sets), ClipFinder(audio_roots))
    kept.sort(key=lambda item: item["set"] == TRAINING)
    data = {
        "live": False,
        "every_ms": 0,
        "runs": [{"name": name} for name in names],
        "panels": panels([run.metrics for run in runs]),
        "sections": SECTIONS,
        "questions": kept,
        "note": _coverage(items, kept, len(clips)),
    }
    return render_page(" · ".join(names), run_summary(names, runs, sets), data, clips)


def run_summary(names: Sequence[str], runs: Sequence[Run], sets: Sequence[Sequence[QuestionSet]]) -> Markup:
    """The part of the page that needs no script: the result, tables of accuracy, the papers' tables and the facts."""
    comparison = compare_runs(names, runs, sets)
    seeds = []
    if comparison is None or comparison.only_seeds_differ:
        for ids, set_name in set_names(sets).items():
            shared = [questions for run_sets in sets for questions in run_sets if questions.ids == ids]
            if comparisons := seed_comparisons(shared):
                seeds.append((set_name, comparisons))
    tables = [
        accuracy_table(name, questions) for name, run_sets in zip(names, sets, strict=True) for questions in run_sets
    ]
    return render_summary(
        result_lines(names, runs, tables),
        shared_facts_first([run_facts(name, run) for name, run in zip(names, runs, strict=True)]),
        tables,
        seeds,
        paper_tables(names, runs, sets),
        comparison,
    )


def _coverage(items: Sequence[Item], kept: Sequence[Item], n_clips: int) -> str:
    """How much of the runs the page holds."""
    all_clips = len({(item["set"], clip["clip"]) for item in items for clip in clips_of(item) if clip["clip"]})
    if len(kept) == len(items) and n_clips == all_clips:
        return f"This file holds all {len(items):,} questions and all {n_clips:,} clips."
    if len(kept) == len(items):
        return f"This file holds all {len(items):,} questions, and {n_clips:,} of {all_clips:,} clips."
    return (
        f"This file holds {len(kept):,} of {len(items):,} questions, spread evenly over outcomes, tasks and "
        f"difficulties, and {n_clips:,} of {all_clips:,} clips. Tables and curves are of all questions and steps."
    )
