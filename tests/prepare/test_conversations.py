"""Conversations of ms-swift and TRL are read in the forms that these programs document and people publish."""

import json
from dataclasses import replace

import pytest
from made_media import tone, write_wav
from prepared_files import write_json_lines

from harken.data.manifest import read_manifest
from harken.data.records import RecordError
from harken.prepare.clip_finder import ClipFinder
from harken.prepare.conversations import read_conversation
from harken.prepare.trainer_formats import FORMATS
from harken.prepare.trainer_jsonl import prepare_jsonl

TEXT = "Which? Please choose the answer from the following options: ['a', 'b']"
USER = {"role": "user", "content": f"<audio>{TEXT}"}
REPLY = {"role": "assistant", "content": "b"}
PLAIN = {"role": "user", "content": TEXT}
SWIFT = {"id": "q", "messages": [USER], "audios": ["a.wav"], "solution": "a"}
CLIP = {"audios": ["x/a.wav"]}


def clips_in(folder, **options):
    return ClipFinder(folder, folder / "embedded", **options)


def parts(*of_sound):
    return [{"role": "user", "content": [*of_sound, {"type": "text", "text": TEXT}]}]


FORMS = {
    "messages": {"messages": [USER, REPLY], **CLIP},
    "messages without a mark": {"messages": [PLAIN, REPLY], **CLIP},
    "messages as JSON text": {"messages": json.dumps([USER, REPLY]), **CLIP},
    "turns as JSON texts": {"messages": [json.dumps(USER), json.dumps(REPLY)], **CLIP},
    "a system turn and a null column": {"messages": [{"role": "system", "content": "x"}, USER], "answer": "b", **CLIP},
    "sharegpt": {
        **{"conversations": [{"from": "human", "value": f"<audio>\n{TEXT}"}, {"from": "gpt", "value": "b"}]},
        **CLIP,
    },
    "swift's sharegpt": {"system": "x", "conversation": [{"human": USER["content"], "assistant": "b"}], **CLIP},
    "query and response": {"query": USER["content"], "response": "b", **CLIP},
    "query and solution": {"query": TEXT, "solution": "<answer>b</answer>", "audio": "x/a.wav"},
    "alpaca": {"instruction": USER["content"], "input": "", "output": "b", **CLIP},
    "problem": {"problem": TEXT, "solution": "b", "audio": {"path": "x/a.wav"}},
    "a tag around the name": {"query": f"<audio>x/a.wav</audio>{TEXT}", "response": "b"},
    "Qwen's marks": {"query": f"Audio 1: <|audio_bos|><|AUDIO|><|audio_eos|>\n{TEXT}", "response": "b", **CLIP},
    "prompt": {"prompt": parts({"type": "audio", "audio": "x/a.wav"}), "solution": "b"},
    "prompt of R1-AQA's code": {"prompt": parts({"type": "audio", "audio_url": "x/a.wav"}), "solution": "b"},
    "prompt with a column": {"prompt": parts({"type": "audio"}), "audio": {"path": "x/a.wav"}, "solution": "b"},
    "parts as parquet fills them": {
        "prompt": parts({"type": "audio", "audio": "x/a.wav", "text": None}),
        "solution": "b",
    },
    "placeholder as parquet fills it": {
        "prompt": parts({"type": "audio", "audio": None, "text": None}),
        **{"audio": "x/a.wav", "solution": "b"},
    },
    "prompt as text": {"prompt": TEXT, "audio": "x/a.wav", "answer": "b"},
    "prompt and completion": {"prompt": [PLAIN], "completion": [REPLY], "audio": "x/a.wav"},
    "completion in parts": {
        **{"prompt": [PLAIN], "audio": "x/a.wav"},
        "completion": [{"role": "assistant", "content": [{"type": "text", "text": "b"}]}],
    },
    "choices in a field": {"query": "<audio>Which?", "choices": ["a", "b"], "answer": "B", **CLIP},
    "choices in a text": {"query": "<audio>Which?", "options": "['a', 'b']", "answer": "b", **CLIP},
}


@pytest.mark.parametrize("name", ["ms_swift", "trl"])
@pytest.mark.parametrize("form", FORMS)
def test_each_documented_form_is_the_same_question(tmp_path, name, form):
    question = FORMATS[name].read({"id": 7, **FORMS[form]}, clips_in(tmp_path), "f:1")
    assert (question.id, question.text, question.choices, question.answer) == ("7", "Which?", ("a", "b"), 1)
    assert question.audio == tmp_path / "x" / "a.wav"


R1_AQA = {
    "its own": {"question_text": "Which?", "multi_choice": ["a", "b"], "answer": 1, "audio_path": "x/a.wav"},
    "an index as text": {"question_text": "Which?", "multi_choice": ["a", "b"], "answer": "1", "audio_path": "x/a.wav"},
    "the challenge's": {"question_text": "Which?", "multi_choice": ["a", "b"], "answer": "b", "audio_path": "x/a.wav"},
    "AudioMCQ's": {"question": "Which?", "choices": ["a", "b"], "answer": "b", "audio_path": "x/a.wav"},
    "letters": {"question": "Which?", "options": ["a", "b"], "answer": "B", "audio": "x/a.wav"},
    "a list as text": {"question": "Which?", "choices": "['a', 'b']", "answer": "b", "audio": {"path": "x/a.wav"}},
}


@pytest.mark.parametrize("form", R1_AQA)
def test_each_form_of_fields_is_the_same_question(tmp_path, form):
    question = FORMATS["r1_aqa"].read({"id": 7, **R1_AQA[form]}, clips_in(tmp_path), "f:1")
    assert (question.id, question.text, question.choices, question.answer) == ("7", "Which?", ("a", "b"), 1)
    assert question.audio == tmp_path / "x" / "a.wav"


def test_a_choice_that_is_a_number_is_meant_by_its_text_and_not_as_an_index(tmp_path):
    record = {"question_text": "How many?", "multi_choice": ["1", "2", "0"], "audio": "a.wav"}
    answers = {answer: FORMATS["r1_aqa"].read(record | {"answer": answer}, clips_in(tmp_path), "f:1").answer
               for answer in ("1", 1, "2", "0")}  # fmt: skip
    assert answers == {"1": 0, 1: 1, "2": 1, "0": 2}


def test_a_systems_turn_an_answer_with_thinking_and_parts_in_any_order_are_read(tmp_path):
    text = 'Which? Please choose the answer from the following options: ["a", "b"]. Output the final answer.'
    turns = [
        {"role": "system", "content": "You listen."},
        {"role": "user", "content": f"<audio>\n{text}"},
        {"role": "assistant", "content": "<think>hm</think><answer> b </answer>"},
    ]
    question = FORMATS["ms_swift"].read({"id": 7, "messages": turns, "audios": "x/a.wav"}, clips_in(tmp_path), "f:1")
    sound = {"type": "audio", "audio_url": str(tmp_path / "x" / "a.wav")}
    prompt = [{"role": "user", "content": [{"type": "text", "text": text}, sound]}]
    same = FORMATS["trl"].read({"id": "7", "prompt": prompt, "solution": "b"}, clips_in(tmp_path), "f:1")
    assert question.reasoning == "hm"
    assert replace(same, source="") == replace(question, source="", reasoning="")


def test_several_texts_and_clips_of_one_turn_come_in_their_order(tmp_path):
    content = [
        {"type": "audio", "audio": "a.wav"},
        {"type": "text", "text": "Which is louder?"},
        {"type": "audio", "audio": "b.wav"},
        {"type": "text", "text": "A. the first\nB. the second"},
    ]
    record = {"prompt": [{"role": "user", "content": content}], "solution": "B"}
    question = FORMATS["trl"].read(record, clips_in(tmp_path), "f:1")
    assert [span.path.name for span in question.audio_spans] == ["a.wav", "b.wav"]
    assert (question.text, question.choices, question.answer) == ("Which is louder?", ("the first", "the second"), 1)


def test_equal_records_whose_id_is_null_get_ids_of_their_own(tmp_path):
    write_wav(tmp_path / "x" / "a.wav", tone(440, 16_000, 0.1))
    data = write_json_lines(tmp_path / "d.jsonl", [{"id": None, **FORMS["messages"]}] * 2)
    prepare_jsonl(data, "ms_swift", tmp_path, tmp_path / "out", reword=False, workers=1)
    first, second = read_manifest(tmp_path / "out" / "manifest.jsonl", tmp_path)[0]
    assert second.id == f"{first.id}-2"


@pytest.mark.parametrize(
    ("name", "record", "reason"),
    [
        ("ms_swift", SWIFT | {"audios": ["../a.wav"]}, "clip name '../a.wav' is outside audio_root"),
        ("ms_swift", SWIFT | {"audios": ["/etc/passwd"]}, "outside audio_root"),
        ("ms_swift", SWIFT | {"audios": ["ROOT/x/../../a.wav"]}, "outside audio_root"),
        ("ms_swift", SWIFT | {"audios": [3]}, "audios: expected a file name or the bytes of a file, found 3"),
        ("ms_swift", SWIFT | {"audios": []}, "audios: holds no sound: []"),
        ("ms_swift", SWIFT | {"audios": ["a", "b"]}, "messages: places of a clip in the text: 1, clips: 2"),
        ("ms_swift", {"messages": [USER], "solution": "a"}, "messages: places of a clip in the text: 1, clips: 0"),
        (
            "trl",
            {"prompt": parts({"type": "audio"}), "solution": "a"},
            "prompt: places of a clip in the text: 1, clips: 0",
        ),
        ("ms_swift", SWIFT | {"messages": "hi"}, "prompt: expected `<question> Please choose"),
        ("ms_swift", SWIFT | {"messages": 5}, "messages: expected a list of turns, found 5"),
        ("ms_swift", SWIFT | {"messages": [USER, USER]}, "messages: expected one user's turn and at most one"),
        ("ms_swift", SWIFT | {"messages": [{"role": "tool"}]}, "messages: expected one user's turn"),
        ("ms_swift", SWIFT | {"messages": [REPLY]}, "messages: expected one user's turn"),
        ("ms_swift", {"audios": ["a.wav"]}, "messages: expected a list of turns, found None"),
        ("ms_swift", SWIFT | {"solution": "c"}, "solution: answer 'c' is not one of the 2 choices"),
        ("ms_swift", SWIFT | {"solution": 1}, "solution: expected text, found 1"),
        ("trl", {"id": "q", "prompt": "[1]"}, "prompt: expected a list of turns, found '[1]'"),
        ("trl", {"id": "q", "prompt": [{"role": "user", "content": 3}]}, "prompt: expected text or a list of parts"),
        ("trl", {"id": "q", "prompt": [{"role": "user", "content": [{"type": "image"}]}]}, "prompt: expected text and"),
        ("trl", {"id": "q", "prompt": [PLAIN], "solution": "z"}, "solution: answer 'z' is not one of"),
        ("r1_aqa", {"id": "q", "question_text": "Q", "multi_choice": ["a", "b"], "answer": 2}, "answer out of range"),
        ("r1_aqa", {"id": "q", "question_text": "Q", "multi_choice": ["a", "b"], "answer": "c"}, "found 'c'"),
        ("r1_aqa", {"id": "q", "question_text": "Q", "multi_choice": None, "answer": 0}, "multi_choice: expected a"),
    ],
)
def test_a_bad_conversation_is_refused_with_its_field(tmp_path, name, record, reason):
    record = json.loads(json.dumps(record).replace("ROOT", str(tmp_path)))
    with pytest.raises(RecordError) as raised:
        FORMATS[name].read(record, clips_in(tmp_path), "f:1")
    assert reason in str(raised.value)


def test_text_that_looks_like_a_list_and_is_none_stays_text():
    talk = read_conversation({"prompt": "[Which] sound? A. a\nB. b"}, "prompt")
    assert (talk.text, talk.sounds, talk.n_marks, talk.answer) == ("[Which] sound? A. a\nB. b", [], 0, None)
