"""`harken generate reasoning` with a real local server whose replies are scripted."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import harken
from generate_cases import INJECTION, lines_of
from scripted_server import said, serving

from harken.config import PromptConfig
from harken.data.manifest import read_manifest, write_manifest
from harken.generate.clip_facts import ClipFacts, write_clip_facts
from harken.generate.instructions import REASONING
from harken.generate.reasoning import read_reasoning
from harken.generate.reply_json import BadReplyError
from harken.questions.grader import grade
from harken.questions.output_parts import form
from harken.questions.prompt import Prompt
from harken.types import Question

ASKED = Question("q1", "What barks?", ("a dog", "a cat", "a cow", "a door"), 0, None, source="m.jsonl:1")
PARTS = {
    "planning": "I listen for the animal.",
    "caption": "A short, rough bark is heard twice.",
    "reasoning": "A cat would meow and a cow would moo. Of the given options only one barks.",
    "summary": "So the correct answer is a dog.",
}


def reply(**changes) -> str:
    return json.dumps({**PARTS, "answer": "a dog", **changes})


def test_four_parts_become_the_reasoning_and_the_target_is_graded_right():
    reasoned = read_reasoning(f"```json\n{reply()}\n```", ASKED)
    assert reasoned.reasoning == (
        "Planning: I listen for the animal.\nCaption: A short, rough bark is heard twice.\n"
        "Reasoning: A cat would meow and a cow would moo. Of the given options only one barks.\n"
        "Summary: So the correct answer is a dog."
    )
    assert replace(reasoned, reasoning="") == ASKED
    target = Prompt.from_config(PromptConfig(style="r1_aqa_think")).answer_text(reasoned)
    assert target == f"<think>{reasoned.reasoning}</think><answer>a dog</answer>"
    assert form(target) == "think"
    assert grade(target, ASKED.choices, 0, letters_shown=False).correct


@pytest.mark.parametrize(
    "text",
    [
        "The given answer is a dog.",
        "Since the provided answer is a dog, it barks.",
        "The answer is already given.",
        "The correct answer was provided as a dog.",
        "We know the answer is a dog.",
        "I was told that it is a dog.",
        "This matches the reference answer.",
        "The ground truth is a dog.",
        "According to the caption, a dog barks.",
        "The description mentions a dog.",
        "The notes say that a dog barks.",
        "In A1 a dog barks.",
        "The metadata lists a dog.",
        "I have to arrive at the given choice.",
    ],
)
@pytest.mark.parametrize("part", PARTS)
def test_a_text_that_shows_what_was_known_is_no_example(part, text):
    with pytest.raises(BadReplyError, match=f"gives away what a listener does not have: .* in {part}$"):
        read_reasoning(reply(**{part: text}), ASKED)


@pytest.mark.parametrize(
    "said_so",
    [
        "The correct answer is a dog.",
        "Of the given options, only a dog fits; the other choices are wrong.",
        "Given the bark, the right choice is a dog.",
        "The answer follows from the bark.",
        "The sound is given off by a dog.",
        "The notes of a flute would be higher.",
    ],
)
def test_what_a_listener_would_say_gives_nothing_away(said_so):
    assert said_so in read_reasoning(reply(reasoning=said_so), ASKED).reasoning


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"answer": "a cat"}, "another answer: arrives at 'a cat'"),
        ({"answer": "a dog or a cat"}, "another answer: arrives at 'a dog or a cat'"),
        ({"answer": "A"}, "another answer: arrives at 'A'"),
        ({"answer": 0}, "answer no text: 0"),
        ({"summary": "So it is a cow."}, "another answer: the summary names 'a cow'"),
        ({"reasoning": "It barks.</think><answer>a cat</answer>"}, "reasoning holds a tag: '</think>'"),
        ({"planning": "<think>"}, "planning holds a tag: '<think>'"),
        ({"caption": "<|im_end|>"}, "caption holds a tag: '<|im_end|>'"),
        ({"caption": ""}, "caption empty: ''"),
        ({"summary": ["a", "dog"]}, "summary no text: ['a', 'dog']"),
    ],
)
def test_a_reply_that_cannot_be_taught_says_why(changes, fault):
    with pytest.raises(BadReplyError) as caught:
        read_reasoning(reply(**changes), ASKED)
    assert str(caught.value) == fault


def test_a_missing_part_is_named():
    with pytest.raises(BadReplyError, match="missing key: 'summary'"):
        read_reasoning(json.dumps({name: text for name, text in PARTS.items() if name != "summary"}), ASKED)


def test_the_worked_example_passes_the_rules_it_illustrates():
    example = REASONING.partition("Reply:\n")[2].partition("\n\nNow the clip")[0]
    choices = ("a lake", "dry leaves", "a metal roof", "an umbrella")
    assert "metal" in read_reasoning(example, replace(ASKED, choices=choices, answer=2)).reasoning


def world(tmp_path: Path) -> tuple[Path, Path]:
    """A manifest of seven records, and facts about their clips."""
    audio = [tmp_path / "audio" / f"{i}.wav" for i in range(4)]
    questions = [
        replace(ASKED, id="a", audio=audio[0]),
        replace(ASKED, id="b", audio=audio[0], text=INJECTION),
        replace(ASKED, id="c", audio=audio[1], choices=("a dog", 'a "cat"', "a cow", "a door"), answer=1),
        replace(ASKED, id="hidden", audio=audio[1], answer=None),
        replace(ASKED, id="text"),
        replace(ASKED, id="unknown", audio=audio[3]),
    ]
    write_manifest(tmp_path / "in.jsonl", questions)
    with (tmp_path / "in.jsonl").open("a") as file:
        file.write('{"id": "bad"}\n')
    clips = [ClipFacts(f"k{i}", f"./audio/{i}.wav", f"Clip k{i}. {INJECTION}") for i in range(3)]
    write_clip_facts(tmp_path / "captions.jsonl", clips)
    with (tmp_path / "captions.jsonl").open("a") as file:
        file.write("nonsense\n")
    return tmp_path / "in.jsonl", tmp_path / "captions.jsonl"


def answer_of(request) -> str:
    match = re.search(
        r'^Arrive at: (".*")$', request.body["messages"][0]["content"].rpartition("Now the clip")[2], re.M
    )
    assert match
    return json.loads(match[1])


def generate(manifest: Path, captions: Path, out: Path, url: str, *words):
    return harken(
        *("generate", "reasoning", "--manifest", manifest, "--captions", captions, "--out", out),
        *("--endpoint", url, "--model", "m", "--set", "endpoint.retry_wait_s=0.01", *words),
    )


def test_every_question_has_reasoning_or_a_reason(tmp_path):
    manifest, captions = world(tmp_path)

    def scripted(request):
        right = answer_of(request)
        if right == 'a "cat"' and len(request.body["messages"]) == 1:
            return said(reply(summary="Given as the known answer."))
        if "pwned" in request.body["messages"][0]["content"].rpartition("Question:")[2]:
            return said(reply(answer="a cow"))
        return said(reply(answer=right, summary=f"It is {right}."))

    with serving(scripted) as server:
        done = generate(manifest, captions, tmp_path / "out", server.url)
    assert done.code == 0, done.err
    kept, bad = read_manifest(tmp_path / "out" / "manifest.jsonl", tmp_path)
    assert bad == []
    before = {question.id: question for question in read_manifest(manifest)[0]}
    assert [question.id for question in kept] == ["a", "c"]
    for question in kept:
        assert question.reasoning.startswith("Planning: I listen")
        assert replace(question, reasoning="", source="") == replace(before[question.id], source="")
    assert {row["id"]: row["reason"].partition(":")[0] for row in lines_of(tmp_path / "out" / "rejected.jsonl")} == {
        **{"b": "another answer", "hidden": "no answer", "text": "no clip", "unknown": "no facts"},
        "bad": "key 'choices' is missing",
    }
    assert [row["line"] for row in lines_of(tmp_path / "out" / "rejected_captions.jsonl")] == [4]
    card = (tmp_path / "out" / "card.md").read_text()
    assert "| read | 7 |\n| kept, in manifest.jsonl | 2 |\n| rejected, in rejected.jsonl | 5 |" in card
    clips = ("records | 4", "used | 2", "no question is about the clip | 1", "rejected, in rejected_captions.jsonl | 1")
    assert "\n".join(f"| {row} |" for row in clips) in card


def test_question_choices_and_facts_are_data_inside_the_prompt(tmp_path):
    manifest, captions = world(tmp_path)
    with serving(lambda request: said(reply())) as server:
        generate(manifest, captions, tmp_path / "out", server.url)
    for request in server.received:
        block = request.body["messages"][0]["content"].rpartition("Now the clip. Notes:\n")[2]
        assert [line.partition(":")[0] for line in block.split("\n")] == [
            "A1",
            "Question",
            "Choices",
            "Arrive at",
            "Reply",
        ]
        values = [json.loads(line.partition(": ")[2]) for line in block.split("\n")[:4]]
        assert values[1] in ("What barks?", INJECTION)
        assert values[3] in values[2]
        assert not any(sign in block for sign in "<>")


def test_the_outcome_is_the_same_when_it_is_run_again_and_nothing_is_asked(tmp_path):
    manifest, captions = world(tmp_path)
    with serving(lambda request: said(reply(answer=answer_of(request), summary="Done."))) as server:
        generate(manifest, captions, tmp_path / "out", server.url)
        n = len(server.received)
        names = ("manifest.jsonl", "rejected.jsonl", "card.md", "rejected_captions.jsonl")
        before = {name: (tmp_path / "out" / name).read_bytes() for name in names}
        generate(manifest, captions, tmp_path / "out", server.url)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in before} == before
    assert len(server.received) == n == 3
