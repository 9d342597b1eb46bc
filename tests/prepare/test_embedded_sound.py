"""Sound that stands inside parquet files, as the Hub's column Audio holds it, and inside WebDataset tars."""

import io
import json
import tarfile

import pytest
from made_media import tone, write_wav

from harken.data.audio import load_waveform
from harken.data.manifest import read_manifest
from harken.data.records import RecordError
from harken.errors import DataError
from harken.prepare.clip_finder import ClipFinder
from harken.prepare.trainer_formats import FORMATS
from harken.prepare.trainer_jsonl import prepare_jsonl

FIELDS = {"question_text": "Q", "multi_choice": ["x", "y"], "answer": 0}


@pytest.fixture
def sounds(tmp_path):
    """The bytes of two WAV files."""
    paths = [write_wav(tmp_path / f"{name}.wav", tone(hz, 16_000, 0.2)) for name, hz in (("a", 440), ("b", 660))]
    return [path.read_bytes() for path in paths]


def prepared(tmp_path, source, root=None):
    """The questions of a source of R1-AQA's fields."""
    prepare_jsonl(source, "r1_aqa", root, tmp_path / "out", reword=False, workers=1)
    return read_manifest(tmp_path / "out" / "manifest.jsonl")[0]


def data_of(question):
    return [span.path.read_bytes() for span in question.audio_spans]


def test_sound_inside_a_parquet_file_is_written_out_once_and_an_empty_file_is_an_error(shared, tmp_path):
    kept = prepared(tmp_path, shared / "cases" / "data" / "struct_audio.parquet")
    assert all(question.audio.parent == tmp_path / "out" / "audio" for question in kept)
    assert load_waveform(kept[0].audio).size > 100
    with pytest.raises(DataError, match=r"empty\.parquet: holds no record"):
        prepared(tmp_path, shared / "cases" / "data" / "empty.parquet")


def test_columns_of_the_hubs_audio_feature_are_read_without_being_decoded(tmp_path, sounds):
    datasets, arrow = pytest.importorskip("datasets"), pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    first, second = ({"bytes": data, "path": f"{name}.wav"} for data, name in zip(sounds, "ab", strict=True))
    one, several = datasets.Audio(), datasets.List(datasets.Audio())
    for column, values, expected in (
        (one, [first, second], [sounds[:1], sounds[1:]]),
        (several, [[first, second], [second]], [sounds, sounds[1:]]),
    ):
        kinds = {"question_text": datasets.Value("string"), "multi_choice": datasets.List(datasets.Value("string"))}
        kinds |= {"answer": datasets.Value("int64"), "audio_path": datasets.Value("string")}
        schema = datasets.Features(kinds | {"audio": column}).arrow_schema  # with what `datasets` notes of itself
        rows = [FIELDS | {"audio_path": "old/x.wav", "audio": value} for value in values]
        parquet.write_table(arrow.Table.from_pylist(rows, schema=schema), tmp_path / "set.parquet")
        kept = prepared(tmp_path, tmp_path / "set.parquet")
        assert [data_of(question) for question in kept] == expected


def write_tar(path, members):
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize("name", ["set.tar", "set.tar.gz", "set.tgz"])
def test_a_webdataset_tar_is_read_sample_by_sample(tmp_path, sounds, name):
    text = json.dumps(FIELDS).encode()
    named = json.dumps(FIELDS | {"audio": "elsewhere/c.wav", "audio_path": "elsewhere/c.wav"}).encode()
    members = [
        ("train/s1.json", text),
        ("train/s1.wav", sounds[0]),
        ("train/s2.WAV", sounds[1]),
        ("train/s2.json", named),  # the sound of the sample goes before a name in its JSON
        ("train/s3.audio.wav", sounds[0]),
        ("train/s3.meta.json", text),
        ("train/s4.0.wav", sounds[1]),
        ("train/s4.1.wav", sounds[0]),
        ("train/s4.json", text),
    ]
    kept = prepared(tmp_path, write_tar(tmp_path / name, members))
    assert [data_of(question) for question in kept] == [sounds[:1], sounds[1:], sounds[:1], sounds[::-1]]
    assert [question.audio_spans[0].path.name.split(".")[0] for question in kept] == ["s1", "s2", "s3", "s4"]


@pytest.mark.parametrize("name", ["set.tar", "set.tar.gz"])
@pytest.mark.parametrize("kept_share", [0.0, 0.6])
def test_a_tar_that_is_cut_is_an_error_of_one_line(tmp_path, sounds, name, kept_share):
    path = write_tar(tmp_path / name, [("s1.json", json.dumps(FIELDS).encode()), ("s1.wav", sounds[0] * 9)])
    path.write_bytes(path.read_bytes()[: int(kept_share * path.stat().st_size)])
    with pytest.raises(DataError, match=rf"{name}: cannot be read as a tar: [^\n]+$"):
        prepared(tmp_path, path)


def test_text_only_leaves_clips_out_and_a_name_without_a_folder_is_refused(tmp_path):
    record = FIELDS | {"sound": "a.wav"}
    assert FORMATS["r1_aqa"].read(record, ClipFinder(tmp_path, tmp_path, text_only=True), "f:1").audio is None
    with pytest.raises(RecordError, match=r"names the clip 'a.wav', and --audio-root does not say"):
        FORMATS["r1_aqa"].read(record, ClipFinder(None, tmp_path), "f:1")
