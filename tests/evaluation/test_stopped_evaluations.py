"""A stopped evaluation goes on to the files of one that was not, and another recipe is refused."""

import functools

import pytest
from small_evaluations import interrupted, recipe, results_of, rows_of

import harken.inference.predict as prediction
from harken.errors import ConfigError
from harken.evaluation.evaluate import evaluate
from harken.evaluation.folder import EvaluationFolder

pytestmark = pytest.mark.usefixtures("model")


@pytest.mark.parametrize("changes", [{}, {"samples": 2, "temperature": 1.0}, {"permute": 2}], ids=str)
def test_an_evaluation_that_was_stopped_goes_on_to_the_bytes_of_one_that_was_not(changes, file, tmp_path, monkeypatch):
    plan = recipe(file, **changes)
    job = functools.partial(evaluate, plan)
    job(tmp_path / "whole")
    expected = results_of(tmp_path / "whole")
    assert "journal.jsonl" not in expected
    for after, torn in ((1, True), (3, False)):
        out = tmp_path / f"stopped{after}"
        interrupted(job, out, monkeypatch, after, torn)
        interrupted(job, out, monkeypatch, 1, torn=True)  # and again, on the way
        assert "summary.json" not in results_of(out)
        job(out)
        assert results_of(out) == expected


def test_what_was_answered_is_not_asked_again_and_progress_begins_there(file, tmp_path, monkeypatch, model):
    out, seen, encoded = tmp_path / "out", [], []
    interrupted(functools.partial(evaluate, recipe(file)), out, monkeypatch, 3, torn=False)
    done = {row["id"] for row in rows_of(out / "journal.jsonl")}
    assert len(done) == 9
    original = model.encode_audio
    monkeypatch.setattr(model, "encode_audio", lambda read: encoded.extend(read) or original(read))
    evaluate(recipe(file), out, lambda answered, total: seen.append((answered, total)))
    assert seen == [(9, 14), (12, 14), (14, 14)]
    assert len(encoded) == 1 + 5  # the trial of the model, and the five that were left


@pytest.mark.parametrize("torn", [False, True])
def test_a_run_that_goes_on_decodes_the_batches_it_would_have_decoded(torn, file, tmp_path, monkeypatch):
    """Sums over another batch may round to another token, so the batch is part of what is repeated."""
    batches: list[tuple] = []
    original = prediction._predict_batch

    def watched(model, batch, *rest):
        batches.append(tuple(trial.question.id for trial, _ in batch))
        return original(model, batch, *rest)

    monkeypatch.setattr(prediction, "_predict_batch", watched)
    evaluate(recipe(file, batch_size=2), tmp_path / "whole")
    whole, out = list(batches), tmp_path / "out"
    interrupted(functools.partial(evaluate, recipe(file, batch_size=2)), out, monkeypatch, 3, torn)
    batches.clear()
    evaluate(recipe(file, batch_size=2), out)
    assert batches == whole[3 - torn :]


def test_another_recipe_in_the_same_folder_is_refused_and_the_difference_is_named(file, tmp_path, monkeypatch):
    out = tmp_path / "out"
    interrupted(functools.partial(evaluate, recipe(file)), out, monkeypatch, 1, torn=False)
    with pytest.raises(ConfigError, match="another recipe; choose another --out") as caught:
        evaluate(recipe(file, batch_size=4, prompt__style="r1_aqa", data__audio="noise"), out)
    assert "  batch_size: 3 in the folder, 4 now" in str(caught.value)
    assert "  prompt.style: 'omni_r1' in the folder, 'r1_aqa' now" in str(caught.value)
    assert "  data.audio: 'real' in the folder, 'noise' now" in str(caught.value)
    assert str(caught.value).count(" in the folder, ") == 3
    EvaluationFolder(out, recipe(file, dtype="float32", published=[{"table": "omni-r1-v2:IV", "row": "Qwen2-Audio"}]))
    file.write_text(file.read_text() + "\n")
    with pytest.raises(ConfigError, match=r"q\.json has changed since this evaluation began"):
        evaluate(recipe(file), out)


def test_a_folder_of_something_else_is_left_as_it_is(file, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("grpo: {steps: 3}\n")
    with pytest.raises(ConfigError, match="holds something that is no evaluation; choose another --out"):
        evaluate(recipe(file), tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.yaml"]
