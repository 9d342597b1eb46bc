"""`harken compare`: compares evaluations of the same questions, or puts them beside a paper's table."""

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from harken.cli.options import console


def compare(
    folders: Annotated[
        list[str],
        typer.Argument(
            help="Evaluation folders: first the earlier model's, then one or more to compare with it. Quoted patterns "
            "stand for several seeds; each must match equally many folders, which are paired in order.",
            metavar="FOLDER",
        ),
    ],
    published: Annotated[
        str | None,
        typer.Option(
            "--published",
            help="Put the folders into this table of a paper, for example omni-r1-v2:I, instead of comparing them.",
            metavar="TABLE",
        ),
    ] = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown instead of a table.")] = False,
) -> None:
    """Compare evaluations of the same questions before and after training, or put them beside a paper's table.

    Gains are paired by question. Patterns give the mean and the spread over seeds.

    harken compare runs/base runs/a runs/b

    harken compare 'runs/x/seed*/sft/eval/test' 'runs/x/seed*/grpo/eval/test'

    harken compare runs/mmau --published omni-r1-v2:I
    """
    if published is not None:
        _print_beside_paper([folder for pattern in folders for folder in _matching(pattern)], published, as_markdown)
        return
    if len(folders) < 2:
        raise typer.BadParameter("give two folders or more, or --published", param_hint="FOLDER")
    before, *others = folders
    for after in others:
        _print_comparison(before, after, as_markdown, titled=len(others) > 1)


def _print_comparison(before: str, after: str, as_markdown: bool, titled: bool) -> None:
    """Print one table: of two evaluations, or of pairs of evaluations over seeds."""
    from harken.api.scores import compare as compare_evaluations
    from harken.results import comparison_tables as tables
    from harken.results.seeds import over_seeds

    earlier, later = _matching(before), _matching(after)
    if len(earlier) != len(later):
        raise typer.BadParameter(f"{len(earlier)} folders before and {len(later)} after", param_hint="FOLDER")
    pairs = [compare_evaluations(a, b) for a, b in zip(earlier, later, strict=True)]
    title = f"{before} -> {after}"
    if len(pairs) == 1:
        table = tables.comparison_table(title, pairs[0])
        header, rows = tables.COMPARISON_HEADER, tables.comparison_rows(pairs[0])
    else:
        seeds = over_seeds(pairs)
        table = tables.seeds_table(title, seeds)
        header, rows = tables.SEEDS_HEADER, tables.seed_rows(seeds)
    _print_table(table, header, rows, as_markdown, title if titled else "")


def _print_beside_paper(folders: list[Path], key: str, as_markdown: bool) -> None:
    from harken.papers import published_table
    from harken.results import beside_paper_table as tables
    from harken.results.beside_paper import place_in_table

    table = published_table(key)
    runs = {str(folder): place_in_table(folder, table) for folder in folders}
    title = f"{table.source}: {table.about}; accuracy, %. {tables.beside_paper_notes(table)}"
    header, rows = tables.beside_paper_header(table), tables.beside_paper_rows(table, runs)
    _print_table(tables.beside_paper_table(table, runs), header, rows, as_markdown, title)


def _print_table(
    table: Table, header: Sequence[str], rows: Sequence[Sequence[str]], as_markdown: bool, title: str
) -> None:
    from harken.results.formatting import markdown

    if as_markdown:
        print(*([title, ""] if title else []), markdown(header, rows), sep="\n")  # noqa: T201
    else:
        console.print(table)


def _matching(pattern: str) -> list[Path]:
    """The folder that is named, or the folders that a pattern matches, in order of name."""
    if not any(sign in pattern for sign in "*?["):
        return [Path(pattern)]
    folders = sorted(Path(name) for name in glob.glob(pattern))
    if not folders:
        raise typer.BadParameter(f"nothing matches {pattern!r}", param_hint="FOLDER")
    return folders
