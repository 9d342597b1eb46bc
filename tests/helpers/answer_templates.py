"""Outputs put together at random from templates, so that the answer which a careful person reads is known.

A statement names the right choice, denials name others; or the whole output denies, asks or cannot tell, and then no
choice may be read.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

CHOICES = (
    ("a dog", "a cat", "a cow", "a hen"),
    ("guitar", "bass guitar", "electric guitar", "piano"),
    ("happy", "sad", "angry", "neutral"),
    ("Rock", "Pop", "Hip-Hop", "R&B"),
    ("1", "2", "3", "4"),
    ("one", "two", "three", "twenty-one"),
    ("Male", "Female"),
    ("Yes", "No"),
    ("60 BPM", "90 BPM", "120 BPM", "150 BPM"),
    ("C major", "C minor", "C# minor", "A minor"),
    ("indoors", "outdoors", "in a car", "on a boat"),
    ("The man is happy", "The man is not happy", "The woman is happy", "The woman is not happy"),
    ("Rain", "Wind", "Thunder", "None of the above"),
    ("2.14 seconds", "2.00 seconds", "1.14 seconds"),
    ("increasing", "decreasing", "constant", "increasing then decreasing"),
    ("French", "German", "Spanish", "Italian"),
    ("left", "right", "centre", "behind"),
    ("rising intonation", "falling intonation", "flat intonation"),
    ("first", "second", "third", "fourth"),
    ("10,000", "1,000", "100"),
    ("drum", "drums", "bass drum", "snare drum"),
    ("UK", "US", "India", "Australia"),
    ("footsteps on gravel", "a door closing", "glass breaking", "a car engine starting"),
)
STATEMENTS = (
    *("{x}", "{x}.", "The answer is {x}.", "Answer: {x}", "I hear {x}.", "It is {x}.", "It sounds like {x}."),
    *("The correct answer is {x}", "**{x}**", "So the answer is {x}.", "I would say {x}.", "My final answer is {x}."),
    *("'{x}'", "The audio contains {x}."),
)
DENIALS = (
    *("It is not {y}.", "not {y}", "{y} is wrong.", "{y} is not correct.", "It cannot be {y}.", "It isn't {y}."),
    *("There is no {y} in the audio.", "I don't hear {y}.", "unlike {y}", "It does not sound like {y}."),
    *("rather than {y}", "{y} can be ruled out.", "It is neither {y} nor {z}.", "without {y}"),
    "It is unlikely to be {y}.",
)
NO_ANSWERS = (
    *("It is not {y}.", "not {y}", "Is it {y}?", "Sorry, I can't tell whether it is {y}.", "It isn't {y}."),
    *("There is no {y}.", "I don't think it is {y}.", "I cannot determine if it is {y} or {z}.", "{y} or {z}"),
    *("{y} and {z}", "Which one is it: {y} or {z}?", "It is neither {y} nor {z}.", "I'm not sure if this is {y}."),
    *("Could it be {y}?", "It could be {y} or {z}.", "I doubt that it is {y}.", "{y} is wrong."),
    *("The answer is not {y}.", "It doesn't sound like {y}.", "I never heard {y}.", "Hardly {y}."),
    *("It is far from {y}.", "Not {y}, not {z}.", "either {y} or {z}"),
)
LETTER_STATEMENTS = (
    *("{l}", "({l})", "{l}.", "{l})", "The answer is {l}.", "Answer: {l}", "ANSWER: {l}", "Option {l}", "({l}) {x}"),
    *("{l}. {x}", "\\boxed{{{l}}}", "**{l}**", "The correct option is ({l}).", "I choose {l}.", "{l} is correct."),
    *("答案是{l}", "So, the answer is {l}", "Final answer: {l}", "{l}: {x}"),
)
LETTER_DENIALS = (
    *("Option {m} is wrong.", "Not {m}.", "It is not ({m}).", "{m} is incorrect.", "unlike {y}"),
    *("{y} would sound different.", "The answer is not {m}.", "It cannot be {m}, because {y} is louder."),
    "{y} does not fit.",
)
LETTER_NO_ANSWERS = (
    *("The answer is not {m}.", "{m} or {o}", "Is it {m}?", "Not {m}", "I can't choose between {m} and {o}."),
    *("It is not option {m}.", "Should I choose {m}?", "I don't think the answer is {m}.", "{m} is wrong."),
    "({m}) and ({o})",
)


@dataclass(frozen=True)
class Output:
    """An output about `choices`; `reading` is the index of the choice that it states, or None."""

    text: str
    choices: tuple[str, ...]
    letters_shown: bool
    reading: int | None


def outputs(n: int, seed: int) -> Iterator[Output]:
    generator = random.Random(seed)
    for _ in range(n):
        yield _output(generator)


def _output(generator: random.Random) -> Output:
    choices = list(generator.choice(CHOICES))
    generator.shuffle(choices)
    right, *others = generator.sample(range(len(choices)), min(3, len(choices)))
    wrong, third = others[0], others[-1]
    names = {"x": choices[right], "y": choices[wrong], "z": choices[third]}
    names |= {"l": "ABCD"[right], "m": "ABCD"[wrong], "o": "ABCD"[third]}
    letters_shown = generator.random() < 0.5

    def fill(words: tuple[str, ...], letter_words: tuple[str, ...], share: float) -> str:
        templates = letter_words if letters_shown and generator.random() < share else words
        usable = [t for t in templates if len(choices) > 2 or not ("{z}" in t or "{o}" in t)]
        return generator.choice(usable).format(**names)

    if generator.random() < 0.3:
        return Output(fill(NO_ANSWERS, LETTER_NO_ANSWERS, 0.5), tuple(choices), letters_shown, None)
    parts = [fill(STATEMENTS, LETTER_STATEMENTS, 0.7)]
    denials = [fill(DENIALS, LETTER_DENIALS, 0.5) for _ in range(generator.choice((0, 1, 1, 2)))]
    before = all(denial.endswith(".") for denial in denials) and generator.random() < 0.4
    parts = [*denials, *parts] if before else [*parts, *denials]
    closed = all(part[-1] in ".)*'" for part in parts[:-1])
    text = generator.choice((" ", "\n") if closed else (", ", "\n")).join(parts)
    if generator.random() < 0.2:
        thought = generator.choice(STATEMENTS).format(x=choices[wrong])
        text = f"<think>{thought}</think><answer>{text}</answer>"
    return Output(text, tuple(choices), letters_shown, right)
