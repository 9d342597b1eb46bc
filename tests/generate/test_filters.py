"""Filters of written questions: each is off unless the recipe turns it on, and drops what its name says."""

import re
from dataclasses import replace

import pytest
import transformers
from generate_cases import clip_number, lines_of, position_counts, question, write_captions
from question_generation import generate
from scripted_server import Received, Scripted, said, serving
from tiny_models import tiny_folder

from harken.config import QuestionFilters
from harken.generate.clip_facts import ClipFacts
from harken.generate.question_filters import drop_by_tokens, drop_reason_by_words, is_about_music, states_music
from harken.types import Question

ASKED = Question("q", "Which animal barks?", ("a dog", "a very small cat", "a cow", "a door"), 0, None)
CLIP = ClipFacts("c", "c.wav", "A dog barks.", music="A soft piano.")


def test_all_filters_are_off_unless_asked_for():
    silent = replace(CLIP, music="There is no music.")
    assert drop_reason_by_words(QuestionFilters(), replace(ASKED, text="music " * 500), silent) is None


def test_words_of_question_and_choices_are_counted_together():
    assert drop_reason_by_words(QuestionFilters(max_words=13), ASKED, CLIP) is None  # 3 + 2 + 4 + 2 + 2
    assert drop_reason_by_words(QuestionFilters(max_words=12), ASKED, CLIP) == "over max_words: 13"


@pytest.mark.parametrize(
    ("music", "stated"),
    [
        *[(text, False) for text in ("", "There is no music in this audio.", "No background music.", "none", "None")],
        *[(text, False) for text in ("It does not contain any music", "without music", "Music is absent.")],
        *[(text, True) for text in ("A calm piano piece.", "Rock music, electric guitar", "Music with no vocals")],
    ],
)
def test_a_fact_states_music_or_not(music, stated):
    assert states_music(replace(CLIP, music=music)) == stated


@pytest.mark.parametrize(
    ("text", "right", "about"),
    [
        *[("What genre is the song?", "rock", True), ("What is heard?", "an acoustic guitar", True)],
        *[("What is heard?", "a drumming rain", False), ("Which sound is musical?", "a bell", True)],
        ("What is heard?", "a dog", False),
    ],
)
def test_a_question_is_about_music_by_its_text_or_its_right_choice(text, right, about):
    assert is_about_music(replace(ASKED, text=text, choices=(right, "piano", "a cow", "a door"))) == about


def test_a_music_question_goes_only_where_no_music_is_stated():
    guard, musical = QuestionFilters(music_stated=True), replace(ASKED, text="Which instrument plays?")
    assert drop_reason_by_words(guard, musical, CLIP) is None
    dropped = drop_reason_by_words(guard, musical, replace(CLIP, music="no music"))
    assert dropped is not None
    assert dropped.startswith("music not stated: ")
    assert drop_reason_by_words(guard, ASKED, replace(CLIP, music="")) is None


def test_tokens_of_question_and_choices_are_counted_by_the_tokenizer_named():
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_folder("qwen2_audio"))
    count = sum(len(tokenizer.encode(text, add_special_tokens=False)) for text in (ASKED.text, *ASKED.choices))
    assert drop_by_tokens(str(tiny_folder("qwen2_audio")), count)(ASKED) is None
    assert drop_by_tokens(str(tiny_folder("qwen2_audio")), count - 1)(ASKED) == f"over max_tokens: {count}"


def test_a_question_over_the_limit_of_tokens_is_rejected(tmp_path):
    captions = write_captions(tmp_path / "captions.jsonl", 8)
    long = [" ".join("abcdefghijklmnopqrstuvwxyz"), "b", "c", "d"]
    with serving(
        lambda request: said(question(1, multi_choice=long) if clip_number(request) % 2 else question(1))
    ) as server:
        words = ("--set", "filters.max_tokens=40", "--set", f"filters.tokenizer={tiny_folder('qwen2_audio')}")
        done = generate(captions, tmp_path / "out", server.url, *words)
    assert done.code == 0, done.err
    assert [row["id"] for row in lines_of(tmp_path / "out" / "manifest.jsonl")] == ["c0000", "c0002", "c0004", "c0006"]
    rejected = lines_of(tmp_path / "out" / "rejected.jsonl")
    assert all(re.fullmatch(r"over max_tokens: \d+", row["reason"]) for row in rejected)


def test_a_tokenizer_that_is_none_is_an_error(tmp_path):
    captions = write_captions(tmp_path / "captions.jsonl", 1)
    with serving(lambda request: said(question(0))) as server:
        words = ("--set", "filters.max_tokens=40", "--set", f"filters.tokenizer={tmp_path}")
        done = generate(captions, tmp_path / "out", server.url, *words)
    assert done.code == 2
    assert "filters.tokenizer:" in done.err


def guessing(request: Received) -> Scripted:
    """A model that writes a question about each clip. Asked without the clip, it knows the answers about clips 0 to 3,
    is right about 4 and 5 where the right choice comes first, is wrong about all others, and fails on 9."""
    text = request.body["messages"][0]["content"]
    known = re.search(r"What is heard, (\d+)\?", text)
    if known is None:
        return said(question(clip_number(request)))
    number = int(known[1])
    if number == 9:
        return Scripted(b"", status=500)
    first = text.partition("options: ")[2].startswith(f"['a dog {number}'")
    return said(f"I think of a dog {number}." if number < 4 or (number < 6 and first) else "a cow")


def test_a_question_answered_without_the_clip_every_time_is_dropped_and_the_rest_balanced_after_it(tmp_path):
    captions = write_captions(tmp_path / "captions.jsonl", 14)
    with serving(guessing) as server:
        done = generate(captions, tmp_path / "out", server.url, "--set", "filters.needs_audio=3")
    assert done.code == 0, done.err
    manifest, rejected = lines_of(tmp_path / "out" / "manifest.jsonl"), lines_of(tmp_path / "out" / "rejected.jsonl")
    assert [row["id"] for row in manifest] == [f"c{i:04d}" for i in (4, 5, 6, 7, 8, 10, 11, 12, 13)]
    assert {row["id"]: row["reason"].partition(":")[0] for row in rejected} == {
        **{f"c{i:04d}": "answered without the clip" for i in range(4)},
        "c0009": "no reply",
    }
    assert sorted(position_counts(manifest)) == [2, 2, 2, 3]
    tries = [request.body["messages"][0]["content"] for request in server.received]
    about_4 = {text.partition("options: ")[2] for text in tries if "heard, 4?" in text}
    assert about_4 == {
        "['a dog 4', 'a cat', 'a cow', 'a door']",
        "['a cat', 'a cow', 'a door', 'a dog 4']",
        "['a cow', 'a door', 'a dog 4', 'a cat']",
    }
