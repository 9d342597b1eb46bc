"""A command of `harken prepare` or `generate` that keeps no record ends with an error."""

import json

import pytest
from command_line import harken
from scripted_server import said, serving

from harken.data.reject_reasons import commonest_reasons, reason_kind

RECORD = {"id": "q1", "question": "Which?", "choices": ["a", "b"], "answer": "a", "audio_id": "missing.wav"}
TRAINER = {"id": "q1", "problem": "<audio>Which? A. a\nB. b", "solution": "<answer>A</answer>", "audio": "missing.wav"}
AVQA = {
    **{"id": 1, "video_name": "-aaaaaaaaaa_000001", "video_id": 1, "question_text": "What?", "answer": 0},
    **{"multi_choice": ["a", "b", "c", "d"], "question_relation": "Sound", "question_type": "Come From"},
}
CAPTIONS = "id,caption\nnowhere,a dog\n"
COMMANDS = {
    "mmau": (("mmau", "--data", "d.jsonl", "--audio-root", "."), json.dumps(RECORD)),
    "jsonl": (("jsonl", "--format", "r1_aqa", "--data", "d.jsonl", "--audio-root", "."), json.dumps(TRAINER)),
    "audiomcq": (("audiomcq", "--data", "d.jsonl", "--audio-root", "."), json.dumps(RECORD)),
    "arc": (("arc", "--data", "d.jsonl"), json.dumps(RECORD)),
    "avqa": (("avqa", "--annotations", "d.jsonl", "--media", "media"), json.dumps([AVQA])),
    "vggsound": (("vggsound", "--list", "d.jsonl", "--media", "media"), "aaaaaaaaaaa_000001.mp4,dog\n"),
    "audiosetcaps": (("audiosetcaps", "--captions", "d.jsonl"), CAPTIONS),
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "media").mkdir()
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_preparing_a_set_of_which_nothing_is_left_is_an_error(folder, command):
    words, text = COMMANDS[command]
    (folder / "d.jsonl").write_text(text)
    done = harken("prepare", *words, "--out", "out")
    assert done.code == 2
    assert "error: out/manifest.jsonl: no record was kept; the reasons are in out/rejected.jsonl" in done.err
    assert (folder / "out" / "rejected.jsonl").exists()
    assert ". The commonest:\n  1 x " in done.err


@pytest.mark.parametrize(
    ("media", "fault"),
    [("nowhere", "nowhere: no such folder"), ("media.zip", "media.zip: a file and no folder; unpack")],
)
def test_media_that_are_no_folder_are_an_error_before_any_clip_is_looked_for(folder, media, fault):
    (folder / "media.zip").write_bytes(b"PK")
    (folder / "d.json").write_text(json.dumps([AVQA]))
    done = harken("prepare", "avqa", "--annotations", "d.json", "--media", media, "--out", "out")
    assert (done.code, fault in done.err) == (2, True)
    done = harken("prepare", "avqa", "--annotations", "d.json", "--media", media, "--out", "out", "--index-only")
    assert (done.code, f"{media} is no folder, so no clip is there" in done.out) == (0, True)


def test_a_table_names_the_field_that_reasons_are_about():
    assert reason_kind("audio_path: holds no sound: ''; name the clip") == "audio_path: holds no sound"
    assert (
        reason_kind("record 4: id 'x' is taken by the record in line 3") == "id ... is taken by the record in line ..."
    )
    assert reason_kind("key 'choices' is missing") == "key 'choices' is missing"
    assert reason_kind("clip name '../a.wav' is outside audio_root /x") == "clip name ... is outside audio_root /x"


def test_the_three_commonest_reasons_are_shown_with_an_example_each():
    reasons = ["no clip: a", "cut short: 3 s", "no clip: b", "no clip: c", "cut short: 4 s", "empty", "rare (1)"]
    assert commonest_reasons(reasons) == (". The commonest:\n  3 x no clip: a\n  2 x cut short: 3 s\n  1 x empty")


def test_an_export_of_which_nothing_is_left_is_an_error(folder):
    question = {"id": "q1", "text": "Which?", "choices": ["a", "b"], "answer": 0}  # R1-AQA's format needs a clip
    (folder / "manifest.jsonl").write_text(json.dumps(question) + "\n")
    done = harken("prepare", "export", "manifest.jsonl", "--format", "r1_aqa", "--out", "out.jsonl")
    assert done.code == 2
    assert "error: out.jsonl: no record was kept; the reasons are in out.jsonl.rejected.jsonl" in done.err


@pytest.mark.parametrize("kind", ["questions", "captions", "reasoning"])
def test_generating_a_set_of_which_nothing_is_left_is_an_error(folder, kind):
    facts = {"id": "c1", "audio": "missing.wav", "caption": "A dog."}
    question = {"id": "q1", "text": "Which?", "choices": ["a", "b"], "answer": 0, "audio": "other.wav"}
    (folder / "captions.jsonl").write_text(json.dumps(facts) + "\n")
    (folder / "manifest.jsonl").write_text(json.dumps(question) + "\n")
    given = {
        "questions": ("--captions", "captions.jsonl"),
        "captions": ("--manifest", "manifest.jsonl"),
        "reasoning": ("--captions", "captions.jsonl", "--manifest", "manifest.jsonl"),
    }[kind]
    with serving(lambda request: said("no")) as server:
        server_options = ("--endpoint", server.url, "--model", "m")
        done = harken("generate", kind, *given, *server_options, "--out", "out")
    assert done.code == 2
    assert "no record was kept; the reasons are in out/rejected.jsonl" in done.err
