"""`--by-ear` leaves out questions that ask for what can only be seen, and lists on the card what it left out."""

import json

import pytest
from command_line import harken
from made_media import tone, write_wav
from prepared_files import write_json_lines

from harken.prepare.by_ear import RULES, unheard

ASKS_FOR_SIGHT = {
    "colour": ["What color is the bus?", "What's the colour of the gun?", "Which colors do the cars have?"],
    "a number of things seen": ["How many birds are there in the audio?", "How many people appear in the video?"],
    "what is held or worn": [
        "What's in the person's hand in the video?",
        "What's on the head of the man?",
        "What is the woman holding?",
        "What does the boy wear?",
    ],
    "where a thing is": [
        "Where is the dog in the audio?",
        "Where are the people sitting?",
        "Where does the child in the video play?",
        "What is the cat sitting on?",
    ],
    "left and right in the picture": ["Which instrument is on the left?", "Who stands in the middle?"],
    "looks": ["What does the man look like?", "What is the view in the audio?", "What kind of clothes has she?"],
    "text that is shown": ["What is written on the truck?", "What does the sign say?"],
    "the season": ["In which season was the video taken?"],
}
CAN_BE_HEARD = [
    "What is the main sound source of the audio?",
    "What happened in the video?",
    "What are the people with hats doing?",
    "What is the white animal in the audio?",  # a colour that describes and is not asked for
    "What is the tone color of the flute?",
    "How many times does the dog bark?",
    "How many speakers are in the conversation?",
    "How many instruments are playing?",
    "Where did the video take place?",
    "Where is the audio recorded?",
    "Where is the sound coming from?",
    "Where are the people in the audio?",
    "Where is the car driving?",
    "What instrument is the man holding?",
    "What does the engine sound like?",
    "Which words are spoken?",
    "What does the sign of the voice crack suggest about the sound?",
    "",
]


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, all_of in ASKS_FOR_SIGHT.items() for text in all_of])
def test_a_question_for_what_is_seen_is_known_by_its_rule(name, text):
    assert unheard(text) == name
    assert unheard(text.upper()) == name


@pytest.mark.parametrize("text", CAN_BE_HEARD)
def test_a_question_that_can_be_answered_by_ear_stays(text):
    assert unheard(text) is None


def test_each_rule_finds_its_own_example():
    assert {rule.name: unheard(rule.example) for rule in RULES} == {rule.name: rule.name for rule in RULES}
    assert set(ASKS_FOR_SIGHT) == {rule.name for rule in RULES}


RECORDS = [("1", "What color is the dog in the video?"), ("2", "What animal is heard?"), ("3", "Where is the dog?")]


def trainer_record(ident, text):
    return {"id": ident, "question_text": text, "multi_choice": ["a", "b"], "answer": 0, "audio_path": "a.wav"}


def mcq_record(ident, text):
    return {"id": ident, "question": text, "choices": ["a", "b"], "answer": "a", "audio_path": "a.wav"}


def annotation(ident, text):
    return {"id": ident, "video_name": "AAAAAAAAAA0_7", "question_text": text, "multi_choice": ["a", "b"], "answer": 0}


COMMANDS = {
    "jsonl": (("--format", "r1_aqa", "--data", "d.jsonl", "--audio-root", "."), trainer_record),
    "audiomcq": (("--data", "d.jsonl", "--audio-root", "."), mcq_record),
    "avqa": (("--annotations", "d.jsonl", "--media", "."), annotation),
}


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """Runs a command on the records, and gives the texts kept, the reasons of the others, the card and the output."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "AAAAAAAAAA0_7.wav"):
        write_wav(tmp_path / name, tone(440, 16_000, 0.2))

    def run(command, *options):
        words, record = COMMANDS[command]
        write_json_lines(tmp_path / "d.jsonl", [record(ident, text) for ident, text in RECORDS])
        done = harken("prepare", command, *words, "--workers", 1, "--out", "out", *options)
        assert done.code == 0, done.err
        kept, left_out = ((tmp_path / "out" / f"{name}.jsonl").read_text() for name in ("manifest", "rejected"))
        texts = [json.loads(line)["text"] for line in kept.splitlines()]
        reasons = [json.loads(line)["reason"] for line in left_out.splitlines()]
        return texts, reasons, (tmp_path / "out" / "card.md").read_text(), done.out

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_the_card_lists_the_rules_and_what_each_left_out(prepared, command):
    texts, reasons, card, printed = prepared(command, "--by-ear")
    assert texts == ["What animal is heard?"]
    assert reasons == ["not by ear: colour", "not by ear: where a thing is"]
    for shown in (card, printed):
        assert "Left out because it cannot be answered by ear" in shown
        assert all(f"{rule.name}: {rule.example}" in shown for rule in RULES)
    assert "| colour: What color is the car? | 1 |" in card
    assert "| the season: In which season does it take place? | 0 |" in card


def test_the_filter_is_off_unless_asked_for(prepared):
    texts, reasons, card, _ = prepared("jsonl")
    assert texts == [text for _, text in RECORDS]
    assert reasons == []
    assert "by ear" not in card
