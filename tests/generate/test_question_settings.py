"""The settings of `harken generate questions`: recipe, options, prompt file, seed."""

from pathlib import Path

import pytest
from command_line import harken
from generate_cases import (
    clip_number,
    lines_of,
    question,
    write_captions,
)
from question_generation import generate
from scripted_server import said, serving


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


@pytest.mark.parametrize("name", ["gone.jsonl", ".", "http://127.0.0.1:9/captions"])
def test_a_file_that_a_recipe_names_and_that_is_not_there_is_an_error_with_recipe_and_key(tmp_path, name):
    recipe = tmp_path / "questions.yaml"
    recipe.write_text(f"captions: '{name}'\nendpoint: {{base_url: 'http://127.0.0.1:9/v1', model: m}}\n")
    done = harken("generate", "questions", recipe, "--out", tmp_path / "out")
    assert (done.code, f"{recipe}: captions: {Path(name)}: cannot be read: " in done.err) == (2, True)
    assert not (tmp_path / "out").exists()
