"""The captions file and what a prompt shows of it: facts are data, and a fact that states absence is left out."""

import json
from dataclasses import replace

import pytest
from generate_cases import (
    INJECTION,
    question,
)
from hypothesis import given
from hypothesis import strategies as st
from question_generation import generate
from scripted_server import said, serving

from harken.generate.clip_facts import ClipFacts, ClipFactsFile, facts_text, states_absence, write_clip_facts

CLIP = ClipFacts("c1", "audio/c1.wav", "A dog barks.")


@pytest.mark.parametrize(("fact", "label"), [("caption", "A1"), ("sounds", "A2"), ("speech", "A3"), ("music", "A4")])
def test_a_fact_that_holds_instructions_is_data_inside_the_prompt(fact, label, tmp_path):
    captions = tmp_path / "captions.jsonl"
    write_clip_facts(captions, [replace(CLIP, **{fact: INJECTION})])
    with serving(lambda request: said(question(1))) as server:
        assert generate(captions, tmp_path / "out", server.url).code == 0
    [message] = server.received[0].body["messages"]
    block = message["content"].rpartition("Now the clip. Notes:\n")[2]
    *lines, last = block.split("\n")
    assert [line[:4] for line in lines] == sorted({"A1: ", f"{label}: "})
    assert json.loads(next(line[4:] for line in lines if line.startswith(label))) == INJECTION
    assert last == "Reply:"
    assert not any(sign in block for sign in "<>")


@given(
    st.text(st.characters(exclude_categories=["Cs"])).filter(str.strip),
    st.text(st.characters(exclude_categories=["Cs"])),
)
def test_a_fact_is_one_line_that_gives_the_fact_back(caption, music):
    lines = facts_text(replace(CLIP, caption=caption, music=music)).splitlines()
    assert [line[:4] for line in lines] == ["A1: ", *(["A4: "] if music and not states_absence(music) else [])]
    shown = [music] if music and not states_absence(music) else []
    assert [json.loads(line[4:]) for line in lines] == [caption, *shown]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"id": "a", "audio": "a.wav"}, "key 'caption' is missing"),
        ({"id": "a", "audio": "../a.wav", "caption": "x"}, "clip name '../a.wav' is outside"),
        ({"id": "a", "caption": "x"}, "names no clip (key 'audio'); prepare the captions with --audio-root"),
        (
            {"id": "a", "audio": "a.wav", "caption": "x", "sound": "y"},
            "unknown key 'sound'; known: id, audio, caption,",
        ),
        ({"id": "a", "audio": "a.wav", "caption": "x", "music": 3}, "music: expected text, found 3"),
        ({"id": "first", "audio": "a.wav", "caption": "x"}, "id 'first' is taken by the record in line 1"),
        ({"id": "a", "audio": "x/../first.wav", "caption": "x"}, "audio 'first.wav' is taken by the record in line 1"),
        ("not a record", "expected a JSON object"),
    ],
)
def test_a_bad_record_of_captions_is_rejected_with_its_line(record, reason, tmp_path):
    first = {"id": "first", "audio": "./first.wav", "caption": "x", "music": None, "sounds": ["dog", "bell"]}
    (tmp_path / "c.jsonl").write_text(json.dumps(first) + "\n" + json.dumps(record))
    file = ClipFactsFile(tmp_path / "c.jsonl")
    [clip], [rejected] = file.clips, file.rejected
    assert (clip.audio, clip.sounds, clip.music) == ("first.wav", "dog, bell", "")
    assert rejected.line == 2
    assert rejected.reason.startswith(reason)
