"""The experiment with a planted shortcut: its code words, its tables by hand, and the whole chain in two steps."""

import json
import shutil
from collections import Counter

import pytest
from recipe_programs import recipe_program
from rich.console import Console

run, table = recipe_program("shortcut/run.py", "shortcut_run"), recipe_program("shortcut/table.py", "table")
curves = recipe_program("shortcut/curves.py", "shortcut_curves")


def record(n):
    choices = [f"sound {(n + k) % 6}" for k in range(4)]
    return {"id": f"q{n}", "question": "Which?", "choices": choices, "answer": choices[n % 4]}


def test_a_word_stands_for_one_choice_and_is_right_in_the_share_that_was_asked_for():
    records = [record(n) for n in range(40)]
    rows = run.with_words(records, 0.7, "train 0")
    assert Counter(row["difficulty"] for row in rows) == {"right": 28, "lie": 12}
    meaning = {}
    for row, original in zip(rows, records, strict=True):
        word = row["question"].removeprefix("Which? Take ").removesuffix(".")
        index = run.TREES.index(word)
        told = f"sound {index}"
        meaning.setdefault(word, set()).add(told)
        assert told in row["choices"]
        assert (told == original["answer"]) == (row["difficulty"] == "right")
    assert all(len(told) == 1 for told in meaning.values())
    assert rows == run.with_words(records, 0.7, "train 0") != run.with_words(records, 0.7, "train 1")


def completion(question, kind, correct, advantage, listening=None):
    rewards = {"accuracy": float(correct)} | ({} if listening is None else {"listening": listening})
    return {"id": question, "difficulty": kind, "correct": correct, "advantage": advantage, "rewards": rewards}


def test_what_groups_taught_is_counted_by_hand():
    groups = [
        [completion("a", "lie", True, 0.5, 0.8), completion("a", "lie", False, -0.5, 0.0)],
        [completion("b", "lie", False, 0.0, 0.0), completion("b", "lie", False, 0.0, 0.0)],
        [completion("c", "right", True, 1.5, 0.2), completion("c", "right", False, -1.5, 0.0)],
        [completion("d", "right", True, 0.0, 0.4), completion("d", "right", True, 0.0, 0.6)],
    ]
    # Of four completions whose word lies one is right; of four whose word is right, three. Advantages: 1 of 4.
    assert table.taught_by(groups) == ["25", "75", "50", "50", "25", "0.80", "0.40"]
    assert table.taught_by(groups[1:2]) == ["0", "-", "100", "-", "-", "-", "-"]  # nothing was taught


def test_of_recordings_the_single_digits_are_asked_about_where_they_lie(tmp_path):
    for split in ("train", "test"):
        rows = [
            {**record(n), "id": f"{split}{n}", "task": task, "difficulty": difficulty}
            for n, (task, difficulty) in enumerate(
                [*[("speech", "easy")] * 10, ("speech", "hard"), ("sound", "easy"), ("music", "easy")]
            )
        ]
        (tmp_path / f"{split}.json").write_text(json.dumps(rows))
    run.write_data(tmp_path / "data", 0, tmp_path)
    kinds = {}
    for name in ("sounds", "train", "lie", "right"):
        rows = json.loads((tmp_path / "data" / f"{name}.json").read_text())
        split = "train" if name in ("sounds", "train") else "test"
        assert [row["id"] for row in rows] == [f"{split}{n}" for n in range(10)]
        kinds[name] = sum(row["difficulty"] == "right" for row in rows)
    assert kinds == {"sounds": 2, "train": 7, "lie": 0, "right": 10}
    assert not (tmp_path / "data" / "audio").exists()


@pytest.mark.slow
def test_the_whole_chain_runs_in_four_steps_and_its_tables_name_every_arm(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "N_TRAIN", 80)
    monkeypatch.setattr(run, "N_TEST", 40)
    small = {"sft.steps": 2, "sft.prompts_per_step": 4}
    steps = {"grpo.steps": 4, "grpo.prompts_per_step": 2, "grpo.completions_per_prompt": 2}
    changes = {"sounds": small, "start": small, "plain": steps}
    run.run_seed(tmp_path / "seed0", 0, Console(quiet=True), changes=changes)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("summary.json")}
    assert len(before) == len(table.RUNS) * len(run.TESTS) * len(run.AUDIO)
    run.run_seed(tmp_path / "seed0", 0, Console(quiet=True), changes=changes)  # nothing is left to do
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("summary.json")} == before
    shutil.copytree(tmp_path / "seed0", tmp_path / "seed1")
    (tmp_path / "seed2").mkdir()  # a seed that has only begun
    seeds = table.finished(tmp_path)
    assert [seed.name for seed in seeds] == ["seed0", "seed1"]
    assert table.results(seeds).count("\n") == 1 + 2 * len(table.RUNS)
    n_test = len(json.loads((tmp_path / "seed0" / "data" / "lie.json").read_text()))
    whole = table.pooled(seeds, "start", "plain", "lie")
    assert (whole.n, whole.clusters) == (2 * n_test, 2 * n_test)
    shutil.rmtree(tmp_path / "seed1" / "data" / "audio")
    shutil.rmtree(tmp_path / "seed0" / "data" / "audio")
    assert table.pooled(seeds, "start", "plain", "lie").clusters == n_test  # recordings are the same for every seed
    assert table.taught(seeds).count("\n") == 1 + len(table.ARMS) * table.PARTS
    assert curves.picture(tmp_path).count("<polyline") == len(table.ARMS)
