"""`harken prepare avqa`: annotations and a folder of media, as downloads leave it, become exactly this manifest."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from made_media import cut, tone, write_media, write_wav

from harken.benchmarks.registry import find_reader
from harken.config import SourceConfig
from harken.data.load import load_sources
from harken.errors import DataError
from harken.prepare.avqa import avqa_draft, missing_avqa_clips, prepare_avqa
from harken.prepare.filters import Filters
from harken.prepare.leak_check_sets import ComparedSet

CHOICES = ["car", "dog", "bird", "rain"]


def annotation(number, video, **changes):
    return {
        **{"id": number, "video_name": video, "video_id": 7, "question_text": "What is heard?"},
        **{"multi_choice": CHOICES, "answer": 1, "question_relation": "Sound", "question_type": "Which", **changes},
    }


def stereo(frequency_hz, duration_s=1.0):
    left = tone(frequency_hz, 48_000, duration_s)
    return np.stack([left, left / 2])


def make_media(folder):
    write_media(folder / "train" / "-HG3Omg_89c_000030.mp4", stereo(1000))
    write_media(folder / "_a-B_c9dEfG_5.webm", stereo(600))
    write_wav(folder / "deep" / "er" / "AAAAAAAAAA0_7.wav", tone(440, 16_000, 1.0))
    write_wav(folder / "AAAAAAAAAA1_000008.wav", tone(500, 44_100, 1.0), 44_100)
    write_media(folder / "AAAAAAAAAA1_8.mp4", stereo(900))  # the same clip again: sound files go first
    write_media(folder / "AAAAAAAAAA2_000009.m4a", stereo(700))
    cut(write_media(folder / "DEAD0000000_000001.mp4", stereo(1000)))
    (folder / "DEAD0000001_000001.mp4").write_bytes(b"")
    (folder / "DEAD0000002_000001.webm").write_bytes(b"<html>gone</html>" * 99)
    cut(write_media(folder / "DEAD0000003_000001.webm", stereo(1000, 3.0)))
    write_media(folder / "DEAD0000004_000001.mp4", None)
    cut(write_wav(folder / "DEAD0000005_1.wav", tone(440, 16_000, 1.0)))
    (folder / "DEAD0000006_000001.mp4").write_text("#EXTM3U\n#EXT-X-ENDLIST\nhttp://127.0.0.1:9/a.ts\n")
    (folder / "notes.txt").write_text("x")
    (folder / "AAAAAAAAAA9_000001.mp4.part").write_bytes(b"half")


RECORDS = [
    annotation(1, "-HG3Omg_89c_000030", question_text=" What happened in the video? "),
    annotation(2, "_a-B_c9dEfG_000005", question_text="Which FRAMES of these Videos are loud, videotape aside?"),
    annotation(3, "AAAAAAAAAA0_000007", multi_choice=["car", None, 3, 2.5], answer=2),
    annotation("x4", "AAAAAAAAAA1_000008", multi_choice=["dog", " Dog", "bird ", ""], answer=1),
    annotation(5, "AAAAAAAAAA2_000009", question_relation="View", question_type="Come From"),
    annotation(6, "-HG3Omg_89c_000030"),
    annotation(7, "DEAD0000000_000001"),
    annotation(8, "DEAD0000001_000001"),
    annotation(9, "DEAD0000002_000001"),
    annotation(10, "DEAD0000003_000001"),
    annotation(11, "DEAD0000004_000001"),
    annotation(12, "DEAD0000005_000001"),
    annotation(13, "DEAD0000006_000001"),
    annotation(14, "AAAAAAAAAA9_000001"),
    annotation(15, "../etc/passwd_000001"),
    annotation(16, "AAAAAAAAAA0_000007", answer=4),
    annotation(17, "AAAAAAAAAA0_000007", answer=-1),
    annotation(18, "AAAAAAAAAA0_000007", answer=None),
    annotation(19, "AAAAAAAAAA0_000007", answer="1"),
    annotation(20, "AAAAAAAAAA0_000007", multi_choice=[None, "dog"], answer=0),
    annotation(21, "AAAAAAAAAA0_000007", multi_choice=["dog", "DOG", None], answer=0),
    annotation(22, "AAAAAAAAAA0_000007", multi_choice="dog"),
    annotation(23, "AAAAAAAAAA0_000007", multi_choice=["dog", ["cat"]], answer=0),
    annotation(24, "AAAAAAAAAA0_000007", question_text=None),
    annotation(1, "AAAAAAAAAA0_000007"),
    annotation(True, "AAAAAAAAAA0_000007"),
    "no record",
    {key: value for key, value in annotation(0, "AAAAAAAAAA0_000007").items() if key != "id"},
    {key: value for key, value in annotation(0, "AAAAAAAAAA0_000007").items() if key != "id"},
]

REASONS = {  # by line: RECORDS[n] stands in line n + 2
    8: "clip cannot be decoded",
    9: "clip is empty; fetch the file again",
    10: "clip cannot be decoded",
    11: "clip is cut short or damaged: 1.4",
    12: "clip holds no sound; leave the clip out",
    13: "clip is cut short or damaged: ",
    14: "clip cannot be decoded",
    15: "no media file: AAAAAAAAAA9_000001 is not in",
    16: "video_name: expected <11-character id>_<start second>, found '../etc/passwd_000001'",
    17: "answer out of range: 4 of 4 choices",
    18: "answer out of range: -1 of 4 choices",
    19: "answer: expected an index, found None",
    20: "answer: expected an index, found '1'",
    21: "answer: the choice it names is None",
    22: "multi_choice: fewer than two different choices: ['dog', 'DOG', None]",
    23: "multi_choice: expected a list, found 'dog'",
    24: "multi_choice: expected texts, found ['cat']",
    25: "question_text: expected text, found None",
    26: "id taken: 'avqa-1' is the record of ",
    27: "id: expected a number or text, found True",
    28: "expected a JSON object, found 'no record'",
}


def write_annotations(path, records=RECORDS):
    path.write_text("[\n" + ",\n".join(json.dumps(record) for record in records) + "\n]\n", encoding="utf-8")
    return path


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def manifest_line(ident, text, choices, answer, clip, relation="Sound", kind="Which"):
    return {
        **{"id": ident, "text": text, "choices": choices, "answer": answer, "audio": f"audio/{clip}.wav", "task": ""},
        **{"difficulty": "", "category": relation, "subcategory": kind, "dataset": "AVQA", "reasoning": ""},
    }


MANIFEST = [
    manifest_line("avqa-1", "What happened in the audio?", CHOICES, 1, "-HG3Omg_89c_000030"),
    manifest_line(
        *("avqa-2", "Which SEGMENTS of these Audios are loud, videotape aside?", CHOICES, 1, "_a-B_c9dEfG_000005")
    ),
    manifest_line("avqa-3", "What is heard?", ["car", "3", "2.5"], 1, "AAAAAAAAAA0_000007"),
    manifest_line("avqa-x4", "What is heard?", ["dog", "bird"], 0, "AAAAAAAAAA1_000008"),
    manifest_line("avqa-5", "What is heard?", CHOICES, 1, "AAAAAAAAAA2_000009", "View", "Come From"),
    manifest_line("avqa-6", "What is heard?", CHOICES, 1, "-HG3Omg_89c_000030"),
    manifest_line("avqa-AAAAAAAAAA0_000007", "What is heard?", CHOICES, 1, "AAAAAAAAAA0_000007"),
    manifest_line("avqa-AAAAAAAAAA0_000007-2", "What is heard?", CHOICES, 1, "AAAAAAAAAA0_000007"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(annotations, media, the folder that is prepared from them, its card)."""
    folder = tmp_path_factory.mktemp("avqa")
    make_media(folder / "media")
    annotations = write_annotations(folder / "train_qa.json")
    card = prepare_avqa(annotations, folder / "media", folder / "out", filters=Filters(), workers=2)
    return annotations, folder / "media", folder / "out", card


def test_the_manifest_is_exact(world):
    assert lines_of(world[2] / "manifest.jsonl") == MANIFEST


def test_every_rejected_record_has_its_line_and_reason_and_none_is_lost(world):
    annotations, _, out, _ = world
    rejected = lines_of(out / "rejected.jsonl")
    assert {row["line"] for row in rejected} == REASONS.keys()
    for row in rejected:
        assert row["reason"].startswith(REASONS[row["line"]]), row
        assert row["file"] == str(annotations)
    assert len(MANIFEST) + len(rejected) == len(RECORDS)


def test_the_wavs_are_those_of_the_manifest_in_16_khz_mono_16_bit(world):
    audio = world[2] / "audio"
    assert {f"audio/{path.name}" for path in audio.iterdir()} == {line["audio"] for line in MANIFEST}
    for path in audio.iterdir():
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype, info.format) == (16_000, 1, "PCM_16", "WAV")
        assert info.duration == pytest.approx(1.0, abs=0.05)


def test_a_run_trains_on_what_was_written(world):
    source = SourceConfig(reader="manifest", file=world[2] / "manifest.jsonl")
    loaded = load_sources([source], find_reader, need_answer=True)
    assert len(loaded.questions) == len(MANIFEST)
    assert loaded.rejected == []


def test_the_card_accounts_for_every_record(world):
    text = world[3].markdown()
    assert text == (world[2] / "card.md").read_text(encoding="utf-8")
    for line in (
        "| records read | 29 |",
        "| kept | 8 |",
        "| rejected | 21 |",
        "| clip cannot be decoded | 3 |",
        "| clip is cut short or damaged | 2 |",
        "| answer out of range | 2 |",
        "| null choice dropped | 1 |",
        "| number made text | 1 |",
        "| blank choice dropped | 1 |",
        "| repeated choice dropped | 1 |",
        "| question about a video reworded | 2 |",
        "| needed | 13 |",
        "| present | 12 |",
        "| missing | 1 |",
        "| present, no usable sound | 7 |",
        "| further files of the same clips | 1 |",
        "| 4 choices, 6 questions | 0 / 6 / 0 / 0 |",
        "| questions that repeat an earlier one about the same clip | 1 |",
        "Licence: annotations: not stated",
    ):
        assert line in text, (line, text)


def test_counting_the_clips_opens_no_media(world, tmp_path):
    annotations, media, _, _ = world
    for path in media.rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(media)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.touch(mode=0o000)
    card = missing_avqa_clips(annotations, tmp_path, tmp_path / "out", Filters()).markdown()
    assert (tmp_path / "out" / "missing.txt").read_text() == "AAAAAAAAAA9_000001\n"
    rejected = lines_of(tmp_path / "out" / "rejected.jsonl")
    assert "Licence: annotations: not stated" in card
    assert f"| rejected | {len(rejected)} |" in card
    assert rejected
    for line in ("| needed | 13 |", "| present | 12 |", "| missing | 1 |", "| further files of the same clips | 1 |"):
        assert line in card


def test_filters_are_off_unless_asked_for_and_each_gives_its_reason(tmp_path):
    write_wav(tmp_path / "media" / "AAAAAAAAAA0_7.wav", np.tile([0.25, -0.25], 8_000).astype(np.float32))
    loud_then_quiet = np.concatenate([tone(500, 16_000, 1.0), tone(500, 16_000, 1.0, 0.001)])
    write_wav(tmp_path / "media" / "AAAAAAAAAA1_8.wav", loud_then_quiet)
    records = [RECORDS[index] for index in (2, 3, 4)]
    path = write_annotations(tmp_path / "q.json", records)

    def reasons(**limits):
        out = tmp_path / "out"
        prepare_avqa(path, tmp_path / "media", out, filters=Filters(**limits), workers=1)
        return {row["id"]: row["reason"] for row in lines_of(out / "rejected.jsonl")}

    assert reasons() == {"avqa-5": f"no media file: AAAAAAAAAA2_000009 is not in {tmp_path / 'media'}"}
    assert reasons(relations=("Sound",), min_duration_s=1.5) == {
        "avqa-3": "clip too short: 1.00 s, the minimum is 1.5 s",
        "avqa-5": "question relation filtered: 'View'",
    }
    filtered = reasons(question_types=("Which",), min_snr_db=10.0)
    assert filtered["avqa-5"] == "question type filtered: 'Come From'"
    assert filtered["avqa-3"].startswith("clip too noisy: SNR -")
    assert filtered.keys() == {"avqa-3", "avqa-5"}


def test_clips_of_a_benchmark_are_left_out_by_name_and_by_content(world, tmp_path):
    annotations, media, out, _ = world
    benchmark = tmp_path / "bench.json"
    same = tmp_path / "renamed.wav"
    same.write_bytes((out / "audio" / "AAAAAAAAAA2_000009.wav").read_bytes())
    benchmark.write_text(
        json.dumps(
            [
                {"id": "m1", "audio_id": "./x/_a-B_c9dEfG_12.wav", "question": "Other?", "choices": ["p", "q"]},
                {"id": "m2", "audio_id": "renamed.wav", "question": "Unlike?", "choices": ["r", "s"]},
                {"id": "m3", "audio_id": "far.wav", "question": "what is heard", "choices": ["Rain", *CHOICES[:3]]},
            ]
        )
    )
    again = tmp_path / "out"
    (again / "audio").mkdir(parents=True)
    for wav in (out / "audio").iterdir():
        (again / "audio" / wav.name).write_bytes(wav.read_bytes())
    card = prepare_avqa(annotations, media, again, filters=Filters(), workers=1, against=(ComparedSet(benchmark),))
    reasons = {row["id"]: row["reason"] for row in lines_of(again / "rejected.jsonl")}
    assert reasons["avqa-2"] == "same clip as in bench.json: m1"
    assert reasons["avqa-5"] == "same content as in bench.json: m2"
    assert len(lines_of(again / "manifest.jsonl")) == len(MANIFEST) - 2
    assert "| bench.json: same question, kept | 4 |" in card.markdown()


def test_a_run_killed_among_its_clips_goes_on_to_the_same_bytes(world, tmp_path):
    annotations, media, out, _ = world
    command = [
        sys.executable,
        "-m",
        "harken.cli.app",
        "prepare",
        "avqa",
        "--annotations",
        annotations,
        "--media",
        media,
    ]
    again = tmp_path / "out"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([*command, "--out", again], env=environment, stdout=subprocess.DEVNULL) as run:
        until = time.monotonic() + 60
        while run.poll() is None and time.monotonic() < until and not list(again.glob("audio/*.wav")):
            time.sleep(0.001)
        run.send_signal(signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    assert not (again / "manifest.jsonl").exists()
    for wav in again.glob("audio/[!.]*.wav"):
        assert wav.read_bytes() == (out / "audio" / wav.name).read_bytes()
    (again / "audio" / ".half.wav.tmp").write_bytes(b"left by a kill")
    finished = subprocess.run([*command, "--out", again], env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert "records read" in finished.stdout
    assert files_of(again) == files_of(out)


def test_an_unreadable_file_is_one_error_that_names_it(tmp_path):
    with pytest.raises(DataError, match=r"gone\.json: cannot be read"):
        avqa_draft(tmp_path / "gone.json", tmp_path, Filters())
