"""The form of an output, which the whole output has or has not, and its reasoning and answer, which are kept apart."""

import pytest

from harken.questions.grader import understand
from harken.questions.output_parts import form
from harken.types import Question


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<answer>dog</answer>", "no_think"),
        (" \n<answer>\ndog\n</answer>\n", "no_think"),
        ("<think>it barks</think><answer>dog</answer>", "think"),
        ("\n<think>it\nbarks</think>\n\n<answer>dog</answer> ", "think"),
        ("dog", "malformed"),
        ("", "malformed"),
        ("<answer> </answer>", "malformed"),
        ("<think>\n</think><answer>dog</answer>", "malformed"),
        ("<think></think><answer>dog</answer>", "malformed"),
        ("It is <answer>dog</answer>", "malformed"),
        ("<answer>dog</answer>.", "malformed"),
        ("<think>a</think> so <answer>dog</answer>", "malformed"),
        ("<think>a</think>", "malformed"),
        ("it barks</think><answer>dog</answer>", "malformed"),
        ("<think>it barks<answer>dog</answer>", "malformed"),
        ("<answer>dog</answer><think>a</think>", "malformed"),
        ("<answer>dog<think>a</think></answer>", "malformed"),
        ("<think><answer>dog</answer></think>", "malformed"),
        ("</think>a<think><answer>dog</answer>", "malformed"),
        ("<answer>dog</answer><answer>dog</answer>", "malformed"),
        ("<think>a</think><think>b</think><answer>dog</answer>", "malformed"),
        ("<think>say <answer> here</think><answer>dog</answer>", "malformed"),
        ("<answer>dog</answer></answer>", "malformed"),
        ("</answer>dog<answer>", "malformed"),
        ("<Answer>dog</Answer>", "malformed"),
    ],
)
def test_only_the_whole_output_has_a_form(text, expected):
    assert form(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think> it barks\nloudly </think> <answer>dog</answer>", ("think", "it barks\nloudly", "dog")),
        ("<answer>dog</answer>", ("no_think", "", "dog")),
        ("so it barks</think><answer>dog</answer>", ("malformed", "", "dog")),
        ("<think>it barks", ("malformed", "", "")),
    ],
)
def test_form_reasoning_and_answer_are_kept_apart(text, expected):
    asked = Question("q", "What barks?", ("dog", "cat"), 0, None)
    said = understand(text, asked, letters_shown=False, tokens=3, ended=True)
    assert (said.form, said.reasoning, said.grade.extracted) == expected
    assert (said.text, said.question, said.tokens, said.ended) == (text, asked, 3, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("dog", None), ("<think>it barks", None), ("<answer>dog</answer>", "no_think")],
)
def test_an_output_is_malformed_only_where_the_prompt_asked_for_a_form(text, expected):
    asked = Question("q", "What barks?", ("dog", "cat"), 0, None)
    plain = understand(text, asked, letters_shown=False, tokens=3, ended=True, tags_asked=False)
    tagged = understand(text, asked, letters_shown=False, tokens=3, ended=True)
    assert (plain.form, tagged.form) == (expected, expected or "malformed")
    assert plain.grade == tagged.grade
