"""The model card of an exported folder: README.md with the Hub's header.

Takes the run folder (its recipe, counts of its data, its evaluations), the base and the folder that is written, gives
Markdown. What the run folder does not hold is said to be unknown. Names and texts of recipes and data are escaped: they
become no markup. Not taken: figures that a person types in.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from harken.config import Recipe, load_run_recipe
from harken.export.load_snippet import load_snippet
from harken.questions.prompt import Prompt
from harken.report.accuracy import AFTER, BEFORE, AccuracyTable, QuestionSet, accuracy_table, question_sets
from harken.report.facts import run_facts
from harken.report.run import read_run
from harken.results.formatting import markdown, percent, points
from harken.system.console import escape_unprintable
from harken.types import Question

CARD, OF_BASE = "README.md", "README.base.md"
_ASKED = Question("example", "Which animal is heard?", ("a dog", "a cat", "a bird"), 0, Path("clip.wav"))
_OF_DATA = (("url", "from"), ("licence", "licence:"))
_FIGURES = (
    ("before", "before, %", percent),
    ("after", "after, %", percent),
    ("gain", "gain, points", points),
    ("before_without_audio", "before, no audio, %", percent),
    ("after_without_audio", "after, no audio, %", percent),
    ("audio_gain", "audio gain, points", points),
)


def model_card(run: Path | None, base: str, base_folder: Path | None, *, model_type: str, adapter: bool) -> str:
    """The card's text.

    Args:
        run: the run folder; None where the checkpoint lies in none.
        base: folder or Hub id of the checkpoint that training started from.
        base_folder: where its files lie, for its own card; None where they were not needed.
        model_type: the architecture, as config.json names it.
    """
    of_base = _header_of(base_folder)
    recipe = None if run is None else load_run_recipe(run)
    sources = [] if recipe is None else [_source(one.file) for one in recipe.data.train]
    header = _header(
        base, of_base, recipe, [one["url"] for one in sources], supervised=_supervised(run), adapter=adapter
    )
    name = "A fine-tuned audio language model" if recipe is None else recipe.name
    parts = [
        f"# {escaped(name)}",
        f"{_what(adapter)} of {_named(base)}, trained with harken on questions about sound, speech and music.",
        *_training(run, recipe, sources),
        *_results(run),
        *_loading(recipe, base, model_type, adapter=adapter),
        *_use(),
        *_licence(header, base, sources),
    ]
    return f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---\n\n" + "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Text that is no Markdown and no HTML, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>|#!&~$@]|:(?=//))", r"\\\1", escape_unprintable(text))


def _header(
    base: str, of_base: dict[str, Any], recipe: Recipe | None, urls: Sequence[str], *, supervised: bool, adapter: bool
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if _is_hub_id(base):
        found["base_model"] = base
    found["library_name"] = "peft" if adapter else "transformers"
    found["pipeline_tag"] = "audio-text-to-text"
    for key in ("license", "license_name", "license_link"):
        if isinstance(of_base.get(key), str):
            found[key] = of_base[key]
    found.setdefault("license", "unknown")
    found["language"] = of_base.get("language", ["en"])
    hub = "https://huggingface.co/datasets/"
    datasets = [url.removeprefix(hub).strip("/") for url in urls if url.startswith(hub)]
    if datasets:
        found["datasets"] = list(dict.fromkeys(datasets))
    method = [] if recipe is None else ["sft" if supervised else "grpo"]
    return {**found, "tags": ["harken", "audio-question-answering", *method]}


def _supervised(run: Path | None) -> bool:
    metrics = None if run is None else run / "metrics.jsonl"
    if metrics is None or not metrics.exists():
        return False
    with metrics.open("rb") as file:
        return any(b'"loss/sft"' in line for line in file)


def _what(adapter: bool) -> str:
    return "A LoRA adapter" if adapter else "A fine-tuned version"


def _named(base: str) -> str:
    if _is_hub_id(base):
        return f"[{escaped(base)}](https://huggingface.co/{base})"
    return f"a checkpoint that lay in the folder {escaped(Path(base).name)} (not on the Hub, as far as the run says)"


def _is_hub_id(base: str) -> bool:
    return (
        re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", base, re.ASCII) is not None and not Path(base).exists()
    )


def _training(run: Path | None, recipe: Recipe | None, sources: Sequence[dict[str, str]]) -> list[str]:
    if run is None or recipe is None:
        return ["## Training", "The checkpoint lies in no run folder: its data, recipe and results are unknown."]
    lines = []
    for one, source in zip(recipe.data.train, sources, strict=True):
        heard = " (without audio)" if one.audio == "none" else ""
        known = [escaped(f"{word} {source[key]}") for key, word in _OF_DATA if source[key]]
        lines.append(f"- {escaped(one.file.name)}{heard}: {'; '.join(known) or 'source and licence unknown'}")
    counts = run / "data.json"
    if counts.is_file():
        n = json.loads(counts.read_text(encoding="utf-8"))
        said = f"{n['records']:,} records, {n['kept']:,} kept and {n['rejected']:,} rejected; "
        lines.append(f"- {said}trained on {n['trained_on']:,}, {n['development']:,} for development")
    else:
        lines.append("- number of records: unknown")
    told = run_facts(run.name, read_run(run))["facts"]
    # Not where model and data lay: folders of somebody's machine.
    facts = [(escaped(name), escaped(value)) for name, value in told if name not in ("model", "data")]
    return ["## Training data", "\n".join(lines), "## Recipe", markdown(("setting", "value"), facts)]


def _results(run: Path | None) -> list[str]:
    sets = [] if run is None else question_sets(read_run(run))
    parts = ["## Results"]
    if not sets:
        return [*parts, "No evaluation: nothing is known about how well this model answers."]
    parts.append(
        "Accuracy in percent with 95 % intervals clustered by clip; what could not be read is counted wrong. Gains are "
        "paired on the same questions; before is the model that this run started from. Audio gain is accuracy with the "
        "clip minus accuracy without it."
    )
    for questions in sets:
        parts += _result(questions, accuracy_table("", questions))
    return parts


def _result(questions: QuestionSet, table: AccuracyTable) -> list[str]:
    shown = table.with_figures(_FIGURES)
    header = ("questions", "n", *(name for _, name, _ in shown), "chance, %")
    rows = [
        (
            escaped(line.group),
            str(line.n),
            *("" if (one := getattr(line, key)) is None else form(one) for key, _, form in shown),
            "" if line.chance is None else f"{100 * line.chance:.0f}",
        )
        for line in table.lines
    ]
    parts = [f"### {escaped(table.name)}", markdown(header, rows)]
    parts += [escaped(fault) for fault in table.faults]
    if not any(questions.get(when, with_audio=False) for when in (BEFORE, AFTER)):
        parts.append("Not evaluated without audio: how much the clip matters to the answers is unknown.")
    return parts


def _loading(recipe: Recipe | None, base: str, model_type: str, *, adapter: bool) -> list[str]:
    prompt = None if recipe is None else Prompt.from_config(recipe.prompt)
    question = _ASKED.text if prompt is None else prompt.text(_ASKED)
    length = 64 if recipe is None else recipe.grpo.max_completion_tokens
    code = load_snippet(model_type, ".", question, length, base if adapter else None)
    said = "With the folder (or this repository's name) in `folder`, and a question written as in training:"
    return ["## How to load it", said, f"```python\n{code}```"]


def _use() -> list[str]:
    return [
        "## Intended use",
        "Research on multiple-choice questions about a clip of sound, speech or music, asked as above.",
        "## Limits",
        "- Other prompts, open questions, longer clips and other languages than those evaluated: not measured.\n"
        "- The model can answer from the text alone; where the table has no column without audio, it was not checked.\n"
        "- Intervals are over questions, not over training runs.\n"
        "- Not for decisions about people, nor for transcripts that somebody relies on.",
    ]


def _licence(header: dict[str, Any], base: str, sources: Sequence[dict[str, str]]) -> list[str]:
    if header["license"] == "unknown":
        weights = "unknown; the base's terms apply, and no card of the base that states them was at hand"
    else:
        weights = f"{escaped(header['license'])}, as the base's card says"
    lines = [f"- weights: {weights}", f"- base: {_named(base)}"]
    told = [source["licence"] for source in sources if source["licence"]]
    lines += [f"- data: {escaped(licence)}" for licence in dict.fromkeys(told)]
    if len(told) < len(sources) or not sources:
        lines.append("- data whose card was not at hand: unknown")
    return ["## Licence", "\n".join(lines)]


def _header_of(folder: Path | None) -> dict[str, Any]:
    """The header of the base's own card; empty where it has none that can be read."""
    card = None if folder is None else folder / CARD
    if card is None or not card.is_file():
        return {}
    found = re.match(r"---\r?\n(.*?)\r?\n---\r?\n", card.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
    try:
        values = yaml.safe_load(found[1]) if found else None
    except yaml.YAMLError:
        return {}  # a damaged header says nothing; the card then says that the licence is unknown
    return values if isinstance(values, dict) else {}


def _source(file: Path) -> dict[str, str]:
    """Source and licence as the card beside a prepared manifest says them; empty where unknown."""
    card = file.with_name("card.md")
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    url, licence = (re.search(rf"^{word}: (.+)$", text, re.MULTILINE) for word in ("Source", "Licence"))
    return {"url": "" if url is None else url[1].strip(), "licence": "" if licence is None else licence[1].strip()}
