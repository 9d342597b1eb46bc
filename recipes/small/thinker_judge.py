"""A scripted judge of reasonings about spoken digits, for thinker_judged.yaml.

Like any judge it has neither the clip nor the right answer. Consistency is 1 where the reasoning leads to the answer
given. Quality is 1 for a reasoning that leads to an answer of the kind that was asked for, and 0 for any other.
"""

from harken import Question

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def score(aspect: str, question: Question, reasoning: str, answer: str) -> float:
    conclusion = conclusion_of(reasoning, asks_for_sum="sum" in question.text)
    if aspect == "consistency":
        return float(conclusion is not None and conclusion == answer.strip().lower())
    return float(conclusion is not None)


def conclusion_of(reasoning: str, *, asks_for_sum: bool) -> str | None:
    """The answer that follows from a reasoning, or None where none does.

    `three` leads to three, or to 3 where a sum is asked for, and `three plus four` to 7.
    """
    words = reasoning.lower().split(" plus ")
    digits = [DIGITS.index(word.strip()) for word in words if word.strip() in DIGITS]
    if len(digits) != len(words) or len(digits) > 2 or (len(digits) == 2 and not asks_for_sum):
        return None
    return str(sum(digits)) if asks_for_sum else DIGITS[digits[0]]
