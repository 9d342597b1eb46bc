"""`harken prepare filter`: records read = kept + rejected, and each rule leaves out what it says."""

import json

import pytest
import soundfile
from command_line import harken, refused_by
from evaluation_folders import prediction_row
from tiny_models import noise, tiny_folder

from harken.config import ConfigError, EvaluationRecipe
from harken.data.manifest import read_manifest, write_manifest
from harken.errors import DataError
from harken.evaluation.evaluate import evaluate
from harken.prepare.need_of_clip import NeedRules, filter_manifest
from harken.results.summary import summarise
from harken.types import Question

CHOICES = ("a", "b", "c", "d")


@pytest.fixture
def manifest(tmp_path):
    """Five questions about one clip, one without a clip, and a record that cannot be read."""
    (tmp_path / "set").mkdir()
    soundfile.write(tmp_path / "set" / "clip.wav", noise(0.3, 1), 16_000)
    questions = [Question(f"q{i}", "which?", CHOICES, 0, tmp_path / "set" / "clip.wav") for i in range(5)]
    file = tmp_path / "set" / "manifest.jsonl"
    write_manifest(file, [*questions, Question("t", "which?", CHOICES, 0, None)])
    file.write_text(file.read_text() + '{"id": "broken"}\n')
    return file


def evaluation(folder, audio, right, shares=None, **changes):
    """An evaluation in which the questions with these numbers are right."""
    rows = [prediction_row(f"q{i}", i in right, "clip", **changes) for i in range(5)] + [prediction_row("t", True, "t")]
    for row, share in zip(rows, shares or (), strict=False):
        row |= {"right_share": share, "choice_logp": [0.0] * 4}
    folder.mkdir(parents=True)
    (folder / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "summary.json").write_text(json.dumps({**summarise(rows), "audio": audio}))
    return folder


def kept(folder):
    rejected = [json.loads(line) for line in (folder / "rejected.jsonl").read_text().splitlines()]
    questions, broken = read_manifest(folder / "manifest.jsonl", folder.parent / "set")
    assert broken == []
    assert len(questions) + len(rejected) == 7
    return [question.id for question in questions], {row["id"]: row["reason"] for row in rejected}


def test_what_is_right_without_the_clip_is_left_out_and_every_record_is_accounted_for(manifest, tmp_path):
    none, quarter = (
        evaluation(tmp_path / name, audio, right)
        for name, audio, right in (("none", "none", {0, 1}), ("quarter", "fragment:0.25", {1, 2}))
    )
    card = filter_manifest(manifest, tmp_path / "any", [none, quarter], NeedRules())
    names, reasons = kept(tmp_path / "any")
    assert names == ["q3", "q4"]
    assert reasons["q0"] == "right without the whole clip: in 1 of 2 evaluations"
    assert reasons["q1"] == "right without the whole clip: in 2 of 2 evaluations"
    assert reasons["t"] == "no clip: nothing can be heard"
    assert "missing" in reasons["broken"]
    assert "| records read | 7 |" in card.markdown()
    assert f"| {quarter} | fragment:0.25 | 6 | 2 |" in card.markdown()
    filter_manifest(manifest, tmp_path / "both", [none, quarter], NeedRules(drop_right=2))
    assert kept(tmp_path / "both")[0] == ["q0", "q2", "q3", "q4"]


def test_a_listening_folder_gives_its_modes_without_the_clip_and_real_is_asked_for_by_itself(manifest, tmp_path):
    evaluation(tmp_path / "listening" / "real", "real", {0, 1, 2})
    evaluation(tmp_path / "listening" / "none", "none", {0})
    evaluation(tmp_path / "listening" / "silence", "silence", {1, 3})
    folder = tmp_path / "listening"
    card = filter_manifest(manifest, tmp_path / "need", [folder], NeedRules(), answerable=[folder])
    rules = "left out where 1 or more of 2 evaluations are right; left out where an answer with the clip is wrong"
    assert rules in card.markdown()
    names, reasons = kept(tmp_path / "need")
    assert names == ["q2"]
    assert reasons["q4"] == f"wrong with the clip: in {folder / 'real'}"


def test_a_likely_right_choice_is_left_out_also_where_the_answer_was_wrong(manifest, tmp_path):
    first = evaluation(tmp_path / "a", "none", set(), shares=[0.9, 0.5, 0.3, 0.2, 0.6])
    second = evaluation(tmp_path / "b", "silence", set(), shares=[0.1, 0.7, 0.3, 0.2, 0.6])
    filter_manifest(manifest, tmp_path / "need", [first, second], NeedRules(None, max_share=0.5))
    names, reasons = kept(tmp_path / "need")
    assert names == ["q0", "q2", "q3"]  # means 0.5, 0.6, 0.3, 0.2, 0.6
    assert reasons["q1"] == "likely without the whole clip: the right choice has 0.60, the limit is 0.5"


def test_evaluations_that_do_not_fit_are_refused_and_nothing_is_written(manifest, tmp_path):
    none = evaluation(tmp_path / "none", "none", {0})
    other = evaluation(tmp_path / "other", "none", {0}, question="what?")
    real = evaluation(tmp_path / "real", "real", {0})
    out = tmp_path / "out"
    for folders, rules, error, says in (
        ([other], NeedRules(), DataError, "does not hold the question 'q0'"),
        ([real], NeedRules(), ConfigError, "every evaluation heard the whole clip"),
        ([none], NeedRules(drop_right=2), ConfigError, "only 1 evaluations without"),
        ([none], NeedRules(None, None), ConfigError, "nothing is left out"),
        ([none], NeedRules(None, 0.5), DataError, "evaluate with --likelihoods"),
        ([tmp_path / "nowhere"], NeedRules(), DataError, "no finished evaluation"),
    ):
        with pytest.raises(error, match=says):
            filter_manifest(manifest, out, folders, rules)
        assert not (out / "manifest.jsonl").exists()
    with pytest.raises(ConfigError, match=r"--max-likelihood 0\.5: needs an evaluation without the whole clip"):
        filter_manifest(manifest, out, [real], NeedRules(None, 0.5), answerable=[real])
    with pytest.raises(ConfigError, match="was evaluated without the clip"):
        filter_manifest(manifest, out, [none], NeedRules(), answerable=[none])


def test_the_command_filters_by_a_fragment_and_by_likelihoods_of_a_real_evaluation(manifest, tmp_path):
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    rows = [{**row, "text": f"which {row['id']}?"} if "text" in row else row for row in rows]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    values = {
        "model": str(tiny_folder("qwen2_5_omni")),
        "data": {"reader": "manifest", "file": str(manifest), "audio": "fragment:0.25"},
        **{"max_completion_tokens": 2, "likelihoods": True, "allow_missing": True},
    }
    summary = evaluate(EvaluationRecipe.model_validate(values), tmp_path / "quarter")
    assert 0 < summary["right_share"]["mean"] < 1
    limit = summary["right_share"]["mean"]
    command = ["prepare", "filter", manifest, "--without", tmp_path / "quarter", "--out", tmp_path / "need"]
    result = harken(*command, "--drop-right", 0, "--max-likelihood", limit)
    assert result.code == 0, result.err
    names, _ = kept(tmp_path / "need")
    rows = [json.loads(line) for line in (tmp_path / "quarter" / "predictions.jsonl").read_text().splitlines()]
    assert names == [row["id"] for row in rows if row["id"].startswith("q") and row["right_share"] <= limit]
    elsewhere = [*command[1:-1], tmp_path / "x", "--drop-right", 0]
    assert "nothing is left out" in refused_by("prepare", *elsewhere)
