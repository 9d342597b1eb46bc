"""Tables of completions for the trackers: which are sampled, what they hold, and that each library reads them back."""

import io
import json
import sqlite3
import sys
import types
import wave
from pathlib import Path

import numpy as np
import pytest
from report_runs import sampled, write_clips
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from harken.config import Recipe
from harken.questions.prompt import Prompt
from harken.training.completion_table import MOST_TABLES, completion_table, table_is_due
from harken.training.run_folder import RunFolder
from harken.training.trackers import open_trackers
from harken.types import Question

HOSTILE = (
    "</script><img src=http://e.example/x onerror=alert(1)> ![x](http://e.example/y) [z](http://e.example) | a\nb `c`"
)
TEXT = "Which animal is heard?"


def recipe_with(*trackers, most=16):
    values = {"name": "x", "model": {"path": "m"}, "data": {"train": [{"file": "q.json"}]}}
    return Recipe.model_validate({**values, "logging": {"trackers": list(trackers), "completions": most}})


def group_rows(n_questions, group):
    return [
        sampled(f"q{q}", g, correct=g == 0, completion=HOSTILE if g else "a dog", judged={})
        for q in range(n_questions)
        for g in range(group)
    ]


def table_of(folder, rows, step=1, most=16):
    names = sorted({row["id"] for row in rows})
    write_clips(folder, [f"audio/{name}.wav" for name in names])
    questions = {
        (name, TEXT): Question(
            name, TEXT, ("a cat", "a dog"), 1, folder / f"audio/{name}.wav", clip=f"audio/{name}.wav"
        )
        for name in names
    }
    recipe = recipe_with(most=most)
    return completion_table(step, rows, questions, Prompt.from_config(recipe.prompt), recipe)


def test_a_table_holds_prompt_rewards_advantage_and_the_clip_of_each_completion(tmp_path):
    rows = [sampled("q0", 0, correct=True, rewards={"accuracy": 1.0, "quality": None}), sampled("q0", 1, correct=False)]
    table = table_of(tmp_path, rows)
    first, second = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    assert first["prompt"] == (
        "Which animal is heard? Please choose the answer from the following options: ['a cat', 'a dog']"
    )
    assert [first[key] for key in ("id", "completion", "choice", "answer", "correct", "reward", "advantage")] == [
        *("q0", "a dog", "a dog", "a dog", True, 1.0, 1.0)
    ]
    assert (first["reward/accuracy"], first["reward/quality"], second["reward/quality"]) == (1.0, None, None)
    assert second["advantage"] == -1.0
    assert table.clip_of == ["q0", "q0"]
    assert table.clips["q0"].shape == (8000,)


def test_the_sample_is_bounded_of_two_questions_and_follows_from_seed_and_step(tmp_path):
    rows = group_rows(n_questions=6, group=8)
    table = table_of(tmp_path, rows)
    idents = [row[table.columns.index("id")] for row in table.rows]
    assert len(idents) == 16
    assert sorted({idents.count(ident) for ident in idents}) == [8]
    assert list(table.clips) == list(dict.fromkeys(idents))
    again = table_of(tmp_path, rows)
    assert again.rows == table.rows
    other_steps = {tuple(dict.fromkeys(table_of(tmp_path, rows, step=step).clip_of)) for step in range(1, 8)}
    assert len(other_steps) > 1
    assert len(table_of(tmp_path, rows, most=3).rows) == 3


@pytest.mark.parametrize(("every", "last"), [(10, 2000), (1, 30), (7, 1000), (50, 600), (1, 100_000), (10, 5)])
def test_a_run_sends_fifty_tables_at_most_and_one_of_its_last_step(every, last):
    kept = [step for step in range(1, last + 1) if step == last or step % every == 0]
    due = [step for step in kept if table_is_due(step, every, last)]
    assert len(due) <= MOST_TABLES
    assert len(due) >= min(len(kept), MOST_TABLES // 2)
    assert due[-1] == last


def test_a_clip_that_is_gone_and_a_question_without_one_stop_nothing(tmp_path):
    rows = [sampled("q0", 0, correct=True), sampled("q1", 0, correct=True, clip="q1")]
    table = table_of(tmp_path, rows)
    assert set(table.clips) == {"q0", "q1"}
    (tmp_path / "audio" / "q0.wav").unlink()
    (tmp_path / "audio" / "q1.wav").write_text("no sound")
    recipe = recipe_with()
    missing = Question("q0", TEXT, ("a cat", "a dog"), 1, tmp_path / "audio/q0.wav", clip="audio/q0.wav")
    broken = Question("q1", TEXT, ("a cat", "a dog"), 1, tmp_path / "audio/q1.wav", clip="audio/q1.wav")
    questions = {("q0", TEXT): missing, ("q1", TEXT): broken}
    table = completion_table(1, rows, questions, Prompt.from_config(recipe.prompt), recipe)
    assert table.clips == {}
    assert table.clip_of == [None, None]
    assert {row[-1] for row in table.rows} == {
        "audio/q0.wav (not heard, or it cannot be read)",
        "q1 (not heard, or it cannot be read)",
    }


def tracker_of(library, folder):
    recipe = recipe_with(library)
    return open_trackers(RunFolder.create(folder / "run", recipe), recipe, 0)[1]


@pytest.mark.filterwarnings("ignore:html5lib's sanitizer is deprecated")
def test_tensorboard_shows_the_table_as_plain_text_and_plays_its_clips(tmp_path):
    tracker = tracker_of("tensorboard", tmp_path)
    tracker.log_completions(table_of(tmp_path, group_rows(2, 2), step=7))
    tracker.close()
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"), size_guidance={"tensors": 0, "audio": 0})
    events.Reload()
    (event,) = events.Tensors("completions/text_summary")
    from tensorboard.plugin_util import markdown_to_safe_html  # its import warns

    page = markdown_to_safe_html(event.tensor_proto.string_val[0])
    assert event.step == 7
    assert page.count("<tr>") == 5
    assert "&lt;/script&gt;&lt;img src=http://e.example/x onerror=alert" in page
    assert "<img" not in page
    assert "<a" not in page
    for number in (1, 2):
        (sound,) = events.Audio(f"completions/clip {number}")
        with wave.open(io.BytesIO(sound.encoded_audio_string)) as file:
            assert (file.getframerate(), file.getnframes()) == (16_000, 8000)


@pytest.mark.parametrize("library", ["wandb", "trackio"])
def test_services_get_one_table_and_its_clips_as_files_that_play(tmp_path, monkeypatch, library):
    """A hand-made library has the classes and functions of both; nothing is sent anywhere."""
    logged, service = [], types.ModuleType(library)
    service.init = service.finish = lambda **named: None
    service.log = lambda row, step: logged.append((row, step))
    service.Table = lambda columns, data: {"columns": columns, "data": data}
    service.Audio = lambda path: Path(path).read_bytes()[:2]
    monkeypatch.setitem(sys.modules, library, service)
    tracker = tracker_of(library, tmp_path)
    tracker.log_completions(table_of(tmp_path, group_rows(2, 2), step=7))
    tracker.close()
    ((row, step),) = logged
    content = row.pop("completions")
    assert step == 7
    assert content["columns"][-1] == "sound"
    assert HOSTILE in content["data"][1]
    if library == "wandb":
        assert {cells[-1] for cells in content["data"]} == {b"\xff\xf3"}  # MPEG 2, layer III
        assert row == {}
    else:
        assert [cells[-1] for cells in content["data"]] == [f"clip {n} of this step" for n in (1, 1, 2, 2)]
        assert row == {"completions/clip 1": b"\xff\xf3", "completions/clip 2": b"\xff\xf3"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_real_wandb_keeps_the_table_with_its_clips(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="pip install 'harken[wandb]'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    tracker = tracker_of("wandb", tmp_path)
    tracker.log_completions(table_of(tmp_path, group_rows(2, 2), step=7))
    tracker.log(7, {"reward/mean": 0.5})
    tracker.close()
    (file,) = tmp_path.glob("wandb/offline-run-*/files/media/table/*.table.json")
    table = json.loads(file.read_text())
    assert table["columns"][-1] == "sound"
    assert len(table["data"]) == 4
    assert HOSTILE in table["data"][1]
    sounds = [
        path for path in (tmp_path / "data").rglob("*") if path.is_file() and path.read_bytes()[:2] == b"\xff\xf3"
    ]
    assert len(sounds) == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_real_trackio_keeps_the_table_and_the_clips_beside_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio", reason="pip install 'harken[trackio]'")
    tracker = tracker_of("trackio", tmp_path)
    tracker.log_completions(table_of(tmp_path, group_rows(2, 2), step=7))
    tracker.close()
    with sqlite3.connect(tmp_path / "trackio" / "harken.db") as database:
        rows = [json.loads(row) for (row,) in database.execute("select metrics from metrics")]
    (logged,) = [row for row in rows if "completions" in row]
    assert HOSTILE in logged["completions"]["_value"][1].values()
    assert logged["completions/clip 2"]["_type"] == "trackio.audio"
    assert len(list((tmp_path / "trackio" / "media").rglob("*.mp3"))) == 2


def test_a_clip_of_one_sample_can_be_written(tmp_path):
    tracker = tracker_of("tensorboard", tmp_path)
    table = table_of(tmp_path, group_rows(1, 1))
    table.clips["q0"] = np.ones(1, dtype=np.float32)
    tracker.log_completions(table)
    tracker.close()
