"""`harken generate questions` with a real local server: every clip is in the manifest or rejected, with its reason."""

from dataclasses import replace

from generate_cases import (
    TIMEOUT_S,
    clip_number,
    counting,
    expected_kept,
    lines_of,
    position_counts,
    question,
    scripted,
    write_captions,
)
from question_generation import generate
from scripted_server import said, serving

from harken.data.manifest import read_manifest
from harken.generate.clip_facts import ClipFacts, write_clip_facts

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
