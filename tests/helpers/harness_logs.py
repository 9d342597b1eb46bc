"""Sample logs of lmms-eval and evalscope, hand-made in the form that they write."""

from collections.abc import Callable
from typing import Any

from harken.types import Question

LETTERS = "ABCDEFGHIJ"
Answer = Callable[[int, Question], str]


def prompt(question: Question) -> str:
    """As the three programs word it: the question on a line of its own, then a line for each choice."""
    choices = "\n".join(f"{letter}. {text}" for letter, text in zip(LETTERS, question.choices, strict=False))
    return f"Choose an answer.\n{question.text}\n{choices}\nAnswer with the letter."


def lmms_eval(questions: list[Question], answer: Answer, name: str) -> list[dict[str, Any]]:
    rows = []
    for doc_id, question in enumerate(questions):
        text = answer(doc_id, question)
        row = {
            **{"doc_id": doc_id, "target": LETTERS[question.answer], "input": prompt(question)},
            **{"filtered_resps": [text], "doc_hash": "0", "token_counts": [None], "accuracy": {"overall": 1.0}},
        }
        if name == "mmau":  # its task gives the whole record back
            row["submission"] = {"id": question.id, "question": question.text, "model_prediction": "?"}
        if name == "airbench":
            row["submission"] = {question.id.rpartition("/")[2]: text[:1]}
        rows.append(row)
    return rows


def evalscope(questions: list[Question], answer: Answer, name: str) -> list[dict[str, Any]]:
    rows = []
    for index, question in enumerate(questions):
        content = [{"type": "text", "text": prompt(question)}, {"type": "audio", "audio": "data:...", "format": "wav"}]
        metadata: dict[str, Any] = {"answer": question.choices[question.answer]}
        if name == "mmau":
            metadata["audio_id"] = f"./test-mini-audios/{question.audio.name}"
        if name == "airbench":
            metadata |= {"task_name": question.task, "dataset_name": question.dataset}
            metadata["uniq_id"] = question.id.rpartition("/")[2]
        message = {"role": "assistant", "content": answer(index, question)}
        rows.append(
            {
                **{"index": index, "model": "m", "messages": [{"role": "user", "content": content}, message]},
                "model_output": {"model": "m", "choices": [{"message": message, "stop_reason": "stop"}]},
                "metadata": metadata,
            }
        )
    return rows
