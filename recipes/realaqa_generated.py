"""The parts of recipes/realaqa_generated.sh that models do for real data: facts about clips, and a question generator.

    realaqa_generated.py captions TRAIN.json OUT.jsonl CLIPS    write facts from the labels of realaqa, for CLIPS clips
    realaqa_generated.py serve ADDRESS_FILE                     serve a scripted question generator on 127.0.0.1

The server reads the notes in a request and writes a question by rule.
"""

import hashlib
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripted_chat_server import open_chat_server

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SOUNDS = (
    *("fire crackling", "dog barking", "helicopter", "person sneezing", "sea waves", "chainsaw", "rooster crowing"),
    *("baby crying", "rain", "clock ticking"),
)
MUSIC = ("tabla", "drum loop", "bass drum", "bass synth", "electronic blip", "hi-hat", "ambient texture")


def facts_from_labels(records: Sequence[dict[str, Any]], n_clips: int) -> list[dict[str, str]]:
    """Write one record of the captions format for each of the first clips, an equal share for each task."""
    clips: dict[str, dict[str, str]] = {}
    n_of_task = dict.fromkeys(("speech", "sound", "music"), 0)
    for record in records:
        task, label = record["task"], record["answer"]
        if record["audio_id"] in clips or n_of_task[task] >= -(-n_clips // len(n_of_task)):
            continue
        if task == "speech":
            facts = {"caption": "A person speaks.", "speech": f"English digits: {record['transcript']}"}
        elif task == "music":
            facts = {"caption": "A short piece of music.", "music": label}
        elif record["sub-category"] == "Event Order":
            facts = {"caption": f"Two sounds; the first is {label}.", "sounds": label}
        else:
            facts = {"caption": "One kind of sound.", "sounds": label}
        n_of_task[task] += 1
        names = {"id": Path(record["audio_id"]).stem, "audio": record["audio_id"]}
        clips[record["audio_id"]] = {**names, **facts, "task": task, "dataset": "realaqa"}
    return list(clips.values())[:n_clips]


def write_question(prompt: str) -> str:
    """Reply to the instruction of `harken generate questions` as a language model would."""
    notes_text = prompt.rpartition("Now the clip. Notes:\n")[2]
    notes = {label: json.loads(text) for label, text in re.findall(r'^(A[1-4]): (".*")$', notes_text, re.MULTILINE)}
    if "A3" in notes:
        digits = notes["A3"].rpartition(": ")[2].split()
        number = "first" if len(digits) > 1 else "only"
        return _reply(f"Which digit is the {number} one to be said in the audio?", digits[0], DIGITS)
    if "A4" in notes:
        return _reply("Which instrument or texture is heard in the audio?", notes["A4"], MUSIC)
    first = "Two sounds" in notes["A1"]
    return _reply(f"What is {'first heard' if first else 'heard'} in the audio?", notes["A2"], SOUNDS)


def _reply(question: str, right: str, others: Sequence[str]) -> str:
    """Put the right choice first, as language models tend to; harken moves it."""
    wrong = sorted({*others} - {right}, key=lambda text: hashlib.sha256(f"{right} {text}".encode()).digest())[:3]
    return "```json\n" + json.dumps({"question_text": question, "multi_choice": [right, *wrong], "answer": 0}) + "\n```"


def main(words: Sequence[str]) -> None:
    if words[0] == "captions":
        records = json.loads(Path(words[1]).read_text(encoding="utf-8"))
        lines = [json.dumps(clip) + "\n" for clip in facts_from_labels(records, int(words[3]))]
        Path(words[2]).write_text("".join(lines), encoding="utf-8")
    else:
        server = open_chat_server(write_question)
        Path(words[1]).write_text(f"http://127.0.0.1:{server.server_address[1]}/v1", encoding="utf-8")
        server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
