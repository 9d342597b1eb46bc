"""`harken generate questions` with a real local server whose replies are scripted."""

import contextlib
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import harken
from generate_cases import (
    BAD,
    GOOD,
    INJECTION,
    TIMEOUT_S,
    attempt,
    clip_number,
    counting,
    expected_kept,
    lines_of,
    notes,
    position_counts,
    question,
    scripted,
    write_captions,
)
from hypothesis import given
from hypothesis import strategies as st
from question_generation import generate
from scripted_server import Scripted, said, serving

from harken.data.manifest import read_manifest
from harken.generate.answer_positions import balance_answer_positions
from harken.generate.clip_facts import ClipFacts, facts_text, read_clip_facts, states_absence, write_clip_facts
from harken.generate.instructions import QUESTIONS
from harken.generate.questions import read_question
from harken.generate.reply_json import BadReplyError
from harken.types import Question

CLIP = ClipFacts("c1", "audio/c1.wav", "A dog barks.")


def test_every_clip_is_in_the_manifest_or_rejected_with_its_reason(tmp_path):
    n = 120
    captions = write_captions(tmp_path / "captions.jsonl", n)
    with serving(scripted(counting())) as server:
        done = generate(captions, tmp_path / "out", server.url, "--set", f"endpoint.timeout_s={TIMEOUT_S}")
    assert done.code == 0, done.err
    manifest, rejected = lines_of(tmp_path / "out" / "manifest.jsonl"), lines_of(tmp_path / "out" / "rejected.jsonl")
    kept = {row["id"] for row in manifest}
    assert kept == expected_kept(n)
    assert kept | {row["id"] for row in rejected} == {f"c{i:04d}" for i in range(n)}
    assert len(manifest) + len(rejected) == n
    assert {row["reason"].partition(":")[0] for row in rejected} == {
        *("no JSON", "choices not 4", "choices not different", "answer no index", "question empty", "no reply"),
        *("question reveals the answer", "cut off", "question no plain text", "choice no text"),
    }
    assert max(position_counts(manifest)) - min(position_counts(manifest)) <= 1
    for row in manifest:  # the scripted answers are "a dog", and "a cat" where the reply was thought about
        right = "a cat" if int(row["id"][1:]) % 3 == 2 else f"a dog {int(row['id'][1:])}"
        assert row["choices"][row["answer"]] == right
        assert sorted(row["choices"]) == sorted([f"a dog {int(row['id'][1:])}", "a cat", "a cow", "a door"])
    card = (tmp_path / "out" / "card.md").read_text()
    figures = [("read", n), ("kept, in manifest.jsonl", len(kept)), ("rejected, in rejected.jsonl", n - len(kept))]
    assert "\n".join(f"| {name} | {count} |" for name, count in figures) in card
    assert f"kept, in manifest.jsonl {len(kept)}" in " ".join(done.out.split())


def test_the_manifest_is_read_back_with_its_clips_beside_the_captions(tmp_path):
    (tmp_path / "data").mkdir()
    captions = write_captions(tmp_path / "data" / "captions.jsonl", 3)
    with serving(lambda request: said(question(clip_number(request)))) as server:
        assert generate(captions, tmp_path / "out", server.url).code == 0
    questions, rejected = read_manifest(tmp_path / "out" / "manifest.jsonl", tmp_path / "data")
    assert rejected == []
    assert [question.audio for question in questions] == [
        tmp_path / "data" / "audio" / f"c000{i}.wav" for i in range(3)
    ]


@pytest.mark.parametrize(
    ("fact", "absent"),
    [
        ("I'm sorry, but there is no speech.", True),
        ("There is no music in this audio.", True),
        ("No speech is present. The language cannot be determined.", True),
        ("none", True),
        ("N/A", True),
        ("The audio does not contain any music, so the genre is unknown.", True),
        ("There is no speech, but a man laughs.", False),
        ("A woman speaks; nothing is known about her language.", False),
        ("Instrumental music without singing, played on a piano.", False),
        ("A man says no.", False),
        ("A solo piano piece, no singing.", False),
        ("The song has no lyrics.", False),
        ("No, a woman speaks French.", False),
        ("No voices or singing.", True),
        ("Sorry, I cannot determine the emotion of the speaker.", True),
        ("Speech is absent.", True),
        ("", False),
    ],
)
def test_a_fact_that_only_says_that_there_is_no_speech_or_music_is_left_out_of_the_prompt(fact, absent):
    assert states_absence(fact) == absent
    shown = facts_text(replace(CLIP, speech=fact, music=""))
    assert ("A3: " in shown) == (bool(fact) and not absent)


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


@given(ids=st.lists(st.text(max_size=3), unique=True, max_size=40), seed=st.integers(0, 2**63 - 1))
def test_positions_are_within_one_of_perfect_and_independent_of_order(ids, seed):
    drawn = random.Random(seed)
    questions = [Question(ident, "?", tuple(drawn.sample("abcd", 4)), drawn.randrange(4), None) for ident in ids]
    moved = list(balance_answer_positions(questions, seed))
    counts = position_counts([{"answer": question.answer} for question in moved])
    assert max(counts) - min(counts) <= 1
    for before, after in zip(questions, moved, strict=True):
        assert before.answer is not None
        assert after.answer is not None
        right = before.choices[before.answer]
        assert after.choices[after.answer] == right
        assert [choice for choice in after.choices if choice != right] == [
            choice for choice in before.choices if choice != right
        ]
    backwards = balance_answer_positions(questions[::-1], seed)
    assert sorted(backwards, key=lambda question: question.id) == sorted(moved, key=lambda question: question.id)


def test_another_seed_puts_the_answers_elsewhere():
    questions = [Question(str(i), "?", ("a", "b", "c", "d"), 0, None) for i in range(40)]
    assert list(balance_answer_positions(questions, 0)) != list(balance_answer_positions(questions, 1))


def test_the_worked_example_passes_the_rules_it_illustrates():
    example = QUESTIONS.partition("Reply:\n")[2].partition("\n\nNow the clip")[0]
    read = read_question(example, CLIP, Path())
    assert read.answer is not None
    assert read.choices[read.answer] == "a metal roof"


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
    [clip], [rejected] = read_clip_facts(tmp_path / "c.jsonl")
    assert (clip.audio, clip.sounds, clip.music) == ("first.wav", "dog, bell", "")
    assert rejected.line == 2
    assert rejected.reason.startswith(reason)


def test_a_bad_record_counts_as_rejected_and_nothing_is_asked_about_it(tmp_path):
    captions = write_captions(tmp_path / "captions.jsonl", 2)
    captions.write_text(captions.read_text() + "{broken\n")
    with serving(lambda request: said(question(clip_number(request)))) as server:
        assert generate(captions, tmp_path / "out", server.url).code == 0
    assert "| read | 3 |\n| kept, in manifest.jsonl | 2 |\n" in (tmp_path / "out" / "card.md").read_text()
    assert len(server.received) == 2


def test_two_clips_with_equal_facts_each_keep_their_own_reply(tmp_path):
    captions = tmp_path / "captions.jsonl"
    write_clip_facts(captions, [replace(CLIP, id=f"c{i}", audio=f"{i}.wav") for i in range(3)])
    numbers = iter(range(10))
    with serving(lambda request: said(question(next(numbers)))) as server:
        generate(captions, tmp_path / "out", server.url)
        first = (tmp_path / "out" / "manifest.jsonl").read_bytes()
        generate(captions, tmp_path / "out", server.url)
    assert len(server.received) == 3
    assert (tmp_path / "out" / "manifest.jsonl").read_bytes() == first
    assert len({row["text"] for row in lines_of(tmp_path / "out" / "manifest.jsonl")}) == 3


def test_a_prompt_file_replaces_the_wording(tmp_path):
    captions = write_captions(tmp_path / "captions.jsonl", 1)
    (tmp_path / "mine.txt").write_text("Invent a riddle {0} {choices}.\n{clip}\nDone.\n")
    with serving(lambda request: said(question(0))) as server:
        done = generate(captions, tmp_path / "out", server.url, "--prompt-file", tmp_path / "mine.txt")
    assert done.code == 0
    assert server.received[0].body["messages"][0]["content"] == (
        'Invent a riddle {0} {choices}.\nA1: "Clip c0000: a dog barks near a bell."\nA2: "dog, bell"\nDone.'
    )
    assert "The wording of its instruction is `mine.txt`." in (tmp_path / "out" / "card.md").read_text()


def test_a_prompt_file_without_its_placeholder_is_an_error(tmp_path):
    captions = write_captions(tmp_path / "captions.jsonl", 1)
    (tmp_path / "mine.txt").write_text("Invent a riddle.")
    done = generate(captions, tmp_path / "out", "http://127.0.0.1:9/v1", "--prompt-file", tmp_path / "mine.txt")
    assert (done.code, "mine.txt has no {clip}" in done.err) == (2, True)


def test_a_recipe_says_the_same_as_options_and_options_go_over_it(tmp_path):
    captions = write_captions(tmp_path / "captions.jsonl", 2)
    with serving(lambda request: said(question(clip_number(request)))) as server:
        recipe = tmp_path / "questions.yaml"
        recipe.write_text(
            f"captions: {captions}\nendpoint: {{base_url: '{server.url}', model: other, retries: 0}}\nseed: 3\n"
        )
        done = harken("generate", "questions", recipe, "--model", "m", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    assert {request.body["model"] for request in server.received} == {"m"}
    assert "    seed: 3\n" in (tmp_path / "out" / "card.md").read_text()


def test_the_seed_of_the_recipe_places_the_answers(tmp_path):
    captions = write_captions(tmp_path / "captions.jsonl", 16)
    placed = []
    with serving(lambda request: said(question(clip_number(request)))) as server:
        for seed in (0, 0, 1):
            assert generate(captions, tmp_path / "out", server.url, "--set", f"seed={seed}").code == 0
            placed.append([row["answer"] for row in lines_of(tmp_path / "out" / "manifest.jsonl")])
    assert placed[0] == placed[1] != placed[2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--set", "endpoint.api=completion"), "endpoint.api: generation asks chat models"),
        (("--set", "filters.max_tokens=9"), "max_tokens and tokenizer go together"),
        (("--set", "filters.max_word=9"), "filters.max_word: unknown key (did you mean 'filters.max_words'?); known"),
        (("--api-key-env", "NO_SUCH_KEY"), "NO_SUCH_KEY is not set"),
    ],
)
def test_a_wrong_setting_is_named(words, message, tmp_path):
    captions = write_captions(tmp_path / "captions.jsonl", 1)
    done = generate(captions, tmp_path / "out", "http://127.0.0.1:9/v1", *words)
    assert done.code == 2
    assert message in done.err
    assert not (tmp_path / "out" / "manifest.jsonl").exists()


def test_the_key_is_sent_and_is_in_no_file_and_on_no_screen(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "sk-very-secret")
    captions = write_captions(tmp_path / "captions.jsonl", 8)
    refuse = Scripted(b"sk-very-secret is a fine key but no", status=422)
    with serving(
        lambda request: refuse if clip_number(request) % 2 else said(question(clip_number(request)))
    ) as server:
        done = generate(captions, tmp_path / "out", server.url, "--api-key-env", "SOME_KEY")
    assert done.code == 0
    assert all(request.headers["authorization"] == "Bearer sk-very-secret" for request in server.received)
    assert len(lines_of(tmp_path / "out" / "rejected.jsonl")) == 4
    texts = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any("very-secret" in text for text in (*texts, done.out, done.err))


def test_a_refused_key_stops_at_once_and_says_what_to_do(tmp_path):
    captions = write_captions(tmp_path / "captions.jsonl", 100)
    with serving(lambda request: Scripted(b"no", status=401)) as server:
        done = generate(captions, tmp_path / "out", server.url, "--concurrency", "2")
    assert done.code == 2
    assert "status 401, the key was refused" in done.err
    assert "run the same command again to continue from them" in done.err
    assert len(server.received) < 20
    assert not (tmp_path / "out" / "manifest.jsonl").exists()


def test_a_server_that_is_gone_stops_the_whole_and_the_same_command_goes_on(tmp_path):
    captions = write_captions(tmp_path / "captions.jsonl", 100)
    gone = True

    def reply(request):
        return (
            Scripted(b"", status=503) if gone and clip_number(request) >= 40 else said(question(clip_number(request)))
        )

    words = ("--set", "endpoint.retries=0", "--concurrency", "4")
    with serving(reply) as server:
        done = generate(captions, tmp_path / "out", server.url, *words)
        assert done.code == 2
        assert "32 requests in a row failed, the last one: status 503" in done.err
        assert len(server.received) < 100
        n_before = len(server.received)
        n_stored = len(lines_of(tmp_path / "out" / "replies.jsonl"))
        gone = False
        assert generate(captions, tmp_path / "out", server.url, *words).code == 0
    asked_twice = [clip_number(request) for request in server.received[n_before:]]
    assert sorted(asked_twice) == list(range(n_stored, 100))


def test_failures_that_are_not_in_a_row_stop_nothing(tmp_path):
    captions = write_captions(tmp_path / "captions.jsonl", 80)

    def reply(request):
        return Scripted(b"", status=503) if clip_number(request) % 2 else said(question(clip_number(request)))

    with serving(reply) as server:
        assert generate(captions, tmp_path / "out", server.url, "--set", "endpoint.retries=0").code == 0
    assert [row["reason"] for row in lines_of(tmp_path / "out" / "rejected.jsonl")] == ["no reply: status 503: ''"] * 40


def test_replies_that_came_are_not_asked_for_again_and_failed_ones_are(tmp_path):
    captions = write_captions(tmp_path / "captions.jsonl", 16)
    failing = {3, 7}

    def reply(request):
        return Scripted(b"", status=500) if clip_number(request) in failing else said(question(clip_number(request)))

    with serving(reply) as server:
        assert generate(captions, tmp_path / "out", server.url).code == 0
        assert {row["id"] for row in lines_of(tmp_path / "out" / "rejected.jsonl")} == {"c0003", "c0007"}
        n = len(server.received)
        failing.clear()
        assert generate(captions, tmp_path / "out", server.url).code == 0
    assert sorted(clip_number(request) for request in server.received[n:]) == [3, 7]
    assert len(lines_of(tmp_path / "out" / "manifest.jsonl")) == 16
    assert notes(server.received[0])["A2"] == "dog, bell"
