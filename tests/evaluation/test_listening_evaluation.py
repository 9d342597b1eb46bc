"""The listening report: the same questions with five kinds of audio, on one model."""

import functools

import pytest
from small_evaluations import interrupted, recipe, results_of, rows_of, talker

from harken.config.data import AUDIO_MODES
from harken.errors import ConfigError
from harken.evaluation import evaluated_model
from harken.evaluation.listening import evaluate_listening

pytestmark = pytest.mark.usefixtures("model")


def test_listening_asks_in_five_ways_with_one_model_and_goes_on_where_it_stopped(file, tmp_path, monkeypatch):
    loads = []
    monkeypatch.setattr(evaluated_model, "load_model", lambda *_, **__: loads.append(1) or talker())
    progress = []
    figures = evaluate_listening(recipe(file), tmp_path / "whole", lambda done, total: progress.append((done, total)))
    assert loads == [1]
    assert progress[-1] == (70, 70)
    assert progress == sorted(progress)
    assert figures["n"] == 14
    rows = rows_of(tmp_path / "whole" / "listening.jsonl")
    by_mode = {mode: rows_of(tmp_path / "whole" / mode / "predictions.jsonl") for mode in AUDIO_MODES}
    for row, *answers in zip(rows, *by_mode.values(), strict=True):
        assert [row[mode] for mode in AUDIO_MODES] == [float(answer["correct"]) for answer in answers]
        assert row["changed"] == (answers[0]["choice"] != answers[1]["choice"])
        assert row["gain"] == answers[0]["correct"] - answers[1]["correct"]
    assert any(row["changed"] for row in rows)
    interrupted(functools.partial(evaluate_listening, recipe(file)), tmp_path / "stopped", monkeypatch, 12, torn=True)
    assert evaluate_listening(recipe(file), tmp_path / "stopped") == figures
    assert results_of(tmp_path / "stopped") == results_of(tmp_path / "whole")
    with pytest.raises(ConfigError, match="batch_size: 3 in the folder, 5 now"):
        evaluate_listening(recipe(file, batch_size=5), tmp_path / "whole")


def test_what_cannot_be_asked_with_its_clip_is_asked_in_no_mode(file, tmp_path, monkeypatch, model):
    rendered, original = [], model.render
    monkeypatch.setattr(model, "max_samples", 12_000)
    monkeypatch.setattr(model, "render", lambda *words: rendered.append(1) or original(*words))
    figures = evaluate_listening(recipe(file, long_audio="wrong"), tmp_path / "out")
    assert len(rendered) == 1 + 5 * (14 - 5)  # the trial of the model, and five modes
    for mode in AUDIO_MODES:
        rows = rows_of(tmp_path / "out" / mode / "predictions.jsonl")
        assert [row["id"] for row in rows if row["reason"].startswith("not asked")] == ["q3", "q6", "q10", "q11", "q13"]
    assert figures["modes"]["none"]["n"] == 14


def test_pass_rates_are_the_values_of_a_listening_report_over_samples(file, tmp_path):
    evaluate_listening(recipe(file, samples=3, temperature=1.2, limit=5), tmp_path / "out")
    rows = rows_of(tmp_path / "out" / "listening.jsonl")
    rates = {row["id"]: row["pass_rate"] for row in rows_of(tmp_path / "out" / "none" / "pass_rates.jsonl")}
    assert {row["id"]: row["none"] for row in rows} == rates
