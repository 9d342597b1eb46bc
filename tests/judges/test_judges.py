"""Judges without a model: what each is shown, how replies are read and failures counted; prompt files and config."""

from dataclasses import replace
from pathlib import Path

import pytest

from harken.config import EndpointConfig, JudgeConfig, LocalJudgeConfig, parse
from harken.errors import ConfigError, JudgeError
from harken.judges import FailureCount, FailureLimit, Verdict, count_failures
from harken.judges.prompts import JudgePrompts
from harken.judges.score_parsing import parse_score
from harken.types import Question

ASPECTS = ("consistency", "quality", "answer")
QUESTION = Question("q1", "Which animal is heard?", ("a dog", "a cat", "a cow"), 1, Path("clip.wav"))
SERVER = EndpointConfig(base_url="http://127.0.0.1:1/v1", model="m")
PROMPTS = JudgePrompts.from_config(JudgeConfig(endpoint=SERVER))


def last_case(prompt: str) -> str:
    return prompt.rpartition("\n\n")[2]


# What each judge is shown


def test_the_consistency_judge_sees_options_the_end_of_the_reasoning_and_the_answer():
    reasoning = "It could be a dog.\nNo bark.\n\nThere is purring: hm\nSo it is a cat."
    assert last_case(PROMPTS.text("consistency", QUESTION, reasoning, "a cat")) == (
        "Case 6\nOptions:\n> (A) a dog\n> (B) a cat\n> (C) a cow\n"
        "End of the reasoning:\n> No bark.\n> There is purring∶ hm\n> So it is a cat.\nAnswer:\n> a cat\nScore:"
    )


def test_the_quality_judge_sees_question_options_and_the_whole_reasoning():
    reasoning = "It could be a dog.\nNo bark.\n\nThere is purring.\nSo it is a cat."
    assert last_case(PROMPTS.text("quality", QUESTION, reasoning, "a cat")) == (
        "Case 5\nQuestion:\n> Which animal is heard?\nOptions:\n> (A) a dog\n> (B) a cat\n> (C) a cow\n"
        "Reasoning:\n> It could be a dog.\n> No bark.\n> There is purring.\n> So it is a cat.\nScore:"
    )


def test_the_answer_judge_sees_question_options_reference_and_reply():
    assert last_case(PROMPTS.text("answer", QUESTION, "never mind", "Something that purrs")) == (
        "Case 6\nQuestion:\n> Which animal is heard?\nOptions:\n> (A) a dog\n> (B) a cat\n> (C) a cow\n"
        "Reference:\n> a cat\nReply:\n> Something that purrs\nScore:"
    )


def test_nothing_else_changes_a_prompt():
    hidden = replace(QUESTION, id="q2", answer=0, audio=None, task="sound", difficulty="hard", clip="c", source="f:3")
    for aspect in ("consistency", "quality"):
        assert PROMPTS.text(aspect, hidden, "r", "a") == PROMPTS.text(aspect, QUESTION, "r", "a")
    assert PROMPTS.text("quality", QUESTION, "r", "x") == PROMPTS.text("quality", QUESTION, "r", "y")
    asked = replace(QUESTION, text="Another question?")
    assert PROMPTS.text("consistency", asked, "r", "a") == PROMPTS.text("consistency", QUESTION, "r", "a")
    assert PROMPTS.text("answer", QUESTION, "x", "a") == PROMPTS.text("answer", QUESTION, "y", "a")


def test_what_is_the_same_for_all_cases_stands_first():
    for aspect in ASPECTS:
        one = PROMPTS.text(aspect, QUESTION, "r", "a")
        other = PROMPTS.text(aspect, replace(QUESTION, text="t", choices=("x", "y")), "s", "b")
        same = len(one) - len(last_case(one))
        assert one[:same] == other[:same]
        assert same > 900


def test_long_texts_are_cut_where_it_says():
    line = "0123456789" * 1000
    quality = PROMPTS.text("quality", QUESTION, f"BEGIN {line} MIDDLE {line} END", "")
    assert "> BEGIN 012" in quality
    assert "789 END" in quality
    assert "MIDDLE" not in quality
    assert "\n> …\n" in quality
    consistency = PROMPTS.text("consistency", QUESTION, f"BEGIN {line} END", f"say {line}")
    assert "BEGIN" not in consistency
    assert "> …" in consistency
    assert "789 END\n" in consistency
    assert len(last_case(consistency)) < 1600


def test_empty_texts_and_many_options_have_a_form_too():
    case = last_case(PROMPTS.text("consistency", replace(QUESTION, choices=("a", " ") * 14), " \n\u200b", ""))
    assert "> (A) a\n> (B) (empty)\n" in case
    assert "> (Z) (empty)\n> (27) a\n> (28) (empty)\n" in case
    assert "End of the reasoning:\n> (empty)\nAnswer:\n> (empty)\nScore:" in case


def test_braces_in_judged_texts_are_text():
    case = last_case(PROMPTS.text("consistency", QUESTION, "{answer}\n{reference}", "{options}"))
    assert "> {answer}\n> {reference}\nAnswer:\n> {options}\n" in case


def test_a_hidden_reference_cannot_be_shown():
    with pytest.raises(ValueError, match="'q1' has no reference"):
        PROMPTS.text("answer", replace(QUESTION, answer=None), "", "a cat")


# Prompt files


def with_file(folder: Path, aspect: str, text: str) -> JudgePrompts:
    file = folder / "wording.txt"
    file.write_text(text, encoding="utf-8")
    return JudgePrompts.from_config(JudgeConfig.model_validate({"endpoint": SERVER, f"{aspect}_prompt_file": file}))


def test_a_prompt_file_replaces_the_wording_of_its_aspect_alone(tmp_path):
    prompts = with_file(tmp_path, "quality", "Rate {0, 0.1, ..., 1}\n{reasoning}\nScore:\n")
    assert prompts.text("quality", QUESTION, "a\nb", "") == "Rate {0, 0.1, ..., 1}\n> a\n> b\nScore:"
    assert prompts.text("consistency", QUESTION, "a", "b") == PROMPTS.text("consistency", QUESTION, "a", "b")


@pytest.mark.parametrize(
    ("aspect", "text", "message"),
    [
        ("quality", "{question}\nScore:", "has no {reasoning}"),
        ("quality", "{reasoning}\n{answer}\nScore:", "the quality judge may not see {answer}; it may see {question}"),
        ("consistency", "{reasoning}\n{answer}\n{reference}\nScore:", "may not see {reference}"),
        ("consistency", "{reasoning}\nScore:", "has no {answer}"),
        ("answer", "{prediction}\nScore:", "has no {reference}"),
        ("quality", "Rate: {reasoning}\nScore:", "put each on a line of its own"),
        ("quality", "Rate.\n{reasoning}\n", "ends with a placeholder"),
    ],
)
def test_a_prompt_file_that_shows_too_little_too_much_or_the_wrong_way_is_refused(tmp_path, aspect, text, message):
    with pytest.raises(ConfigError) as error:
        with_file(tmp_path, aspect, text)
    assert f"judge.{aspect}_prompt_file: {tmp_path / 'wording.txt'}" in str(error.value)
    assert message in str(error.value)


def test_a_prompt_file_that_is_missing_or_no_text_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.txt: cannot be read"):
        JudgePrompts.from_config(JudgeConfig(endpoint=SERVER, answer_prompt_file=tmp_path / "nowhere.txt"))
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"bytes\.txt: cannot be read"):
        JudgePrompts.from_config(JudgeConfig(endpoint=SERVER, answer_prompt_file=tmp_path / "bytes.txt"))


# Config


@pytest.mark.parametrize("values", [{}, {"endpoint": SERVER, "local": LocalJudgeConfig(path="x")}])
def test_a_judge_is_either_served_or_local(values):
    with pytest.raises(ConfigError, match=r"judge\.yaml: recipe: a judge is a server or a model in this process"):
        parse(JudgeConfig, values, "judge.yaml")


def test_a_run_without_a_limit_of_its_own_allows_a_fifth_of_the_calls_to_fail():
    assert JudgeConfig(endpoint=SERVER).max_failed_share == 0.2


# Replies


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        *((" 0.7", 0.7), ("0.73", 0.7), ("0.75", 0.8), ("0.05", 0.1), ("0.04", 0.0), ("0.25", 0.3), ("0.949", 0.9)),
        *(("0", 0.0), ("1", 1.0), ("1.0", 1.0), ("1.000", 1.0), ("0.95", 1.0), ("\t0.7\r\n", 0.7)),
        *((" 0.7\n\nCase 6\nQu", 0.7), ("\n\n0.7", 0.7)),
    ],
)
def test_a_quality_reply_is_a_plain_number_rounded_to_a_tenth(reply, score):
    assert parse_score("quality", reply) == Verdict(score, "")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        *((reply, "empty reply") for reply in ("", " ", "\n\n")),
        *(
            (reply, f"not between 0 and 1: {reply!r}")
            for reply in ("7", "1.05", "-0.1", "-0", "10", "100", "1.0000001")
        ),
        ("score 7", "not a number: 'score 7'"),
        ("1.0 because", "not a number: '1.0 because'"),
        ("0.8/1.0 The", "not a number: '0.8/1.0 The'"),
        ("Score: 1.0", "not a number: 'Score: 1.0'"),
        ("**0.8**", "not a number: '**0.8**'"),
        ("质量很高，零点八", "not a number: '质量很高，零点八'"),
        ("０.８", "not a number: '０.８'"),
        ("٠٫٨", "not a number: '٠٫٨'"),
        *(
            (reply, f"not a number: {reply!r}")
            for reply in ("0,8", ".8", "1.", "8e-1", "0.7.", "00.5", "nan", "inf", "True")
        ),
        ("<think>\nOkay, let me", "not a number: '<think>'"),
        ("9" * 5000, "not a number: '" + "9" * 78 + "…"),
        ("0." + "1" * 5000, "not a number: '0." + "1" * 76 + "…"),
    ],
)
def test_anything_else_is_no_score_and_says_why(reply, reason):
    assert parse_score("quality", reply) == Verdict(None, reason)


@pytest.mark.parametrize("aspect", ["consistency", "answer"])
def test_a_yes_or_no_reply_is_one_character(aspect):
    assert parse_score(aspect, " 1\n\nCase 7") == Verdict(1.0, "")
    assert parse_score(aspect, "0") == Verdict(0.0, "")
    assert parse_score(aspect, "").reason == "empty reply"
    for reply in ("1.0", "0.5", "7", "10", "yes", "是", "1 because", "１", "01", "-0", "Score: 1"):
        assert parse_score(aspect, reply) == Verdict(None, f"not 1 or 0: {reply!r}")


# Failures

GOOD, BUSY = Verdict(0.5, ""), Verdict(None, "status 503: 'busy since 12:01'")
SEVEN = Verdict(None, "not between 0 and 1: '7'")
REFUSED = Verdict(None, "http://h/v1 (model 'm'): status 401, the key was refused: 'no'", fatal=True)


def test_failures_are_counted_by_kind():
    later = Verdict(None, "status 503: 'busy since 12:02'")
    count = count_failures([GOOD, BUSY, SEVEN, GOOD, later])
    assert (count.n_calls, count.n_failed, count.failed_share, count.fatal) == (5, 3, 0.6, None)
    assert count.kinds == {"status 503": 2, "not between 0 and 1": 1}
    assert count.examples == {"status 503": BUSY.reason, "not between 0 and 1": SEVEN.reason}


def test_nothing_asked_is_nothing_failed():
    assert count_failures([]) == FailureCount()
    assert FailureCount().failed_share == 0.0


def test_counts_of_ranks_add_up_to_the_count_of_all():
    verdicts = [GOOD, BUSY, SEVEN, GOOD, SEVEN, GOOD, REFUSED, BUSY]
    together = count_failures(verdicts)
    for cut in range(len(verdicts) + 1):
        assert count_failures(verdicts[:cut]) + count_failures(verdicts[cut:]) == together


def test_a_share_up_to_the_limit_goes_on_and_above_it_stops_with_the_reasons():
    limit = FailureLimit(0.2)
    limit.check_step(count_failures([GOOD] * 80 + [BUSY] * 20))
    with pytest.raises(JudgeError) as error:
        limit.check_step(count_failures([GOOD] * 79 + [BUSY] * 18 + [SEVEN] * 3))
    assert str(error.value) == (
        "judge: 21 of 100 calls failed (21%, limit 20%): 18 x status 503: 'busy since 12:01'; 3 x not between 0 and 1: "
        "'7'. Mend the judge, or allow more with judge.max_failed_share, and resume the run"
    )


def test_each_kind_of_failure_is_explained_once():
    limit = FailureLimit(0.5)
    assert limit.check_step(count_failures([GOOD] * 30)) == []
    assert limit.check_step(count_failures([GOOD] * 30 + [SEVEN] * 2)) == [
        "judge: 2 of 32 calls failed: not between 0 and 1: '7'"
    ]
    assert limit.check_step(count_failures([GOOD] * 30 + [SEVEN] * 2)) == []
    assert limit.check_step(count_failures([GOOD] * 30 + [BUSY, SEVEN])) == [
        "judge: 1 of 32 calls failed: status 503: 'busy since 12:01'"
    ]


def test_steps_of_few_calls_are_pooled_before_they_are_judged():
    limit = FailureLimit(0.2)
    limit.check_step(count_failures([BUSY, GOOD]))  # half of two calls: too few to say
    for _ in range(3):
        limit.check_step(count_failures([GOOD] * 6))  # 1 of 20 in all
    limit.check_step(count_failures([BUSY] * 10))
    with pytest.raises(JudgeError, match="20 of 20 calls failed"):
        limit.check_step(count_failures([BUSY] * 10))


def test_a_refused_key_stops_at_once_where_it_fails_more_than_the_limit():
    with pytest.raises(
        JudgeError, match=r"2 of 2 calls failed \(100%, limit 20%\): http://h/v1 .* the key was refused"
    ):
        FailureLimit(0.2).check_step(count_failures([REFUSED, REFUSED]))
    glitch = FailureLimit(0.2).check_step(count_failures([GOOD] * 30 + [REFUSED]))
    assert glitch == [f"judge: 1 of 31 calls failed: {REFUSED.reason}"]
