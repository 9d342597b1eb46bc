"""The commands of `harken prepare` run from their arguments."""

import json

import pytest
from command_line import harken, refused_by
from leak_sets import write_sets


def test_the_commands_of_each_source_run_from_arguments(tmp_path):
    write_sets(tmp_path)
    (tmp_path / "q.json").write_text(
        json.dumps(
            [
                {"id": n, "video_name": f"-HG3Omg_89c_{n:06d}", "question_text": "What?", "multi_choice": ["a", "b"]}
                | {"answer": 0, "question_relation": relation, "question_type": "Which"}
                for n, relation in ((30, "Sound"), (31, "View"))
            ]
        )
    )
    media = tmp_path / "train" / "audio"
    avqa = ("prepare", "avqa", "--annotations", tmp_path / "q.json", "--media", media)
    counted = harken(*avqa, "--out", tmp_path / "o", "--index-only")
    assert counted.code == 0
    assert (tmp_path / "o" / "missing.txt").read_text() == "-HG3Omg_89c_000031\n"
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["missing.txt", "rejected.jsonl"]
    done = harken(*avqa, "--out", tmp_path / "o", "--relation", "Sound", "--min-duration", 0.1, "--workers", 1)
    assert done.code == 0, done.out
    assert "question relation filtered" in done.out
    assert len((tmp_path / "o" / "manifest.jsonl").read_text().splitlines()) == 1
    exported = harken(
        "prepare", "export", tmp_path / "o" / "manifest.jsonl", "--format", "trl", "--out", tmp_path / "t"
    )
    assert exported.code == 0, exported.err
    message = refused_by(
        *("prepare", "jsonl", "--format", "trl", "--data", tmp_path / "t", "--audio-root", tmp_path / "o"),
        *("--out", tmp_path / "back", "--workers", 1, "--against", tmp_path / "vgg.csv"),
    )
    assert "no record was kept" in message  # its only one leaks
    assert "same clip as in vgg.csv" in (tmp_path / "back" / "rejected.jsonl").read_text()
    (tmp_path / "arc.jsonl").write_text(
        '{"id": "a", "question": "Q", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "B"}\n'
    )
    assert harken("prepare", "arc", "--data", tmp_path / "arc.jsonl", "--out", tmp_path / "arc").code == 0
    result = harken(
        *("prepare", "vggsound", "--list", tmp_path / "vgg.csv", "--media", media, "--out", tmp_path / "v"),
        *("--workers", 1),
    )
    assert result.code == 0, result.err
    (tmp_path / "c.csv").write_text("id,caption\n-HG3Omg_89c_000030,A bell\n")
    joined = harken(
        *("prepare", "audiosetcaps", "--captions", tmp_path / "c.csv", "--audio-root", tmp_path / "v"),
        *("--out", tmp_path / "w"),
    )
    assert joined.code == 0, joined.err
    assert json.loads((tmp_path / "w" / "manifest.jsonl").read_text())["audio"] == "audio/-HG3Omg_89c_000030.wav"


def test_clips_that_are_not_there_are_not_exported_and_the_folder_of_the_clips_is_kept(tmp_path):
    write_sets(tmp_path)
    manifest = tmp_path / "apart" / "manifest.jsonl"
    manifest.parent.mkdir()
    manifest.write_text((tmp_path / "train" / "manifest.jsonl").read_text())
    words = ["prepare", "export", manifest, "--format", "ms_swift", "--out", tmp_path / "t.jsonl"]
    assert harken(*words).code == 0
    rejected = [json.loads(line) for line in (tmp_path / "t.jsonl.rejected.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rejected] == ["t1", "t2", "t3"]
    assert "audio/copied.wav: no such file; give the folder of the clips as --audio-root" in rejected[1]["reason"]
    assert harken(*words, "--audio-root", tmp_path / "train").code == 0
    records = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert records[1]["audios"] == [str(tmp_path / "train" / "audio" / "copied.wav")]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["prepare", "arc", "--out", "o"], "give a file or a data set on the Hub"),
        (["prepare", "export", "m", "--format", "xml", "--out", "o"], "one of r1_aqa, audiomcq, ms_swift, trl"),
    ],
)
def test_a_wrong_argument_is_named(words, says):
    assert says in refused_by(*words)
