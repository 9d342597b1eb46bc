"""The runner with a local model: the same answers whatever the batch, whatever stopped it, under every option."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest
from small_evaluations import recipe, results_of, rows_of, write_set
from tiny_models import ARCHITECTURES, speaking, tiny_model

import harken.inference.predict as prediction
from harken.benchmarks.registry import find_reader
from harken.data.audio_modes import MODES
from harken.data.load import load_sources
from harken.errors import ConfigError, DataError
from harken.evaluation import checkpoint_model, evaluated_model
from harken.evaluation.evaluate import evaluate
from harken.evaluation.folder import EvaluationFolder
from harken.evaluation.listening import evaluate_listening
from harken.inference.predict import predict
from harken.inference.prompt_inputs import PromptInputs
from harken.inference.sampling import Sampling
from harken.models.audio_lm import AudioLM
from harken.questions.choice_orders import Trial
from harken.questions.prompt import Prompt
from harken.system.environment import source_commit

PROMPT = Prompt.from_config(recipe(Path("x")).prompt)


@functools.cache
def talker(arch: str = "qwen2_5_omni") -> AudioLM:
    return speaking(tiny_model(arch), "one", "two", "three", "dog barking")


@pytest.fixture
def file(tmp_path) -> Path:
    return write_set(tmp_path)


@pytest.fixture(autouse=True)
def model(monkeypatch) -> AudioLM:
    monkeypatch.setattr(evaluated_model, "load_model", lambda *_, **__: talker())
    return talker()


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("sampling", [Sampling(0, 4), Sampling(1.3, 4, top_p=0.9)], ids=["greedy", "sampled"])
def test_batched_answers_are_those_of_one_question_at_a_time(arch, sampling, file):
    questions = load_sources([recipe(file).data], find_reader, need_answer=True).questions
    assert len({question.audio for question in questions}) == 8  # seven clips of different length, and none
    trials = [Trial(question) for question in questions]

    def answers(batch_size: int) -> dict:
        inputs = PromptInputs(talker(arch), PROMPT, 0)
        batches = list(predict(talker(arch), trials, inputs, sampling, batch_size=batch_size, samples=2, seed=3))
        assert max(map(len, batches)) == min(14, max(1, batch_size // 2))
        return {trial.question.id: found for batch in batches for trial, found in batch}

    alone = answers(1)
    assert alone == answers(10) == answers(32)
    assert len({found[0].text for found in alone.values()}) > 1
    assert any(found[0] != found[1] for found in alone.values()) == (sampling.temperature > 0)


def interrupted(job, out: Path, monkeypatch, after: int, torn: bool) -> None:
    """Run until the journal has been written to `after` times; the last write is cut in half where `torn`."""
    original, written = checkpoint_model.append_json_lines, []

    class KilledError(BaseException):
        pass

    def append(path, rows):
        before = path.stat().st_size
        original(path, rows)
        written.append(before)
        if len(written) == after:
            if torn:
                with path.open("rb+") as journal:
                    journal.truncate((before + path.stat().st_size) // 2)
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_model, "append_json_lines", append)
        with pytest.raises(KilledError):
            job(out)


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
    assert len(encoded) == 5


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
    EvaluationFolder(out, recipe(file, published=[{"table": "omni-r1-v2:IV", "row": "Qwen2-Audio"}]))
    file.write_text(file.read_text() + "\n")
    with pytest.raises(ConfigError, match=r"q\.json has changed since this evaluation began"):
        evaluate(recipe(file), out)


def test_a_folder_of_something_else_is_left_as_it_is(file, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("grpo: {steps: 3}\n")
    with pytest.raises(ConfigError, match="holds something that is no evaluation; choose another --out"):
        evaluate(recipe(file), tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.yaml"]


def test_every_row_holds_prompt_raw_output_extracted_answer_and_reason_and_the_folder_versions(file, tmp_path):
    summary = evaluate(recipe(file, prompt__style="mmau"), tmp_path / "out")
    row = rows_of(tmp_path / "out" / "predictions.jsonl")[1]
    assert row["prompt"] == "Which one, 1?  Select one option from the provided choices.\n['one', 'two', 'three']."
    assert {"completion", "extracted", "reason", "choice", "correct", "heard", "tokens"} <= row.keys()
    assert row["heard"].endswith("/1.wav")
    begun = json.loads((tmp_path / "out" / "environment.json").read_text())
    assert begun["packages"]["transformers"]
    assert begun["commit"] == source_commit()
    assert begun["data_sha256"] == summary["data_sha256"]
    assert summary["clips_padded"] == 1


def test_limit_and_subset_choose_questions_and_bad_records_stay_in_the_denominator(file, tmp_path):
    records = json.loads(file.read_text())
    records.insert(3, {"id": "bad", "question": "?"})
    records.append({"id": "late", "question": "?"})
    file.write_text("\n".join(map(json.dumps, records)))

    def ids(name: str, **changes) -> list[str]:
        evaluate(recipe(file, **changes), tmp_path / name)
        return [row["id"] for row in rows_of(tmp_path / name / "predictions.jsonl")]

    assert ids("limit 2", limit=2) == ["q0", "q1"]
    assert ids("limit 4", limit=4) == ["q0", "q1", "q2", "q3", "bad"]
    speech = ids("speech", subset__task=["speech"])
    assert speech == [*(f"q{i}" for i in range(1, 14, 2)), "bad", "late"]
    assert ids("both", subset__task=["speech", "sound"], subset__difficulty=["hard"]) == [
        *("q0", "q3", "q6", "q9", "q12", "bad", "late")
    ]
    with pytest.raises(
        DataError, match=r"subset: no question has task 'spech'; the values of task are 'sound', 'speech'"
    ):
        evaluate(recipe(file, subset__task=["spech"]), tmp_path / "none")
    with pytest.raises(ConfigError, match=r"subset\.taks: unknown key; known here: task, difficulty"):
        recipe(file, subset__taks=["x"])


def test_missing_clips_are_listed_and_refused_or_allowed_and_counted_wrong(file, tmp_path):
    (tmp_path / "3.wav").unlink()
    out = tmp_path / "out"
    with pytest.raises(DataError, match=r"1 clips are not there \(.*3\.wav\); .*--allow-missing"):
        evaluate(recipe(file), out)
    assert [row["id"] for row in rows_of(out / "rejected.jsonl")] == ["q3", "q10"]
    summary = evaluate(recipe(file, allow_missing=True), out)
    rows = {row["id"]: row for row in rows_of(out / "predictions.jsonl")}
    assert (summary["n"], summary["accuracy"]["all"]["n"]) == (14, 14)
    assert (summary["n_missing_clips"], summary["n_rejected"]) == (1, 2)
    assert (rows["q3"]["correct"], rows["q10"]["choice"]) == (False, None)
    assert "no such file" in rows["q3"]["reason"]
    assert evaluate(recipe(file, limit=3), tmp_path / "before it")["n"] == 3
    assert evaluate(recipe(file, data__audio="none"), tmp_path / "unheard")["n_rejected"] == 0


def test_samples_give_figures_pass_rates_and_every_answer(file, tmp_path):
    summary = evaluate(recipe(file, samples=4, temperature=1.5, top_p=0.95), tmp_path / "out")
    trials = rows_of(tmp_path / "out" / "trials.jsonl")
    rates = rows_of(tmp_path / "out" / "pass_rates.jsonl")
    assert [row["id"] for row in trials] == [f"q{i}" for i in range(14) for _ in range(4)]
    assert rows_of(tmp_path / "out" / "predictions.jsonl") == trials[::4]
    assert [one["n_correct"] for one in rates] == [
        sum(r["correct"] for r in trials[i : i + 4]) for i in range(0, 56, 4)
    ]
    assert any(len({row["completion"] for row in trials[i : i + 4]}) > 1 for i in range(0, 56, 4))
    assert summary["samples"]["average"]["mean"] == pytest.approx(sum(row["correct"] for row in trials) / 56)
    assert summary["samples"]["pass_at"].keys() == {"1", "2", "4"}
    # another batch size, the same draws; fewer samples are the first of more
    evaluate(recipe(file, samples=4, temperature=1.5, top_p=0.95, batch_size=32), tmp_path / "wide")
    assert rows_of(tmp_path / "wide" / "trials.jsonl") == trials
    evaluate(recipe(file, samples=2, temperature=1.5, top_p=0.95), tmp_path / "two")
    assert rows_of(tmp_path / "two" / "trials.jsonl") == [row for i, row in enumerate(trials) if i % 4 < 2]
    evaluate(recipe(file, samples=4, temperature=1.5, top_p=0.95, seed=1), tmp_path / "other")
    assert rows_of(tmp_path / "other" / "trials.jsonl") != trials


def test_permuted_choices_are_shown_in_their_order_and_graded_by_text(file, tmp_path):
    summary = evaluate(recipe(file, permute=3), tmp_path / "out")
    trials = rows_of(tmp_path / "out" / "trials.jsonl")
    assert len({tuple(row["choices"]) for row in trials[:3]}) == 3
    assert trials[0]["choices"] == ["one", "two", "three"]
    for row in trials:
        assert str(row["choices"]) in row["prompt"]
        assert row["answer"] == "two"
        assert row["correct"] == (row["choice"] == "two")
    assert summary["orders"]["mean"]["mean"] == pytest.approx(sum(row["correct"] for row in trials) / 42)
    evaluate(recipe(file), tmp_path / "plain")
    assert rows_of(tmp_path / "out" / "predictions.jsonl") == rows_of(tmp_path / "plain" / "predictions.jsonl")


def test_contradictions_are_refused():
    for changes, says in (
        ({"samples": 2}, "samples: 2 greedy answers are all the same: set temperature"),
        ({"samples": 2, "permute": 2, "temperature": 1.0}, "samples and permute: give one of them"),
        ({"endpoint": {"base_url": "http://x/v1", "model": "m"}, "model": "m"}, "give either model"),
        ({"endpoint": {"base_url": "http://x/v1", "model": "m"}, "long_audio": "wrong"}, "long_audio: wrong needs"),
        ({"endpoint": {"base_url": "http://x/v1", "model": "m", "api": "completion"}}, "only chat takes audio"),
    ):
        with pytest.raises(ConfigError, match=says):
            recipe(Path("q.json"), **changes)


@pytest.mark.parametrize("mode", ["real", "none", "silence", "noise", "shuffled"])
def test_each_kind_of_audio_is_what_the_model_hears(mode, file, tmp_path, monkeypatch, model):
    heard = {}
    original = model.render

    def render(conversation, waveform):
        heard[conversation[0]["content"][-1]["text"].partition("?")[0]] = waveform
        return original(conversation, waveform)

    monkeypatch.setattr(model, "render", render)
    summary = evaluate(recipe(file, data__audio=mode), tmp_path / "out")
    assert summary["audio"] == mode
    rows = rows_of(tmp_path / "out" / "predictions.jsonl")
    shortest = model.min_samples
    for i in range(14):
        waveform, row = heard[f"Which one, {i}"], rows[i]
        if i % 5 == 4 or mode == "none":
            assert waveform is None
            assert row["heard"] == ""
            continue
        clip = np.zeros(0) if mode == "shuffled" else np.asarray(original_clip(tmp_path, i % 7, shortest))
        if mode == "shuffled":
            assert row["heard"] != row["clip"]
        elif mode == "real":
            assert np.array_equal(waveform, clip)
        elif mode == "silence":
            assert waveform.shape == clip.shape
            assert not waveform.any()
        else:
            assert waveform.shape == clip.shape
            assert np.sqrt((waveform**2).mean()) == pytest.approx(np.sqrt((clip**2).mean()), rel=1e-4)
            assert not np.array_equal(waveform, clip)


def original_clip(folder: Path, number: int, shortest: int) -> np.ndarray:
    from harken.data.audio import load_waveform

    waveform = load_waveform(folder / f"{number}.wav")
    return np.pad(waveform, (0, max(0, shortest - len(waveform))))


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
    by_mode = {mode: rows_of(tmp_path / "whole" / mode / "predictions.jsonl") for mode in MODES}
    for row, *answers in zip(rows, *by_mode.values(), strict=True):
        assert [row[mode] for mode in MODES] == [float(answer["correct"]) for answer in answers]
        assert row["changed"] == (answers[0]["choice"] != answers[1]["choice"])
        assert row["gain"] == answers[0]["correct"] - answers[1]["correct"]
    assert any(row["changed"] for row in rows)
    interrupted(functools.partial(evaluate_listening, recipe(file)), tmp_path / "stopped", monkeypatch, 12, torn=True)
    assert evaluate_listening(recipe(file), tmp_path / "stopped") == figures
    assert results_of(tmp_path / "stopped") == results_of(tmp_path / "whole")
    with pytest.raises(ConfigError, match="batch_size: 3 in the folder, 5 now"):
        evaluate_listening(recipe(file, batch_size=5), tmp_path / "whole")


def test_what_cannot_be_asked_with_its_clip_is_asked_in_no_mode(file, tmp_path, monkeypatch, model):
    asked, original = [], model.render
    monkeypatch.setattr(model, "max_samples", 12_000)
    monkeypatch.setattr(model, "render", lambda *words: asked.append(1) or original(*words))
    figures = evaluate_listening(recipe(file, long_audio="wrong"), tmp_path / "out")
    assert len(asked) == 5 * (14 - 5)
    for mode in MODES:
        rows = rows_of(tmp_path / "out" / mode / "predictions.jsonl")
        assert [row["id"] for row in rows if row["reason"].startswith("not asked")] == ["q3", "q6", "q10", "q11", "q13"]
    assert figures["modes"]["none"]["n"] == 14


def test_pass_rates_are_the_values_of_a_listening_report_over_samples(file, tmp_path):
    evaluate_listening(recipe(file, samples=3, temperature=1.2, limit=5), tmp_path / "out")
    rows = rows_of(tmp_path / "out" / "listening.jsonl")
    rates = {row["id"]: row["pass_rate"] for row in rows_of(tmp_path / "out" / "none" / "pass_rates.jsonl")}
    assert {row["id"]: row["none"] for row in rows} == rates
