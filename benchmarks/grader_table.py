"""Writes the table of the grader's rules in docs/evaluation.md: each rule with outputs and their reading.

python benchmarks/grader_table.py
"""

from pathlib import Path

from harken.questions.grader import grade
from harken.system.files import write_text
from marked_page import between_marks

PAGE = Path(__file__).parents[1] / "docs" / "evaluation.md"
BEGIN, END = "<!-- written by benchmarks/grader_table.py -->", "<!-- end of the table -->"
PETS = ("a dog", "a cat", "a cow", "a hen")
INSTRUMENTS = ("guitar", "bass guitar", "electric guitar", "piano")
RULES: tuple[tuple[str, tuple[str, ...], bool, tuple[str, ...]], ...] = (
    (
        "The answer is the body of the answer tag, or what follows the thinking. Other models' tags count, too.",
        PETS,
        False,
        (
            "<think>A dog?</think><answer>a cat</answer>",
            "<THINK>A dog?</THINK><RESPONSE>A cat.</RESPONSE>",
            "<think>A cat",
        ),
    ),
    (
        "The whole answer is a choice. Case, articles, hyphens, punctuation and plurals make no difference, as long as "
        "the choices stay different without them.",
        INSTRUMENTS,
        False,
        ("Bass Guitar.", "the bass-guitar", "**pianos**"),
    ),
    ("The same number, sign or unit may be spelled in several ways.", ("10,000", "1,000"), False, ("10000", "10 000")),
    ("", ("50%", "5%"), False, ("50 %", "fifty percent")),
    ("", ("C# minor", "C minor"), False, ("C sharp minor",)),
    ("", ("120 BPM", "90 BPM"), False, ("120bpm",)),
    (
        "Where the prompt showed letters, a stated letter counts before anything that its explanation names.",
        PETS,
        True,
        ("B", "The answer is (B).", "B because it meows, unlike a dog.", "答案是B", "A... no, B"),
    ),
    (
        "Two different letters, or a letter with the text of another choice, are several choices.",
        PETS,
        True,
        ("(A) or (B)", "(B) a dog"),
    ),
    ("A choice that is named as whole words counts.", INSTRUMENTS, False, ("I hear a bass guitar here.", "guitarist")),
    (
        "A choice that is denied, asked for or held to be undecidable does not count.",
        PETS,
        False,
        (
            "It is a cat, not a dog.",
            "It is not a dog.",
            "a dog, not a dog",
            "Is it a dog?",
            "Sorry, I cannot tell whether it is a dog.",
        ),
    ),
    ("Two choices that are named alike are several choices.", PETS, False, ("a dog or a cat",)),
)


def table() -> str:
    """The rows as Markdown, graded as they stand."""
    lines = ["| rule | choices | letters shown | output | read as | reason |", "|---|---|---|---|---|---|"]
    for rule, choices, letters_shown, outputs in RULES:
        for number, output in enumerate(outputs):
            graded = grade(output, choices, None, letters_shown=letters_shown)
            choice = "nothing" if graded.choice is None else choices[graded.choice]
            head = (rule, ", ".join(choices), "yes" if letters_shown else "no") if number == 0 else ("", "", "")
            lines.append("| " + " | ".join((*head, f"`{output}`", choice, graded.reason)) + " |")
    return "\n".join(lines)


def page(text: str) -> str:
    """The page with the table between its marks."""
    return between_marks(text, BEGIN, table(), END)


if __name__ == "__main__":
    write_text(PAGE, page(PAGE.read_text(encoding="utf-8")))
