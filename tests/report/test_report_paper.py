"""A run in its row of a paper's table, on the page of the report."""

import json
import re
from pathlib import Path

import pytest
from report_runs import metric_rows, prediction, write_evaluation, write_run

from harken.config import EvaluationRecipe, PublishedRow, Recipe, parse, read_values
from harken.papers import TABLES
from harken.report.build import report_page
from harken.report.paper import paper_tables
from harken.report.question_sets import question_sets
from harken.report.run import read_run
from harken.system.files import write_json

ROW = "Qwen2.5-Omni-7B, Omni-R1 (AVQA)"
MINI = {"name": "mmau", "version": "original", "part": "test-mini"}
V05 = {"name": "mmau", "version": "v05.15.25", "part": "test-mini"}


def write_paper_run(folder: Path, *, on: dict | None = MINI, name: str = ROW, with_audio: bool = True) -> Path:
    """A run whose recipe names a row of tables I, II and IV, evaluated on 30 questions that say they are `on`."""
    rows = [
        prediction(f"q{i}", correct=i % 3 > 0, task=("sound", "music", "speech")[i % 3], clip=f"{i}.wav")
        for i in range(30)
    ]
    table_iv = {"table": "omni-r1-v2:IV", "row": "Qwen2.5-Omni, ✓, AVQA"}
    rows_named = [{"table": "omni-r1-v2:I", "row": name}, {"table": "omni-r1-v2:II", "row": name}, table_iv]
    run = write_run(folder / "run", metrics=metric_rows(40), published=rows_named)
    for audio in (True, False) if not with_audio else (True,):
        label = "mmau" if audio else "mmau-no-audio"
        write_evaluation(run, label, rows, model=str(run), audio="real" if audio else "none")
        summary = run / "eval" / label / "summary.json"
        values = json.loads(summary.read_text())
        values["audio"] = "real" if audio else "none"
        write_json(summary, {**values, **({"benchmark": on} if on else {})})
    return run


def papers(run: Path):
    read = read_run(run)
    return {paper.table.source: paper for paper in paper_tables(["mine"], [read], [question_sets(read)])}


def test_the_run_stands_under_the_row_that_its_recipe_names_in_the_columns_of_its_benchmark(tmp_path):
    tables_of_run = papers(write_paper_run(tmp_path))
    table = tables_of_run[TABLES["omni-r1-v2:I"].source]
    (own,) = table.rows[ROW]
    assert own.label == "mine, after"
    assert [figure and (round(figure.mean, 3), figure.n) for figure in own.figures] == [
        *((0.0, 10), (1.0, 10), (1.0, 10), (0.667, 30)),  # sound, music, speech, all of test-mini
        *[None] * 4,  # nothing was evaluated on test-full
    ]
    assert table.figure_text(own.figures[3])[0] == "66.7"


def test_with_and_without_the_clip_are_two_columns_of_one_row(tmp_path):
    table = papers(write_paper_run(tmp_path, with_audio=False))[TABLES["omni-r1-v2:IV"].source]
    (own,) = table.rows["Qwen2.5-Omni, ✓, AVQA"]
    assert all(figure is not None and figure.n == 30 for figure in own.figures)


def test_the_other_version_is_refused_and_the_page_says_why(tmp_path):
    run = write_paper_run(tmp_path, on=V05)
    tables_of_run = papers(run)
    refused = tables_of_run[TABLES["omni-r1-v2:I"].source]
    assert not any(refused.rows.values())
    (why,) = refused.missing
    assert why.startswith(f"mine, row “{ROW}”: mmau: the evaluation is on mmau v05.15.25 test-mini")
    assert "are different benchmarks and never share a table" in why
    assert tables_of_run[TABLES["omni-r1-v2:II"].source].rows[ROW]
    assert "different benchmarks and never share a table" in report_page([read_run(run)])


def test_data_that_is_no_benchmark_has_no_figure_and_a_run_without_evaluation_says_so(tmp_path):
    (why,) = papers(write_paper_run(tmp_path, on=None))[TABLES["omni-r1-v2:I"].source].missing
    assert "summary.json names no benchmark" in why
    run = write_run(tmp_path / "new", published=[{"table": "omni-r1-v2:I", "row": ROW}])
    assert papers(run)[TABLES["omni-r1-v2:I"].source].missing == [
        f"mine, row “{ROW}”: the run folder holds no evaluation yet"
    ]


def test_a_run_that_names_no_row_stands_at_the_end_of_every_table_that_fits(tmp_path):
    run = write_paper_run(tmp_path)
    config = (run / "config.yaml").read_text(encoding="utf-8")
    (run / "config.yaml").write_text(re.sub(r"published:\n(?:[- ] .*\n)+", "", config), encoding="utf-8")
    tables_of_run = papers(run)
    fits = {key for key, table in TABLES.items() if TABLES[key].source in tables_of_run}
    assert fits == {
        "omni-r1-v1:I",
        "omni-r1-v1:II",
        "omni-r1-v2:I",
        "omni-r1-v2:IV",
        "audio-thinker:1",
        "audio-thinker:2",
    }
    assert all(list(paper.rows) == [""] for paper in tables_of_run.values())
    assert "Beside the papers" in report_page([read_run(run)])


def test_a_run_on_other_data_has_no_such_part(tmp_path):
    run = write_run(tmp_path / "run")
    write_evaluation(run, "test", [prediction("a", correct=True)], model="m")
    assert papers(run) == {}
    assert "Beside the papers" not in report_page([read_run(run)])


def test_what_an_older_or_damaged_recipe_names_counts_as_nothing(tmp_path):
    for published in ("omni-r1", [3, {"table": "x", "row": "<b>"}], {"table": "omni-r1-v2:I"}):
        run = write_run(tmp_path / str(len(str(published))), published=published)
        assert papers(run) == {}


def test_the_papers_figures_and_the_runs_are_in_the_page_and_judged_rows_are_marked(tmp_path):
    html = report_page([read_run(write_paper_run(tmp_path))])
    text = " ".join(re.sub(r"<[^>]+>", " ", html.split("<script")[0]).split())
    assert f"{ROW} 70.9 70.1 64.9 68.6 73.6 68.6 70.1 70.8 " in text
    own = text.split(f"{ROW} 70.9")[1]
    assert re.search(r"run, after 0\.0 \[[\d., ]+\] n 10 100\.0 .*? 66\.7 \[[\d., ]+\] n 30 – – – – ", own)
    assert "SARI ‡ 72.8" in text


def test_every_row_that_a_recipe_names_is_a_row_of_its_table():
    named = 0
    for file in sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml")):
        if "published:" in file.read_text(encoding="utf-8"):
            values = read_values(file)
            recipe = parse(Recipe if isinstance(values["model"], dict) else EvaluationRecipe, values, str(file))
            named += len(recipe.published)
            tables = [entry.table for entry in recipe.published]
            assert len(set(tables)) == len(tables), file
            for entry in recipe.published:
                assert entry.table.partition(":")[2] in file.read_text(encoding="utf-8").splitlines()[
                    0
                ] or file.stem in (
                    # "tables I to III"
                    *("omni_r1_avqa", "omni_r1_avqa_gpt", "omni_r1_vggs_gpt", "zero_shot_omni"),
                    *("r1_aqa", "sari"),  # rows of two papers
                ), file
    assert named == 45


@pytest.mark.parametrize(
    ("table", "row", "says"),
    [
        (
            "omni-r1-v2:V",
            ROW,
            "no published table 'omni-r1-v2:V' (did you mean 'omni-r1-v2:IV'?): set one of omni-r1-v1:I",
        ),
        ("omni-r1-v2:I", "Omni-R1", "omni-r1-v2:I has no row 'Omni-R1': set one of Human; "),
    ],
)
def test_a_row_that_is_in_no_paper_is_an_error_that_lists_those_that_are(table, row, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        PublishedRow(table=table, row=row)
