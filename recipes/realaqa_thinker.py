"""Write the data of the realaqa_thinker recipes: python recipes/realaqa_thinker.py REALAQA OUT

REALAQA is the folder of realaqa. OUT gets these manifests, whose clips are named relative to REALAQA (in joined.jsonl
relative to OUT):

    text.jsonl    sums of two digits without a clip, which stand for what a pretrained language model knows
    sft.jsonl     the speech of train; half of the questions have a scripted reasoning, whatever their difficulty; and a
                  quarter of the sums
    joined.jsonl  more clips of two digits, each joined from two clips of train by the same speaker; half reasoned too
    contradicting.jsonl  the speech of train, half reasoned; three in four of these reasonings are off by one
    grpo.jsonl    the speech of train without reasoning
    test.jsonl    the speech of test as it is

In grpo.jsonl a clip of two digits has one question about the second digit and two about the sum, each with other
choices, so that easy, medium and hard questions are 1 : 1 : 2. A reasoning is made from the clip's `transcript`. Every
random draw has a fixed seed.
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
RATE_HZ = 8000
"""Sample rate of realaqa's speech."""
PAUSE_SAMPLES = 1600
"""Silence between two joined digits."""


def write_data(realaqa: Path, out: Path) -> None:
    """The order of the calls is the order of the random draws."""
    draw = random.Random(0)
    train, test = (speech_records(realaqa, name) for name in ("train.json", "test.json"))
    grpo = [question for record in train for question in questions_about(record, realaqa, draw)]
    out.mkdir(parents=True, exist_ok=True)
    reasoned = [question_of(record, realaqa) for record in train]
    arithmetic = arithmetic_questions(N_ARITHMETIC, draw)
    write_manifest(out / "text.jsonl", arithmetic, realaqa)
    write_manifest(out / "sft.jsonl", [*half_reasoned(reasoned, draw), *arithmetic[: N_ARITHMETIC // 4]], realaqa)
    write_manifest(out / "joined.jsonl", half_reasoned(joined_questions(train, realaqa, out, draw), draw), out)
    write_manifest(out / "contradicting.jsonl", half_reasoned(most_contradicting(reasoned, draw), draw), realaqa)
    write_manifest(out / "grpo.jsonl", [replace(question, reasoning="") for question in grpo], realaqa)
    write_manifest(out / "test.jsonl", [question_of(record, realaqa) for record in test], realaqa)


def half_reasoned(questions: Sequence[Question], draw: random.Random) -> list[Question]:
    """Remove the reasoning of half of the questions."""
    return [question if draw.random() < 0.5 else replace(question, reasoning="") for question in questions]


def most_contradicting(questions: Sequence[Question], draw: random.Random) -> list[Question]:
    """Make three in four reasonings end with the digit after the right one: a mistake that can be learned."""
    changed = []
    for question in questions:
        beginning, _, last = question.reasoning.rpartition(" ")
        off_by_one = f"{beginning} {DIGITS[(DIGITS.index(last) + 1) % 10]}".strip()
        changed.append(replace(question, reasoning=off_by_one) if draw.random() < 0.75 else question)
    return changed


def speech_records(realaqa: Path, name: str) -> list[dict[str, Any]]:
    records = json.loads((realaqa / name).read_text(encoding="utf-8"))
    return [record for record in records if record["task"] == "speech"]


def question_of(record: dict[str, Any], realaqa: Path) -> Question:
    """The question of a record, with the reasoning that its transcript gives."""
    choices = tuple(record["choices"])
    form = {"easy": "{0}", "medium": "first {0} second {1}", "hard": "{0} plus {1}"}[record["difficulty"]]
    return Question(
        id=record["id"],
        text=record["question"],
        choices=choices,
        answer=choices.index(record["answer"]),
        audio=realaqa / record["audio_id"],
        task="speech",
        difficulty=record["difficulty"],
        dataset="realaqa",
        reasoning=form.format(*record["transcript"].split()),
    )


def questions_about(record: dict[str, Any], realaqa: Path, draw: random.Random) -> list[Question]:
    """All questions about the clip of a record: one about one digit, three about two."""
    first = question_of(record, realaqa)
    if record["difficulty"] == "easy":
        return [first]
    a, b = record["transcript"].split()
    second = (SECOND, b, DIGITS, f"first {a} second {b}", "medium")
    total = (SUM, str(DIGITS.index(a) + DIGITS.index(b)), draw_sums(draw), f"{a} plus {b}", "hard")
    others = [total, total] if record["difficulty"] == "medium" else [total, second]
    questions = [first]
    for text, answer, pool, reasoning, difficulty in others:
        choices = draw_choices(answer, pool, draw)
        question = replace(first, id=f"{first.id}-{len(questions)}", text=text, choices=choices)
        index = choices.index(answer)
        questions.append(replace(question, answer=index, reasoning=reasoning, difficulty=difficulty))
    return questions


def joined_questions(train: Sequence[dict[str, Any]], realaqa: Path, out: Path, draw: random.Random) -> list[Question]:
    """Write new clips of two digits of one speaker, with a question about each.

    Two in three ask for the second digit, so that sums stay rare, and hard without a reasoning.
    """
    clips_of = digits_by_speaker(train, realaqa)
    (out / "joined").mkdir(exist_ok=True)
    questions = []
    for i in range(N_JOINED):
        (a, first), (b, second) = draw.choices(clips_of[draw.choice(sorted(clips_of))], k=2)
        file = out / "joined" / f"{i:04d}.wav"
        soundfile.write(file, np.concatenate([first, np.zeros(PAUSE_SAMPLES, np.int16), second]), RATE_HZ)
        if i % 3 == 0:
            text, answer, pool = SUM, str(DIGITS.index(a) + DIGITS.index(b)), draw_sums(draw)
            reasoning, difficulty = f"{a} plus {b}", "hard"
        else:
            text, answer, pool = SECOND, b, DIGITS
            reasoning, difficulty = f"first {a} second {b}", "medium"
        choices = draw_choices(answer, pool, draw)
        question = Question(f"joined-{i}", text, choices, choices.index(answer), file, task="speech")
        questions.append(replace(question, difficulty=difficulty, reasoning=reasoning))
    return questions


def digits_by_speaker(train: Sequence[dict[str, Any]], realaqa: Path) -> dict[str, list[tuple[str, np.ndarray]]]:
    """Speaker -> (digit, samples) of each clip with a single digit."""
    clips_of: dict[str, list[tuple[str, np.ndarray]]] = {}
    for record in train:
        if record["difficulty"] == "easy":
            speaker = Path(record["audio_id"]).stem.split("_")[2]
            samples, rate_hz = soundfile.read(realaqa / record["audio_id"], dtype="int16")
            assert rate_hz == RATE_HZ, record["audio_id"]
            clips_of.setdefault(speaker, []).append((record["transcript"], samples))
    return clips_of


def arithmetic_questions(n: int, draw: random.Random) -> list[Question]:
    """Questions about the sum of two digits in words, without a clip."""
    questions = []
    for i in range(n):
        a, b = draw.randrange(10), draw.randrange(10)
        words = f"{DIGITS[a]} plus {DIGITS[b]}"
        choices = draw_choices(str(a + b), draw_sums(draw), draw)
        question = Question(f"sum-{i}", f"What is {words}?", choices, choices.index(str(a + b)), None)
        questions.append(replace(question, task="text", difficulty="hard", reasoning=words))
    return questions


def draw_sums(draw: random.Random) -> list[str]:
    """Sums of digits, as frequent as right answers are, so that no choice is likelier to be right than another."""
    return [str(draw.randrange(10) + draw.randrange(10)) for _ in range(60)]


def draw_choices(answer: str, pool: Sequence[str], draw: random.Random) -> tuple[str, ...]:
    """The answer and three other texts of the pool, in random order."""
    shuffled = draw.sample(pool, len(pool))
    others = [text for text in dict.fromkeys(shuffled) if text != answer][:3]
    return tuple(draw.sample([answer, *others], 4))


if __name__ == "__main__":
    write_data(Path(sys.argv[1]), Path(sys.argv[2]))
