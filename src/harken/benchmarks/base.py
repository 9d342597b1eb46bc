"""`Benchmark`: everything that harken needs to know about one benchmark, as one value.

Each benchmark is a file of this folder that makes such a value. Readers, prompts, scores, evaluations and the command
line get it by name from registry.py, and no other file holds anything that is true of one benchmark only.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from harken.benchmarks.published_states import Item, PublishedStates, Recognised
from harken.config import ChoicesShown
from harken.data.records import Record, apart, iter_questions
from harken.errors import ConfigError
from harken.stats import Estimate
from harken.types import Question, Rejected

Verdict = bool | None
"""What an official script says of one prediction: right, wrong, or None where the script drops the question from its
denominator."""


@dataclass(frozen=True, slots=True)
class OfficialPrompt:
    """The prompt that the authors of a benchmark use.

    Attributes:
        template: text with `{question}` and `{choices}`.
        choices: how the choices are written out, as `PromptConfig.choices` says.

    Raises ConfigError for a template without a placeholder and for another value of `choices`.
    """

    template: str
    choices: ChoicesShown = "list"

    def __post_init__(self) -> None:
        known = get_args(ChoicesShown)
        if self.choices not in known:
            raise ConfigError(f"OfficialPrompt: choices: expected one of {', '.join(known)}, found {self.choices!r}")
        for placeholder in ("{question}", "{choices}"):
            if placeholder not in self.template:
                raise ConfigError(f"OfficialPrompt: template: has no {placeholder}: {self.template!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One benchmark. Only the first five attributes are needed to read it and to evaluate a model on it.

    Attributes:
        name: what recipes and the command line call it.
        title: what people call it.
        url: where its publisher offers it.
        licence: as its publisher states it.
        parse: takes a record, the folder of the clips and "file:line"; returns the Question, or raises RecordError with
            the reason, which becomes a line of rejected.jsonl.
        part: the part of the benchmark that these records are; "" where there is only one.
        official_rule: takes a question and the text of a prediction; returns what the official script would say.
            Raises ValueError where the benchmark hides the answer. None where harken has no such rule.
        undecided: what the official rule returns None for although the script scores it, in a few words; "" where None
            always means that the script drops the question.
        judged: tells of a question whether the authors have a language model score it, so that it has no official
            verdict and counts in no figure but the judge's. None where none is.
        reads_letters: whether the benchmark's own prompt shows letters and its script reads a letter; otherwise the
            script reads the text of a choice. `harken.results.score.check_rule` tells where it is set wrongly.
        states: returns the published states of the benchmark's file, by which its version is recognised. None where
            harken knows none; then there is only one version, "".
        groups: further labels to report accuracies by, name -> label of a question. Task, difficulty, category and
            sub-category are always reported.
        averages: takes the accuracy of each task; returns further means under their names.
        coverage: takes all questions of a file; returns lists of what the file lacks or has beyond the benchmark.
        prediction_keys: the keys under which the official script looks for a prediction.
        prediction_id: takes a record of predictions; returns the id of its question, or raises RecordError. Where it
            returns None, the id under `id` counts.
        short_id: takes a question; returns another name for it that predictions may use where it is unique.
        submission: takes a published record and a prediction; returns the record as the benchmark's server wants it.
            None where the benchmark hides no answers.
        submission_file: the format of the server's file: a JSON list of these records, or a table of their keys.
        prompt: the authors' prompt, so that `prompt.style` can be the benchmark's name.
    """

    name: str
    title: str
    url: str
    licence: str
    parse: Callable[[Record, Path, str], Question]
    part: str = ""
    official_rule: Callable[[Question, str], Verdict] | None = None
    undecided: str = ""
    judged: Callable[[Question], bool] | None = None
    reads_letters: bool = False
    states: Callable[[], PublishedStates] | None = None
    groups: Mapping[str, Callable[[Question], str]] = field(default_factory=dict)
    averages: Callable[[Mapping[str, Estimate]], Mapping[str, Estimate]] | None = None
    coverage: Callable[[Sequence[Question]], Mapping[str, list[str]]] | None = None
    prediction_keys: tuple[str, ...] = ()
    prediction_id: Callable[[Record], object] = lambda record: record.get("id")
    short_id: Callable[[Question], str] | None = None
    submission: Callable[[Record, str], Record] | None = None
    submission_file: Literal["json", "csv"] = "json"
    prompt: OfficialPrompt | None = None

    def read(self, path: Path, audio_root: Path | None = None) -> tuple[list[Question], list[Rejected]]:
        """Read a file of records; clip names are relative to `audio_root`, default the file's own folder.

        Raises DataError where the file cannot be read at all.
        """
        return apart(self.outcomes(path, path.parent if audio_root is None else audio_root))

    def outcomes(self, path: Path, audio_root: Path) -> Iterator[Question | Rejected]:
        """Read as `read` does, one record after another, so that memory holds the ids alone."""
        return iter_questions(path, lambda record, source: self.parse(record, audio_root, source))

    def recognise(self, items: Iterable[Item]) -> Recognised:
        """The published state of the benchmark that the items are from; version "" where harken knows no states."""
        if self.states is None:
            listed = list(items)
            return Recognised("", n=len(listed), n_agree=len(listed))
        return self.states().recognise(items)

    def recognise_questions(self, questions: Iterable[Question]) -> Recognised:
        """The published state that questions of the benchmark are from."""
        return self.recognise((question.id, question.choices, _known_text(question)) for question in questions)


def _known_text(question: Question) -> str | None:
    return right_text(question) if question.answer is not None or question.answer_text else None


def right_text(question: Question) -> str:
    """The text of the right answer as published. Raises ValueError where the benchmark hides it."""
    if question.answer is not None:
        return question.choices[question.answer]
    if question.answer_text:
        return question.answer_text
    raise ValueError(f"question {question.id!r} has no answer")
