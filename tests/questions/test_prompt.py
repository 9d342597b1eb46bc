"""Prompts have the published wording, never read data as a template, and mark audio only where there is a clip."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken.config import ConfigError, PromptConfig
from harken.questions.prompt import Prompt
from harken.types import Question

FORMS = {"omni_r1": None, "r1_aqa": "answer", "r1_aqa_think": "think", "adaptive": "adaptive"}


def question(text="What barks?", choices=("a dog", "a cat's toy"), answer: int | None = 0, audio: Path | None = None):
    return Question("q1", text, choices, answer, audio, source="train.jsonl:7")


def text_of(config: PromptConfig, shown: Question) -> str:
    return Prompt.from_config(config).conversation(shown)[0]["content"][-1]["text"]


def test_omni_r1_is_the_published_sentence():
    assert text_of(PromptConfig(), question()) == (
        "What barks? Please choose the answer from the following options: ['a dog', \"a cat's toy\"]"
    )


def test_r1_aqa_ends_the_sentence_and_asks_for_answer_tags():
    assert text_of(PromptConfig(style="r1_aqa"), question()) == (
        "What barks? Please choose the answer from the following options: ['a dog', \"a cat's toy\"]. "
        "Output the final answer in <answer> </answer>."
    )


def test_r1_aqa_think_asks_for_both_tags():
    assert text_of(PromptConfig(style="r1_aqa_think", choices="letters"), question()) == (
        "What barks? Please choose the answer from the following options: (A) a dog (B) a cat's toy. "
        "Output the thinking process in <think> </think> and final answer in <answer> </answer>."
    )


def test_the_benchmarks_own_prompts_are_as_their_authors_give_them():
    shown = question(choices=("a dog", "a cat", "a cow"))
    assert text_of(PromptConfig(style="mmau"), shown) == (
        "What barks?  Select one option from the provided choices.\n['a dog', 'a cat', 'a cow']."
    )
    assert text_of(PromptConfig(style="mmar"), shown) == (
        "What barks?\nSelect one option from the provided choices:\na dog\na cat\na cow"
    )
    assert text_of(PromptConfig(style="airbench"), shown) == (
        "Choose the most suitable answer from options A, B, C, and D to respond the question in next line, you may "
        "only choose A or B or C or D.\nWhat barks?\nA. a dog\nB. a cat\nC. a cow"
    )
    letters = {style: Prompt.from_config(PromptConfig(style=style)).letters_shown for style in ("mmau", "mmar")}
    assert letters == {"mmau": False, "mmar": False}
    assert Prompt.from_config(PromptConfig(style="airbench")).letters_shown
    assert text_of(PromptConfig(style="mmar", choices="list"), shown).endswith("['a dog', 'a cat', 'a cow']")


def test_audio_comes_before_the_text_in_one_user_turn():
    turns = Prompt.from_config(PromptConfig()).conversation(question(audio=Path("a.wav")))
    assert [turn["role"] for turn in turns] == ["user"]
    assert [element["type"] for element in turns[0]["content"]] == ["audio", "text"]


def test_without_a_clip_there_is_no_audio_element():
    turns = Prompt.from_config(PromptConfig()).conversation(question())
    assert [element["type"] for element in turns[0]["content"]] == ["text"]


@pytest.mark.parametrize(("style", "form"), list(FORMS.items()))
def test_the_prompt_knows_which_form_it_asked_for(style, form):
    prompt = Prompt.from_config(PromptConfig(style=style))
    assert (prompt.form, prompt.letters_shown) == (form, False)
    assert Prompt.from_config(PromptConfig(style=style, choices="letters")).letters_shown


def test_a_prompt_file_replaces_the_wording_and_may_name_a_placeholder_twice(tmp_path):
    file = tmp_path / "p.txt"
    file.write_text("Q: {question}\n{choices} {not_ours} {question}\n")
    assert text_of(PromptConfig(prompt_file=file, choices="letters"), question("Why?")) == (
        "Q: Why?\n(A) a dog (B) a cat's toy {not_ours} Why?"
    )


@given(st.lists(st.sampled_from(["{choices}", "{question}", "{0}", "{{", "}", "\\1", "\\g<0>", "%s", "a"]), min_size=1))
def test_a_hostile_question_is_put_in_as_it_is(pieces):
    hostile = "".join(pieces)
    assert text_of(PromptConfig(choices="letters"), question(hostile, (hostile, "x"))) == (
        hostile + " Please choose the answer from the following options: (A) " + hostile + " (B) x"
    )


@pytest.mark.parametrize(("content", "missing"), [("{choices}", "{question}"), ("{question} {Choices}", "{choices}")])
def test_a_prompt_file_without_a_placeholder_is_an_error_naming_it(tmp_path, content, missing):
    file = tmp_path / "p.txt"
    file.write_text(content)
    with pytest.raises(ConfigError, match=rf"prompt_file: .*p\.txt has no \{missing}"):
        Prompt.from_config(PromptConfig(prompt_file=file))


def test_a_prompt_file_that_cannot_be_read_is_a_config_error(tmp_path):
    with pytest.raises(ConfigError, match=r"prompt_file: .*gone\.txt cannot be read"):
        Prompt.from_config(PromptConfig(prompt_file=tmp_path / "gone.txt"))
    (tmp_path / "latin.txt").write_bytes(b"{question} {choices} \xe9")
    with pytest.raises(ConfigError, match=r"latin\.txt cannot be read"):
        Prompt.from_config(PromptConfig(prompt_file=tmp_path / "latin.txt"))


def test_the_prompt_file_is_read_once(tmp_path):
    file = tmp_path / "p.txt"
    file.write_text("{question} {choices}")
    prompt = Prompt.from_config(PromptConfig(prompt_file=file))
    file.unlink()
    assert prompt.text(question("Why?", ("a", "b"))) == "Why? ['a', 'b']"


def test_more_choices_than_letters_is_an_error_naming_the_record():
    many = question(choices=tuple(str(n) for n in range(27)))
    with pytest.raises(ValueError, match=r"train\.jsonl:7: 27 choices"):
        text_of(PromptConfig(choices="letters"), many)
    assert "'26'" in text_of(PromptConfig(), many)


def test_sft_trains_on_the_completion_the_prompt_asks_for():
    assert Prompt.from_config(PromptConfig()).answer_text(question(answer=1)) == "a cat's toy"
    assert Prompt.from_config(PromptConfig(style="r1_aqa")).answer_text(question()) == "<answer>a dog</answer>"


def test_sft_needs_an_answer_and_a_rationale_where_thinking_is_asked_for():
    with pytest.raises(ValueError, match=r"train\.jsonl:7: has no answer"):
        Prompt.from_config(PromptConfig()).answer_text(question(answer=None))
    with pytest.raises(ValueError, match=r"train\.jsonl:7: the prompt asks for a thinking process"):
        Prompt.from_config(PromptConfig(style="r1_aqa_think")).answer_text(question())


def test_adaptive_leaves_the_choice_to_the_model():
    assert text_of(PromptConfig(style="adaptive"), question(choices=("a", "b"))) == (
        "What barks? Please choose the answer from the following options: ['a', 'b']. First judge whether this problem "
        "needs thinking. If it does, output the thinking process in <think> </think> and final answer in <answer> "
        "</answer>. If it does not, output only the final answer in <answer> </answer>."
    )


@pytest.mark.parametrize(
    ("style", "reasoning", "target"),
    [
        ("omni_r1", "it barks", "a dog"),
        ("r1_aqa", "it barks", "<answer>a dog</answer>"),
        ("r1_aqa_think", " it barks\n", "<think>it barks</think><answer>a dog</answer>"),
        ("adaptive", "it barks", "<think>it barks</think><answer>a dog</answer>"),
        ("adaptive", " ", "<answer>a dog</answer>"),
    ],
)
def test_sft_trains_on_the_reasoning_where_the_prompt_has_a_place_for_it(style, reasoning, target):
    shown = replace(question(), reasoning=reasoning)
    assert Prompt.from_config(PromptConfig(style=style)).answer_text(shown) == target


@pytest.mark.parametrize("reasoning", ["so </think>", "<answer>a cat</answer>", "<think>"])
def test_a_reasoning_that_holds_tags_is_an_error_and_no_malformed_target(reasoning):
    prompt, shown = Prompt.from_config(PromptConfig(style="adaptive")), replace(question(), reasoning=reasoning)
    assert "would be malformed" in (prompt.target_fault(shown) or "")
    with pytest.raises(ValueError, match=r"train\.jsonl:7: .*would be malformed"):
        prompt.answer_text(shown)


def test_a_system_turn_stands_before_the_question_and_none_is_ours_by_default():
    shown = question(audio=Path("a.wav"))
    plain = Prompt.from_config(PromptConfig()).conversation(shown)
    assert [turn["role"] for turn in plain] == ["user"]
    with_system = Prompt.from_config(PromptConfig(system="Listen {question}.")).conversation(shown)
    assert with_system == [{"role": "system", "content": [{"type": "text", "text": "Listen {question}."}]}, *plain]
