"""A scripted judge for the realaqa_thinker recipes: it knows what a reasoning about spoken digits comes to.

    python recipes/realaqa_thinker_judge.py serve PORT     an OpenAI-compatible server on the loopback interface
    python recipes/realaqa_thinker_judge.py count EVAL...  reasonings that contradict the answer after them

Stands for Audio-Thinker's Qwen3-8B-Base where no such model can be had: consistency 1 where the reasoning comes to the
answer given; quality 1.0 for a reasoning of the kind that the question needs, 0.5 for another that comes to something,
0.0 for none. It hears nothing and knows no reference.
"""

import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DIGIT = "|".join(DIGITS)
KINDS = {
    "What is their sum?": re.compile(rf"({DIGIT}) plus ({DIGIT})"),
    "Which digit is spoken second?": re.compile(rf"first (?:{DIGIT}) second ({DIGIT})"),
    "Which digit is spoken in the audio?": re.compile(rf"({DIGIT})"),
}


def conclusion(reasoning: str) -> str | None:
    """The answer that a reasoning comes to; None where it comes to nothing."""
    for kind in KINDS.values():
        if found := kind.fullmatch(reasoning.strip()):
            digits = found.groups()
            return digits[0] if len(digits) == 1 else str(sum(DIGITS.index(digit) for digit in digits))
    return None


def consistency(reasoning: str, answer: str) -> int:
    return int(conclusion(reasoning) == answer)


def quality(question: str, reasoning: str) -> float:
    if conclusion(reasoning) is None:
        return 0.0
    return 1.0 if any(question.endswith(end) and kind.fullmatch(reasoning) for end, kind in KINDS.items()) else 0.5


def judge(prompt: str) -> str:
    """The reply to a prompt of harken's own wording, read from its last case."""
    quoted = {name: " ".join(lines) for name, lines in _quoted(prompt.rpartition("\nCase ")[2])}
    if "Answer" in quoted:
        return str(consistency(quoted["End of the reasoning"], quoted["Answer"]))
    return str(quality(quoted["Question"], quoted["Reasoning"]))


def _quoted(case: str) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for line in case.splitlines():
        if line.startswith("> "):
            found[-1][1].append(line[2:])
        elif line.endswith(":"):
            found.append((line[:-1], []))
    return found


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        reply = {"role": "assistant", "content": judge(asked["messages"][0]["content"])}
        choice = {"index": 0, "message": reply, "finish_reason": "stop"}
        body = json.dumps({"id": "judgement", "object": "chat.completion", "choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Thousands of requests: not a line for each."""


def count(folder: Path) -> str:
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    thinking = [row for row in rows if row["form"] == "think"]
    contradicting = [row for row in thinking if not consistency(row["reasoning"], row["extracted"].strip())]
    share = f"{len(contradicting) / len(thinking):.1%}" if thinking else "none"
    return f"{folder}: {len(contradicting)} of {len(thinking)} reasonings contradict the answer ({share})"


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        with ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler) as server:
            server.request_queue_size = 128
            server.serve_forever()
    else:
        sys.stdout.writelines(f"{count(Path(name))}\n" for name in sys.argv[2:])
