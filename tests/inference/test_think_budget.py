"""A forced thinking budget: the reasoning ends after so many tokens, and the answer follows from it."""

import pytest
import torch
from small_steps import PROMPT, policy_of
from tiny_models import ARCHITECTURES

from harken.config import EvaluationRecipe
from harken.config.evaluation import think_budget
from harken.inference.predict import predict
from harken.inference.prompt_inputs import PromptInputs
from harken.inference.sampling import Sampling
from harken.questions.choice_orders import Trial
from harken.types import Question

QUESTIONS = [Question(name, f"Which digit, {name}?", ("one", "two", "three"), 0, None) for name in "abc"]


def answers(model, budget, sampling, samples=1):
    inputs = PromptInputs(model, PROMPT, cache_gib=0)
    batches = predict(
        *(model, [Trial(question) for question in QUESTIONS], inputs, sampling),
        **{"batch_size": 8, "samples": samples, "forced": "<think>", "think_tokens": budget},
    )
    return {trial.question.id: each for batch in batches for trial, each in batch}


def test_the_reasoning_is_the_greedy_one_cut_at_the_budget_and_the_answer_is_greedy_after_it():
    model = policy_of(ARCHITECTURES[0])
    inputs = PromptInputs(model, PROMPT, cache_gib=0)

    def greedy(question, text, longest):
        """Token after token with plain forward passes; the texts of the new tokens."""
        ids = torch.cat([inputs([question])[0].input_ids, model.encode_answer(text)[:-1]])
        new = []
        for _ in range(longest):
            with torch.no_grad():
                token = int(model.module(input_ids=ids[None]).logits[0, -1].argmax())
            new.append(token)
            if token in model.eos_token_ids:
                break
            ids = torch.cat([ids, torch.tensor([token])])
        return model.decode(new)

    for budget in (1, 3):
        found = answers(model, budget, Sampling(0, 4))
        for question in QUESTIONS:
            thought = greedy(question, "<think>", budget).partition("</think>")[0]
            begun = f"<think>{thought}</think><answer>"
            [answer] = found[question.id]
            assert answer.text == begun + greedy(question, begun, 4)
            assert answer.tokens > len(model.encode_answer(begun)) - 1


def test_samples_depend_on_the_seed_and_not_on_the_batch_and_are_several():
    model = policy_of(ARCHITECTURES[0])
    first, again = (answers(model, 3, Sampling(1.0, 4), samples=4) for _ in range(2))
    assert first == again
    assert len({answer.text for group in first.values() for answer in group}) > 4
    assert all(answer.text.startswith("<think>") for group in first.values() for answer in group)


@pytest.mark.parametrize(
    ("force", "budget"), [("think:64", 64), ("think", None), ("no_think", None), ("think:0", None), ("think:x", None)]
)
def test_a_budget_is_a_number_of_tokens_behind_think(force, budget):
    assert think_budget(force) == budget
    values = {"model": "m", "data": {"file": "a.json"}, "prompt": {"style": "adaptive"}, "force": force}
    if budget is None and ":" in force:
        with pytest.raises(ValueError, match="think: and a number of tokens"):
            EvaluationRecipe.model_validate(values)
    else:
        assert EvaluationRecipe.model_validate(values).force == force
