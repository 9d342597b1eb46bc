"""Facts about clips from a scripted audio model: the request holds the sound, and the reply is treated as data."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command_line import harken
from generate_cases import lines_of
from scripted_server import Received, said, serving

from harken.data.manifest import write_manifest
from harken.generate.captions import read_caption
from harken.generate.clip_facts import ClipFacts, ClipFactsFile
from harken.generate.reply_json import BadReplyError
from harken.types import Question

HEARD = {"caption": "A tone.", "sounds": ["a tone", "a hum"], "speech": None, "music": None}


def sound_of(request: Received) -> tuple[np.ndarray, int]:
    [message] = request.body["messages"]
    clip, text = message["content"]
    assert (clip["type"], clip["input_audio"]["format"], text["type"]) == ("input_audio", "wav", "text")
    samples, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(clip["input_audio"]["data"], validate=True)))
    return samples, rate_hz


def manifest_of(tmp_path: Path) -> Path:
    """Write a manifest: two questions share a clip, one clip is in stereo, one is broken, and one question has none."""
    audio = tmp_path / "clips"
    audio.mkdir()
    soundfile.write(audio / "a.wav", np.full(1600, 0.5), 16_000)
    soundfile.write(audio / "b.wav", np.full((9600, 2), (0.5, 0.0)), 48_000)
    (audio / "c.wav").write_bytes(b"RIFF")
    clips = [("q0", "a.wav"), ("q1", "a.wav"), ("q2", "b.wav"), ("q3", "c.wav"), ("q4", None)]
    questions = [
        Question(name, "What?", ("a", "b"), 0, None if clip is None else audio / clip, task="sound")
        for name, clip in clips
    ]
    write_manifest(tmp_path / "out" / "m.jsonl", questions, audio)
    return tmp_path / "out" / "m.jsonl"


def test_each_good_clip_is_heard_once_and_what_is_heard_is_read_as_facts(tmp_path):
    manifest = manifest_of(tmp_path)
    with serving(
        lambda request: said(json.dumps({**HEARD, "caption": f"{len(sound_of(request)[0])} samples"}))
    ) as server:
        done = harken(
            *("generate", "captions", "--manifest", manifest, "--audio-root", tmp_path / "clips"),
            *("--out", tmp_path / "captions", "--endpoint", server.url, "--model", "m"),
        )
    assert done.code == 0, done.err
    assert {sound_of(request)[1] for request in server.received} == {16_000}
    stereo = next(samples for samples, _ in map(sound_of, server.received) if len(samples) > 2000)
    assert stereo[500:2500] == pytest.approx(0.25, abs=0.01)  # the mean of both channels
    written = ClipFactsFile(tmp_path / "captions" / "captions.jsonl")
    assert len(written.rejected) == 0
    assert [(clip.id, clip.audio, clip.caption, clip.sounds, clip.speech, clip.task) for clip in written.clips] == [
        ("a.wav", "a.wav", "1600 samples", "a tone, a hum", "", "sound"),
        ("b.wav", "b.wav", "3200 samples", "a tone, a hum", "", "sound"),
    ]
    assert [row["id"] for row in lines_of(tmp_path / "captions" / "rejected.jsonl")] == ["q3", "q4"]
    assert (
        "| read | 5 |\n| kept, in captions.jsonl by their clips | 3 |\n" in (tmp_path / "captions/card.md").read_text()
    )


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"caption": None}, "caption no text: None"),
        ({"caption": " "}, "caption empty: ' '"),
        ({"sounds": 3}, "sounds no text: 3"),
        ({"music": ["a", None]}, "music no text: None"),
        ({"speech": []}, r"speech no text: \[\]"),
    ],
)
def test_a_reply_that_states_no_facts_says_why(changes, fault):
    with pytest.raises(BadReplyError, match=fault):
        read_caption(json.dumps({**HEARD, **changes}), ClipFacts("a", "a.wav", ""))
