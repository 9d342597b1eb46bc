"""The likelihood of each choice equals a plain pass over the prompt and that answer."""

import math

import pytest
import soundfile
import torch
from small_steps import PROMPT, policy_of
from tiny_models import ARCHITECTURES, noise, plain_logp

from harken.config import ConfigError, EvaluationRecipe
from harken.evaluation.evaluated_model import agree_on_recipe
from harken.inference.choice_likelihoods import choice_logp
from harken.inference.prompt_inputs import PromptInputs
from harken.results.likelihoods import add_likelihood_columns
from harken.types import Question


def test_each_choice_has_the_log_probability_of_a_plain_pass(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(0.4, 1), 16_000, subtype="FLOAT")
    questions = [
        Question("a", "Which digit?", ("one", "two", "three"), 2, tmp_path / "a.wav"),
        Question("o", "What is said?", (), None, None, answer_text="one"),
        Question("b", "Which digit?", ("two", "one"), 0, None),
        Question("c", "What is it?", ("one", "two", "three"), None, None),
    ]
    model = policy_of(ARCHITECTURES[0])
    inputs = PromptInputs(model, PROMPT, cache_gib=0)
    for batch_size in (1, 64):
        logp = choice_logp(model, questions, inputs, PROMPT, batch_size=batch_size)
        for question, values, read in zip(questions, logp, inputs(questions), strict=True):
            with torch.no_grad():
                expected = [
                    float(plain_logp(model.module, read, model.encode_answer(text)).sum()) for text in question.choices
                ]
            assert values == pytest.approx(expected, abs=1e-9)
    by_id = {question.id: (question, values) for question, values in zip(questions, logp, strict=True)}
    rows, figures = add_likelihood_columns(by_id, [{"id": question.id, "clip": question.id} for question in questions])
    exponentials = [math.exp(value) for value in logp[0]]
    assert rows[0]["right_share"] == pytest.approx(exponentials[2] / sum(exponentials))
    assert [row.get("right_share", "none") for row in rows[1:]] == ["none", rows[2]["right_share"], None]
    assert figures["right_share"]["n"] == 2


def test_only_a_checkpoint_that_answers_at_once_gives_likelihoods():
    values = {"data": {"file": "a.json"}, "likelihoods": True}
    with pytest.raises(ValueError, match="a served model does not give them"):
        EvaluationRecipe.model_validate({**values, "endpoint": {"base_url": "http://127.0.0.1:1/v1", "model": "m"}})
    with pytest.raises(ValueError, match="asks for reasoning first"):
        EvaluationRecipe.model_validate({**values, "model": "m", "prompt": {"style": "r1_aqa_think"}})
    guessing = EvaluationRecipe.model_validate({**values, "model": "random-guess"})
    with pytest.raises(ConfigError, match="random-guess gives none"):
        agree_on_recipe(guessing)
