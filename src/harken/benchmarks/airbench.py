"""AIR-Bench, its foundation part: about 19,000 questions over 19 tasks of speech, sound and music.

Names stay spelled as published (Speaker_Emotion_Recontion). The official script prints one accuracy per folder, a task
and a data set. Papers print 19 tasks, the mean of the three group means as "average", or chosen columns
(docs/benchmarks.md). A task with two folders is pooled over its questions [O].
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from harken.benchmarks.base import Benchmark, OfficialPrompt
from harken.benchmarks.lettered import LETTERS, letter, lettered_answer, lettered_choices
from harken.data.record_fields import clip_path, text_field
from harken.data.records import Record, RecordError
from harken.errors import short_repr
from harken.stats import Estimate, mean_of_means
from harken.types import Question

GROUPS: dict[str, tuple[str, ...]] = {
    "speech": (
        "Speech_Grounding",
        "Spoken_Language_Identification",
        "Speaker_Gender_Recognition",
        "Speaker_Emotion_Recontion",
        "Speaker_Age_Prediction",
        "Speech_Entity_Reconition",
        "Speaker_Intent_Classification",
        "Speaker_Number_Verification",
        "Synthesized_Voice_Detection",
    ),
    "sound": (
        "Audio_Grounding",
        "vocal_sound_classification",
        "Acoustic_Scene_Classification",
        "Sound_AQA",
    ),
    "music": (
        "Music_Instruments_Classfication",
        "Music_Genre_Recognition",
        "Music_Midi_Pitch_Analysis",
        "Music_Midi_Velocity_Analysis",
        "Music_AQA",
        "Music_Mood_Recognition",
    ),
}
"""The 19 tasks, spelled as published."""

TASKS = tuple(task for tasks in GROUPS.values() for task in tasks)

FOLDERS = {
    "Acoustic_Scene_Classification": ("CochlScene", "TUT2017"),
    "Audio_Grounding": ("AudioGrounding",),
    "Music_AQA": ("music_avqa",),
    "Music_Genre_Recognition": ("MTJ-Jamendo", "fma"),
    "Music_Instruments_Classfication": ("MTJ-Jamendo", "nsynth"),
    "Music_Midi_Pitch_Analysis": ("nsynth",),
    "Music_Midi_Velocity_Analysis": ("nsynth",),
    "Music_Mood_Recognition": ("MTJ-Jamendo",),
    "Sound_AQA": ("avqa", "clothoaqa"),
    "Speaker_Age_Prediction": ("common_voice_13.0_en",),
    "Speaker_Emotion_Recontion": ("iemocap", "meld"),
    "Speaker_Gender_Recognition": ("common_voice_13_en", "meld"),
    "Speaker_Intent_Classification": ("slurp",),
    "Speaker_Number_Verification": ("voxceleb1",),
    "Speech_Entity_Reconition": ("slurp",),
    "Speech_Grounding": ("librispeech",),
    "Spoken_Language_Identification": ("covost2",),
    "Synthesized_Voice_Detection": ("fake_or_real",),
    "vocal_sound_classification": ("VocalSound",),
}
"""Task -> its datasets: the 25 folders."""

AUDIO_THINKER = {
    "SoundAQA": "Sound_AQA",
    "MusicAQA": "Music_AQA",
    "SER": "Speaker_Emotion_Recontion",
    "VSC": "vocal_sound_classification",
    "SNV": "Speaker_Number_Verification",
}
"""Columns of Audio-Thinker's table 3 -> tasks. Its printed average is not the mean of these five."""


def parse_airbench(record: Record, audio_root: Path, source: str) -> Question:
    """A record of Foundation_meta.json as a Question: path, question, choice_a to choice_d (c and d may be missing),
    answer_gt (text), task_name, dataset_name and uniq_id.

    The clip is `{task_name}_{dataset_name}/{path}`; clips of Audio_Grounding are FLAC files whatever the record's
    extension says. Raises RecordError with the reason, which names the value.
    """
    choices = lettered_choices(record)
    task, dataset = text_field(record, "task_name"), text_field(record, "dataset_name")
    name = text_field(record, "path")
    if task == "Audio_Grounding":
        name = f"{name.rpartition('.')[0] or name}.flac"
    folder = f"{task}_{dataset}"
    if "/" in folder or "\0" in folder:
        raise RecordError(f"task_name and dataset_name {short_repr(folder)} name no folder")
    return Question(
        id=_full_id(record),
        text=text_field(record, "question"),
        choices=tuple(choice.strip() for choice in choices),
        answer=lettered_answer(record, choices),
        audio=clip_path(name, audio_root / folder),
        task=task,
        dataset=dataset,
        source=source,
    )


def _full_id(record: Record) -> str:
    """`{task_name}_{dataset_name}/{uniq_id}`: nothing published says that uniq_id is unique beyond its folder."""
    value = record.get("uniq_id")
    unique = str(value) if type(value) is int else text_field(record, "uniq_id")
    return f"{text_field(record, 'task_name')}_{text_field(record, 'dataset_name')}/{unique}"


def prediction_id(record: Record) -> object:
    """The id of the question that a record of predictions is about, or its uniq_id where it names no task.

    Raises RecordError where a part of the id is missing.
    """
    if "id" in record:
        return record["id"]
    return _full_id(record) if "task_name" in record else record.get("uniq_id")


def airbench_rule(question: Question, prediction: str) -> bool | None:
    """What the script says of one prediction; None where it reads no letter and drops the question.

    Raises ValueError where the benchmark hides the answer.
    """
    if question.answer is None:
        raise ValueError(f"question {question.id!r} has no answer")
    chosen = letter(prediction)
    return None if chosen is None else chosen == LETTERS[question.answer]


def averages(accuracies: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """Named means of task accuracies, and the columns of Audio-Thinker's table.

    The means are `group_speech`, `group_sound`, `group_music`, `official_average` (mean of the group means),
    `mean_of_19_tasks` and `audio_thinker_mean_of_5`, over the tasks that the file has; a mean of no task is left out.
    Intervals are those of `stats.mean_of_means`, which takes the tasks as independent.

    Args:
        accuracies: task name -> accuracy; names outside TASKS count nowhere.
    """
    groups = {f"group_{group}": _mean(accuracies, tasks) for group, tasks in GROUPS.items()}
    present = {name: mean for name, mean in groups.items() if mean is not None}
    means = {
        **present,
        "official_average": mean_of_means(list(present.values())) if present else None,
        "mean_of_19_tasks": _mean(accuracies, TASKS),
        "audio_thinker_mean_of_5": _mean(accuracies, tuple(AUDIO_THINKER.values())),
        **{f"audio_thinker_{column}": accuracies.get(task) for column, task in AUDIO_THINKER.items()},
    }
    return {name: mean for name, mean in means.items() if mean is not None}


def _mean(accuracies: Mapping[str, Estimate], tasks: Sequence[str]) -> Estimate | None:
    present = [accuracies[task] for task in tasks if task in accuracies]
    return mean_of_means(present) if present else None


def coverage(questions: Sequence[Question]) -> dict[str, list[str]]:
    """Which of the 19 tasks and 25 folders a file lacks, and which tasks it has beyond them, in order of name."""
    tasks = sorted({question.task for question in questions})
    folders = {_folder(question) for question in questions}
    published = [f"{task}_{dataset}" for task, datasets in FOLDERS.items() for dataset in datasets]
    return {
        "tasks_missing": [task for task in TASKS if task not in tasks],
        "folders_missing": [folder for folder in published if folder not in folders],
        "tasks_unknown": [task for task in tasks if task not in TASKS],
    }


def _folder(question: Question) -> str:
    return f"{question.task}_{question.dataset}"


AIRBENCH = Benchmark(
    name="airbench",
    title="AIR-Bench",
    url="https://huggingface.co/datasets/qyang1021/AIR-Bench-Dataset",
    licence="those of its sources",
    parse=parse_airbench,
    part="foundation",
    official_rule=airbench_rule,
    reads_letters=True,
    groups={"folder": _folder},
    averages=averages,
    coverage=coverage,
    prediction_keys=("response",),
    prediction_id=prediction_id,
    short_id=lambda question: question.id.rpartition("/")[2],
    # The prompt stands in `Inference_Foundation.py` of github.com/OFA-Sys/AIR-Bench, which also writes `C. None` and
    # `D. None` where a question has two choices; here they are left out.
    prompt=OfficialPrompt(
        "Choose the most suitable answer from options A, B, C, and D to respond the question in next line, you "
        "may only choose A or B or C or D.\n{question}\n{choices}",
        choices="lettered_lines",
    ),
)
