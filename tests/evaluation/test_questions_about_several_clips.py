"""A question about several clips goes through every stage as a question about one: files, modes, servers, training."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from command_line import harken
from scripted_server import said, serving
from small_evaluations import rows_of, talker
from small_runs import quiet_console
from tiny_models import tiny_folder, tiny_model

from harken.config import EvaluationRecipe, PromptConfig, Recipe, SourceConfig, parse
from harken.data.audio_modes import clip_loader, questions_in_mode
from harken.data.dev_split import split_dev
from harken.data.load import load_sources
from harken.data.manifest import read_manifest, write_manifest
from harken.data.question_json import question_from_json, question_to_json
from harken.evaluation.evaluate import evaluate
from harken.grpo.loop import train
from harken.inference.prompt_inputs import PromptInputs
from harken.inference.unusable_questions import why_unusable
from harken.models.tower_cache import FolderOfTowerStates
from harken.prepare.clip_finder import ClipFinder
from harken.prepare.trainer_formats import FORMATS, to_record
from harken.questions.prompt import Prompt
from harken.report.questions import clips_of, training_items
from harken.types import AudioSpan, Question

PROMPT = Prompt.from_config(PromptConfig())
SECONDS = (0.3, 0.5, 0.4, 0.6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four clips, and a manifest of a question about two, one about three with parts of files, and two about one."""

    path = tmp_path_factory.mktemp("clips")
    for number, seconds in enumerate(SECONDS):
        tone = 0.3 * np.sin(np.arange(int(16_000 * seconds)) * 0.05 * (number + 1)).astype(np.float32)
        soundfile.write(path / f"{number}.wav", tone, 16_000, subtype="FLOAT")
    part = {"audio": "2.wav", "start_s": 0.1, "end_s": 0.3}
    audio = {"two": ["0.wav", "1.wav"], "parts": ["0.wav", part, "3.wav"], "one": "3.wav", "listed": ["2.wav"]}
    rows = [
        {"id": name, "text": "Which is louder?", "choices": ["one", "two"], "answer": 0, "audio": clips}
        for name, clips in audio.items()
    ]
    (path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def questions(folder):
    loaded = load_sources(
        [SourceConfig(reader="manifest", file=folder / "q.jsonl", audio_root=folder)],
        lambda name: read_manifest,
        need_answer=True,
    )
    assert loaded.rejected == []
    return {question.id: question for question in loaded.questions}


def test_clips_are_read_in_order_and_written_back_the_same(folder, questions, tmp_path):
    two, parts, one, listed = questions.values()
    assert [span.path.name for span in two.audio_spans] == ["0.wav", "1.wav"]
    assert [str(span).rpartition("/")[2] for span in parts.audio_spans] == ["0.wav", "2.wav#t=0.1,0.3", "3.wav"]
    assert (one.audio, listed.audio) == (folder / "3.wav", folder / "2.wav")
    assert two.clip.split("\n") == [f"{folder.name}/0.wav", f"{folder.name}/1.wav"]
    write_manifest(tmp_path / "again.jsonl", questions.values(), folder)
    assert [json.loads(line)["audio"] for line in (tmp_path / "again.jsonl").read_text().splitlines()] == [
        ["0.wav", "1.wav"],
        ["0.wav", {"audio": "2.wav", "start_s": 0.1, "end_s": 0.3}, "3.wav"],
        "3.wav",
        "2.wav",
    ]
    again, rejected = read_manifest(tmp_path / "again.jsonl", folder)
    assert rejected == []
    assert [one.audio_spans for one in again] == [one.audio_spans for one in questions.values()]
    for question in questions.values():
        assert question_from_json(json.loads(json.dumps(question_to_json(question)))) == question


@pytest.mark.parametrize(
    ("audio", "reason"),
    [
        ([], "audio: an empty list; leave the key out where there is no clip"),
        (["0.wav", 3], "clip name: expected text, found 3"),
        (["0.wav", "../0.wav"], "clip name '../0.wav' is outside audio_root"),
        ([{"audio": "0.wav", "begin": 1}, "1.wav"], "audio: unknown key 'begin'"),
        ([{"audio": "0.wav", "start_s": 2, "end_s": 1}, "1.wav"], "end_s: 1 is not after start_s, 2"),
        (["0.wav", "missing.wav"], "missing.wav: no such file"),
    ],
)
def test_a_list_with_a_clip_that_cannot_be_used_rejects_its_record(folder, tmp_path, audio, reason):
    row = {"id": "q", "text": "Which?", "choices": ["a", "b"], "answer": 0, "audio": audio}
    (tmp_path / "q.jsonl").write_text(json.dumps(row))
    source = SourceConfig(reader="manifest", file=tmp_path / "q.jsonl", audio_root=folder)
    loaded = load_sources([source], lambda name: read_manifest, need_answer=True)
    assert loaded.questions == []
    assert reason in loaded.rejected[0].reason


def test_every_mode_replaces_each_clip(questions):
    two = questions["two"]
    assert PROMPT.conversation(two)[-1]["content"][:2] == [{"type": "audio"}] * 2
    assert questions_in_mode("none", [two], 0)[0].audio_spans == ()
    shuffled = questions_in_mode("shuffled", list(questions.values()), 0)
    for question, other in zip(questions.values(), shuffled, strict=True):
        assert len(question.audio_spans) == len(other.audio_spans)
        assert not set(zip(question.audio_spans, other.audio_spans, strict=True)) & {
            (span, span) for span in question.audio_spans
        }
        assert other.clip == question.clip
    real, noise = clip_loader("real", 0)(two), clip_loader("noise", 0)(two)
    assert [len(clip) for clip in real] == [len(clip) for clip in noise] == [4800, 8000]
    assert not np.allclose(noise[0], noise[1][:4800])
    assert all(not clip.any() for clip in clip_loader("silence", 0)(two))
    single = replace(two, audio=two.audio_spans[1].path, clip=two.clip.split("\n")[1])
    assert np.array_equal(clip_loader("noise", 0)(single)[0], noise[1])


def test_clips_of_one_question_are_on_one_side_of_the_split():
    """Question i is about clips i and i + 1 of its group of five, so each group is one."""
    many = [
        Question(f"q{group}.{i}", "?", ("a", "b"), 0, None, clip=f"s/{group}.{i}.wav\ns/{group}.{i + 1}.wav")
        for group in range(40)
        for i in range(4)
    ]
    for split_seed in range(3):
        sides = [{question.id.split(".")[0] for question in side} for side in split_dev(many, 0.3, split_seed)]
        assert not sides[0] & sides[1]
        assert 4 <= len(sides[1]) <= 20


def test_the_check_names_the_clip_that_is_too_long_and_knows_the_length(questions):
    model = tiny_model("qwen2_audio", torch.float32)
    two = questions["two"]
    durations = {span: seconds for span, seconds in zip(two.audio_spans, (0.3, 9.0), strict=True)}
    assert "1.wav: 9.0 s, the model hears 6 s" in why_unusable(two, durations, model, PROMPT)
    [rendered] = PromptInputs(model, PROMPT, 0)([two])
    assert f"a prompt of {rendered.length} tokens" in why_unusable(
        two, dict.fromkeys(two.audio_spans, 0) | {two.audio_spans[0]: 0.3, two.audio_spans[1]: 0.5}, model, PROMPT,
        max_prompt_tokens=1,
    )  # fmt: skip


def test_the_cache_of_encoded_clips_returns_what_was_encoded(questions, tmp_path):
    model = tiny_model("qwen2_5_omni", torch.float32)
    model.set_trainable(audio_tower=False, projector=False, language_model=True)
    inputs = PromptInputs(model, PROMPT, 0)(list(questions.values()))
    expected = model.encode_audio(inputs)
    model.use_tower_cache(FolderOfTowerStates(model, tmp_path))
    first, second = model.encode_audio(inputs), model.encode_audio(inputs)
    assert len(list(tmp_path.iterdir())) == 4
    for new, kept, plain in zip(first, second, expected, strict=True):
        assert torch.equal(new, kept)
        assert torch.allclose(new, plain, atol=1e-5)


def test_a_served_model_gets_a_part_for_each_clip(folder, tmp_path):
    with serving(lambda request: said("one")) as server:
        done = harken(
            *("evaluate", "--endpoint", server.url, "--served-model", "m", "--benchmark", "manifest"),
            *("--data", folder / "q.jsonl", "--out", tmp_path / "out"),
        )
    assert done.code == 0, done.err
    kinds = sorted([part["type"] for part in request.body["messages"][-1]["content"]] for request in server.received)
    audio = "input_audio"
    assert kinds == [[audio] * 3 + ["text"], [audio] * 2 + ["text"], [audio, "text"], [audio, "text"]]


def test_a_checkpoint_answers_and_rows_name_every_clip(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("harken.evaluation.evaluated_model.load_model", lambda *a, **k: talker(), raising=False)
    values = {
        **{"model": str(tiny_folder("qwen2_5_omni")), "max_completion_tokens": 2},
        "data": {"reader": "manifest", "file": str(folder / "q.jsonl")},
    }
    for mode in ("real", "shuffled"):
        values["data"]["audio"] = mode
        summary = evaluate(parse(EvaluationRecipe, values, "test"), tmp_path / mode)
        rows = {row["id"]: row for row in rows_of(tmp_path / mode / "predictions.jsonl")}
        assert (summary["n"], summary["n_rejected"]) == (4, 0)
        assert rows["two"]["clip"].split("\n") == [f"{folder.name}/0.wav", f"{folder.name}/1.wav"]
        assert (rows["two"]["heard"] == rows["two"]["clip"]) is (mode == "real")


@pytest.mark.parametrize("name", ["ms_swift", "trl"])
def test_formats_of_other_trainers_hold_several_clips(questions, name):
    record = to_record(questions["two"], name)
    folder = questions["two"].audio_spans[0].path.parent
    read = FORMATS[name].read(record, ClipFinder(folder, folder), "")
    assert [span.path for span in read.audio_spans] == [span.path for span in questions["two"].audio_spans]
    with pytest.raises(ValueError, match="2 clips: R1-AQA's format has a place for one"):
        to_record(questions["two"], "r1_aqa")


def test_a_training_run_takes_a_step_on_them_and_its_report_has_a_player_for_each(folder, tmp_path):
    values = {
        **{"name": "several", "model": {"path": str(tiny_folder("qwen2_5_omni"))}},
        "data": {"train": [{"reader": "manifest", "file": str(folder / "q.jsonl")}]},
        "grpo": {"steps": 1, "prompts_per_step": 4, "completions_per_prompt": 2, "max_completion_tokens": 3},
        "logging": {"every": 1, "checkpoint_every": 1},
    }
    run = tmp_path / "run"
    train(Recipe.model_validate(values), run, quiet_console())
    clips = [json.loads(line)["file"] for line in (run / "clips.jsonl").read_text().splitlines()]
    assert [name.rpartition("/")[2] for name in clips] == [f"{n}.wav" for n in range(4)]
    [item] = [item for item in training_items_of(run) if item["id"] == "two"]
    assert [clip["clip"] for clip in clips_of(item)] == [f"{folder.name}/0.wav", f"{folder.name}/1.wav"]
    done = harken("report", run)
    assert done.code == 0, done.err
    data = (run / "report.html").read_text(encoding="utf-8")
    assert data.count('"sound":') >= 4


def training_items_of(run):
    from harken.report.run import read_run

    return training_items([read_run(run)])


def test_a_sequence_of_paths_is_normalised(tmp_path):
    one = Question("q", "?", ("a", "b"), 0, [tmp_path / "a.wav"])
    assert (one.audio, one.audio_span) == (tmp_path / "a.wav", AudioSpan(tmp_path / "a.wav"))
    assert Question("q", "?", ("a", "b"), 0, ()).audio is None
    two = Question(
        "q", "?", ("a", "b"), 0, (tmp_path / "a.wav", AudioSpan(tmp_path / "b.wav", 1.0)), truncated="accept"
    )
    assert [str(span) for span in two.audio_spans] == [f"{tmp_path}/a.wav", f"{tmp_path}/b.wav#t=1"]
    assert {span.truncated for span in two.audio_spans} == {"accept"}
    with pytest.raises(ValueError, match="has 2 clips"):
        _ = two.audio_span
