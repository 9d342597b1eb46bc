"""`harken generate paraphrases`: a served language model writes the questions of a manifest in other words.

`harken evaluate --paraphrases` asks each question in all its wordings and reports how far its answers depend on them.
The command writes paraphrases.jsonl, rejected.jsonl and card.md. Replies are kept, so that no request is sent twice.
"""

import json
import re
from pathlib import Path

from rich.console import Console

from harken.config import ParaphraseRecipe
from harken.data.load import write_rejected
from harken.data.manifest import read_manifest
from harken.data.records import rejection
from harken.generate.clients import GeneratorClient
from harken.generate.data_card import account_table, card_markdown, usage_table
from harken.generate.instructions import PARAPHRASES, Instruction
from harken.generate.reply_json import BadReplyError, clean_text, parse_object
from harken.generate.usable_replies import Unusable, request_each
from harken.system.files import write_text
from harken.system.json_lines import write_json_lines
from harken.system.progress import StepProgress
from harken.system.writer_lock import one_writer
from harken.types import Question


@one_writer
def generate_paraphrases(recipe: ParaphraseRecipe, out: Path, client: GeneratorClient, console: Console) -> None:
    """Write the files below `out`. Raises DataError, ConfigError, ServerError."""
    instruction = Instruction.resolve(PARAPHRASES, recipe.prompt_file)
    questions, unreadable = read_manifest(recipe.manifest)
    with StepProgress(console, "paraphrases", len(questions), 500) as progress:
        written = request_each(
            client,
            questions,
            lambda question: _prompt(question, instruction, recipe.wordings),
            lambda question, text: read_paraphrases(text, question, recipe.wordings),
            recipe.sampling,
            progress.update,
            out,
        )
    pairs = list(zip(questions, written, strict=True))
    rejected = [*unreadable, *(rejection(q, each.reason) for q, each in pairs if isinstance(each, Unusable))]
    kept = [(question, texts) for question, texts in pairs if not isinstance(texts, Unusable)]
    reasons = write_rejected(out / "rejected.jsonl", sorted(rejected, key=lambda record: record.line))
    n_read = len(questions) + len(unreadable)
    tables = [
        account_table("questions", n_read, len(kept), reasons, "paraphrases.jsonl"),
        usage_table(client, recipe),
    ]
    write_text(out / "card.md", card_markdown("Paraphrased questions", tables, recipe, instruction))
    write_json_lines(
        out / "paraphrases.jsonl",
        ({"id": question.id, "question": question.text, "paraphrases": texts} for question, texts in kept),
    )
    for table in tables:
        table.show(console)


def _prompt(question: Question, instruction: Instruction, n: int) -> str:
    quoted = {"question": question.text, "choices": list(question.choices)}
    return instruction.text(n=str(n), **{key: json.dumps(value, ensure_ascii=False) for key, value in quoted.items()})


def read_paraphrases(text: str, question: Question, n: int) -> list[str]:
    """The wordings in a reply: n different texts, none of them the question's own, and none that names a choice which
    the question does not name. Raises BadReplyError."""
    value = parse_object(text, ("paraphrases",))["paraphrases"]
    if not isinstance(value, list) or len(value) != n:
        raise BadReplyError(f"paraphrases no list of {n} texts: {value!r:.200}")
    texts = [clean_text(each, "paraphrase") for each in value]
    if len({_plain(each) for each in (question.text, *texts)}) <= n:
        raise BadReplyError("paraphrases equal: each must differ from the question and from the others")
    for choice in question.choices:
        if not _names(question.text, choice) and any(_names(each, choice) for each in texts):
            raise BadReplyError(f"paraphrase names a choice: {choice!r:.100}")
    return texts


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _names(text: str, choice: str) -> bool:
    return bool(_plain(choice)) and f" {_plain(choice)} " in f" {_plain(text)} "
