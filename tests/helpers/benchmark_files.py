"""Small files in the formats of the benchmarks, with made-up content, and predictions as strangers write them."""

import json
import random
from pathlib import Path
from typing import Any

from harken.benchmarks.airbench import FOLDERS
from harken.benchmarks.base import Benchmark
from harken.types import Question, Rejected

Record = dict[str, Any]

THINGS = ("a dog", "a cat", "Bird song", "an engine", "Clapping hands", "rain", "a bass guitar", "the wind")
MODALITIES = (
    *("sound", "music", "speech", "mix-sound-music", "mix-sound-speech", "mix-music-speech"),
    "mix-sound-music-speech",
)
LAYERS = ("Signal Layer", "Perception Layer", "Semantic Layer", "Cultural Layer")


def write(path: Path, records: list[Record]) -> Path:
    """A JSON list, or JSON lines where the name says so."""
    lined = path.suffix == ".jsonl"
    text = "".join(json.dumps(record) + "\n" for record in records) if lined else json.dumps(records, indent=1)
    path.write_text(text, encoding="utf-8")
    return path


def changed(record: Record, **changes) -> Record:
    """The record with other values; `...` takes a key out."""
    return {key: value for key, value in {**record, **changes}.items() if value is not ...}


def read_records_of(
    benchmark: Benchmark, path: Path, *records: Record, lines: bool = False, audio_root: Path | None = None
) -> tuple[list[Question], list[Rejected]]:
    """What the benchmark's reader makes of these records, one a line of the file; none may be lost."""
    texts = [json.dumps(record) for record in records]
    path.write_text("\n".join(texts) if lines else "[" + ",\n".join(texts) + "]", encoding="utf-8")
    kept, rejected = benchmark.read(path, audio_root)
    assert len(kept) + len(rejected) == len(records)
    return kept, rejected


def mmau_records(n: int = 60, seed: int = 0) -> list[Record]:
    draw = random.Random(seed)
    return [
        {
            "id": f"m{i}",
            "audio_id": f"./audio/{i // 2}.wav",
            "question": f"What is heard in part {i}?",
            "choices": (choices := draw.sample(THINGS, draw.randint(2, 6))),
            "answer": draw.choice(choices),
            "dataset": "Set",
            "task": ("sound", "music", "speech")[i % 3],
            "split": "test-mini",
            "category": "Reasoning",
            "sub-category": f"Kind {i % 4}",
            "difficulty": ("easy", "medium", "hard")[i % 5 % 3],
        }
        for i in range(n)
    ]


def mmar_records(n: int = 70, seed: int = 0) -> list[Record]:
    draw = random.Random(seed)
    return [
        {
            "id": f"r{i}_00-00-01",
            "audio_path": f"./audio/clip{i}.wav",
            "question": f"Which is it in {i}?",
            "choices": (choices := draw.sample(THINGS, draw.randint(2, 6))),
            "answer": draw.choice(choices),
            "modality": MODALITIES[i % 7],
            "category": LAYERS[i % 4],
            "sub-category": f"Kind {i % 5}",
            "language": None,
            "source": "somewhere",
            "url": "https://example.org",
            "timestamp": "00:00:01,00:00:02",
        }
        for i in range(n)
    ]


def airbench_records(each: int = 4, seed: int = 0) -> list[Record]:
    """`each` questions in each of the 25 folders; uniq_id counts on through the file."""
    draw, records = random.Random(seed), []
    for task, datasets in FOLDERS.items():
        for dataset in datasets:
            for _ in range(each):
                count = draw.choice((2, 3, 4, 4))
                choices = draw.sample(THINGS, count)
                number = len(records)
                records.append(
                    {
                        "path": f"{number}.wav",
                        "question": f"Which is it in {number}?",
                        **{f"choice_{'abcd'[k]}": choices[k] if k < count else None for k in range(4)},
                        "answer_gt": draw.choice(choices),
                        "task_name": task,
                        "dataset_name": dataset,
                        "uniq_id": number,
                    }
                )
    return records


def mmsu_records(n: int = 94, seed: int = 0) -> list[Record]:
    draw = random.Random(seed)
    return [
        {
            "id": f"s{i}",
            "audio_path": f"audio/{i}.wav",
            "question": f"Which is it in {i}?",
            **dict(
                zip(("choice_a", "choice_b", "choice_c", "choice_d"), choices := draw.sample(THINGS, 4), strict=True)
            ),
            "answer_gt": draw.choice(choices),
            "task_name": f"task {i % 47}",
            "category": ("perception", "reasoning")[i % 2],
            "sub-category": ("linguistics", "paralinguistics")[i % 4 // 2],
            "sub-sub-category": "semantics",
            "linguistics_sub_discipline": "semantics",
        }
        for i in range(n)
    ]


def mmau_pro_records(n: int = 60, seed: int = 0) -> list[Record]:
    """Questions with choices, each fifth about two clips."""
    draw = random.Random(seed)
    records = []
    for i in range(n):
        choices = draw.sample(THINGS, draw.randint(2, 6))
        record = {
            **{"id": f"p{i}", "question": f"Which is it in {i}?", "category": ("sound", "music", "speech")[i % 3]},
            **{"audio_path": [f"data/{i}.wav", *([f"data/{i}b.wav"] if i % 5 == 4 else [])]},
            **{"choices": choices, "answer": draw.choice(choices), "length_type": ("short", "long")[i % 2]},
            **{"sub-cat": None, "task_identifier": None, "kwargs": None},
        }
        records.append(record)
    return records


def adqa_records(n: int = 60, seed: int = 0) -> list[Record]:
    draw = random.Random(seed)
    return [
        {
            "id": f"dev_{i:04}",
            "audio_path": f"dev_audios/{i}.wav",
            "question_text": f"What is heard in part {i}?",
            "multi_choice": (choices := draw.sample(THINGS, 4)),
            "answer": draw.choice(choices),
        }
        for i in range(n)
    ]


RECORDS = {
    "mmau": mmau_records,
    "mmar": mmar_records,
    "airbench": airbench_records,
    "mmsu": mmsu_records,
    "mmau_pro": mmau_pro_records,
    "adqa": adqa_records,
}
KEY = {
    "mmau": "model_output",
    "mmar": "answer_prediction",
    "airbench": "response",
    "mmsu": "response",
    "mmau_pro": "model_output",
    "adqa": "answer_prediction",
}


def gold(record: Record) -> str:
    """What the official scorer is to be handed for the right answer: the text, or a bare letter."""
    if "answer_gt" not in record:
        return record["answer"]
    return next(letter.upper() for letter in "abcd" if record[f"choice_{letter}"] == record["answer_gt"])


def answered(records: list[Record], key: str, say=gold) -> list[Record]:
    """The records with a prediction added; `say` returning None leaves it out."""
    return [{**record, key: text} if (text := say(record)) is not None else record for record in records]


def accuracies(result: dict[str, Any]) -> list[float]:
    """The three accuracies of a score: official, official over all questions, and strict."""
    return [result[name]["value"] for name in ("official_accuracy", "official_accuracy_all", "choice_accuracy")]


def noise(draw: random.Random, right: str, choices: list[str]) -> str:
    """One random prediction: gold, wrong choices, letters, sentences, prefixes, several, unicode, empty, very long."""
    other, letter = draw.choice(choices), "ABCDEFGH"[draw.randrange(len(choices))]
    odd = draw.choice(("é", "naïve", "ß", "İ", "ＡＢ", "٣", "x²", "_", "中文", "a\u0301", "\u200b", "\ud83d", "٪", "½"))
    words = f"{right} {other}".split()
    draw.shuffle(words)
    return draw.choice(
        (
            right,
            other,
            letter,
            "",
            f"({letter}) {other}",
            f"The answer is {draw.choice((right, other))}.",
            f"{right}, not {other}",
            " and ".join(draw.sample(choices, draw.randint(1, len(choices)))),
            right[: draw.randrange(len(right) + 1)],
            f"{right.upper()} {odd}",
            f"{odd}{right}",
            " ".join(words),
            draw.choice("_-' \n").join(right.split()),
            f"<think>{other}?</think><answer>{right}</answer>",
            f"{right} " * draw.randrange(60) + (other if draw.random() < 0.3 else ""),
            "".join(chr(draw.randrange(32, 0x3000)) for _ in range(draw.randrange(30))),
        )
    )
