"""Records of R1-AQA, ms-swift and TRL, as people write them too, become manifests, and manifests become records."""

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_media import tone, write_wav
from prepared_files import reasons, write_json_lines

from harken.data.audio import load_waveform
from harken.data.manifest import read_manifest, write_manifest
from harken.data.records import RecordError
from harken.errors import DataError
from harken.prepare.clip_finder import ClipFinder
from harken.prepare.prompt_choices import parse_prompt
from harken.prepare.trainer_formats import FORMATS, to_record
from harken.prepare.trainer_jsonl import export_jsonl, prepare_jsonl
from harken.types import Question

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)
TRICKY = ["'", '"', 'it\'s "both"', "\\", "[x]", "a', 'b", "\n", "\u2028", "é", "<answer>", "['a', 'b']", "{question}"]
choice_texts = st.sampled_from(TRICKY).map(lambda text: f"x{text}y") | texts.map(str.strip).filter(bool)


@st.composite
def questions(draw):
    choices = draw(st.lists(choice_texts, min_size=2, max_size=5, unique_by=str.strip))
    name = draw(st.sampled_from(["a.wav", "-b_c.wav", "d e/ f.flac", "ü.wav"]))
    return Question(
        id=draw(texts),
        text=draw(texts | st.just("Which? Please choose the answer from the following options: yours")),
        choices=tuple(choices),
        answer=draw(st.integers(0, len(choices) - 1)),
        audio=Path("/data/clips", name),
    )


@pytest.mark.parametrize("name", FORMATS)
@given(question=questions())
def test_a_question_comes_back_from_each_format_as_it_was_or_is_refused(name, question):
    try:
        record = to_record(question, name)
    except RecordError:
        tags = any(mark in text for mark in ("<a", "/answer") for text in (question.text, *question.choices))
        assert tags or question.text.startswith("\n")  # ms-swift's tag may stand on a line of its own
        return
    back = FORMATS[name].read(json.loads(json.dumps(record)), clips_in(Path("/data/clips")), "f:1")
    for key in ("id", "audio", "text", "choices", "answer"):
        assert getattr(back, key) == getattr(question, key)


def write_set(folder):
    write_wav(folder / "clips" / "a.wav", tone(440, 16_000, 0.2))
    write_wav(folder / "clips" / "-b.wav", tone(500, 16_000, 0.3))
    made = [
        Question("q1", "What's heard?", ('a "dog"', "it's a cat", "none"), 1, folder / "clips" / "a.wav"),
        Question("q2", "Which?", ("x", "y"), 0, folder / "clips" / "-b.wav"),
        Question("q3", "No sound?", ("x", "y"), 0, None),
        Question("q4", "Hidden?", ("x", "y"), None, folder / "clips" / "a.wav"),
        Question("q5", "Part?", ("x", "y"), 0, folder / "clips" / "a.wav", start_s=0.1),
    ]
    write_manifest(folder / "manifest.jsonl", made)
    return made


@pytest.mark.parametrize("name", FORMATS)
def test_a_manifest_goes_out_and_comes_back_through_files(tmp_path, name):
    made = write_set(tmp_path)
    export_jsonl(tmp_path / "manifest.jsonl", None, name, tmp_path / "theirs.jsonl")
    left_out = [json.loads(line) for line in (tmp_path / "theirs.jsonl.rejected.jsonl").read_text().splitlines()]
    lacks = {"r1_aqa": ["q3", "q4", "q5"], "ms_swift": ["q5"], "trl": ["q5"]}[name]
    assert [row["id"] for row in left_out] == lacks
    prepare_jsonl(tmp_path / "theirs.jsonl", name, tmp_path, tmp_path / "out", reword=False, workers=1)
    back, rejected = read_manifest(tmp_path / "out" / "manifest.jsonl", tmp_path)
    assert rejected == []
    assert reasons(tmp_path / "out") == []
    expected = [question for question in made if question.id not in lacks]
    for question, other in zip(back, expected, strict=True):
        assert (question.id, question.audio, question.text, question.choices, question.answer) == (
            *(other.id, other.audio, other.text, other.choices, other.answer),
        )


def test_each_format_is_written_as_its_program_reads_it(tmp_path):
    clip = tmp_path / "a.wav"
    question = Question("q1", "Which?", ("a dog", "it's"), 1, clip)
    text = "Which? Please choose the answer from the following options: ['a dog', \"it's\"]"
    assert to_record(question, "ms_swift") == {
        **{"id": "q1", "messages": [{"role": "user", "content": f"<audio>{text}"}], "audios": [str(clip)]},
        "solution": "<answer>it's</answer>",
    }
    content = [{"type": "audio", "audio": str(clip)}, {"type": "text", "text": text}]
    assert to_record(question, "trl") == {
        **{"id": "q1", "prompt": [{"role": "user", "content": content}], "solution": "<answer>it's</answer>"}
    }
    assert to_record(replace(question, category="View", subcategory="Happening"), "r1_aqa") == {
        **{"id": "q1", "question_text": "Which?", "multi_choice": ["a dog", "it's"], "answer": 1},
        **{"question_relation": "View", "question_type": "Happening", "dataset_name": "AVQA", "audio_path": str(clip)},
    }


def test_r1_aqas_own_example_is_read_and_reworded_where_asked(tmp_path):
    write_wav(tmp_path / "wavs" / "-HG3Omg_89c_30.wav", tone(440, 16_000, 0.1))
    record = {
        **{"id": 183, "video_name": "-HG3Omg_89c_000030", "video_id": 341, "answer": 1, "dataset_name": "AVQA"},
        **{"question_text": "What happened in the video?", "multi_choice": ["motorboat", "yacht", 3, None]},
        **{"question_relation": "View", "question_type": "Happening", "audio_path": "-HG3Omg_89c_30.wav"},
    }
    data = write_json_lines(tmp_path / "train.jsonl", [record])
    prepare_jsonl(data, "r1_aqa", tmp_path / "wavs", tmp_path / "out", reword=True, workers=1)
    [question], _ = read_manifest(tmp_path / "out" / "manifest.jsonl", tmp_path / "wavs")
    assert (question.id, question.text) == ("183", "What happened in the audio?")
    assert (question.choices, question.answer) == (("motorboat", "yacht", "3"), 1)


def test_other_writers_records_are_read_too(tmp_path):
    text = 'Which? Please choose the answer from the following options: ["a", "b"]. Output the final answer.'
    turns = [
        {"role": "system", "content": "You listen."},
        {"role": "user", "content": f"<audio>\n{text}"},
        {"role": "assistant", "content": "<think>hm</think><answer> b </answer>"},
    ]
    question = FORMATS["ms_swift"].read({"id": 7, "messages": turns, "audios": "x/a.wav"}, clips_in(tmp_path), "f:1")
    assert (question.id, question.text, question.choices, question.answer) == ("7", "Which?", ("a", "b"), 1)
    assert question.audio == tmp_path / "x" / "a.wav"
    sound = {"type": "audio", "audio_url": str(tmp_path / "x" / "a.wav")}
    prompt = [{"role": "user", "content": [{"type": "text", "text": text}, sound]}]
    same = FORMATS["trl"].read({"id": "7", "prompt": prompt, "solution": "b"}, clips_in(tmp_path), "f:1")
    assert question.reasoning == "hm"
    assert replace(same, source="") == replace(question, source="", reasoning="")


def clips_in(folder, **options):
    return ClipFinder(folder, folder / "embedded", **options)


def kept_of_case(shared, tmp_path, name, file):
    """Prepare a file of the public cases beside one clip; returns the kept questions and the reasons of the others."""
    write_wav(tmp_path / "clips" / "a.wav", tone(440, 16_000, 0.2))
    root = None if file.endswith("parquet") else tmp_path / "clips"
    prepare_jsonl(shared / "cases" / "data" / file, name, root, tmp_path / "out", reword=False, workers=1)
    return read_manifest(tmp_path / "out" / "manifest.jsonl", root)[0], reasons(tmp_path / "out")


def test_a_clip_under_another_key_is_found_and_an_empty_key_of_sound_is_rejected(shared, tmp_path):
    kept, left_out = kept_of_case(shared, tmp_path, "r1_aqa", "noaudio.jsonl")
    assert [(question.id, question.audio and question.audio.name) for question in kept] == [
        *(("1", "a.wav"), ("2", "a.wav"), ("4", "a.wav")),
    ]
    assert kept[2].answer == 1  # an index written as text
    assert [reason.split(";")[0] for _, reason in left_out] == ["audio_path: holds no sound: ''"]


def test_conversations_without_ids_are_kept_with_ids_made_of_their_content(shared, tmp_path):
    kept, left_out = kept_of_case(shared, tmp_path, "ms_swift", "sw.jsonl")
    assert left_out == []
    assert len(kept) == 8
    assert {question.choices[question.answer] for question in kept} == {"siren"}
    assert {question.audio.name for question in kept} == {"a.wav"}
    assert kept[2].text == "What is the main source of sound?"
    assert kept[4].reasoning == "I hear a siren."
    assert kept[1].id == f"{kept[0].id}-2"  # the same question again
    again, _ = kept_of_case(shared, tmp_path, "ms_swift", "sw.jsonl")
    assert [question.id for question in again] == [question.id for question in kept]


@pytest.mark.parametrize(("name", "file", "n"), [("ms_swift", "swans.jsonl", 8), ("trl", "trl.jsonl", 4)])
def test_answers_of_a_column_and_clips_beside_a_conversation_are_read(shared, tmp_path, name, file, n):
    kept, left_out = kept_of_case(shared, tmp_path, name, file)
    assert left_out == []
    assert [question.choices[question.answer] for question in kept] == ["siren"] * n


def test_sound_inside_a_parquet_file_is_written_out_once_and_an_empty_file_is_an_error(shared, tmp_path):
    kept, left_out = kept_of_case(shared, tmp_path, "r1_aqa", "struct_audio.parquet")
    assert left_out == []
    assert all(question.audio.parent == tmp_path / "out" / "audio" for question in kept)
    assert load_waveform(kept[0].audio).size > 100
    with pytest.raises(DataError, match=r"empty\.parquet: holds no record"):
        kept_of_case(shared, tmp_path, "r1_aqa", "empty.parquet")


def test_a_webdataset_tar_is_read_sample_by_sample(tmp_path):
    write_wav(tmp_path / "a.wav", tone(440, 16_000, 0.2))
    fields = {"question_text": "Q", "multi_choice": ["x", "y"], "answer": 0}
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        for key in ("s1", "s2"):
            for suffix, data in (("json", json.dumps(fields).encode()), ("wav", (tmp_path / "a.wav").read_bytes())):
                member = tarfile.TarInfo(f"train/{key}.{suffix}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    prepare_jsonl(tmp_path / "set.tar", "r1_aqa", None, tmp_path / "out", reword=False, workers=1)
    kept, _ = read_manifest(tmp_path / "out" / "manifest.jsonl")
    assert len(kept) == 2
    assert {question.audio.name.split(".")[0] for question in kept} == {"s1", "s2"}


def test_text_only_leaves_clips_out_and_a_name_without_a_folder_is_refused(tmp_path):
    record = {"question_text": "Q", "multi_choice": ["x", "y"], "answer": 0, "sound": "a.wav"}
    assert FORMATS["r1_aqa"].read(record, clips_in(tmp_path, text_only=True), "f:1").audio is None
    with pytest.raises(RecordError, match=r"names the clip 'a.wav', and --audio-root does not say"):
        FORMATS["r1_aqa"].read(record, ClipFinder(None, tmp_path), "f:1")
    with pytest.raises(RecordError, match="leave --audio-root out"):
        FORMATS["r1_aqa"].read(record | {"sound": {"bytes": b"RIFF", "path": None}}, clips_in(tmp_path), "f:1")


@pytest.mark.parametrize(
    ("text", "question", "choices"),
    [
        ("Q?\nPlease choose the answer from the following options: ['a', 'b'].", "Q?", ("a", "b")),
        ("Q? Please choose the answer from the following options: [a, b c].", "Q?", ("a", "b c")),
        ("Q?\nOptions: ['a', 'b']", "Q?", ("a", "b")),
        ("Q?\nA. a\nB. b\nAnswer with the letter.", "Q?", ("a", "b")),
        ("Q? (A) a dog (B) a cat", "Q?", ("a dog", "a cat")),
        ("Q?\nChoices:\nA) a\nB) b\nC) c", "Q?", ("a", "b", "c")),
        (
            "What is note A. and B.? Choose one of the options:\nA. low\nB. high",
            "What is note A. and B.?",
            ("low", "high"),
        ),
    ],
)
def test_options_are_read_in_the_forms_that_people_write(text, question, choices):
    parsed = parse_prompt(text)
    assert (parsed.question, parsed.choices) == (question, choices)


USER = {"role": "user", "content": "<audio>Q Please choose the answer from the following options: ['a', 'b']"}
SWIFT = {"id": "q", "messages": [USER], "audios": ["a.wav"], "solution": "a"}
PROMPT = [{"role": "user", "content": USER["content"].removeprefix("<audio>")}]


@pytest.mark.parametrize(
    ("name", "record", "reason"),
    [
        ("ms_swift", SWIFT | {"audios": ["../a.wav"]}, "clip name '../a.wav' is outside audio_root"),
        ("ms_swift", SWIFT | {"audios": ["/etc/passwd"]}, "outside audio_root"),
        ("ms_swift", SWIFT | {"audios": ["ROOT/x/../../a.wav"]}, "outside audio_root"),
        ("ms_swift", SWIFT | {"audios": [3]}, "audios: expected a file name or the bytes of a file, found 3"),
        ("ms_swift", SWIFT | {"audios": []}, "audios: holds no sound: []"),
        (
            "ms_swift",
            SWIFT | {"audios": ["a", "b"]},
            "messages: 1 <audio> in the text for 2 clips; expected one for each",
        ),
        ("ms_swift", {"messages": [USER], "solution": "a"}, "messages: 1 <audio> in the text for 0 clips"),
        ("ms_swift", SWIFT | {"messages": "hi"}, "messages: expected a list of turns, found 'hi'"),
        ("ms_swift", SWIFT | {"messages": [USER, USER]}, "messages: expected one user's turn and at most one"),
        ("ms_swift", SWIFT | {"messages": [{"role": "tool"}]}, "messages: expected one user's turn"),
        ("ms_swift", SWIFT | {"solution": "c"}, "solution: answer 'c' is not one of the 2 choices"),
        ("ms_swift", SWIFT | {"solution": 1}, "solution: expected text, found 1"),
        ("trl", {"id": "q", "prompt": "hi"}, "prompt: expected a list of turns, found 'hi'"),
        ("trl", {"id": "q", "prompt": [{"role": "user", "content": 3}]}, "prompt: expected text or a list of parts"),
        ("trl", {"id": "q", "prompt": [{"role": "user", "content": [{"type": "image"}]}]}, "prompt: expected one text"),
        ("trl", {"id": "q", "prompt": PROMPT, "solution": "z"}, "solution: answer 'z' is not one of"),
        ("r1_aqa", {"id": "q", "question_text": "Q", "multi_choice": ["a", "b"], "answer": 2}, "answer out of range"),
        ("r1_aqa", {"id": "q", "question_text": "Q", "multi_choice": None, "answer": 0}, "multi_choice: expected a"),
    ],
)
def test_a_bad_conversation_is_refused_with_its_field(tmp_path, name, record, reason):
    record = json.loads(json.dumps(record).replace("ROOT", str(tmp_path)))
    with pytest.raises(RecordError) as raised:
        FORMATS[name].read(record, clips_in(tmp_path), "f:1")
    assert reason in str(raised.value)


@pytest.mark.parametrize(
    "tail",
    [
        "a, b",
        "['a', b]",
        "['a'",
        "['a' 'b']",
        "[__import__('os')]",
        "['\\ud800', 'b']",
        "['\\N{no such}', 'b']",
        "[" * 9999,
    ],
)
def test_a_prompt_without_a_list_of_quoted_texts_is_refused_and_never_evaluated(tail):
    with pytest.raises(RecordError, match="prompt: expected `<question> Please choose"):
        parse_prompt(f"Q Please choose the answer from the following options: {tail}")


@given(text=st.text(max_size=60).map(lambda tail: f"Q Please choose the answer from the following options: [{tail}"))
def test_whatever_a_prompt_holds_it_is_a_list_or_refused(text):
    try:
        parsed = parse_prompt(text)
    except RecordError:
        return
    assert parsed.question.startswith("Q")
    assert all(isinstance(choice, str) for choice in parsed.choices)
