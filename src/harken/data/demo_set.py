"""Writes the built-in question set: sounds, melodies and vowels made by code, so that a first run needs no download.

The set is not realistic. It shows that every step from file to report works and that a small model learns. It needs
listening: questions come in fours that share their choices, where each choice and each position is right once, so a
model that does not hear the clips scores exactly 25 %. Train and test have the same kinds of questions with other
pitches, lengths, noise and formants.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harken.data.audio import wav_bytes
from harken.data.built_in_sounds import (
    INSTRUMENTS,
    SOUNDS,
    VOWELS,
    Rng,
    Signal,
    join_with_gaps,
    make_note,
    make_sound,
    make_vowel,
    sine,
    time_axis,
    with_fades,
)
from harken.data.records import Record
from harken.system.files import naming, write_json

CONTOURS = {"rising": (0, 1, 2), "falling": (2, 1, 0), "up down": (0, 2, 0), "down up": (2, 0, 2)}
COUNTS = ("one", "two", "three", "four")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of question.

    Attributes:
        words: the answers that its choices are drawn from.
        share: of all questions.
        render: takes a generator, the answer and a wrong choice; returns a clip in which the wrong choice may be used.
    """

    task: str
    difficulty: str
    subcategory: str
    question: str
    words: tuple[str, ...]
    share: float
    render: Callable[[Rng, str, str], Signal]


def write_demo_set(folder: Path, *, seed: int, n_train: int, n_test: int) -> None:
    """Write `audio/*.wav` (16 kHz mono, 16 bit), then `train.json` and `test.json` in the MMAU record format.

    60 % of the questions are easy, 25 % medium, 15 % hard; a third each sound, music, speech. The same arguments give
    the same files. Raises ValueError unless both sizes are positive multiples of 4.
    """
    for name, n in (("n_train", n_train), ("n_test", n_test)):
        if n < 4 or n % 4:
            raise ValueError(f"{name} is {n}: questions come in fours, choose a positive multiple of 4")
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    for number, (split, n) in enumerate((("train", n_train), ("test", n_test))):
        rng = np.random.default_rng([seed, number])
        plan = _plan(rng, n)
        order = rng.permutation(n)
        records = [_question(rng, folder, split, at, *plan[index]) for at, index in enumerate(order)]
        write_json(folder / f"{split}.json", records)


def _plan(rng: Rng, n: int) -> list[tuple[Kind, tuple[str, ...], int]]:
    """(kind, choices in order, index of the answer) of `n` questions, in fours with the same choices."""
    exact = [kind.share * (n // 4) for kind in KINDS]
    blocks = [int(share) for share in exact]
    largest_rest = np.argsort([have - share for have, share in zip(blocks, exact, strict=True)], kind="stable")
    for index in largest_rest[: n // 4 - sum(blocks)]:
        blocks[index] += 1
    plan = []
    for kind, n_blocks in zip(KINDS, blocks, strict=True):
        used = np.zeros(len(kind.words))
        for _ in range(n_blocks):
            chosen = np.argsort(used + rng.random(len(used)))[
                :4
            ]  # the words used least so far; equal ones in random order
            used[chosen] += 1
            for position, answer in enumerate(rng.permutation(chosen)):
                order = [word for word in rng.permutation(chosen) if word != answer]
                order.insert(position, answer)
                plan.append((kind, tuple(kind.words[word] for word in order), position))
    return plan


def _question(
    rng: Rng, folder: Path, split: str, number: int, kind: Kind, choices: tuple[str, ...], position: int
) -> Record:
    answer = choices[position]
    other = choices[(position + int(rng.integers(1, 4))) % 4]
    name = f"audio/{split}_{number:05d}.wav"
    samples = _as_recording(rng, kind.render(rng, answer, other))
    with naming(folder / name):
        (folder / name).write_bytes(wav_bytes(samples))
    return {
        "id": f"demo-{split}-{number:05d}",
        "audio_id": f"./{name}",
        "question": kind.question,
        "choices": list(choices),
        "answer": answer,
        "dataset": "harken-demo",
        "task": kind.task,
        "split": split,
        "category": "Reasoning" if kind.difficulty == "hard" else "Perception",
        "sub-category": kind.subcategory,
        "difficulty": kind.difficulty,
    }


def _as_recording(rng: Rng, signal: Signal) -> Signal:
    """The signal as a recording: at a random level, with a little background noise and silence at both ends."""
    padded = np.pad(signal, (int(rng.integers(160, 640)), int(rng.integers(160, 640))))
    noisy = padded + rng.normal(0, 10 ** rng.uniform(-2.5, -2.0), padded.size)
    return np.clip(noisy * rng.uniform(0.3, 0.8), -1, 1)


def _single_sound(rng: Rng, answer: str, other: str) -> Signal:
    return make_sound(rng, answer, rng.uniform(0.4, 0.7))


def _second_sound(rng: Rng, answer: str, other: str) -> Signal:
    return join_with_gaps(rng, [make_sound(rng, word, rng.uniform(0.35, 0.45)) for word in (other, answer)])


def _counted_beeps(rng: Rng, answer: str, other: str) -> Signal:
    pitch_hz = rng.uniform(600, 1400)
    parts = []
    for _ in range(COUNTS.index(answer) + 1):
        beep = with_fades(sine(pitch_hz, time_axis(rng.uniform(0.08, 0.12))))
        parts += [beep, np.zeros(time_axis(rng.uniform(0.1, 0.14)).size)]
    return np.concatenate([*parts, np.zeros(time_axis(rng.uniform(0.1, 0.2)).size)])


def _single_note(rng: Rng, answer: str, other: str) -> Signal:
    return make_note(rng, answer, rng.uniform(300, 600), rng.uniform(0.4, 0.7))


def _first_note(rng: Rng, answer: str, other: str) -> Signal:
    return join_with_gaps(
        rng, [make_note(rng, word, rng.uniform(300, 600), rng.uniform(0.35, 0.45)) for word in (answer, other)]
    )


def _melody(rng: Rng, answer: str, other: str) -> Signal:
    instrument = ("flute", "organ", "violin")[rng.integers(3)]
    base_hz, step = rng.uniform(350, 600), rng.uniform(4, 7) / 12
    return join_with_gaps(rng, [make_note(rng, instrument, base_hz * 2 ** (step * up), 0.3) for up in CONTOURS[answer]])


def _vowels(rng: Rng, *words: str) -> Signal:
    voice_hz = rng.uniform(90, 180)
    longest_s = 0.7 if len(words) == 1 else 0.9 / len(words)
    return join_with_gaps(rng, [make_vowel(rng, word, rng.uniform(0.75, 1) * longest_s, voice_hz) for word in words])


def _single_vowel(rng: Rng, answer: str, other: str) -> Signal:
    return _vowels(rng, answer)


def _second_vowel(rng: Rng, answer: str, other: str) -> Signal:
    return _vowels(rng, other, answer)


def _repeated_vowel(rng: Rng, answer: str, other: str) -> Signal:
    return _vowels(rng, *rng.permutation([answer, answer, other]))


KINDS = (
    Kind("sound", "easy", "Identification", "What is heard?", SOUNDS, 0.6 / 3, _single_sound),
    Kind("sound", "medium", "Order", "Which sound comes second?", SOUNDS, 0.25 / 3, _second_sound),
    Kind("sound", "hard", "Counting", "How many beeps are heard?", COUNTS, 0.15 / 3, _counted_beeps),
    Kind("music", "easy", "Instrument", "Which instrument plays?", INSTRUMENTS, 0.6 / 3, _single_note),
    Kind("music", "medium", "Order", "Which instrument plays first?", INSTRUMENTS, 0.25 / 3, _first_note),
    Kind("music", "hard", "Melody", "How does the melody move?", tuple(CONTOURS), 0.15 / 3, _melody),
    Kind("speech", "easy", "Vowel", "Which vowel is spoken?", VOWELS, 0.6 / 3, _single_vowel),
    Kind("speech", "medium", "Order", "Which vowel is spoken second?", VOWELS, 0.25 / 3, _second_vowel),
    Kind("speech", "hard", "Repetition", "Which vowel is spoken twice?", VOWELS, 0.15 / 3, _repeated_vowel),
)
