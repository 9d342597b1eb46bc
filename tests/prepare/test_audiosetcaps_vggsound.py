"""`harken prepare audiosetcaps` and `vggsound`: captions and answers are joined by clip, and every row is counted."""

import contextlib
import csv
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_media import tone, write_media, write_wav

from harken.data.records import RecordError
from harken.errors import DataError
from harken.prepare.audiosetcaps import prepare_audiosetcaps
from harken.prepare.audiosetcaps_rows import answer_rows, caption_rows, clip_key
from harken.prepare.clip_lists import ListedClip, vggsound_clips
from harken.prepare.filters import Filters
from harken.prepare.leak_check_sets import ComparedSet
from harken.prepare.vggsound import prepare_vggsound

SOUNDS = "Describe this audio according to the sounds in it within 50 words."
SPEECH = "Based on the QAs, give some information about the speech, only if speech is present in this audio."
MUSIC = "Based on the QAs, give some information about the music, only if music is present in this audio."
HEADER = ["id", "question_1", "answer_1", "question_2", "answer_2", "question_3", "answer_3"]


def write_csv(path, *rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def answer_row(ident, sounds, speech, music):
    return [ident, SOUNDS, sounds, SPEECH, speech, MUSIC, music]


@pytest.mark.parametrize(
    ("spelling", "other"),
    [
        ("Y---1_cCGK4M", "---1_cCGK4M"),
        ("OxPnZzn1_L8_000883", "OxPnZzn1_L8_883"),
        ("9eUrEyAR3xk_84_10", "9eUrEyAR3xk_000084_10"),
        ("YYYYYYYYYYYY", "YYYYYYYYYYY"),
    ],
)
def test_spellings_of_one_clip_have_one_key(spelling, other):
    assert clip_key(spelling) == clip_key(other)


def test_different_clips_have_different_keys():
    names = ["YAAAAAAAAAAA", "YAAAAAAAAAA_1", "YAAAAAAAAAA_2", "YAAAAAAAAAA_1_10", "YAAAAAAAAAA_11_0", "-YAAAAAAAAA_1"]
    assert len({clip_key(name) for name in names}) == len(names)


@pytest.mark.parametrize("ident", ["", "x", "AAAAAAAAAA", "YAAAAAAAAAAAA", "AAAAAAAAAAA_x", "AAAAAAAAAAA_1_2_3", "a/b"])
def test_an_id_of_another_form_is_refused(ident):
    with pytest.raises(RecordError, match="id of no known form"):
        clip_key(ident)


def test_captions_and_answers_are_joined_by_id_and_what_is_left_over_is_counted(tmp_path):
    captions = write_csv(
        tmp_path / "VGGSound_AudioSetCaps_caption.csv",
        ["id", "caption"],
        ["-xPnZzn1_L8_000883", 'A bell, then "rain".'],
        ["AAAAAAAAAA1_000001", "  A dog\nbarks. "],
        ["AAAAAAAAAA2_000002", ""],
        ["AAAAAAAAAA1_1", "The same clip"],
        ["nonsense", "A cat"],
        ["AAAAAAAAAA3_000003"],
        [],
        ["AAAAAAAAAA4_000004", "No answers"],
    )
    more = write_csv(tmp_path / "more.csv", ["id", "caption"], ["Y---1_cCGK4M", "Wind"], ["9eUrEyAR3xk_84_10", "Sea"])
    answers = write_csv(
        tmp_path / "VGGSound_Qwen-Audio_Q&A.csv",
        HEADER,
        answer_row("AAAAAAAAAA1_000001", "A dog.", "None.", ""),
        answer_row("-xPnZzn1_L8_000883", "A bell.", "I'm sorry, but there is no speech.", "Slow."),
        answer_row("AAAAAAAAAA9_000009", "Surplus.", "", ""),
        answer_row("AAAAAAAAAA9_9", "Surplus again.", "", ""),
        answer_row("-xPnZzn1_L8_883", "Another bell.", "", ""),
        answer_row("???", "Bad id.", "", ""),
        answer_row("AAAAAAAAAA5_000005", "", " ", ""),
    )
    short = write_csv(tmp_path / "s.csv", ["ID", "Answer1", "Answer2"], ["---1_cCGK4M", "Wind blows.", "A man."])
    card = prepare_audiosetcaps([captions, more], [answers, short], tmp_path / "out")
    assert lines_of(tmp_path / "out" / "manifest.jsonl") == [
        {
            **{"id": "-xPnZzn1_L8_000883", "caption": 'A bell, then "rain".', "sounds": "A bell."},
            **{"speech": "I'm sorry, but there is no speech.", "music": "Slow."},
        },
        {"id": "AAAAAAAAAA1_000001", "caption": "A dog\nbarks.", "sounds": "A dog.", "speech": "None.", "music": ""},
        {"id": "AAAAAAAAAA4_000004", "caption": "No answers", "sounds": "", "speech": "", "music": ""},
        {"id": "Y---1_cCGK4M", "caption": "Wind", "sounds": "Wind blows.", "speech": "A man.", "music": ""},
        {"id": "9eUrEyAR3xk_84_10", "caption": "Sea", "sounds": "", "speech": "", "music": ""},
    ]
    rejected = lines_of(tmp_path / "out" / "rejected.jsonl")
    assert [(row["line"], row["id"], row["reason"]) for row in rejected] == [
        (5, "AAAAAAAAAA2_000002", "caption is empty"),
        (6, "AAAAAAAAAA1_1", "caption of the same clip again: AAAAAAAAAA1_1"),
        (7, "nonsense", "id of no known form: 'nonsense'"),
        (8, "AAAAAAAAAA3_000003", "row of another length: 1 cells, the header has 2"),
    ]
    assert {row["file"] for row in rejected} == {str(captions)}
    for line in (
        "| records read | 9 |",
        "| kept | 5 |",
        "| rows | 8 |",
        "| answers | 10 |",
        "| rows left out: id of no known form | 1 |",
        "| rows left out: every answer is empty | 1 |",
        "| answers beyond the first of a kind, left out | 1 |",
        "| clips with answers and no caption | 1 |",
        "| without any answer | 2 |",
        "| without an answer about music | 4 |",
    ):
        assert line in card.markdown(), (line, card.markdown())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["card.md", "manifest.jsonl", "rejected.jsonl"]


def test_bytes_that_are_no_text_and_fields_without_end_cost_their_rows_alone(tmp_path):
    path = tmp_path / "c.csv"
    path.write_bytes(
        b'id,caption\nAAAAAAAAAA1_1,fine\nAAAAAAAAAA2_1,caf\xe9\nAAAAAAAAAA3_1,caf\xc3\xa9\n\xff,x\nAAAAAAAAAA4_1,"'
        + b"y" * (1 << 21)
    )
    rows = list(caption_rows(path))
    assert [(row.line, row.id, row.fault) for row in rows] == [
        (2, "AAAAAAAAAA1_1", ""),
        (3, "AAAAAAAAAA2_1", "not UTF-8: column caption"),
        (4, "AAAAAAAAAA3_1", ""),
        (5, "?", "not UTF-8: column id"),
        (6, "", "not CSV: field larger than field limit (1048576)"),
    ]
    assert rows[2].texts == ("café",)


@given(data=st.binary(max_size=200))
def test_whatever_a_file_holds_rows_are_usable_or_have_a_fault(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("csv") / "c.csv"
    path.write_bytes(b"id,caption\n" + data)
    for row in caption_rows(path):
        assert row.fault or (row.key and row.texts[0])
        json.dumps([row.id, row.texts]).encode()


@pytest.mark.parametrize("read", [caption_rows, answer_rows])
@pytest.mark.parametrize(
    "header",
    ["id,captions", "id,answers", "id,answer_one", "id,caption,caption", "id,answer,answer", "id,id,caption,answer"],
)
def test_a_column_of_nearly_the_right_name_or_one_that_stands_there_twice_is_an_error(tmp_path, header, read):
    path = tmp_path / "c.csv"
    path.write_text(f"{header}\nAAAAAAAAAA1_1" + ",x" * header.count(",") + "\n")
    with pytest.raises(DataError, match=r"c\.csv:1: "):
        list(read(path))


@given(header=st.text('id,captionswer_1 \ufeff"', max_size=20), data=st.binary(max_size=40))
def test_whatever_a_header_says_it_is_refused_or_its_rows_are_usable_or_have_a_fault(tmp_path_factory, header, data):
    path = tmp_path_factory.mktemp("csv") / "c.csv"
    path.write_bytes(header.encode() + b"\n" + data)
    for read in (caption_rows, answer_rows):
        with contextlib.suppress(DataError):
            assert all(row.fault or (row.key and any(row.texts)) for row in read(path))


def test_a_file_without_the_columns_is_an_error_that_names_them(tmp_path):
    path = write_csv(tmp_path / "c.csv", ["video", "text"], ["AAAAAAAAAA1_1", "x"])
    with pytest.raises(DataError, match=r"c\.csv:1: expected the columns id and caption, found \['video', 'text'\]"):
        list(caption_rows(path))
    with pytest.raises(DataError, match=r"gone\.csv: cannot be read"):
        list(answer_rows(tmp_path / "gone.csv"))
    with pytest.raises(DataError, match="expected the columns"):
        prepare_audiosetcaps([path], [], tmp_path / "out")
    assert not any((tmp_path / "out").glob("*"))


def test_captions_of_clips_at_hand_get_their_sound_and_those_of_a_test_list_are_left_out(tmp_path):
    write_wav(tmp_path / "vgg" / "audio" / "AAAAAAAAAA1_000001.wav", tone(440, 16_000, 0.1))
    captions = write_csv(
        tmp_path / "c.csv",
        ["id", "caption"],
        ["AAAAAAAAAA1_000001", "Kept"],
        ["AAAAAAAAAA2_000002", "No sound"],
        ["AAAAAAAAAA3_000003", "Tested"],
        ["YAAAAAAAAAA4", "Of a tested video, start unknown"],
        ["AAAAAAAAAA3_000020", "Another part of a tested video"],
    )
    tests = write_csv(tmp_path / "t.csv", ["AAAAAAAAAA3_000007.mp4", "rain"], ["AAAAAAAAAA4_000001.mp4", "dog"])
    out = tmp_path / "out"
    card = prepare_audiosetcaps([captions], [], out, audio_root=tmp_path / "vgg", against=[ComparedSet(tests)])
    assert [(row["id"], row["audio"]) for row in lines_of(out / "manifest.jsonl")] == [
        ("AAAAAAAAAA1_000001", "audio/AAAAAAAAAA1_000001.wav")
    ]
    assert [row["reason"] for row in lines_of(out / "rejected.jsonl")] == [
        f"no clip: AAAAAAAAAA2_000002 is not in {tmp_path / 'vgg'}",
        "same clip as in t.csv: AAAAAAAAAA3_000007",
        "same clip as in t.csv: AAAAAAAAAA4_000001",
        f"no clip: AAAAAAAAAA3_000020 is not in {tmp_path / 'vgg'}",
    ]
    assert "| t.csv: same clip, left out | 2 |" in card.markdown()


def test_the_published_test_list_of_vggsound_is_read_whole(shared):
    rows = list(vggsound_clips(shared / "benchmarks" / "vggsound_test.csv"))
    assert len(rows) == 15_446
    assert all(isinstance(row, ListedClip) for row in rows)
    assert (rows[0].id, rows[0].label, rows[0].split) == ("glLQrEijrKg_000300", "playing hammond organ", "")


def test_vggsounds_list_is_read_with_its_header_too(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("# YouTube ID, start seconds, label, train/test split.\n---g-f_I2yQ,1,people marching,test\n")
    assert list(vggsound_clips(path)) == [ListedClip("---g-f_I2yQ_000001", "people marching", "test", f"{path}:2")]


def test_vggsound_clips_get_sound_labels_and_an_account(tmp_path):
    media = tmp_path / "media"
    write_media(media / "-AAAAAAAAA1_000001.mp4", np.stack([tone(500, 48_000, 1.0)] * 2))
    write_wav(media / "_AAAAAAAAA2_2.wav", tone(500, 16_000, 0.3))
    (media / "AAAAAAAAAA3_000003.mp4").write_bytes(b"dead")
    clip_list = write_csv(
        tmp_path / "vggsound.csv",
        ["-AAAAAAAAA1", "1", "bird chirping, tweeting", "train"],
        ["_AAAAAAAAA2", "2", "dog", "train"],
        ["AAAAAAAAAA3", "3", "dog", "train"],
        ["AAAAAAAAAA4", "4", "dog", "test"],
        ["AAAAAAAAAA5_000005.mp4", "dog"],
        ["-AAAAAAAAA1_000001.mp4", "again"],
        ["no clip.mp4", "dog"],
        ["AAAAAAAAAA6_000006.mp4", " "],
        ["one cell"],
    )
    out = tmp_path / "out"
    card = prepare_vggsound(clip_list, media, out, filters=Filters(min_duration_s=0.5), workers=1, split="train")
    assert lines_of(out / "manifest.jsonl") == [
        {
            **{"id": "-AAAAAAAAA1_000001", "audio": "audio/-AAAAAAAAA1_000001.wav"},
            **{"label": "bird chirping, tweeting", "split": "train"},
        }
    ]
    rejected = [(row["line"], row["reason"].partition(" (")[0]) for row in lines_of(out / "rejected.jsonl")]
    assert rejected == [
        (2, "clip too short: 0.30 s, the minimum is 0.5 s"),
        (3, "clip cannot be decoded"),
        (4, "split filtered: 'test'"),
        (5, "split filtered: ''"),
        (6, "clip listed again: -AAAAAAAAA1_000001 is in line 1"),
        (7, "clip name: expected an 11-character id and a start second, found 'no clip.mp4'"),
        (8, "label: empty"),
        (9, "row without a label: expected name,label or id,start,label,split, found ['one cell']"),
    ]
    assert "| records read | 9 |" in card.markdown()
    assert "| present, no usable sound | 1 |" in card.markdown()


def test_captions_find_clips_under_every_spelling_of_their_names(shared, tmp_path):
    """The files have padded starts, unpadded ones, AudioSet's Y and none; two lie in the root itself."""
    for name in ("audio/-0pJqpNjft4_000267.wav", "audio/0f0Rq7e5yX8_160.wav", "-TL8Mp3xcUM.wav", "6VBURvUgzls_30.WAV"):
        (tmp_path / "clips" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clips" / name).touch()
    captions = shared / "cases" / "data" / "cap_unpadded.csv"
    prepare_audiosetcaps([captions], [], tmp_path / "out", audio_root=tmp_path / "clips")
    assert [record["audio"] for record in lines_of(tmp_path / "out" / "manifest.jsonl")] == [
        *("audio/-0pJqpNjft4_000267.wav", "audio/0f0Rq7e5yX8_160.wav", "-TL8Mp3xcUM.wav", "6VBURvUgzls_30.WAV"),
    ]


def test_captions_find_clips_as_downloaders_name_them_and_a_file_without_start_only_where_none_is_asked(tmp_path):
    names = ("v0f0Rq7e5yX8_39_49_out.wav", "6VBURvUgzls_30.000_40.000.flac", "YNMQiKrTkl10.wav", "speech_data_5.wav")
    (tmp_path / "clips").mkdir()
    for name in (*names, "aEYwqY-Zt_k.wav"):
        (tmp_path / "clips" / name).touch()
    idents = ("0f0Rq7e5yX8_39", "6VBURvUgzls_30_10", "YNMQiKrTkl10", "speech_data_000005", "aEYwqY-Zt_k_11")
    captions = write_csv(tmp_path / "c.csv", ["id", "caption"], *([ident, "A dog."] for ident in idents))
    prepare_audiosetcaps([captions], [], tmp_path / "out", audio_root=tmp_path / "clips")
    assert [record["audio"] for record in lines_of(tmp_path / "out" / "manifest.jsonl")] == [*names]
    [rejected] = lines_of(tmp_path / "out" / "rejected.jsonl")
    assert rejected["reason"] == f"no clip: aEYwqY-Zt_k_11 is not in {tmp_path / 'clips'}"


def test_a_leak_check_of_captions_counts_and_is_an_error_where_nothing_could_be_compared(tmp_path):
    captions = write_csv(
        tmp_path / "c.csv", ["id", "caption"], ["0f0Rq7e5yX8_39", "A dog."], ["6VBURvUgzls_30", "Rain"]
    )
    tests = write_csv(tmp_path / "t.csv", ["youtube_id", "start_time"], ["6VBURvUgzls", "35"])
    card = prepare_audiosetcaps([captions], [], tmp_path / "out", against=[ComparedSet(tests)])
    assert "| t.csv: compared by the id of their recording | 2, 1 |" in card.markdown()
    assert "| t.csv: same clip, left out | 1 |" in card.markdown()
    numbers = write_csv(tmp_path / "n.csv", ["file_name"], ["3049.flac"])
    with pytest.raises(DataError, match=r"n\.csv: nothing could be compared"):
        prepare_audiosetcaps([captions], [], tmp_path / "other", against=[ComparedSet(numbers)])
    assert not (tmp_path / "other" / "manifest.jsonl").exists()


def test_captions_without_a_folder_of_clips_say_that_nothing_can_be_generated_from_them(shared, tmp_path):
    card = prepare_audiosetcaps([shared / "cases" / "data" / "cap_unpadded.csv"], [], tmp_path / "out")
    assert "`harken generate` needs clips: give their folder as --audio-root" in card.markdown()
