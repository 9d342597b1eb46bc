"""Writes the model card of an exported folder: data, recipe, results, how to load the model, limits and licence.

Everything comes from the run folder and the base's card; what they do not hold is called unknown. Names and texts of
recipes and data are escaped, so that they cannot become markup.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from harken.config import Recipe, load_run_recipe
from harken.errors import ConfigError
from harken.export.card_header import card_header, is_hub_id, read_base_header
from harken.export.load_snippet import has_snippet, load_snippet
from harken.questions.prompt import Prompt
from harken.report.accuracy import accuracy_table
from harken.report.facts import run_facts
from harken.report.question_sets import AFTER, BEFORE, QuestionSet, question_sets
from harken.report.run import Run, read_run
from harken.results.formatting import markdown
from harken.system.console import escape_unprintable
from harken.types import Question

_EXAMPLE = Question("example", "Which animal is heard?", ("a dog", "a cat", "a bird"), 0, Path("clip.wav"))


def model_card(run_folder: Path | None, base: str, base_folder: Path | None, *, model_type: str, adapter: bool) -> str:
    """The text of the model card.

    Args:
        run_folder: None where the checkpoint is not part of a run folder.
        base: folder or Hub id of the checkpoint that training started from.
        base_folder: where the files of the base are, for its own card; None where that is unknown.
        model_type: the architecture, as config.json names it.
        adapter: whether the folder holds a LoRA adapter instead of the whole model.
    """
    run = None if run_folder is None else read_run(run_folder)
    recipe = None if run_folder is None else load_run_recipe(run_folder)
    sources = [] if recipe is None else [_read_data_card(source.file) for source in recipe.data.train]
    urls = [source["url"] for source in sources]
    header = card_header(base, read_base_header(base_folder), urls, method=_method(run), adapter=adapter)
    name = "A fine-tuned audio language model" if recipe is None else recipe.name
    kind = "A LoRA adapter for" if adapter else "A fine-tuned version of"
    sections = [
        f"# {escaped(name)}",
        f"{kind} {_base_link(base)}, trained with harken on questions about sound, speech and music.",
        *_training(run, recipe, sources),
        *_results(run),
        *_loading(run_folder, recipe, base, model_type, adapter=adapter),
        *_USE,
        *_licence(header, base, sources),
    ]
    return f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---\n\n" + "\n\n".join(sections) + "\n"


def escaped(text: str) -> str:
    """Text on one line in which no sign has a meaning in Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>|#!&~$@]|:(?=//))", r"\\\1", escape_unprintable(text))


def _method(run: Run | None) -> str | None:
    if run is None:
        return None
    return "sft" if any("loss/sft" in row for row in run.metrics) else "grpo"


def _base_link(base: str) -> str:
    if is_hub_id(base):
        return f"[{escaped(base)}](https://huggingface.co/{base})"
    return f"a checkpoint from the folder {escaped(Path(base).name)} (the run names no repository on the Hub for it)"


def _training(run: Run | None, recipe: Recipe | None, sources: Sequence[dict[str, str]]) -> list[str]:
    if run is None or recipe is None:
        return ["## Training", "The checkpoint is not part of a run folder. Its data, recipe and results are unknown."]
    lines = []
    for config, source in zip(recipe.data.train, sources, strict=True):
        name = escaped(config.file.name) + (" (without audio)" if config.audio == "none" else "")
        known = [f"from {source['url']}"] if source["url"] else []
        known += [f"licence: {source['licence']}"] if source["licence"] else []
        lines.append(f"- {name}: {'; '.join(map(escaped, known)) or 'source and licence unknown'}")
    if run.counts:
        records, kept, rejected, trained_on, development = (
            f"{run.counts[key]:,}" for key in ("records", "kept", "rejected", "trained_on", "development")
        )
        lines.append(
            f"- {records} records, of which {kept} were kept and {rejected} rejected; {trained_on} questions for "
            f"training, {development} for development"
        )
    else:
        lines.append("- number of records: unknown")
    # The paths of model and data are left out: they are folders of somebody's machine.
    facts = [(label, value) for label, value in run_facts("", run)["facts"] if label not in ("model", "data")]
    settings = markdown(("setting", "value"), [(escaped(label), escaped(value)) for label, value in facts])
    return ["## Training data", "\n".join(lines), "## Recipe", settings]


def _results(run: Run | None) -> list[str]:
    sets = [] if run is None else question_sets(run)
    if not sets:
        return ["## Results", "The model was not evaluated, so nothing is known about how well it answers."]
    explanation = (
        "Accuracy is in percent, with 95 % intervals clustered by clip. Unreadable answers count as wrong. “Before” is "
        "the model that this run started from, “after” is this model. Gains are paired by question. The audio gain is "
        "the accuracy with the clip minus the accuracy without it."
    )
    return ["## Results", explanation, *(part for questions in sets for part in _result(questions))]


def _result(questions: QuestionSet) -> list[str]:
    table = accuracy_table("", questions)
    header = ("questions", "n", *(f"{column.heading}, {column.unit}" for column in table.columns), "chance, %")
    rows = []
    for line in table.lines:
        figures = [(getattr(line, column.attribute), column.write) for column in table.columns]
        cells = ["" if figure is None else write(figure) for figure, write in figures]
        chance = "" if line.chance is None else f"{100 * line.chance:.0f}"
        rows.append((escaped(line.group), str(line.n), *cells, chance))
    parts = [f"### {escaped(table.name)}", markdown(header, rows), *map(escaped, table.faults)]
    if not any(questions.get(when, "none") for when in (BEFORE, AFTER)):
        parts.append("The model was not evaluated without audio, so it is unknown how much its answers use the clip.")
    return parts


def _loading(run_folder: Path | None, recipe: Recipe | None, base: str, model_type: str, *, adapter: bool) -> list[str]:
    if not has_snippet(model_type):
        return ["## How to load it", "As the base is loaded: the files have its names and layout."]
    try:
        question = _EXAMPLE.text if recipe is None else Prompt.from_config(recipe.prompt).text(_EXAMPLE)
    except ConfigError as error:
        raise ConfigError(f"{run_folder}/config.yaml: {error}") from error
    length = 64 if recipe is None else recipe.grpo.max_completion_tokens
    system = None if recipe is None else recipe.prompt.system
    code = load_snippet(model_type, ".", question, length, base if adapter else None, system)
    return [
        "## How to load it",
        "Set `folder` to this folder or to the name of this repository. The question is written as in training.",
        f"```python\n{code}```",
    ]


_USE = (
    "## Intended use",
    "Research on multiple-choice questions about a clip of sound, speech or music, with prompts like the one above.",
    "## Limits",
    "- The evaluations above say nothing about other prompts, open questions, longer clips or other languages.\n"
    "- The model may answer from the text alone. This was only checked where the table has a column without audio.\n"
    "- The intervals are over questions, not over training runs.\n"
    "- The model is not meant for decisions about people, nor for transcripts that somebody relies on.",
)


def _licence(header: dict[str, Any], base: str, sources: Sequence[dict[str, str]]) -> list[str]:
    if header["license"] == "unknown":
        weights = "unknown. The terms of the base apply, but no card of the base that states them was available"
    else:
        weights = f"{escaped(header['license'])}, as the card of the base states"
    lines = [f"- weights: {weights}", f"- base: {_base_link(base)}"]
    licences = [source["licence"] for source in sources if source["licence"]]
    lines += [f"- data: {escaped(licence)}" for licence in dict.fromkeys(licences)]
    if len(licences) < len(sources) or not sources:
        lines.append("- data without a card: unknown")
    return ["## Licence", "\n".join(lines)]


def _read_data_card(file: Path) -> dict[str, str]:
    """Source and licence from the card beside a prepared manifest; empty texts where they are unknown."""
    card = file.with_name("card.md")
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    url, licence = (re.search(rf"^{word}: (.+)$", text, re.MULTILINE) for word in ("Source", "Licence"))
    return {"url": "" if url is None else url[1].strip(), "licence": "" if licence is None else licence[1].strip()}
