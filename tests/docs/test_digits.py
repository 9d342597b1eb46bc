"""The recipes of spoken digits: data, rows, figures of the tables, and the whole chain in two steps."""

import importlib.util
import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from spoken_tones import TAKES, write_tones

import digits_readme
import digits_table
from digits_figures import (
    Played,
    follows,
    played,
    readable_right,
    right,
    rows_of,
    with_played_difficulty,
    without_thinking,
)
from digits_readme import BEGIN, FIRST_PAGE, first_page
from digits_table import ROOT, TRAINED, panels, tables
from figure_cells import EMPTY, rule
from harken.config import load_recipe
from harken.data.manifest import read_manifest
from harken.stats import Estimate
from thinker_curves import curves

RECIPES = ROOT / "recipes" / "digits"


def program(name):
    """A program of the folder as a module, under the name by which the others import it."""
    spec = importlib.util.spec_from_file_location(name, RECIPES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


digit_data = program("digit_data")
program("digit_rows")
run = program("run")


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
    for kind, difficulties in [*digits_table.KINDS.items()][:3]:
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
    assert not any(question.reasoning for kind in digits_table.KINDS for question in questions(data, f"{kind}_train"))


@pytest.mark.parametrize("row", run.ROWS)
def test_each_row_has_a_valid_recipe_and_its_control_as_many_steps_at_the_same_rate(row):
    recipe = load_recipe(RECIPES / f"{run.ROWS[row].recipe}.yaml")
    assert (recipe.prompt.style == "adaptive") == run.ROWS[row].has_tags
    if row in run.STARTS or run.ROWS[row].loop == "train":
        return
    kind = row.removesuffix("_sft")
    beside = run.ROWS["answers_grpo" if kind == "answers" else f"{kind}_atar"]
    grpo = load_recipe(RECIPES / f"{beside.recipe}.yaml").grpo
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


def row(choice, answer, *, form="no_think", difficulty="clean", clip="clean_1_george_0", heard="clean_2_george_1"):
    return {
        **{"choice": choice, "answer": answer, "form": form, "difficulty": difficulty, "correct": choice == answer},
        **{"clip": f"clips/{clip}.wav", "heard": f"clips/{heard}.wav", "choices": ["one", "two", "three", "four"]},
    }


def test_the_name_of_a_clip_says_what_was_played():
    for noise in ("noisy", "drowned"):
        assert played(f"clips/{noise}_7_theo_12.wav") == Played(True, (7,), "7_theo_12")
    two = played("clips/two_test_sums_0013_4_5.wav")
    assert two is not None
    assert (two.noisy, two.digits, two.sum) == (False, (4, 5), 9)
    assert played("") is None
    assert played("clips/esc10_001.ogg") is None


def test_answers_that_follow_the_clip_are_counted_where_it_is_a_choice_and_not_the_questions_own():
    rows = [
        row("two", "one"),  # follows what was played
        row("one", "one"),  # gives the question's own answer
        row(None, "one"),
        row("one", "one", heard="clean_1_george_3"),  # the played digit is the right one: says nothing
        row("two", "one", heard="clean_9_george_3"),  # nine is no choice
        row("two", "one", heard="two_test_sums_0001_1_1"),  # two digits answer no question about one
    ]
    assert follows(rows) == (1, 1, 3)
    sums = {**row("4", "3", heard="two_test_sums_0001_1_3"), "choices": ["1", "3", "4", "5"]}
    assert follows([sums]) == (1, 0, 1)
    assert follows([]) is None


def test_rates_are_over_valid_forms_and_by_the_clip_that_was_played():
    rows = [
        row("one", "one", heard="noisy_2_george_1", form="think"),
        row("one", "one", heard="clean_2_george_1"),
        row("one", "one", heard="clean_3_george_1", form="malformed"),
    ]
    by_clip = with_played_difficulty(rows, lambda clip: clip.noisy)
    assert [each["difficulty"] for each in by_clip] == ["hard", "easy", "easy"]
    for level, expected in (("hard", 0.0), ("easy", 1.0)):
        rate = without_thinking(by_clip, level)
        assert rate is not None
        assert rate.mean == expected
    assert without_thinking([], "easy") is None


def test_below_chance_may_be_unreadable_answers_alone():
    rows = [row("one", "one"), row("two", "one"), row(None, "one"), row(None, "one")]
    figures = readable_right(rows)
    whole = right(rows)
    assert figures is not None
    assert whole is not None
    assert (figures[0].mean, figures[1].mean, whole.mean) == (0.5, 0.5, 0.25)


def test_the_rule_is_written_beside_p_and_q():
    def estimate(mean):
        return Estimate(mean, mean, mean, 100, 100)

    assert rule(estimate(0.70), estimate(0.95)) == ["65.0", "drop"]
    assert rule(estimate(0.42), estimate(0.42)) == ["47.3", "keep"]
    assert rule(None, estimate(0.42)) == [EMPTY] * 2


def test_pages_are_made_before_anything_has_run(tmp_path):
    text = tables(tmp_path)
    assert text.count("### ") == 8
    assert EMPTY in text
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = first_page(tmp_path, readme)
    assert table.count(EMPTY) == 8
    assert "| built-in sounds (`make demo`)" in table
    assert table.count(FIRST_PAGE) == 2
    for page in ("docs/results.md", "README.md"):
        assert BEGIN in (ROOT / page).read_text(encoding="utf-8")
    assert rows_of(tmp_path) == []


def test_the_row_of_the_readme_says_where_the_questions_without_clips_have_not_been_asked(tmp_path, monkeypatch):
    half_right = [row("one", "one"), row("two", "one")]
    monkeypatch.setattr(digits_readme, "rows_of", lambda folder: [] if folder.name == "none" else half_right)
    monkeypatch.setattr(digits_readme, "gain", lambda before, after: None)
    cells = digits_readme.first_page_row(tmp_path, "answers_grpo", "GRPO").split(" | ")
    assert cells == [f"| {FIRST_PAGE}, GRPO", "50.0", "50.0", EMPTY, f"{EMPTY} |"]


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
