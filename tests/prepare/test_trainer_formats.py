"""Records of R1-AQA, ms-swift and TRL, as people write them too, become manifests, and manifests become records."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_media import tone, write_wav
from prepared_files import reasons, write_json_lines

from harken.data.manifest import read_manifest, write_manifest
from harken.data.records import RecordError
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
    fields = ["q3", "q4", "q5"]
    lacks = {"r1_aqa": fields, "audiomcq": fields, "ms_swift": ["q5"], "trl": ["q5"]}[name]
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
    assert to_record(replace(question, task="sound", dataset="Clotho"), "audiomcq") == {
        **{"source_dataset": "Clotho", "id": "q1", "question_type": "sound", "audio_path": str(clip)},
        **{"question": "Which?", "choices": ["a dog", "it's"], "answer": "it's"},
    }
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
