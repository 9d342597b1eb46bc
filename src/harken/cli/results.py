"""`harken score` and `compare`: tables of predictions that are there already."""

import glob
from pathlib import Path
from typing import Annotated

import typer

from harken.benchmarks import BENCHMARKS
from harken.cli.options import console
from harken.system.console import print_line


def score(
    predictions: Annotated[Path, typer.Argument(help="JSON or JSON lines: an id and a prediction each.")],
    benchmark: Annotated[
        str, typer.Option("--benchmark", help=f"{', '.join(BENCHMARKS)}, or module:object for one of yours.")
    ],
    data: Annotated[Path, typer.Option("--data", help="The benchmark's JSON file; no audio is needed.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    letters: Annotated[
        bool, typer.Option("--letters", help="The prompt showed letters: the strict column reads them.")
    ] = False,
    submission: Annotated[
        Path | None,
        typer.Option("--submission", help="Write the file for the benchmark's own server here, instead of scoring."),
    ] = None,
) -> None:
    """Score anybody's predictions: the benchmark's official figure beside a strict one."""
    import json

    from harken.results.score_file import score_file, write_submission
    from harken.results.score_table import score_table

    if submission is not None:
        if letters:
            raise typer.BadParameter("a submission is not scored: no --letters", param_hint="--submission")
        result = write_submission(benchmark, data, predictions, submission)
    else:
        result = score_file(benchmark, data, predictions, letters_shown=letters or None)
    if as_json:
        print(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False))  # noqa: T201
    elif submission is None:
        console.print(score_table(result))
    else:
        said = f"{result['n']} questions, {result['n_missing']} of them without a prediction"
        print_line(console, f"submission: {submission} ({said})")


def compare(
    folders: Annotated[
        list[str],
        typer.Argument(
            help="Evaluation folders, or quoted patterns over seeds: the earlier model's, then one or more to compare "
            "with it; as many seeds each, paired in order.",
            metavar="FOLDER",
        ),
    ],
    published: Annotated[
        str | None,
        typer.Option("--published", help="Show the folders in this published table instead.", metavar="omni-r1-v2:I"),
    ] = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown instead of a table.")] = False,
) -> None:
    """Evaluations of the same questions before and after, paired; with patterns, mean and spread over seeds.

    harken compare runs/base runs/a runs/b

    harken compare 'runs/x/seed*/sft/eval/test' 'runs/x/seed*/grpo/eval/test'

    harken compare runs/mmau --published omni-r1-v2:I
    """
    if published is not None:
        _beside_published([folder for pattern in folders for folder in _folders(pattern)], published, as_markdown)
        return
    if len(folders) < 2:
        raise typer.BadParameter("give two folders or more, or --published", param_hint="FOLDER")
    from harken.results.compare import compare_folders
    from harken.results.comparison_tables import (
        COMPARISON_HEADER,
        SEEDS_HEADER,
        comparison_rows,
        comparison_table,
        seed_rows,
        seeds_table,
    )
    from harken.results.seeds import over_seeds

    before, *others = folders
    earlier = _folders(before)
    for after in others:
        later = _folders(after)
        if len(earlier) != len(later):
            raise typer.BadParameter(f"{len(earlier)} folders before and {len(later)} after", param_hint="FOLDER")
        comparisons = [compare_folders(a, b) for a, b in zip(earlier, later, strict=True)]
        title = f"{before} -> {after}"
        if len(comparisons) == 1:
            table, header = comparison_table(title, comparisons[0]), COMPARISON_HEADER
            rows = comparison_rows(comparisons[0])
        else:
            seeds = over_seeds(comparisons)
            table, header, rows = seeds_table(title, seeds), SEEDS_HEADER, seed_rows(seeds)
        _show(table, header, rows, as_markdown, title if len(others) > 1 else "")


def _beside_published(folders: list[Path], key: str, as_markdown: bool) -> None:
    from harken.papers import published_table
    from harken.results.beside_paper import place_in_table
    from harken.results.beside_paper_table import (
        beside_paper_header,
        beside_paper_notes,
        beside_paper_rows,
        beside_paper_table,
    )

    table = published_table(key)
    runs = {str(folder): place_in_table(folder, table) for folder in folders}
    title = f"{table.source}: {table.about}; accuracy, %; {beside_paper_notes(table)}"
    shown = beside_paper_table(table, runs)
    _show(shown, beside_paper_header(table), beside_paper_rows(table, runs), as_markdown, title)


def _show(table, header, rows, as_markdown: bool, title: str) -> None:
    """A table for a person, or as Markdown under its title."""
    from harken.results.formatting import markdown

    if as_markdown:
        print(*([title, ""] if title else []), markdown(header, rows), sep="\n")  # noqa: T201
    else:
        console.print(table)


def _folders(pattern: str) -> list[Path]:
    """A folder, or those a pattern finds, in order of name."""
    if not any(sign in pattern for sign in "*?["):
        return [Path(pattern)]
    found = sorted(Path(name) for name in glob.glob(pattern))
    if not found:
        raise typer.BadParameter(f"nothing matches {pattern!r}", param_hint="FOLDER")
    return found
