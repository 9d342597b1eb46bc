"""`harken prepare review`: the test presses the keys, and the player notes which clips it is to play."""

import io
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import harken
from generate_cases import lines_of
from rich.console import Console

from harken.data.manifest import write_manifest
from harken.errors import DataError
from harken.prepare.review import draw_sample, replace_section, review
from harken.prepare.review_terminal import Player, StreamKeys
from harken.stats import mean_interval
from harken.types import Question

HOSTILE = "What? \x1b[2J[bold]x[/]\n## fake"


class Listed(Player):
    def __init__(self) -> None:
        self.calls: list[str] = []

    def play(self, clip: Path) -> None:
        self.calls.append(clip.name)

    def stop(self) -> None:
        self.calls.append("stop")


def written(folder: Path, n: int = 12) -> Path:
    clip = folder / "audio"
    questions = [
        Question(f"q{i}", HOSTILE if i == 0 else f"What, {i}?", ("a", "b"), i % 2, clip / f"{i // 2}.wav")
        for i in range(n)
    ]
    write_manifest(folder / "manifest.jsonl", questions)
    return folder / "manifest.jsonl"


def look(manifest: Path, keys: str, size: int = 6, seed: int = 0, player: Player | None = None) -> str:
    screen = io.StringIO()
    console = Console(file=screen, width=100)
    review(manifest, None, size, seed, StreamKeys(io.StringIO(keys)), player or Listed(), console)
    return screen.getvalue()


def verdicts(manifest: Path) -> list[bool]:
    return [row["accepted"] for row in lines_of(manifest.with_name("review.jsonl"))]


def test_decisions_are_kept_and_their_rate_goes_into_the_card(tmp_path):
    manifest = written(tmp_path)
    (tmp_path / "card.md").write_text("# Set\n\n## Account\n\nfigures\n")
    output = look(manifest, "aarana")
    assert verdicts(manifest) == [True, True, False, True]
    assert "Sample of 6 of 12 questions, seed 0; 4 reviewed." in output
    sample = draw_sample([Question(f"q{i}", "", ("a", "b"), 0, None) for i in range(12)], 4, 0)
    clips = [int(question.id[1:]) // 2 for question in sample]
    rate = mean_interval([1, 1, 0, 1], clips)
    expected = f"Accepted: 75.0 [{100 * rate.low:.0f}, {100 * rate.high:.0f}] % (3 of 4; 95 % interval"
    card = (tmp_path / "card.md").read_text()
    assert card.startswith("# Set\n\n## Account\n\nfigures\n\n## Review by hand\n\nSample of 6")
    assert expected in card


def test_it_goes_on_where_it_was_stopped_and_the_section_is_replaced(tmp_path):
    manifest = written(tmp_path)
    look(manifest, "ar")
    output = look(manifest, "aaaa")
    assert output.count("of 6   q") == 4
    assert verdicts(manifest) == [True, False, True, True, True, True]
    card = (tmp_path / "card.md").read_text()
    assert card.count("## Review by hand") == 1
    assert "; 6 reviewed." in card
    assert "of 6   q" not in look(manifest, "r")  # nothing left to decide


def test_notes_are_lines_and_unknown_keys_are_passed_over(tmp_path):
    manifest = written(tmp_path)
    look(manifest, "nwrong animal\x07\nr xa")
    first, second = lines_of(manifest.with_name("review.jsonl"))
    assert (first["accepted"], first["note"]) == (False, "wrong animal\x07")
    assert (second["accepted"], second["note"]) == (True, "")
    assert f"- {first['id']}, rejected: wrong animal\\x07\n" in (tmp_path / "card.md").read_text()


def test_back_undoes_the_last_decision(tmp_path):
    manifest = written(tmp_path)
    look(manifest, "aabr")
    rows = lines_of(manifest.with_name("review.jsonl"))
    sample = draw_sample([Question(f"q{i}", "", ("a", "b"), 0, None) for i in range(12)], 2, 0)
    assert {row["id"]: row["accepted"] for row in rows} == {sample[0].id: True, sample[1].id: False}
    look(manifest, "bbbbr")
    assert len(verdicts(manifest)) == 1


def test_the_clip_is_played_when_shown_and_again_on_demand(tmp_path):
    player = Listed()
    look(written(tmp_path), "ppa", size=1, player=player)
    assert len(player.calls) == 4
    assert player.calls == [player.calls[0]] * 3 + ["stop"]


def test_a_larger_sample_holds_the_smaller_and_another_seed_is_another():
    questions = [Question(str(i), "", ("a", "b"), 0, None) for i in range(50)]
    small, large = draw_sample(questions, 10, 3), draw_sample(questions, 20, 3)
    assert large[:10] == small
    assert draw_sample(questions[::-1], 10, 3) == small
    assert draw_sample(questions, 10, 4) != small


def test_a_decision_counts_for_the_question_as_it_was(tmp_path):
    manifest = written(tmp_path)
    look(manifest, "aaaaaa")
    rows = lines_of(manifest)
    [first] = [row for row in rows if row["id"] == lines_of(manifest.with_name("review.jsonl"))[0]["id"]]
    first["answer"] = 1 - first["answer"]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = look(manifest, "r")
    assert output.count("of 6   q") == 1
    assert "Accepted: 83.3" in output


def test_the_text_of_a_question_cannot_act_on_the_terminal(tmp_path):
    manifest = written(tmp_path, n=1)
    output = look(manifest, "", size=1)
    assert "\x1b" not in output
    assert "What? \\x1b[2J[bold]x[/]\\n## fake" in output
    assert "(no such file)" in output


def test_a_clip_whose_name_no_file_system_can_have_is_no_file(tmp_path):
    manifest = tmp_path / "manifest.jsonl"
    write_manifest(manifest, [Question("q", "What?", ("a", "b"), 0, tmp_path / f"{'9' * 400}.wav")])
    assert "(no such file)" in look(manifest, "p", size=1)


def test_a_section_stands_in_the_place_of_its_earlier_self():
    card = "# T\n\n## Review by hand\n\nold\n\n## Other\n\nkept\n"
    assert replace_section(card, ["## Review by hand", "", "new"]) == (
        "# T\n\n## Other\n\nkept\n\n## Review by hand\n\nnew\n"
    )


@pytest.mark.parametrize("line", ["nonsense", "{}", '{"id": "q", "sha256": "x", "accepted": 1, "note": ""}'])
def test_a_file_of_decisions_that_is_something_else_is_refused(tmp_path, line):
    manifest = written(tmp_path)
    manifest.with_name("review.jsonl").write_text(line + "\n")
    with pytest.raises(DataError, match=r"review\.jsonl:1: .*no decision; move the file away"):
        look(manifest, "a")


def test_a_manifest_without_questions_is_refused(tmp_path):
    (tmp_path / "manifest.jsonl").write_text("")
    with pytest.raises(DataError, match=r"manifest\.jsonl: has no question"):
        look(tmp_path / "manifest.jsonl", "a")


def test_a_player_is_given_the_clip_as_a_word_that_is_no_option(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "ffplay"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/given\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    Path("-version.wav").write_bytes(b"")
    player = Player()
    player.play(Path("-version.wav"))
    assert player._playing is not None
    player._playing.wait(10)
    assert (tmp_path / "given").read_text().split("\n")[-2] == str(tmp_path / "-version.wav")


def test_the_command_reads_keys_from_a_pipe(tmp_path, monkeypatch):
    manifest = written(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("arq"))
    monkeypatch.setenv("PATH", "")
    done = harken("prepare", "review", manifest, "--sample", "3", "--seed", "5")
    assert done.code == 0, done.err
    assert verdicts(manifest) == [True, False]
    assert "Sample of 3 of 12 questions, seed 5; 2 reviewed." in done.out


def test_a_terminal_gives_single_keys_and_is_left_as_it_was(tmp_path):
    termios = pytest.importorskip("termios")
    leader, follower = os.openpty()
    try:
        before = termios.tcgetattr(follower)
        with open(follower, encoding="utf-8", closefd=False) as stream:
            os.write(leader, b"ar")
            keys = StreamKeys(stream)
            assert (keys.key(), keys.key()) == ("a", "r")
        assert termios.tcgetattr(follower) == before
    finally:
        os.close(leader)
        os.close(follower)


def test_a_replaced_answer_or_reasoning_is_another_question():
    from harken.prepare.review import question_digest

    question = Question("q", "What?", ("a", "b"), 0, Path("x/a.wav"))
    others = [replace(question, answer=1), replace(question, reasoning="r"), replace(question, audio=None)]
    assert len({question_digest(each) for each in [question, *others]}) == 4
    assert question_digest(replace(question, source="elsewhere:3", audio=Path("y/a.wav"))) == question_digest(question)
