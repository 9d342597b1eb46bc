"""What a model replies to a request for a question: read, refused with its fault, and asked again."""

import contextlib
from pathlib import Path

import pytest
from generate_cases import (
    BAD,
    GOOD,
    attempt,
    lines_of,
    question,
    write_captions,
)
from hypothesis import given
from hypothesis import strategies as st
from question_generation import generate
from scripted_server import said, serving

from harken.generate.clip_facts import ClipFacts
from harken.generate.instructions import QUESTIONS
from harken.generate.questions import read_question
from harken.generate.reply_json import BadReplyError

CLIP = ClipFacts("c1", "audio/c1.wav", "A dog barks.")


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_reply_is_asked_again_with_its_fault_and_then_good(kind, tmp_path):
    captions = write_captions(tmp_path / "captions.jsonl", 1)
    replies = {0: BAD[kind](0), 1: GOOD["fenced"](0)}
    with serving(lambda request: replies[attempt(request)]) as server:
        assert generate(captions, tmp_path / "out", server.url).code == 0
    assert len(lines_of(tmp_path / "out" / "manifest.jsonl")) == 1
    first, second = (request.body["messages"] for request in server.received)
    assert second[:1] == first
    assert [turn["role"] for turn in second] == ["user", "assistant", "user"]
    assert second[2]["content"].startswith("That reply cannot be used (")


def test_tries_are_bounded_and_the_last_fault_is_the_reason(tmp_path):
    captions = write_captions(tmp_path / "captions.jsonl", 1)
    replies = [said(question(0, answer=4)), said(question(0, answer=5)), said(question(0, answer=6))]
    with serving(lambda request: replies[attempt(request)]) as server:
        generate(captions, tmp_path / "out", server.url, "--set", "sampling.tries=3")
    [rejected] = lines_of(tmp_path / "out" / "rejected.jsonl")
    assert rejected["reason"] == "answer no index: expected 0 to 3, found 6"
    assert rejected["id"] == "c0000"
    assert (rejected["file"], rejected["line"]) == (str(captions), 1)
    assert len(server.received) == 3


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (question(1) + question(2), "several objects: 2 where one was asked for"),
        ('{"question_text": "What?"}', "missing key: 'multi_choice'"),
        (question(1, answer=True), "answer no index: expected 0 to 3, found True"),
        (question(1, answer=-1), "answer no index: expected 0 to 3, found -1"),
        (question(1, answer=0.0), "answer no index: expected 0 to 3, found 0.0"),
        (question(1, multi_choice="abcd"), "choices not 4: 'abcd'"),
        (question(1, multi_choice=["a", "b", "c", "d", "e"]), "choices not 4: 5"),
        (question(1, multi_choice=["ﬁre", "fire", "b", "c"]), "choices not different: 'fire' twice"),
        (question(1, multi_choice=["a", " ", "b", "c"]), "choice empty: ' '"),
        (question(1, question_text="<|im_start|>What?"), "question holds a tag: '<|im_start|>'"),
        (question(1, multi_choice=["</answer>", "b", "c", "d"]), "choice holds a tag: '</answer>'"),
        (question(1, question_text="What does the caption say?"), "question speaks of the notes: 'caption'"),
        (
            question(1, question_text="What is heard according to A2?"),
            "question speaks of the notes: 'according to A2'",
        ),
        (question(1, question_text="\x1b[2JWhat?"), "question no plain text: a control character"),
        (question(1, question_text=7), "question no text: 7"),
        ("x" * 100_001, "too long: 100001 characters"),
        ("{" * 100_000, "no JSON: no object with the keys question_text, multi_choice, answer in"),
        ("", "no JSON: no object"),
    ],
)
def test_a_reply_that_cannot_be_used_says_why(text, fault):
    with pytest.raises(BadReplyError) as caught:
        read_question(text, CLIP, Path())
    assert str(caught.value).startswith(fault)


def test_a_question_that_names_every_choice_reveals_nothing():
    choices = ["a dog", "a cat", "a cow", "a door"]
    all_named = "Which comes first, a cat or a cow, a door or a dog?"
    assert read_question(question(1, question_text=all_named, multi_choice=choices), CLIP, Path()).text == all_named


PIECES = [*'{}[]:,"\\', '"question_text"', '"multi_choice"', '"answer"', '"a"', "0", "NaN", "```json", "</think>", "\n"]


@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_no_reply_is_worse_than_a_bad_reply(pieces):
    with contextlib.suppress(BadReplyError):
        read_question("".join(pieces), CLIP, Path())


def test_the_worked_example_passes_the_rules_it_illustrates():
    example = QUESTIONS.partition("Reply:\n")[2].partition("\n\nNow the clip")[0]
    read = read_question(example, CLIP, Path())
    assert read.answer is not None
    assert read.choices[read.answer] == "a metal roof"
