"""The tables of the papers as data equal those in the text of the papers, which these tests read in another way."""

import re
from decimal import Decimal
from itertools import groupby

import pytest

from harken.errors import ConfigError
from harken.papers import TABLES, published_table
from harken.papers.table import Column, MeasuredOn, read_table

NUMBER = re.compile(r"\d+\.\d+")
OMNI = {
    ("omni-r1-v1", "I"): ("TABLE I ACCURACIES", 8),
    ("omni-r1-v1", "II"): ("TABLE II ABLATION", 2),
    ("omni-r1-v2", "I"): ("TABLE I\n", 8),
    ("omni-r1-v2", "II"): ("TABLE II\n", 8),
    ("omni-r1-v2", "III"): ("TABLE III\n", 8),
    ("omni-r1-v2", "IV"): ("TABLE IV\n", 2),
}
THINKER = {
    "1": ("| Model | Method | MMAU Test-mini", 9),
    "2": ("| Sound | Music | Speech | Avg |", 8),
    "3": ("| AIR-Sound", 6),
    "4": ("| MMAR |", 4),
    "5": ("| Sound | Music | Speech | Avg |", 8),
    "6": ("| Models | Size |", 8),
}
# What the copies of the text have for a tick and a cross.
READ_AS = {"✓": "✓", "1": "✓", "✗": "✗", "×": "✗", "X": "✗"}


def omni_table(text: str, start: str) -> list[list[str]]:
    """Cells of the lines with tabs that follow a caption, marks of emphasis and citations taken off."""
    lines = iter(text[text.index(f"\n{start}") + 1 :].splitlines())
    table = []
    for line in lines:
        if "\t" in line:
            bare = re.sub(r"</?[ui]>|\*\*|\[[†\d ]+\]|†", "", line).replace("[ ]", "")
            table.append([cell.strip() for cell in bare.rstrip().split("\t")])
        elif table:
            return table
    raise AssertionError(f"{start}: no end")


def thinker_table(text: str, number: str) -> list[list[str]]:
    """Cells of the lines with bars from one header to the next; Table 5 repeats the header of Table 2."""
    lines = text.splitlines()
    starts = [i for i, line in enumerate(lines) if any(line.startswith(header) for header, _ in THINKER.values())]
    assert len(starts) == 6
    table = []
    for i in range(starts[int(number) - 1], len(lines)):
        if not lines[i].startswith("|") or (i in starts and table):
            return table
        cells = [cell.strip() for cell in lines[i].strip().strip("|").split("|")]
        while cells and not cells[-1]:
            cells.pop()
        table.append(
            [re.sub(r" (?:[A-Z][a-z]+ and )?[A-Z][a-z]+(?: et al\.)? \(20\d\d[a-z]?\)$", "", c) for c in cells]
        )
    return table


def label(text: str, damaged: bool) -> str:
    text = re.sub(r"VGG[sG]\b", "VGGS", text).replace("ARC–", "ARC-").strip("—–-_").strip()
    text = re.sub(r" *\+ *", "+", text)
    return READ_AS.get(text, text) if damaged else text


def printed(table: list[list[str]], columns: int) -> tuple[list[list[str]], list[tuple[str, list[str], list[str]]]]:
    """(header lines, rows): a row is (section, labels, figures)."""
    header, rows, section = [], [], ""
    for cells in table:
        figures = [cell for cell in cells[-columns:] if NUMBER.fullmatch(cell)]
        alone = [cell for cell in cells if cell.strip("•")]
        if len(cells) > columns and figures:
            rows.append((section, cells[:-columns], cells[-columns:]))
        elif len(alone) == 1 and alone != ["MMAR"]:
            section = alone[0].rstrip(":")
        else:
            header.append(cells)
    return header, rows


def texts(shared):
    for (paper, number), (start, columns) in OMNI.items():
        text = (shared / "papers" / f"{paper}.txt").read_text(encoding="utf-8")
        yield f"{paper}:{number}", *printed(omni_table(text, start), columns)
    text = (shared / "papers" / "audio-thinker.txt").read_text(encoding="utf-8")
    for number, (_, columns) in THINKER.items():
        yield f"audio-thinker:{number}", *printed(thinker_table(text, number), columns)


def test_every_figure_of_the_papers_is_in_the_data_and_none_besides(shared):
    seen = 0
    for key, _, rows in texts(shared):
        damaged = key in ("omni-r1-v1:II", "omni-r1-v2:IV")
        data = [
            (
                row.section,
                [label(text, False) for text in row.labels],
                ["-" if value is None else str(value) for value in row.values],
            )
            for row in TABLES[key].rows
        ]
        wanted = [(section, [label(text, damaged) for text in names], figures) for section, names, figures in rows]
        assert data == wanted, key
        seen += sum(figure != "-" for _, _, figures in wanted for figure in figures)
    assert seen == sum(value is not None for table in TABLES.values() for row in table.rows for value in row.values)
    assert seen == 868


def test_every_column_stands_under_its_printed_heading(shared):
    for key, header, _ in texts(shared):
        columns, labels = TABLES[key].columns, {*TABLES[key].labels, "RL FT:", "w/ audio?", ""}
        assert len(header) == 2, key
        for level, cells in enumerate(header):
            over = [column.heading[level] for column in columns if len(column.heading) > level]
            names = over if level == 1 else [name for name, _ in groupby(over)]
            assert [cell for cell in cells if cell not in labels] == names, (key, level)


@pytest.mark.parametrize(
    ("key", "row", "heading", "value"),
    [
        ("omni-r1-v1:I", "Human", ("MMAU Test-mini (1k audios)", "Sound"), "86.3"),
        ("omni-r1-v2:I", "Qwen2.5-Omni-7B, Omni-R1 (VGGS-GPT)", ("MMAU Test-full (9k audios)", "Avg."), "71.2"),
        ("omni-r1-v2:II", "Qwen2.5-Omni-7B, Omni-R1 (AVQA-GPT)", ("MMAU Test-mini (1k audios)", "Music"), "72.8"),
        ("omni-r1-v2:III", "Qwen2-Audio-7B-Instruct, Direct Inference", ("Mixed Modalities", "Mix1"), "9.1"),
        ("omni-r1-v2:IV", "Qwen2-Audio, ✗, ARC-Easy", ("Inference", "w/o audio"), "42.2"),
        ("audio-thinker:1", "model-f, GRPO+ATAR+CR+TR", ("MMAR", "Sound"), "67.27"),
        ("audio-thinker:4", "Audio-Thinker Qwen2.5-Omni (ours)", ("MMAR", "Sound"), "68.32"),
        ("audio-thinker:6", "Audio-Thinker Qwen2.5-Omni, 7B", ("Single Modality (%)", "Sound"), "68.48"),
        ("audio-thinker:2", "Audio-Thinker Qwen2.5-Omni (ours)", ("Speech", "Test"), "73.27"),
        ("audio-thinker:3", "Minmo", ("AIR-Speech", "VSC"), "93.0"),
        ("audio-thinker:5", "Audio Flamingo 3", ("Avg", "Test"), "72.28"),
    ],
)
def test_figures_looked_up_by_hand(key, row, heading, value):
    table = TABLES[key]
    (values,) = [candidate.values for candidate in table.rows if candidate.name == row]
    (column,) = [i for i, candidate in enumerate(table.columns) if candidate.heading == heading]
    assert str(values[column]) == value  # the digits too: 93.0, not 93


def test_every_column_holds_what_it_was_measured_on():
    versions = {key: {column.benchmark.version for column in table.columns} for key, table in TABLES.items()}
    original, v05, unnamed = {"original"}, {"v05.15.25"}, {""}
    assert versions == {
        **{"omni-r1-v1:I": original, "omni-r1-v1:II": original},
        **{"omni-r1-v2:I": original, "omni-r1-v2:II": v05, "omni-r1-v2:III": unnamed, "omni-r1-v2:IV": original},
        **{"audio-thinker:1": original | unnamed, "audio-thinker:2": original, "audio-thinker:3": unnamed},
        **{"audio-thinker:4": unnamed, "audio-thinker:5": v05, "audio-thinker:6": unnamed},
    }
    mini, full = MeasuredOn("mmau", "original", "test-mini"), MeasuredOn("mmau", "original", "test-full")
    assert [column.benchmark for column in TABLES["audio-thinker:2"].columns] == [mini, full] * 4
    assert [column.with_audio for column in TABLES["omni-r1-v2:IV"].columns] == [True, False]
    assert str(mini) == "mmau original test-mini"


def test_rows_that_a_judge_scored_are_marked():
    judged = {(key, row.labels[-1]) for key, table in TABLES.items() for row in table.rows if row.judged}
    assert judged == {
        *(("omni-r1-v1:I", "SARI"), ("omni-r1-v2:I", "SARI")),
        *(("audio-thinker:2", "SARI (Qwen2-Audio)"), ("audio-thinker:2", "SARI (Qwen2.5-Omni)")),
    }


def test_accuracies_are_percentages_and_averages_of_mmau_lie_among_its_tasks():
    """Except two rows, whose printed average is below all three tasks."""
    outside = set()
    for key, table in TABLES.items():
        for row in table.rows:
            assert all(value is None or Decimal(0) < value < Decimal(100) for value in row.values)
            for part in {column.benchmark for column in table.columns if column.benchmark.name == "mmau"}:
                figures = {
                    column.group: value
                    for column, value in zip(table.columns, row.values, strict=True)
                    if column.benchmark == part and value is not None and len(table.columns) > 2
                }
                if figures:
                    average, tasks = figures.pop("all"), figures.values()
                    assert len(tasks) == 3
                    if not min(tasks) <= average <= max(tasks):
                        outside.add((key, row.name))
    assert outside == {("audio-thinker:5", "Step-Audio 2"), ("audio-thinker:5", "Gemini 2.5 Flash")}


def test_an_unknown_key_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"'omni-r1:I'; known: omni-r1-v1:I, .*, audio-thinker:6"):
        published_table("omni-r1:I")


def test_a_row_that_does_not_fit_its_columns_is_an_error():
    columns = (Column(("Sound",), MeasuredOn("mmau"), "sound"),)
    for row in ("a | 1.0 2.0", "a | ", "a | b | 1.0", "a | 1.0 | judge"):
        with pytest.raises(ValueError, match="does not fit"):
            read_table("t", "t", ("Model",), columns, row)
