"""What one downloads before data is prepared, in small: annotations, lists, captions and questions about one clip, MMAU
and speech; and what a served model replies to requests for questions, captions, reasoning or other wordings."""

import base64
import csv
import json
from pathlib import Path

from made_media import tone, write_wav
from scripted_server import Received, Scripted, said

from harken.data.demo_set import write_demo_set

CLIP = "AAAAAAAAAA0_000007"
CHOICES = ["a dog", "a cat", "a cow", "a door"]
QUESTION = {"question_text": "What is heard?", "multi_choice": CHOICES, "answer": 0}
N_MMAU = 4
REASONING = {"planning": "I listen.", "caption": "A bark.", "reasoning": "Dogs bark.", "summary": "It is a dog."}


def write_downloads(folder: Path, n: int = 1) -> None:
    """Write AVQA's annotations and clips for `n` questions, VGGSound's list, AudioSetCaps' tables, ARC, MMAU's file
    with N_MMAU questions, and a recording with its transcript.

    Args:
        n: questions of AVQA, each about a clip of its own; the other files are about the first clip.
    """
    annotations = []
    for number in range(n):
        name = f"AAAAAAAAAA{number}_000007"
        write_wav(folder / "videos" / f"{name}.wav", tone(440 + 90 * number, 16_000, 1.0))
        record = {"id": number, "video_name": name, "video_id": 7, "question_text": "What is heard in the video?"}
        record |= {"multi_choice": CHOICES, "answer": number % 4}
        annotations.append({**record, "question_relation": "Sound", "question_type": "Which"})
    (folder / "train_qa.json").write_text(json.dumps(annotations))
    (folder / "vggsound.csv").write_text(f"{CLIP.partition('_')[0]},7,dog barking,train\n")
    for name, *rows in (
        ("VGGSound_AudioSetCaps_caption.csv", ("id", "caption"), (CLIP, "A dog barks.")),
        ("VGGSound_Qwen-Audio_Q&A.csv", ("id", "question_1", "answer_1"), (CLIP, "Describe the sounds.", "a bark")),
    ):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    write_wav(folder / "AudioMCQ" / "clips" / "a.wav", tone(500, 16_000, 1.0))
    record = {"question": "What is heard?", "choices": ["a dog", "a cat"], "answer": "a dog", "id": "a"}
    record |= {"audio_path": "clips/a.wav", "question_type": "sound", "source_dataset": "AudioCaps"}
    (folder / "AudioMCQ" / "data.jsonl").write_text(json.dumps(record | {"gemini_cot": "It barks."}) + "\n")
    write_demo_set(folder / "data" / "mmau", seed=0, n_train=4, n_test=N_MMAU)
    (folder / "data" / "mmau" / "train.json").unlink()
    (folder / "data" / "mmau" / "test.json").rename(folder / "data" / "mmau" / "mmau-test-mini.json")
    write_wav(folder / "s.wav", tone(300, 16_000, 1.0))
    sound = {"bytes": base64.b64encode((folder / "s.wav").read_bytes()).decode(), "path": "s.wav"}
    (folder / "speech.jsonl").write_text(json.dumps({"id": "s", "audio": sound, "text": "MEET ME AT NOON"}) + "\n")
    choices = {"text": ["one", "two"], "label": ["A", "B"]}
    (folder / "arc.jsonl").write_text(
        json.dumps({"id": "q", "question": "1 + 1?", "choices": choices, "answerKey": "B"})
    )


def reply(request: Received) -> Scripted:
    """What a server's model would answer to a request for captions, reasoning or a question; a base model says 1."""
    if "messages" not in request.body:
        return said("1")
    content = request.body["messages"][0]["content"]
    if isinstance(content, list):
        return said(json.dumps({"caption": "A dog barks.", "sounds": "a bark", "speech": None, "music": None}))
    if '"paraphrases"' in content:
        return said(json.dumps({"paraphrases": ["What do you hear?", "What can be heard?", "What is there to hear?"]}))
    return said(json.dumps({**REASONING, "answer": "a dog"} if '"summary"' in content else QUESTION))
