"""The data of the realaqa_thinker recipes: python recipes/realaqa_thinker.py REALAQA OUT

Takes the folder of realaqa, writes manifests into OUT, clips named relative to REALAQA or, of joined.jsonl, to OUT:

    text.jsonl    sums of two digits without a clip, which stand for what a pretrained language model knows
    sft.jsonl     train's speech, half of the questions with a scripted reasoning whatever their difficulty, and some of
                  the sums
    joined.jsonl  more clips of two digits, made from train's clips of one by the same speaker; reasoned as in sft.jsonl
    contradicting.jsonl  train's speech, half of it reasoned, three in four of those reasonings off by one
    grpo.jsonl    train's speech without any reasoning
    test.jsonl    test's speech, as it is

In grpo.jsonl a clip of two digits is asked for the second digit once and for the sum twice, each time with other
choices: easy, medium and hard questions stand 1 : 1 : 2. The reasoning is what was said, `transcript`. Every draw has a
fixed seed.
"""

import json
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from harken.data.manifest import write_manifest
from harken.types import Question

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SECOND = "Two digits are spoken in the audio. Which digit is spoken second?"
SUM = "Two digits are spoken in the audio. What is their sum?"
N_ARITHMETIC = 3600
N_JOINED = 3000
RATE_HZ, PAUSE = 8000, 1600
"""Of realaqa's speech; samples between two joined digits."""


def write_data(realaqa: Path, out: Path) -> None:
    draw = random.Random(0)
    train, test = (speech(realaqa, name) for name in ("train.json", "test.json"))
    asked = [question for record in train for question in questions_about(record, realaqa, draw)]
    out.mkdir(parents=True, exist_ok=True)
    start = [as_asked(record, realaqa) for record in train]
    sums_told = arithmetic(N_ARITHMETIC, draw)
    write_manifest(out / "text.jsonl", sums_told, realaqa)
    write_manifest(out / "sft.jsonl", [*half_reasoned(start, draw), *sums_told[: N_ARITHMETIC // 4]], realaqa)
    write_manifest(out / "joined.jsonl", half_reasoned(joined(train, realaqa, out, draw), draw), out)
    write_manifest(out / "contradicting.jsonl", half_reasoned(most_contradicting(start, draw), draw), realaqa)
    write_manifest(out / "grpo.jsonl", [replace(question, reasoning="") for question in asked], realaqa)
    write_manifest(out / "test.jsonl", [as_asked(record, realaqa) for record in test], realaqa)


def half_reasoned(questions: Sequence[Question], draw: random.Random) -> list[Question]:
    return [question if draw.random() < 0.5 else replace(question, reasoning="") for question in questions]


def most_contradicting(questions: Sequence[Question], draw: random.Random) -> list[Question]:
    """Three in four reasonings name the digit after the last one said: the answer does not follow, but can be learned."""
    found = []
    for question in questions:
        rest, _, last = question.reasoning.rpartition(" ")
        other = f"{rest} {DIGITS[(DIGITS.index(last) + 1) % 10]}".strip()
        found.append(replace(question, reasoning=other) if draw.random() < 0.75 else question)
    return found


def speech(realaqa: Path, name: str) -> list[dict[str, Any]]:
    records = json.loads((realaqa / name).read_text(encoding="utf-8"))
    return [record for record in records if record["task"] == "speech"]


def as_asked(record: dict[str, Any], realaqa: Path) -> Question:
    """The question of a record, with the reasoning that its transcript gives."""
    choices = tuple(record["choices"])
    said = record["transcript"].split()
    reasoning = {"easy": "{0}", "medium": "first {0} second {1}", "hard": "{0} plus {1}"}[record["difficulty"]]
    return Question(
        **{"id": record["id"], "text": record["question"], "choices": choices},
        **{"answer": choices.index(record["answer"]), "audio": realaqa / record["audio_id"]},
        **{"task": "speech", "difficulty": record["difficulty"], "dataset": "realaqa"},
        reasoning=reasoning.format(*said),
    )


def questions_about(record: dict[str, Any], realaqa: Path, draw: random.Random) -> list[Question]:
    """What is asked about the clip of a record: one question about one digit, three about two."""
    first = as_asked(record, realaqa)
    if record["difficulty"] == "easy":
        return [first]
    a, b = record["transcript"].split()
    second = (SECOND, b, DIGITS, f"first {a} second {b}", "medium")
    total = (SUM, str(DIGITS.index(a) + DIGITS.index(b)), sums(draw), f"{a} plus {b}", "hard")
    others = [total, total] if record["difficulty"] == "medium" else [total, second]
    asked = [first]
    for text, answer, pool, reasoning, difficulty in others:
        choices = four(answer, pool, draw)
        name = f"{first.id}-{len(asked)}"
        one = replace(first, id=name, text=text, choices=choices, answer=choices.index(answer))
        asked.append(replace(one, reasoning=reasoning, difficulty=difficulty))
    return asked


def joined(train: Sequence[dict[str, Any]], realaqa: Path, out: Path, draw: random.Random) -> list[Question]:
    """New clips of two digits of one speaker, asked for the second: sums stay rare, and hard without a reasoning."""
    digits: dict[str, list[tuple[str, np.ndarray]]] = {}
    for record in train:
        if record["difficulty"] == "easy":
            speaker = Path(record["audio_id"]).stem.split("_")[2]
            clip, rate_hz = soundfile.read(realaqa / record["audio_id"], dtype="int16")
            assert rate_hz == RATE_HZ, record["audio_id"]
            digits.setdefault(speaker, []).append((record["transcript"], clip))
    (out / "joined").mkdir(exist_ok=True)
    questions = []
    for i in range(N_JOINED):
        (a, first), (b, second) = draw.choices(digits[draw.choice(sorted(digits))], k=2)
        file = out / "joined" / f"{i:04d}.wav"
        soundfile.write(file, np.concatenate([first, np.zeros(PAUSE, np.int16), second]), RATE_HZ)
        if i % 3 == 0:
            text, answer, pool, told = SUM, str(DIGITS.index(a) + DIGITS.index(b)), sums(draw), f"{a} plus {b}"
        else:
            text, answer, pool, told = SECOND, b, DIGITS, f"first {a} second {b}"
        choices = four(answer, pool, draw)
        one = Question(f"joined-{i}", text, choices, choices.index(answer), file, task="speech", reasoning=told)
        questions.append(replace(one, difficulty="hard" if text == SUM else "medium"))
    return questions


def arithmetic(n: int, draw: random.Random) -> list[Question]:
    """Sums of two digits, told in words, without a clip."""
    rows = []
    for i in range(n):
        a, b = draw.randrange(10), draw.randrange(10)
        told = f"{DIGITS[a]} plus {DIGITS[b]}"
        choices = four(str(a + b), sums(draw), draw)
        question = Question(f"sum-{i}", f"What is {told}?", choices, choices.index(str(a + b)), None)
        rows.append(replace(question, task="text", difficulty="hard", reasoning=told))
    return rows


def sums(draw: random.Random) -> list[str]:
    """Sums of digits, as frequent as answers are: a choice tells nothing by how likely it is."""
    return [str(draw.randrange(10) + draw.randrange(10)) for _ in range(60)]


def four(answer: str, pool: Sequence[str], draw: random.Random) -> tuple[str, ...]:
    """The answer and three others of the pool, in any order."""
    shuffled = draw.sample(pool, len(pool))
    others = [text for text in dict.fromkeys(shuffled) if text != answer][:3]
    return tuple(draw.sample([answer, *others], 4))


if __name__ == "__main__":
    write_data(Path(sys.argv[1]), Path(sys.argv[2]))
