"""A scripted judge for the realaqa_thinker recipes, and a count of contradicting reasonings.

    python recipes/realaqa_thinker_judge.py serve PORT     serve the judge, OpenAI-compatible, on the loopback interface
    python recipes/realaqa_thinker_judge.py count EVAL...  count the reasonings that contradict the answer after them

It stands for Audio-Thinker's Qwen3-8B-Base where no such model can be had, because it can work out where a reasoning
about spoken digits leads. Consistency is 1 where the reasoning leads to the given answer. Quality is 1.0 for a
reasoning of the kind that the question needs, 0.5 for another one that leads to an answer, 0.0 for one that leads to
none. Like any judge it has neither the clip nor the reference.
"""

import json
import re
import sys
from pathlib import Path

from scripted_chat_server import open_chat_server

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DIGIT = "|".join(DIGITS)
KINDS = {
    "What is their sum?": re.compile(rf"({DIGIT}) plus ({DIGIT})"),
    "Which digit is spoken second?": re.compile(rf"first (?:{DIGIT}) second ({DIGIT})"),
    "Which digit is spoken in the audio?": re.compile(rf"({DIGIT})"),
}
"""End of a question -> the form of the reasoning that it needs."""


def conclusion(reasoning: str) -> str | None:
    """The answer that a reasoning leads to; None where it leads to none."""
    for kind in KINDS.values():
        if match := kind.fullmatch(reasoning.strip()):
            digits = match.groups()
            return digits[0] if len(digits) == 1 else str(sum(DIGITS.index(digit) for digit in digits))
    return None


def consistency(reasoning: str, answer: str) -> int:
    return int(conclusion(reasoning) == answer)


def quality(question: str, reasoning: str) -> float:
    if conclusion(reasoning) is None:
        return 0.0
    return 1.0 if any(question.endswith(end) and kind.fullmatch(reasoning) for end, kind in KINDS.items()) else 0.5


def judge(prompt: str) -> str:
    """Reply to a prompt in harken's own wording; its last case is the one to judge."""
    quoted = {heading: " ".join(lines) for heading, lines in _sections(prompt.rpartition("\nCase ")[2])}
    if "Answer" in quoted:
        return str(consistency(quoted["End of the reasoning"], quoted["Answer"]))
    return str(quality(quoted["Question"], quoted["Reasoning"]))


def _sections(case: str) -> list[tuple[str, list[str]]]:
    """The headings of a case, each with its quoted lines."""
    sections: list[tuple[str, list[str]]] = []
    for line in case.splitlines():
        if line.startswith("> "):
            sections[-1][1].append(line[2:])
        elif line.endswith(":"):
            sections.append((line[:-1], []))
    return sections


def count(folder: Path) -> str:
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    thinking = [row for row in rows if row["form"] == "think"]
    contradicting = [row for row in thinking if not consistency(row["reasoning"], row["extracted"].strip())]
    share = f"{len(contradicting) / len(thinking):.1%}" if thinking else "none"
    return f"{folder}: {len(contradicting)} of {len(thinking)} reasonings contradict the answer ({share})"


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        with open_chat_server(judge, int(sys.argv[2])) as server:
            server.serve_forever()
    else:
        sys.stdout.writelines(f"{count(Path(name))}\n" for name in sys.argv[2:])
