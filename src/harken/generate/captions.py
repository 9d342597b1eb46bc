"""Clips of a manifest -> facts about them, heard by a served audio model (Audio-Thinker 5.1.1 takes its captions
from Qwen2-Audio).

Takes a manifest and a server that takes `input_audio`, gives captions.jsonl as `harken generate questions` and
`reasoning` read it, rejected.jsonl and card.md. Each clip is sent once, as 16 kHz mono 16-bit WAV in base64, before the
text. Not taken: a model in this process; any server that loads the checkpoint does the same.
"""

from dataclasses import replace
from pathlib import Path

from rich.console import Console

from harken.benchmarks.registry import find_reader
from harken.config import CaptionRecipe, SourceConfig
from harken.data.audio import audio_part, load_waveform
from harken.data.load import load_sources, write_rejected
from harken.data.records import rejection
from harken.generate.clip_facts import LABELS, Clip, write_clips
from harken.generate.data_card import Part, account, card_text, show, usage
from harken.generate.instructions import CAPTIONS, Instruction
from harken.generate.reply_json import object_in, plain_text
from harken.generate.retries import Asker, Unusable, ask_each
from harken.system.files import write_text
from harken.system.progress import StepProgress
from harken.types import Question


def generate_captions(recipe: CaptionRecipe, out: Path, asker: Asker, console: Console) -> None:
    """Write `out`. Raises DataError, ConfigError, ServerError."""
    instruction = Instruction.resolve(CAPTIONS, recipe.prompt_file)
    root = recipe.manifest.parent if recipe.audio_root is None else recipe.audio_root
    source = SourceConfig(reader="manifest", file=recipe.manifest, audio_root=root)
    loaded = load_sources([source], find_reader, need_answer=False)
    heard: dict[Path, Question] = {}
    for question in loaded.questions:
        if question.audio is not None:
            heard.setdefault(question.audio, question)
    clips = [_clip(audio, question, root) for audio, question in heard.items()]
    with StepProgress(console, "captions", len(clips), 500) as progress:
        written = ask_each(
            asker,
            [clip.id for clip in clips],
            lambda task: [
                audio_part(load_waveform(root / clips[task].audio)),
                {"type": "text", "text": instruction.text()},
            ],
            lambda task, text: read_caption(text, clips[task]),
            recipe.sampling,
            progress.update,
        )
    fault_of = {audio: one.reason for audio, one in zip(heard, written, strict=True) if isinstance(one, Unusable)}
    rejected = list(loaded.rejected)
    for question in loaded.questions:
        fault = "no clip: a question without audio" if question.audio is None else fault_of.get(question.audio)
        if fault is not None:
            rejected.append(rejection(question, fault))
    n = len(loaded.questions) + len(loaded.rejected)
    kept = [one for one in written if isinstance(one, Clip)]
    rows = [(name, str(sum(bool(getattr(clip, name)) for clip in kept))) for name in LABELS]
    parts = [
        account("questions", n, n - len(rejected), rejected, "captions.jsonl by their clips"),
        Part("Facts about clips", ("clips with", "n"), rows),
        usage(asker, recipe),
    ]
    write_rejected(out / "rejected.jsonl", sorted(rejected, key=lambda one: one.line))
    write_text(out / "card.md", card_text("Facts about clips", parts, recipe, instruction))
    write_clips(out / "captions.jsonl", kept)
    show(console, parts)


def read_caption(text: str, clip: Clip) -> Clip:
    """The clip with the facts of a reply; all but the caption may be null. Raises BadReplyError."""
    reply = object_in(text, tuple(LABELS))
    facts = {name: _fact(reply[name], name) for name in LABELS if reply[name] is not None or name == "caption"}
    return replace(clip, **facts)


def _fact(value: object, name: str) -> str:
    """A text, or several as one."""
    texts = value if isinstance(value, list) and value else [value]
    return ", ".join(plain_text(one, name) for one in texts)


def _clip(audio: Path, question: Question, root: Path) -> Clip:
    name = audio.relative_to(root).as_posix()
    return Clip(name, name, "", task=question.task, dataset=question.dataset)
