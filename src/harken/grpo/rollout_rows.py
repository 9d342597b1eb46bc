"""Completions as rows of `rollouts/step_*.jsonl` in the run folder: one JSON object for each completion.

`grpo/metrics.py` computes the metric row of the step from these rows, and the report shows them. The rows of an
evaluation (`predictions.jsonl`) have a format of their own, in `evaluation/prediction_rows.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from harken.grpo.micro_batch import RewardedBatch

RolloutRow = Mapping[str, Any]
"""One row, as `rollout_rows` makes it."""


def rollout_rows(batches: Sequence[RewardedBatch]) -> list[RolloutRow]:
    """One row for each completion, in whole groups: its question, its text, how it was graded and what it earned."""
    return [_row(batch, r) for batch in batches for r in range(len(batch.sampled.responses))]


def _row(batch: RewardedBatch, r: int) -> RolloutRow:
    response = batch.sampled.responses[r]
    question, grade = response.question, response.grade
    verdicts = batch.sampled.pending_verdicts[r]
    return {
        "id": question.id,
        "clip": question.clip,
        "task": question.task,
        "difficulty": question.difficulty,
        "question": question.text,
        "choices": list(question.choices),
        "g": r % batch.rewards.shape[1],
        "completion": response.text,
        "form": response.form,
        "reasoning": response.reasoning,
        "extracted": grade.extracted,
        "choice": None if grade.choice is None else question.choices[grade.choice],
        "answer": (question.answer_text or None) if question.answer is None else question.choices[question.answer],
        "correct": grade.correct,
        "reason": grade.reason,
        "tokens": response.tokens,
        "ended": response.ended,
        "reward": float(batch.rewards.flatten()[r]),
        "judged": {aspect: timed.result().verdict.score for aspect, timed in verdicts.items()},
        "rewards": {name: values[r] for name, values in batch.reward_parts.items()},
        "advantage": float(batch.advantages[r]),
    }
