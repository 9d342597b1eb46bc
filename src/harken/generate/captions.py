"""`harken generate captions`: a served audio model writes facts about the clips of a manifest.

Audio-Thinker takes its captions from Qwen2-Audio like this (5.1.1). The command writes captions.jsonl, which `harken
generate questions` and `reasoning` read, rejected.jsonl and card.md. The server must accept `input_audio`. Each clip is
sent once, before the text, as 16 kHz mono 16-bit WAV in base64.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from harken.benchmarks.registry import find_reader
from harken.config import CaptionRecipe, SourceConfig
from harken.data.audio import audio_part, load_waveform
from harken.data.load import load_sources, write_rejected
from harken.data.records import rejection
from harken.generate.clients import GeneratorClient
from harken.generate.clip_facts import FACT_LABELS, ClipFacts, write_clip_facts
from harken.generate.data_card import account_table, card_markdown, usage_table
from harken.generate.instructions import CAPTIONS, Instruction
from harken.generate.reply_json import clean_text, parse_object
from harken.generate.usable_replies import Unusable, request_each
from harken.prepare.data_card import CardTable
from harken.system.files import write_text
from harken.system.progress import StepProgress
from harken.system.writer_lock import one_writer
from harken.types import Question


@one_writer
def generate_captions(recipe: CaptionRecipe, out: Path, client: GeneratorClient, console: Console) -> None:
    """Write the files below `out`. Raises DataError, ConfigError, ServerError."""
    instruction = Instruction.resolve(CAPTIONS, recipe.prompt_file)
    root = recipe.manifest.parent if recipe.audio_root is None else recipe.audio_root
    source = SourceConfig(reader="manifest", file=recipe.manifest, audio_root=root)
    loaded = load_sources([source], find_reader, need_answer=False)
    clips = _empty_facts(loaded.questions, root)
    ordered = list(clips.values())
    with StepProgress(console, "captions", len(clips), 500) as progress:
        written = request_each(
            client,
            ordered,
            lambda clip: [audio_part(load_waveform(root / clip.audio)), {"type": "text", "text": instruction.text()}],
            lambda clip, text: read_caption(text, clip),
            recipe.sampling,
            progress.update,
            out,
        )
    reasons = {audio: facts.reason for audio, facts in zip(clips, written, strict=True) if isinstance(facts, Unusable)}
    rejected = list(loaded.rejected)
    for question in loaded.questions:
        paths = [span.path for span in question.audio_spans]
        failed = [reasons[path] for path in paths if path in reasons]
        if not paths or failed:
            rejected.append(rejection(question, failed[0] if paths else "no clip: a question without audio"))
    n_questions = len(loaded.questions) + len(loaded.rejected)
    in_order = sorted(rejected, key=lambda record: record.line)
    reasons_of = write_rejected(out / "rejected.jsonl", in_order)
    kept = [facts for facts in written if isinstance(facts, ClipFacts)]
    tables = [
        account_table(
            "questions", n_questions, n_questions - len(rejected), reasons_of, "captions.jsonl by their clips"
        ),
        _fact_table(kept),
        usage_table(client, recipe),
    ]
    write_text(out / "card.md", card_markdown("Facts about clips", tables, recipe, instruction))
    write_clip_facts(out / "captions.jsonl", kept)
    for table in tables:
        table.show(console)


def read_caption(text: str, clip: ClipFacts) -> ClipFacts:
    """Put the facts of a reply into a clip; all but the caption may be null. Raises BadReplyError."""
    reply = parse_object(text, tuple(FACT_LABELS))
    facts = {name: _fact(reply[name], name) for name in FACT_LABELS if reply[name] is not None or name == "caption"}
    return replace(clip, **facts)


def _fact(value: object, name: str) -> str:
    """Read one text, or join several."""
    texts = value if isinstance(value, list) and value else [value]
    return ", ".join(clean_text(text, name) for text in texts)


def _empty_facts(questions: Sequence[Question], root: Path) -> dict[Path, ClipFacts]:
    """Audio file -> its clip, named relative to `root`, with the labels of the first question about it."""
    clips: dict[Path, ClipFacts] = {}
    for question in questions:
        for span in question.audio_spans:
            if span.path not in clips:
                name = span.path.relative_to(root).as_posix()
                clips[span.path] = ClipFacts(name, name, "", task=question.task, dataset=question.dataset)
    return clips


def _fact_table(clips: Sequence[ClipFacts]) -> CardTable:
    rows = [(name, str(sum(bool(getattr(clip, name)) for clip in clips))) for name in FACT_LABELS]
    return CardTable("Facts about clips", ("clips with", "n"), rows)
