"""Lists the questions of a run with everything that was answered to them, for the page's question browser.

A question is one item: its text and choices, the greedy answers before and after training with each kind of audio,
groups of sampled completions with rewards and advantages, and the marks that the page's filters use. Long texts are
cut, and say how much is left out.
"""

from collections.abc import Sequence
from typing import Any

from harken.config.data import AUDIO_MODES
from harken.report.curves import number, rounded
from harken.report.question_sets import AFTER, BEFORE, QuestionSet, set_names
from harken.report.run import Run
from harken.report.run_files import JsonObject
from harken.system.shown_text import cut

Item = dict[str, Any]
TRAINING = "training"
"""Name of the set of the training questions."""
LONGEST_TEXT = 4000
"""Characters of a question or a completion."""
LONGEST_LABEL = 300
"""Characters of a choice or another short text."""
LONGEST_PART = 60
"""Characters of the name of a reward part."""
LONGEST_NAME = 600
"""Characters of a clip's name."""
MOST_CLIPS = 20
"""Further clips of one question that are shown."""
GROUPS = 6
"""Groups of one question of one run that are kept: the first, the last, and some between."""


def evaluation_items(sets: Sequence[Sequence[QuestionSet]]) -> list[Item]:
    """One item for each question of each set. The answers of several runs to one question stand together.

    Args:
        sets: the question sets of each run.
    """
    items: dict[tuple[frozenset[str], str], Item] = {}
    names = set_names(sets)
    for run, run_sets in enumerate(sets):
        for questions in run_sets:
            for (when, audio), evaluation in questions.evaluations.items():
                for row in evaluation.rows:
                    item = items.setdefault((questions.ids, str(row["id"])), _item(row, names[questions.ids]))
                    item["answers"].append({"run": run, "when": when, "audio": audio, **_completion(row)})
    for item in items.values():
        item["answers"].sort(key=lambda answer: (answer["run"], answer["when"] == AFTER, _place(answer["audio"])))
        item["marks"] = _marks(item)
    return list(items.values())


def training_items(runs: Sequence[Run]) -> list[Item]:
    """One item for each question of the kept rollouts, newest step first. Several runs' groups stand together.

    Groups hold the rows of the rollout files as they are; `ready_item` makes them ready for the page.
    """
    items: dict[tuple[str, str], Item] = {}
    for index, run in enumerate(runs):
        for step, rows in run.rollouts:
            groups: dict[str, list[JsonObject]] = {}
            for row in rows:
                groups.setdefault(str(row.get("id", "")), []).append(row)
            for ident, members in groups.items():
                key = ident, str(members[0].get("question", ""))  # two runs may give one id to two questions
                item = items.setdefault(key, _item(members[0], TRAINING))
                item["groups"].append({"run": index, "step": step, "rows": members})
    for item in items.values():
        item["groups"] = _thinned(item["groups"])
        item["marks"] = _marks(item)
    return sorted(items.values(), key=lambda item: -max(group["step"] for group in item["groups"]))


def ready_item(item: Item) -> Item:
    """The item as the page shows it."""
    return {**item, "groups": [_ready_group(group) for group in item["groups"]]}


def clips_of(item: Item) -> list[Item]:
    """The item itself, which holds its first clip, and its further clips: each has `clip`, and gets `sound`."""
    return [item, *item.get("more_clips", ())]


def _item(row: JsonObject, name: str) -> Item:
    choices, clip = row.get("choices"), row.get("clip")
    if not choices or clip == row.get("id"):
        clip = None  # a rejected record has no clip; a text-only question is named as its own clip
    first, *others = clip.split("\n") if isinstance(clip, str) else [""]
    return {
        "set": name,
        "id": cut(row.get("id"), LONGEST_LABEL),
        "clip": first[:LONGEST_NAME],
        **({"more_clips": [{"clip": other[:LONGEST_NAME]} for other in others[:MOST_CLIPS]]} if others else {}),
        "task": cut(row.get("task", ""), LONGEST_LABEL),
        "difficulty": cut(row.get("difficulty", ""), LONGEST_LABEL),
        "text": cut(row.get("question", ""), LONGEST_TEXT),
        "choices": [cut(choice, LONGEST_LABEL) for choice in choices] if isinstance(choices, list) else [],
        "answer": _label(row.get("answer")),
        "answers": [],
        "groups": [],
    }


def _completion(row: JsonObject) -> Item:
    """One completion, greedy or sampled, and how it was read."""
    return {
        "text": cut(row.get("completion", ""), LONGEST_TEXT),
        "choice": _label(row.get("choice")),
        "correct": row.get("correct"),
        "why": cut(row.get("reason", ""), LONGEST_LABEL),
        "ended": row.get("ended") is not False,
        **_judgement(row),
    }


def _judgement(row: JsonObject) -> Item:
    """The verdict of a judge on an answer, with its reason; {} where no judge was asked. None is a failed call."""
    judged = row.get("judged", ())
    if judged is not None and not isinstance(judged, bool):
        return {}
    return {"judge": judged, "judge_reason": cut(row.get("judge_reason", ""), LONGEST_TEXT)}


def _ready_group(group: Item) -> Item:
    rows = []
    for row in group["rows"]:
        rows.append(
            {
                **_completion(row),
                "tokens": number(row.get("tokens")),
                "reward": _figure(row.get("reward")),
                "rewards": {
                    cut(name, LONGEST_PART): _figure(value) for name, value in _mapping(row, "rewards").items()
                },
                "judged": {cut(name, LONGEST_PART): _figure(value) for name, value in _mapping(row, "judged").items()},
                "advantage": _figure(row.get("advantage")),
            }
        )
    return {"run": group["run"], "step": group["step"], "rows": rows}


def _mapping(row: JsonObject, key: str) -> JsonObject:
    """`rewards`, a completion's parts of the reward, or `judged`, the judge's scores; a failed judge gave None."""
    values = row.get(key)
    return values if isinstance(values, dict) else {}


def _thinned(groups: list[Item]) -> list[Item]:
    """At most six groups of each run, spread evenly over its steps, the first and the last among them."""
    kept = []
    for run in dict.fromkeys(group["run"] for group in groups):
        own = [group for group in groups if group["run"] == run]
        last, gaps = len(own) - 1, min(GROUPS, len(own)) - 1
        kept += [own[round(i * last / gaps)] for i in range(gaps + 1)] if gaps else own
    return kept


def _marks(item: Item) -> list[str]:
    """The marks that the page's filters use.

    gained, lost: in some run the answer with the clip was wrong before and is right after, or the other way round.
    audio: the same model chose differently with the clip and without it.
    unreadable: some completion names no choice.
    judge: a reward part or a score of some completion is missing because the judge gave none.
    """
    answers = {(answer["run"], answer["when"], answer["audio"]): answer for answer in item["answers"]}
    marks = set()
    for (run, when, audio), answer in answers.items():
        if audio != "real":
            continue
        after = answers.get((run, AFTER, "real"))
        if when == BEFORE and after and None not in (answer["correct"], after["correct"]):
            change = bool(after["correct"]) - bool(answer["correct"])
            marks |= {"gained"} if change > 0 else {"lost"} if change < 0 else set()
        without_audio = answers.get((run, when, "none"))
        if without_audio and without_audio["choice"] != answer["choice"]:
            marks.add("audio")
    rows = [row for group in item["groups"] for row in group["rows"]]
    if any(completion.get("choice") is None for completion in (*item["answers"], *rows)):
        marks.add("unreadable")
    if any(value is None for row in rows for key in ("rewards", "judged") for value in _mapping(row, key).values()):
        marks.add("judge")
    return sorted(marks)


def _place(audio: str) -> int:
    """The place of an answer among those of one model: the order of the audio modes, with the clip first."""
    return AUDIO_MODES.index(audio) if audio in AUDIO_MODES else len(AUDIO_MODES)


def _label(value: Any) -> str | None:
    return None if value is None else cut(value, LONGEST_LABEL)


def _figure(value: Any) -> float | None:
    figure = number(value)
    return None if figure is None else rounded(figure)
