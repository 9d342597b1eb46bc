"""The sound of a record is found under whatever key and in whatever form it stands, or the record is refused.

No record that names sound becomes a question without a clip, unless `--text-only` asks for it.
"""

import base64
import json

import pytest
from made_media import tone, write_wav
from prepared_files import reasons, write_json_lines

from harken.data.manifest import read_manifest
from harken.data.records import RecordError
from harken.prepare.clip_finder import ClipFinder
from harken.prepare.sound_fields import SOUND_KEYS
from harken.prepare.trainer_formats import FORMATS
from harken.prepare.trainer_jsonl import prepare_jsonl

FIELDS = {"question_text": "Q", "multi_choice": ["x", "y"], "answer": 0}


@pytest.fixture
def folder(tmp_path):
    write_wav(tmp_path / "clips" / "a.wav", tone(440, 16_000, 0.2))
    write_wav(tmp_path / "clips" / "b.wav", tone(660, 16_000, 0.2))
    return tmp_path


def clips_of(folder, record, *, root=True):
    """The names of the clips of a record; with `root` they lie in the folder, else inside the record."""
    clips = ClipFinder(folder if root else None, folder / "out")
    question = FORMATS["r1_aqa"].read(FIELDS | record, clips, "f:1")
    assert all(span.path.is_file() for span in question.audio_spans)
    return [span.path.relative_to(folder).as_posix() for span in question.audio_spans]


@pytest.mark.parametrize(
    "value",
    [
        "clips/a.wav",
        "./clips/a.wav",
        " clips/a.wav\n",
        "clips\\a.wav",
        "ROOT/clips/a.wav",
        "file://ROOT/clips/a.wav",
        ["clips/a.wav"],
        {"path": "clips/a.wav"},
        {"bytes": None, "path": "clips/a.wav"},
        {"array": [0.0, 0.5], "sampling_rate": 16_000, "path": "clips/a.wav"},
        {"audio": {"path": "clips/a.wav"}},
        [{"path": "clips/a.wav"}],
        [["clips/a.wav"]],
        {"audio_url": {"url": "file://ROOT/clips/a.wav"}},
    ],
)
def test_a_name_in_any_usual_form_is_found(folder, value):
    value = json.loads(json.dumps(value).replace("ROOT", str(folder)))
    assert clips_of(folder, {"audio": value}) == ["clips/a.wav"]


OTHER_KEYS = ("Audio", "audioPath", "AUDIO_PATH", "audio-path", "wav path", "Filename", "speech_path", "voice", "video")


@pytest.mark.parametrize("key", [*SOUND_KEYS, *OTHER_KEYS, "context_audio", "mystery", "audio_0", "recording2"])
def test_a_name_under_any_key_is_found(folder, key):
    assert clips_of(folder, {key: "clips/a.wav"}) == ["clips/a.wav"]
    assert clips_of(folder, {key: [{"path": "clips/a.wav"}]}) == ["clips/a.wav"]


@pytest.mark.parametrize(
    ("record", "names"),
    [
        ({"audio": ["clips/a.wav", "clips/b.wav"]}, ["a", "b"]),
        ({"audios": [{"path": "clips/b.wav"}, {"path": "clips/a.wav"}]}, ["b", "a"]),
        ({"audio_2": "clips/b.wav", "audio_1": "clips/a.wav"}, ["a", "b"]),
        ({"audio_10": "clips/b.wav", "audio_9": "clips/a.wav"}, ["a", "b"]),
        ({"mystery1": "clips/a.wav", "mystery2": "clips/b.wav"}, ["a", "b"]),
        ({"audio": None, "audio_path": "clips/b.wav"}, ["b"]),  # the first key that has any
        ({"audio": {"array": [0.0], "path": None}, "file": "clips/b.wav"}, ["b"]),
        ({"audio": "clips/a.wav", "ref_audio": "clips/b.wav"}, ["a"]),
    ],
)
def test_several_clips_come_in_their_order_and_of_several_keys_the_usual_one(folder, record, names):
    assert clips_of(folder, record) == [f"clips/{name}.wav" for name in names]


@pytest.mark.parametrize("form", ["bytes", "list", "base64", "data", "uri", "bare"])
def test_the_bytes_of_a_file_are_found_in_any_usual_form(folder, form):
    data = (folder / "clips" / "a.wav").read_bytes()
    text = base64.b64encode(data).decode()
    value = {
        "bytes": {"bytes": data, "path": "x/a.wav"},
        "list": {"bytes": list(data), "path": "a.wav"},
        "base64": [{"bytes": text, "path": "a.wav"}],
        "data": {"data": text, "format": "wav"},
        "uri": f"data:audio/wav;base64,{text}",
        "bare": text,
    }[form]
    [name] = clips_of(folder, {"audio": value, "audio_path": "elsewhere/a.wav"}, root=False)
    assert name.startswith("out/")
    assert name.endswith(".wav")
    assert (folder / name).read_bytes() == data
    with pytest.raises(RecordError, match="leave --audio-root out"):
        clips_of(folder, {"audio": value})


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"audio": None}, "audio: holds no sound: None; name the clip, or give --text-only"),
        ({"audio": ""}, "audio: holds no sound: ''"),
        ({"audio": "  "}, "audio: holds no sound"),
        ({"audio": "None"}, "audio: holds no sound: 'None'"),
        ({"audio": "nan"}, "audio: holds no sound"),
        ({"audio": float("nan")}, "audio: holds no sound: nan"),
        ({"audio": []}, "audio: holds no sound: []"),
        ({"audio": [None]}, "audio: holds no sound"),
        ({"audio": ["clips/a.wav", None]}, "audio: 1 of 2 entries hold no sound"),
        ({"audio": ["clips/a.wav", ""]}, "audio: 1 of 2 entries hold no sound"),
        ({"audio": {}}, "audio: holds neither bytes nor a path: []"),
        ({"audio": {"bytes": b"", "path": None}}, "audio: holds neither bytes nor a path: ['bytes', 'path']"),
        ({"audio": {"array": [0.0], "sampling_rate": 16_000}}, "only samples: write a file of them"),
        ({"audio": 3}, "audio: expected a file name or the bytes of a file, found 3"),
        ({"audio": True}, "found True"),
        ({"audio": "https://example.org/a.wav"}, "is an address: download the clip"),
        ({"audio": {"url": "s3://bucket/a.wav"}}, "is an address: download the clip"),
        ({"audio": "C:\\data\\a.wav"}, "is a path of Windows"),
        ({"audio": "~/no/such/a.wav"}, "is outside audio_root"),
        ({"audio": "../a.wav"}, "is outside audio_root"),
        ({"audio": "..\\a.wav"}, "is outside audio_root"),
        ({"audio": "file:///etc/passwd"}, "is outside audio_root"),
        ({"audio": "data:audio/wav;base64,!!"}, "expected a file name or base64"),
        ({"audio": "x" * 5001 + ".wav"}, "expected a file name or base64, found 5,005 other characters"),
        ({"audio_duration": 3.2}, "key 'audio_duration' is about sound, and the record names no clip"),
        ({"soundClass": "dog"}, "key 'soundClass' is about sound"),
        ({"left": "a.wav", "right": "b.flac"}, "'left', 'right': name different sound files"),
    ],
)
def test_a_record_that_speaks_of_sound_and_gives_none_is_refused(folder, record, reason):
    with pytest.raises(RecordError) as raised:
        clips_of(folder, record)
    assert reason in str(raised.value)
    text_only = ClipFinder(None, folder, text_only=True)
    assert FORMATS["r1_aqa"].read(FIELDS | record, text_only, "f:1").audio is None


def test_a_record_without_a_word_about_sound_is_a_question_without_a_clip(folder):
    assert clips_of(folder, {"title": "The wave", "note": "clip it", "n": 3, "more": [1, {"x": None}]}) == []


def test_records_of_all_kinds_in_one_file_are_each_kept_or_rejected(folder):
    values = ["clips/a.wav", None, {"path": "clips/b.wav"}, ["clips/a.wav", "clips/b.wav"], "no/such.wav", "clips", 7]
    data = write_json_lines(folder / "d.jsonl", [FIELDS | {"id": str(i), "audio": v} for i, v in enumerate(values)])
    prepare_jsonl(data, "r1_aqa", folder, folder / "out", reword=False, workers=1)
    kept, _ = read_manifest(folder / "out" / "manifest.jsonl", folder)
    assert [question.id for question in kept] == ["0", "2", "3"]
    assert all(question.audio_spans for question in kept)
    assert [line for line, _ in reasons(folder / "out")] == [2, 5, 6, 7]
