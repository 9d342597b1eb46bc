"""The prompts of judges: what each aspect shows, and which prompt files and settings are refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from harken.config import EndpointConfig, JudgeConfig, LocalJudgeConfig, parse
from harken.errors import ConfigError
from harken.judges.prompts import JudgePrompts
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
    other = replace(QUESTION, text="Another question?")
    assert PROMPTS.text("consistency", other, "r", "a") == PROMPTS.text("consistency", QUESTION, "r", "a")
    assert PROMPTS.text("answer", QUESTION, "x", "a") == PROMPTS.text("answer", QUESTION, "y", "a")


def test_what_is_the_same_for_all_cases_stands_first():
    for aspect in ASPECTS:
        prompt = PROMPTS.text(aspect, QUESTION, "r", "a")
        other = PROMPTS.text(aspect, replace(QUESTION, text="t", choices=("x", "y")), "s", "b")
        same = len(prompt) - len(last_case(prompt))
        assert prompt[:same] == other[:same]
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
    with pytest.raises(
        ConfigError, match=r"judge\.yaml: recipe: a judge is a server, a model in this process or a function"
    ):
        parse(JudgeConfig, values, "judge.yaml")


def test_a_run_without_a_limit_of_its_own_allows_a_fifth_of_the_calls_to_fail():
    assert JudgeConfig(endpoint=SERVER).max_failed_share == 0.2
