"""The recipes of spoken digits: data, rows, and the whole chain in two steps."""

import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from recipe_programs import RECIPES, recipe_program
from spoken_tones import TAKES, write_tones

from digits_figures import KINDS, rows_of
from digits_table import TRAINED, panels, tables
from harken.config import load_recipe
from harken.data.manifest import read_manifest
from harken.stats import Estimate
from thinker_curves import curves

digit_data, _, run = (recipe_program(f"digits/{name}.py", name) for name in ("digit_data", "digit_rows", "run"))


@pytest.fixture(scope="module")
def realaqa(tmp_path_factory):
    folder = tmp_path_factory.mktemp("realaqa")
    write_tones(folder)
    return folder


@pytest.fixture(scope="module")
def data(realaqa, tmp_path_factory):
    out = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digit_data, "N_TWO", dict.fromkeys(digit_data.PARTS, 20))
        patch.setattr(digit_data, "N_TEXT", 40)
        digit_data.write_data(realaqa, out)
        digit_data.write_faint(realaqa, out)
    return out


def questions(data, name):
    return read_manifest(data / f"{name}.jsonl")[0]


def test_no_take_and_no_held_out_speaker_is_in_two_parts(data, realaqa):
    recordings = {}
    for file in (realaqa / "audio").iterdir():
        recordings[soundfile.read(file, dtype="int16")[0].tobytes()] = file.stem.split("_")[1:]
    for part in digit_data.PARTS:
        for question in questions(data, f"sums_{part}") + questions(data, f"pairs_{part}"):
            samples = soundfile.read(question.audio, dtype="int16")[0]
            halves = [samples] if question.difficulty == "one" else split_at_the_pause(samples)
            for half in halves:
                _, speaker, take = recordings[half.tobytes()]
                assert part == ("speaker" if speaker == "yweweler" else TAKES[int(take)])


def split_at_the_pause(samples):
    """The two recordings around the only 1600 zeros in a row."""
    for start in np.flatnonzero(samples == 0):
        if not samples[start : start + 1600].any() and start + 1600 < len(samples) and start >= 1600:
            return [samples[:start], samples[start + 1600 :]]
    raise AssertionError("no pause")


def test_noise_is_6_db_below_the_speech_and_the_same_when_written_again():
    speech = (0.05 * np.random.default_rng(0).standard_normal(80_000)).astype(np.float32)
    noisy = digit_data.with_noise(speech, "3_george_8", 6)
    assert 10 * np.log10(np.mean(speech**2) / np.mean((noisy - speech) ** 2)) == pytest.approx(6, abs=0.1)
    loud = digit_data.with_noise(speech * 15, "3_george_8", 6)
    assert np.abs(loud).max() <= 1
    assert np.corrcoef(loud, noisy)[0, 1] == pytest.approx(1)  # softer as a whole, and not clipped
    assert np.array_equal(noisy, digit_data.with_noise(speech, "3_george_8", 6))
    assert not np.array_equal(noisy, digit_data.with_noise(speech, "4_george_8", 6))


def test_the_difficulty_cannot_be_read(data):
    """One wording for each kind, and right answers that are uniform whatever is heard."""
    for kind, difficulties in [*KINDS.items()][:3]:
        training = questions(data, f"{kind}_train")
        assert len({question.text for question in training}) == 1
        for difficulty in difficulties:
            own = [question for question in training if question.difficulty == difficulty]
            counts = Counter(question.choices[question.answer] for question in own)
            assert len(counts) == 10
            assert len(set(counts.values())) == 1
            assert all(len(set(question.choices)) == 4 and not question.reasoning for question in own)


def test_half_of_the_start_is_reasoned_and_no_question_of_grpo(data):
    start = questions(data, "start")
    reasoned = Counter(question.task for question in start if question.reasoning)
    total = Counter(question.task for question in start)
    assert set(total) == {"noise", "sums", "pairs", "text"}
    assert all(0.1 < reasoned[task] / total[task] < 0.9 for task in total)
    assert not any(question.reasoning for kind in KINDS for question in questions(data, f"{kind}_train"))


@pytest.mark.parametrize("row", run.ROWS)
def test_each_row_has_a_valid_recipe_and_its_control_as_many_steps_at_the_same_rate(row):
    recipe = load_recipe(RECIPES / "digits" / f"{run.ROWS[row].recipe}.yaml")
    assert (recipe.prompt.style == "adaptive") == run.ROWS[row].has_tags
    if row in run.STARTS or run.ROWS[row].loop == "train":
        return
    kind = row.removesuffix("_sft")
    beside = run.ROWS["answers_grpo" if kind == "answers" else f"{kind}_atar"]
    grpo = load_recipe(RECIPES / "digits" / f"{beside.recipe}.yaml").grpo
    assert (recipe.sft.steps, recipe.sft.prompts_per_step) == (grpo.steps, grpo.prompts_per_step)
    assert (recipe.sft.learning_rate, recipe.sft.schedule) == (grpo.learning_rate, grpo.schedule)
    assert run.ROWS[row].start == beside.start


def test_the_tables_know_every_row():
    assert {f"{kind}_{reward}" for kind, reward in TRAINED} | {"answers_grpo", "answers_sft"} | set(run.STARTS) == set(
        run.ROWS
    )


def test_steps_come_with_the_starts_they_need_and_are_skipped_when_done(tmp_path):
    plan = run.Plan(tmp_path, tmp_path, 3, {})
    names = [step.name for step in plan.steps(["noise_atar"])]
    starts = ["data", "faint_data", "tiny", "train start_text", "train start", "evaluate start"]
    assert names == [*starts, "train noise_atar", "evaluate noise_atar"]
    last = {plan.dev_only: [*plan.steps(["noise_atar"])][-1].done for plan in (plan, replace(plan, dev_only=True))}
    evaluations = tmp_path / "seed3" / "noise_atar" / "eval"
    assert last == {
        dev: evaluations / f"noise-{'dev' if dev else 'test'}-sampled" / "summary.json" for dev in (False, True)
    }
    done = []
    step = run.Step("again", tmp_path / "done", lambda: done.append(1))
    run.run(step, tmp_path / "account.jsonl")
    with pytest.raises(ZeroDivisionError):
        run.run(run.Step("broken", tmp_path / "never", lambda: 1 / 0), tmp_path / "account.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "account.jsonl").read_text().splitlines()]
    assert [(row["step"], row["code"]) for row in rows] == [("again", 0), ("broken", 1)]


TWO_STEPS = (
    *("sft.steps=2", "sft.prompts_per_step=2", "grpo.steps=2", "grpo.prompts_per_step=2"),
    *("grpo.completions_per_prompt=2", "grpo.max_completion_tokens=4"),
)


@pytest.mark.slow
def test_the_whole_chain_fills_every_cell_and_does_nothing_a_second_time(realaqa, tmp_path, monkeypatch):
    monkeypatch.setattr(digit_data, "N_TWO", dict.fromkeys(digit_data.PARTS, 20))
    monkeypatch.setattr(digit_data, "N_TEXT", 40)
    words = ["run.py", "--realaqa", str(realaqa), "--out", str(tmp_path), "--set", *TWO_STEPS]
    monkeypatch.setattr(sys, "argv", words)
    run.main()
    account = (tmp_path / "seed0" / "account.jsonl").read_text()
    assert account.count('"code": 0') == 3 + len(run.ROWS) + sum(bool(each.kinds) for each in run.ROWS.values())
    text = tables(tmp_path)
    assert "### Thinking" in text
    for name in run.ROWS:
        kinds = run.ROWS[name].kinds
        for kind in kinds:
            assert len(rows_of(tmp_path / "seed0" / name / "eval" / f"{kind}-test" / "shuffled")) > 0
    assert curves(panels(tmp_path)).count("<polyline") == 27
    assert "![" in text
    run.main()
    assert (tmp_path / "seed0" / "account.jsonl").read_text() == account


def test_a_start_is_trained_on_until_enough_development_questions_are_right(tmp_path, monkeypatch):
    """And from where it was stopped: the steps that are planned stand in the run's folder."""
    planned, seen = [200], []
    plan = run.Plan(tmp_path, tmp_path, 0, {})

    def evaluate(*, model, out, **values):
        seen.append(Path(out).name)
        mean = min(1.0, planned[0] / 700)
        return SimpleNamespace(by_group={"all": Estimate(mean, mean, mean, 10, 10)})

    monkeypatch.setattr(run.harken, "evaluate", evaluate)
    monkeypatch.setattr(run.harken, "sft", lambda *, out, resume: None)
    monkeypatch.setattr(run, "extend_run", lambda out, steps: planned.append(steps) or planned.pop(0))
    monkeypatch.setattr(run, "load_run_recipe", lambda out: SimpleNamespace(sft=SimpleNamespace(steps=planned[0])))
    row = run.ROWS["warm"]
    plan._train_on(row, run.Until("answers", "all", 0.5, 60, 900), tmp_path)
    assert seen == ["step200", "step260", "step320", "step380"]
    plan._train_on(row, run.Until("answers", "all", 0.99, 250, 900), tmp_path)
    assert (seen[4:], planned) == (["step380", "step630", "step880"], [880])
