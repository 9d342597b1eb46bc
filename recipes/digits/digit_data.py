"""Write the questions and clips of recipes/digits: python recipes/digits/digit_data.py REALAQA OUT [FAINT_DB]

REALAQA is the folder of realaqa, of which the single spoken digits are used (FSDD: six speakers, ten digits, twenty
takes of each). OUT gets the clips and a manifest for each kind of question and part:

    noise_PART.jsonl  "Which digit is spoken in the audio?" Every take is asked about twice, clean and with white noise
                      at 6 dB signal to noise.
    faint_PART.jsonl  the same, clean and with noise in which the digit drowns, at FAINT_DB (default -12). No start is
                      trained on these.
    sums_PART.jsonl   "What is the sum of the digits in the audio?" One digit is spoken or two. Right answers are
                      uniform over 0 to 9 in both cases.
    pairs_PART.jsonl  the same question about two digits, with two choices in place of four
    KIND_reasoned.jsonl  the training questions of a kind; half have a scripted reasoning, whatever their difficulty
    text.jsonl        sums in words without a clip, half of them reasoned, which stand for what a pretrained language
                      model knows
    start.jsonl       KIND_reasoned.jsonl of all kinds and a quarter of the sums in words
    answers_PART.jsonl  the questions of noise and sums together, for training and evaluation without tags

Each kind has one wording, and its choices are drawn in the same way whatever is heard, so that how hard a question is
can only be heard. Parts are apart by take: the parts test and dev share no take with training, and no clip of the
speaker HELD_OUT is in any part but `speaker`. Every random draw has a fixed seed.
"""

import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from harken.data.manifest import write_manifest
from harken.types import Question

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NUMBERS = tuple(map(str, range(10)))
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
HELD_OUT = "yweweler"
PARTS = ("train", "dev", "test", "speaker")
WHICH = "Which digit is spoken in the audio?"
SUM = "What is the sum of the digits in the audio?"
RATE_HZ = 8000
"""Sample rate of realaqa's speech."""
NOISY_DB, FAINT_DB = 6.0, -12.0
"""Signal to noise of the noisy and of the faint digits."""
PAUSE_SAMPLES = 1600
"""Silence between two digits."""
N_TEXT = 3000
N_TWO = {"train": 1200, "dev": 150, "test": 250, "speaker": 200}
"""Clips with two digits in each part, for the sums and as many for the pairs."""

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Take:
    """One recording of one digit."""

    digit: int
    speaker: str
    number: int
    samples: Samples

    @property
    def name(self) -> str:
        return f"{self.digit}_{self.speaker}_{self.number}"


def part_of(speaker: str, number: int) -> str:
    """Takes 0 to 4 are FSDD's official test part; 5 to 7 are for development."""
    if speaker == HELD_OUT:
        return "speaker"
    return "test" if number < 5 else "dev" if number < 8 else "train"


def write_data(realaqa: Path, out: Path) -> None:
    (out / "clips").mkdir(parents=True, exist_ok=True)
    takes = read_takes(realaqa)
    reasoned: list[Question] = []
    for part in PARTS:
        own = [take for take in takes if part_of(take.speaker, take.number) == part]
        draw = random.Random(f"digits {part}")
        noise = list(noise_questions("noise", own, out, draw))
        sums = [*one_digit_questions(own, out, draw), *two_digit_questions(own, part, "sums", out, draw)]
        pairs = list(two_digit_questions(own, part, "pairs", out, draw))
        answers = [*noise, *sums]
        for kind, questions in {"noise": noise, "sums": sums, "pairs": pairs, "answers": answers}.items():
            write_manifest(out / f"{kind}_{part}.jsonl", [replace(each, reasoning="") for each in questions])
        for kind, questions in {"noise": noise, "sums": sums, "pairs": pairs}.items() if part == "train" else ():
            half = half_reasoned(questions, draw)
            write_manifest(out / f"{kind}_reasoned.jsonl", half)
            reasoned += half
    draw = random.Random("digits text")
    text = half_reasoned(list(text_questions(draw)), draw)
    write_manifest(out / "text.jsonl", text)
    write_manifest(out / "start.jsonl", [*reasoned, *text[: N_TEXT // 4]])


def write_faint(realaqa: Path, out: Path, snr_db: float = FAINT_DB) -> None:
    """The questions of kind faint. Their draws are their own, so they change no other file."""
    (out / "clips").mkdir(parents=True, exist_ok=True)
    takes = read_takes(realaqa)
    for part in PARTS:
        own = [take for take in takes if part_of(take.speaker, take.number) == part]
        draw = random.Random(f"digits faint {part}")
        questions = list(noise_questions("faint", own, out, draw, snr_db))
        if part == "train":
            write_manifest(out / "faint_reasoned.jsonl", half_reasoned(questions, draw))
        write_manifest(out / f"faint_{part}.jsonl", [replace(each, reasoning="") for each in questions])


def read_takes(realaqa: Path) -> list[Take]:
    """All single digits, in order of name, so that draws do not depend on the order of a folder."""
    takes = []
    for file in sorted((realaqa / "audio").glob("fsdd_*.wav")):
        _, digit, speaker, number = file.stem.split("_")
        samples, rate_hz = soundfile.read(file, dtype="float32")
        if rate_hz != RATE_HZ or speaker not in SPEAKERS:
            raise SystemExit(f"{file}: expected a speaker of {', '.join(SPEAKERS)} at {RATE_HZ} Hz")
        takes.append(Take(int(digit), speaker, int(number), samples))
    if not takes:
        raise SystemExit(f"{realaqa}/audio holds no clips fsdd_DIGIT_SPEAKER_TAKE.wav: give the folder of realaqa")
    return takes


def noise_questions(
    kind: str, takes: Sequence[Take], out: Path, draw: random.Random, snr_db: float = NOISY_DB
) -> Iterator[Question]:
    """Every take clean and with noise. The noise of a take is the same in both kinds, but for its strength."""
    for take in takes:
        for difficulty in ("clean", "drowned" if kind == "faint" else "noisy"):
            samples = take.samples if difficulty == "clean" else with_noise(take.samples, take.name, snr_db)
            clip = write_clip(out, f"{difficulty}_{take.name}", samples)
            yield question(kind, WHICH, clip, WORDS[take.digit], WORDS, 4, difficulty, WORDS[take.digit], draw)


def one_digit_questions(takes: Sequence[Take], out: Path, draw: random.Random) -> Iterator[Question]:
    for take in takes:
        clip = write_clip(out, f"clean_{take.name}", take.samples)
        yield question("sums", SUM, clip, str(take.digit), NUMBERS, 4, "one", WORDS[take.digit], draw)


def two_digit_questions(
    takes: Sequence[Take], part: str, kind: str, out: Path, draw: random.Random
) -> Iterator[Question]:
    """Two digits by one speaker whose sum is uniform over 0 to 9, as that of one digit is."""
    by_digit: dict[tuple[str, int], list[Take]] = {}
    for take in takes:
        by_digit.setdefault((take.speaker, take.digit), []).append(take)
    speakers = sorted({speaker for speaker, _ in by_digit})
    for i in range(N_TWO[part] if takes else 0):
        total, speaker = i % 10, draw.choice(speakers)
        first = draw.randint(0, total)
        a, b = (draw.choice(by_digit[speaker, digit]) for digit in (first, total - first))
        samples = np.concatenate([a.samples, np.zeros(PAUSE_SAMPLES, np.float32), b.samples])
        clip = write_clip(out, f"two_{part}_{kind}_{i:04d}_{a.digit}_{b.digit}", samples)
        reasoning = f"{WORDS[a.digit]} plus {WORDS[b.digit]}"
        yield question(kind, SUM, clip, str(total), NUMBERS, 4 if kind == "sums" else 2, "two", reasoning, draw)


def text_questions(draw: random.Random) -> Iterator[Question]:
    for i in range(N_TEXT):
        total = i % 10
        first = draw.randint(0, total)
        words = f"{WORDS[first]} plus {WORDS[total - first]}"
        without_clip = question("text", f"What is {words}?", None, str(total), NUMBERS, 4, "two", words, draw)
        yield replace(without_clip, id=f"text-{i}")


def question(
    kind: str,
    text: str,
    clip: Path | None,
    answer: str,
    pool: Sequence[str],
    n_choices: int,
    difficulty: str,
    reasoning: str,
    draw: random.Random,
) -> Question:
    """A question whose other choices are drawn from the pool alike for every difficulty."""
    others = draw.sample([each for each in pool if each != answer], n_choices - 1)
    choices = tuple(draw.sample([answer, *others], n_choices))
    return Question(
        id=f"{kind}-{'' if clip is None else clip.stem}",
        text=text,
        choices=choices,
        answer=choices.index(answer),
        audio=clip,
        task=kind,
        difficulty=difficulty,
        dataset="digits",
        reasoning=reasoning,
    )


def half_reasoned(questions: Sequence[Question], draw: random.Random) -> list[Question]:
    """Remove the reasoning of half of the questions."""
    return [each if draw.random() < 0.5 else replace(each, reasoning="") for each in questions]


def with_noise(samples: Samples, name: str, snr_db: float) -> Samples:
    """The samples with white noise whose power is `snr_db` below theirs, softer as a whole where they would clip."""
    draw = np.random.default_rng(list(f"noise {name}".encode()))
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    noise = draw.standard_normal(len(samples)) * np.sqrt(power / 10 ** (snr_db / 10))
    mixed = samples + noise
    return (mixed / max(1.0, float(np.abs(mixed).max()))).astype(np.float32)


def write_clip(out: Path, name: str, samples: Samples) -> Path:
    file = out / "clips" / f"{name}.wav"
    if not file.exists():
        soundfile.write(file, samples, RATE_HZ, subtype="PCM_16")
    return file


if __name__ == "__main__":
    write_data(Path(sys.argv[1]), Path(sys.argv[2]))
    write_faint(Path(sys.argv[1]), Path(sys.argv[2]), *map(float, sys.argv[3:]))
