"""`harken prepare` that is killed (-9) at random moments, with two workers, ends with the bytes of one that was not."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from random_kills import hit_at_random

pytestmark = pytest.mark.slow

CHOICES = ["a dog", "a cat", "a door"]


def write_clips(folder: Path, names: list[str], seed: int = 0) -> None:
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        samples = np.random.default_rng([seed, number]).normal(scale=0.1, size=11_025)
        soundfile.write(folder / f"{name}.wav", samples, 22_050, subtype="PCM_16")


def names_of(n: int) -> list[str]:
    return [f"Aa{number:09d}_000001" for number in range(n)]


def avqa(folder: Path, n: int) -> list[str]:
    """Every seventh clip is in a benchmark under another name."""
    names = names_of(n)
    write_clips(folder / "media", names)
    records = [
        {"id": number, "video_name": name, "question_text": f"What is heard, {number}?", "multi_choice": CHOICES}
        | {"answer": number % 3, "question_relation": "Sound", "question_type": "W"}
        for number, name in enumerate(names)
    ]
    (folder / "qa.json").write_text(json.dumps(records))
    benchmark = folder / "benchmark"
    benchmark.mkdir()
    rows = []
    for number, name in enumerate(names[:70:7]):
        (benchmark / f"{number}.wav").write_bytes((folder / "media" / f"{name}.wav").read_bytes())
        rows.append({"id": f"b{number}", "text": "Who?", "choices": CHOICES, "answer": 0, "audio": f"{number}.wav"})
    (benchmark / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["avqa", "--annotations", str(folder / "qa.json"), "--media", str(folder / "media")]
    return [*words, "--against", str(benchmark / "manifest.jsonl")]


def vggsound(folder: Path, n: int) -> list[str]:
    names = names_of(n)
    write_clips(folder / "media", names[::2])
    (folder / "list.csv").write_text("".join(f"{name}.mp4,dog\n" for name in names))
    return ["vggsound", "--list", str(folder / "list.csv"), "--media", str(folder / "media")]


def webdataset(folder: Path, n: int) -> list[str]:
    """Records that hold their sound and have no ids."""
    write_clips(folder / "media", names_of(n))
    with tarfile.open(folder / "shard.tar", "w") as archive:
        for number, name in enumerate(names_of(n)):
            record = {"question_text": f"What, {number}?", "multi_choice": CHOICES, "answer": number % 3}
            files = {"json": json.dumps(record).encode(), "wav": (folder / "media" / f"{name}.wav").read_bytes()}
            for suffix, data in files.items():
                member = tarfile.TarInfo(f"{number:05d}.{suffix}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return ["jsonl", "--format", "r1_aqa", "--data", str(folder / "shard.tar")]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("write", "n_clips", "n_kills"),
    [(avqa, 300, 8), (vggsound, 300, 6), (webdataset, 200, 6), (avqa, 10_000, 3)],
    ids=["avqa", "vggsound", "webdataset", "avqa of 10,000 clips"],
)
def test_a_preparation_that_is_killed_goes_on_to_the_same_bytes(
    write: Callable[[Path, int], list[str]], n_clips: int, n_kills: int, tmp_path: Path
):
    words = ["prepare", *write(tmp_path, n_clips), "--out", "{out}", "--workers", "2"]
    result = hit_at_random(tmp_path, words, None, "SIGKILL", n_kills, 3)
    codes = [code for code, _ in result["ended"]]
    assert (codes.count(-9), codes[-1]) == (n_kills, 0)
    expected = files_of(tmp_path / "whole")
    assert {"manifest.jsonl", "rejected.jsonl", "card.md"} <= expected.keys()
    for folder in map(Path, result["folders"]):
        written = files_of(folder)
        assert written.keys() == expected.keys()
        for name, data in written.items():
            assert data.replace(bytes(folder), b"") == expected[name].replace(bytes(tmp_path / "whole"), b""), name
