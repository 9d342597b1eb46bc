"""The figures of spoken digits, worked by hand, and the pages before anything has run."""

import digits_readme
from digits_figures import (
    Played,
    follows,
    played,
    readable_right,
    right,
    rows_of,
    with_played_difficulty,
    without_thinking,
)
from digits_readme import BEGIN, FIRST_PAGE, first_page
from digits_table import ROOT, tables
from figure_cells import EMPTY, rule
from harken.stats import Estimate


def row(choice, answer, *, form="no_think", difficulty="clean", clip="clean_1_george_0", heard="clean_2_george_1"):
    return {
        **{"choice": choice, "answer": answer, "form": form, "difficulty": difficulty, "correct": choice == answer},
        **{"clip": f"clips/{clip}.wav", "heard": f"clips/{heard}.wav", "choices": ["one", "two", "three", "four"]},
    }


def test_the_name_of_a_clip_says_what_was_played():
    for noise in ("noisy", "drowned"):
        assert played(f"clips/{noise}_7_theo_12.wav") == Played(True, (7,), "7_theo_12")
    two = played("clips/two_test_sums_0013_4_5.wav")
    assert two is not None
    assert (two.noisy, two.digits, two.sum) == (False, (4, 5), 9)
    assert played("") is None
    assert played("clips/esc10_001.ogg") is None


def test_answers_that_follow_the_clip_are_counted_where_it_is_a_choice_and_not_the_questions_own():
    rows = [
        row("two", "one"),  # follows what was played
        row("one", "one"),  # gives the question's own answer
        row(None, "one"),
        row("one", "one", heard="clean_1_george_3"),  # the played digit is the right one: says nothing
        row("two", "one", heard="clean_9_george_3"),  # nine is no choice
        row("two", "one", heard="two_test_sums_0001_1_1"),  # two digits answer no question about one
    ]
    assert follows(rows) == (1, 1, 3)
    sums = {**row("4", "3", heard="two_test_sums_0001_1_3"), "choices": ["1", "3", "4", "5"]}
    assert follows([sums]) == (1, 0, 1)
    assert follows([]) is None


def test_rates_are_over_valid_forms_and_by_the_clip_that_was_played():
    rows = [
        row("one", "one", heard="noisy_2_george_1", form="think"),
        row("one", "one", heard="clean_2_george_1"),
        row("one", "one", heard="clean_3_george_1", form="malformed"),
    ]
    by_clip = with_played_difficulty(rows, lambda clip: clip.noisy)
    assert [each["difficulty"] for each in by_clip] == ["hard", "easy", "easy"]
    for level, expected in (("hard", 0.0), ("easy", 1.0)):
        rate = without_thinking(by_clip, level)
        assert rate is not None
        assert rate.mean == expected
    assert without_thinking([], "easy") is None


def test_below_chance_may_be_unreadable_answers_alone():
    rows = [row("one", "one"), row("two", "one"), row(None, "one"), row(None, "one")]
    figures = readable_right(rows)
    whole = right(rows)
    assert figures is not None
    assert whole is not None
    assert (figures[0].mean, figures[1].mean, whole.mean) == (0.5, 0.5, 0.25)


def test_the_rule_is_written_beside_p_and_q():
    def estimate(mean):
        return Estimate(mean, mean, mean, 100, 100)

    assert rule(estimate(0.70), estimate(0.95)) == ["65.0", "drop"]
    assert rule(estimate(0.42), estimate(0.42)) == ["47.3", "keep"]
    assert rule(None, estimate(0.42)) == [EMPTY] * 2


def test_pages_are_made_before_anything_has_run(tmp_path):
    text = tables(tmp_path)
    assert text.count("### ") == 8
    assert EMPTY in text
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = first_page(tmp_path, readme)
    assert table.count(EMPTY) == 8
    assert "| built-in sounds (`make demo`)" in table
    assert table.count(FIRST_PAGE) == 2
    for page in ("docs/results.md", "README.md"):
        assert BEGIN in (ROOT / page).read_text(encoding="utf-8")
    assert rows_of(tmp_path) == []


def test_the_row_of_the_readme_says_where_the_questions_without_clips_have_not_been_asked(tmp_path, monkeypatch):
    half_right = [row("one", "one"), row("two", "one")]
    monkeypatch.setattr(digits_readme, "rows_of", lambda folder: [] if folder.name == "none" else half_right)
    monkeypatch.setattr(digits_readme, "gain", lambda before, after: None)
    cells = digits_readme.first_page_row(tmp_path, "answers_grpo", "GRPO").split(" | ")
    assert cells == [f"| {FIRST_PAGE}, GRPO", "50.0", "50.0", EMPTY, f"{EMPTY} |"]
