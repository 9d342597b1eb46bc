"""An evaluation with a local model: rows, options, samples, choice orders and kinds of audio."""

import json
from pathlib import Path

import numpy as np
import pytest
from small_evaluations import recipe, rows_of, talker
from tiny_models import ARCHITECTURES

from harken.benchmarks.registry import find_reader
from harken.data.audio import load_waveform
from harken.data.load import load_sources
from harken.errors import ConfigError, DataError
from harken.evaluation.evaluate import evaluate
from harken.inference.predict import predict
from harken.inference.prompt_inputs import PromptInputs
from harken.inference.sampling import Sampling
from harken.questions.choice_orders import Trial
from harken.questions.prompt import Prompt
from harken.system.environment import source_commit

pytestmark = pytest.mark.usefixtures("model")


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("sampling", [Sampling(0, 4), Sampling(1.3, 4, top_p=0.9)], ids=["greedy", "sampled"])
def test_batched_answers_are_those_of_one_question_at_a_time(arch, sampling, file):
    questions = load_sources([recipe(file).data], find_reader, need_answer=True).questions
    assert len({question.audio for question in questions}) == 8  # seven clips of different length, and none
    prompt = Prompt.from_config(recipe(file).prompt)
    trials = [Trial(question) for question in questions]

    def answers(batch_size: int) -> dict:
        inputs = PromptInputs(talker(arch), prompt, 0)
        batches = list(predict(talker(arch), trials, inputs, sampling, batch_size=batch_size, samples=2, seed=3))
        assert max(map(len, batches)) == min(14, max(1, batch_size // 2))
        return {trial.question.id: samples for batch in batches for trial, samples in batch}

    alone = answers(1)
    assert alone == answers(10) == answers(32)
    assert len({samples[0].text for samples in alone.values()}) > 1
    assert any(samples[0] != samples[1] for samples in alone.values()) == (sampling.temperature > 0)


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
    with pytest.raises(
        ConfigError, match=r"subset\.taks: unknown key \(did you mean 'subset\.task'\?\); known here: task, difficulty"
    ):
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
    assert [rate["n_correct"] for rate in rates] == [
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
        ({"samples": 2, "permute": 2, "temperature": 1.0}, "samples and permute or paraphrases: give one of them"),
        ({"endpoint": {"base_url": "http://x/v1", "model": "m"}, "model": "m"}, "give either model"),
        ({"endpoint": {"base_url": "http://x/v1", "model": "m"}, "long_audio": "wrong"}, "long_audio: wrong needs"),
        ({"endpoint": {"base_url": "http://x/v1", "model": "m", "api": "completion"}}, "only chat takes audio"),
    ):
        with pytest.raises(ConfigError, match=says):
            recipe(Path("q.json"), **changes)


@pytest.mark.parametrize("mode", ["real", "none", "silence", "noise", "shuffled"])
def test_each_kind_of_audio_is_what_the_model_hears(mode, file, tmp_path, monkeypatch, model):
    waveforms = {}
    original = model.render

    def render(conversation, waveform):
        waveforms[conversation[0]["content"][-1]["text"].partition("?")[0]] = waveform
        return original(conversation, waveform)

    monkeypatch.setattr(model, "render", render)
    summary = evaluate(recipe(file, data__audio=mode), tmp_path / "out")
    assert summary["audio"] == mode
    rows = rows_of(tmp_path / "out" / "predictions.jsonl")
    shortest = model.min_samples
    for i in range(14):
        waveform, row = waveforms[f"Which one, {i}"], rows[i]
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
    waveform = load_waveform(folder / f"{number}.wav")
    return np.pad(waveform, (0, max(0, shortest - len(waveform))))
