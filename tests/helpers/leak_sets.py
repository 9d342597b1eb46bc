"""Training sets and benchmarks that share clips, for tests of the leak check."""

import json

import numpy as np
from made_media import tone, write_wav

from harken.data.manifest import write_manifest
from harken.prepare.clip_index import ClipIndex
from harken.types import Question


def index_of(records):
    """The records of a benchmark, in which the same clips are looked up."""
    index = ClipIndex()
    for record in records:
        index.add(record)
    return index


def write_sets(folder):
    """Write a training manifest, and a benchmark in each format."""
    same = tone(440, 16_000, 0.2)
    write_wav(folder / "train" / "audio" / "-HG3Omg_89c_000030.wav", tone(500, 16_000, 0.2))
    write_wav(folder / "train" / "audio" / "copied.wav", same)
    write_wav(folder / "train" / "audio" / "clean.wav", np.float32(0.5) * same)
    audio = folder / "train" / "audio"
    questions = [
        Question("t1", "What rings?", ("bell", "phone"), 0, audio / "-HG3Omg_89c_000030.wav"),
        Question("t2", "Who speaks?", ("man", "woman"), 0, audio / "copied.wav"),
        Question("t3", "How many dogs bark in the audio?", ("one", "two"), 0, audio / "clean.wav"),
        Question("t4", "No sound at all?", ("yes", "no"), 0, None),
    ]
    write_manifest(folder / "train" / "manifest.jsonl", questions)
    write_wav(folder / "mmau" / "x.wav", same)
    mmau = [
        {"id": "m1", "audio_id": "./x.wav", "question": "Else?", "choices": ["p", "q"], "answer": "p"},
        {
            "id": "m2",
            "audio_id": "./gone.wav",
            "question": "how many dogs bark in the audio",
            "choices": ["One", "two"],
        },
    ]
    (folder / "mmau" / "mmau.json").write_text(json.dumps(mmau))
    mmar = [{"id": "r1", "audio_path": "./a/b.wav", "url": "https://www.youtube.com/watch?v=-HG3Omg_89c&t=1s"}]
    (folder / "mmar.json").write_text(json.dumps(mmar))
    air = [{"path": "-HG3Omg_89c_000035.wav", "question": "Z?", "choice_a": "p", "choice_b": "q", "uniq_id": 9}]
    (folder / "air.json").write_text(json.dumps(air))
    (folder / "vgg.csv").write_text("-HG3Omg_89c_000030.mp4,rain\n")
    return folder


def melody(seed):
    """Three seconds in which no two are alike."""
    rng = np.random.default_rng(seed)
    notes = [tone(rng.uniform(300, 2000), 16_000, 0.2) * rng.uniform(0.2, 0.4) for _ in range(15)]
    return np.concatenate(notes) + rng.normal(0, 0.01, 48_000).astype(np.float32)
