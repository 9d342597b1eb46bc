"""AIR-Bench foundation's official letter rule, and the averages over its tasks that papers print (docs/benchmarks.md).

Takes predictions item by item, and figures task by task; gives verdicts and named means. The official script prints one
accuracy per folder (task and dataset); papers print 19 tasks, the mean of the three group means as "average", or
chosen columns. A task with two folders is pooled over its items [O]. Not taken: one figure called "the AIR-Bench
score": each mean has its name.
"""

from collections.abc import Mapping, Sequence

from harken.benchmarks.lettered import LETTERS
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


def letter(prediction: str) -> str | None:
    """The letter that the official script reads: the first character if it is one of ABCD ("Bird" is B), else the last
    but one ("The answer is A."), else none. Newlines are taken out first."""
    text = prediction.strip().replace("\n", "")
    if text and text[0] in LETTERS:
        return text[0]
    return text[-2] if len(text) > 1 and text[-2] in LETTERS else None


def official(question: Question, prediction: str) -> bool | None:
    """The script's verdict on one item; None where it reads no letter and drops the item from the denominator.

    Raises ValueError where the benchmark hides the answer.
    """
    if question.answer is None:
        raise ValueError(f"question {question.id!r} has no answer")
    found = letter(prediction)
    return None if found is None else found == LETTERS[question.answer]


def averages(accuracies: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """Named means of task accuracies: `group_speech`, `group_sound`, `group_music`, `official_average` (mean of the
    group means), `mean_of_19_tasks`, and `audio_thinker_mean_of_5`, over the tasks that are there; a mean of
    none is left out. Intervals as in `stats.mean_of_means`, tasks taken as independent.

    Args:
        accuracies: task name -> accuracy; names outside TASKS count nowhere.
    """
    groups = {f"group_{group}": _mean(accuracies, tasks) for group, tasks in GROUPS.items()}
    found = {name: mean for name, mean in groups.items() if mean is not None}
    named = {
        **found,
        "official_average": mean_of_means(list(found.values())) if found else None,
        "mean_of_19_tasks": _mean(accuracies, TASKS),
        "audio_thinker_mean_of_5": _mean(accuracies, tuple(AUDIO_THINKER.values())),
    }
    return {name: mean for name, mean in named.items() if mean is not None}


def _mean(accuracies: Mapping[str, Estimate], tasks: Sequence[str]) -> Estimate | None:
    present = [accuracies[task] for task in tasks if task in accuracies]
    return mean_of_means(present) if present else None
