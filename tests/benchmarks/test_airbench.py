"""AIR-Bench's records, its letter rule by hand, and its named means."""

import pytest
from benchmark_files import changed, read_records_of

from harken.benchmarks.airbench import AIRBENCH, AUDIO_THINKER, FOLDERS, GROUPS, TASKS, averages
from harken.stats import Estimate
from harken.types import Question

RECORD = {
    "path": "a.wav",
    "question": "Which animal is heard?",
    "choice_a": "dog",
    "choice_b": "cat",
    "choice_c": "cow",
    "choice_d": "hen",
    "answer_gt": "cow",
    "task_name": "Sound_AQA",
    "dataset_name": "avqa",
    "uniq_id": 17,
}


@pytest.fixture
def read(tmp_path):
    """Reads records that lie in q.json of the test's folder."""
    return lambda *records, **options: read_records_of(AIRBENCH, tmp_path / "q.json", *records, **options)


def test_an_airbench_record_becomes_a_question_in_the_folder_of_its_task_and_dataset(read, tmp_path):
    assert read(RECORD) == (
        [
            Question(
                id="Sound_AQA_avqa/17",
                text="Which animal is heard?",
                choices=("dog", "cat", "cow", "hen"),
                answer=2,
                audio=tmp_path / "Sound_AQA_avqa" / "a.wav",
                task="Sound_AQA",
                dataset="avqa",
                source=f"{tmp_path}/q.json:1",
            )
        ],
        [],
    )


@pytest.mark.parametrize(("name", "file"), [("a.b.wav", "a.b.flac"), ("a.flac", "a.flac"), ("a", "a.flac")])
def test_audio_grounding_clips_are_flac(read, tmp_path, name, file):
    [question], _ = read(changed(RECORD, path=name, task_name="Audio_Grounding", dataset_name="AG"))
    assert question.audio == tmp_path / "Audio_Grounding_AG" / file


def test_the_same_uniq_id_in_two_folders_is_two_questions(read):
    kept, _ = read(RECORD, changed(RECORD, dataset_name="clothoaqa"))
    assert [estimate.id for estimate in kept] == ["Sound_AQA_avqa/17", "Sound_AQA_clothoaqa/17"]
    _, [rejected] = read(RECORD, RECORD)
    assert rejected.reason == "id 'Sound_AQA_avqa/17' is taken by the record in line 1"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"task_name": None}, "task_name: expected text, found None"),
        ({"uniq_id": ...}, "key 'uniq_id' is missing"),
        ({"path": "../../a.wav"}, "clip name '../../a.wav' is outside audio_root"),
        ({"path": "/etc/passwd"}, "clip name '/etc/passwd' is outside audio_root"),
        ({"dataset_name": "\0"}, "task_name and dataset_name 'Sound_AQA_\\x00' name no folder"),
        ({"task_name": "../x"}, "task_name and dataset_name '../x_avqa' name no folder"),
    ],
)
def test_a_bad_airbench_record_is_rejected(read, changes, reason):
    _, [rejected] = read(changed(RECORD, **changes))
    assert rejected.reason.startswith(reason)


def test_25_folders_are_19_tasks_in_three_groups():
    assert [len(tasks) for tasks in GROUPS.values()] == [9, 4, 6]
    assert len(set(TASKS)) == 19
    assert set(TASKS) == set(FOLDERS)
    assert sum(map(len, FOLDERS.values())) == 25
    assert set(AUDIO_THINKER.values()) <= set(TASKS)


def test_the_named_means_of_a_published_row():
    """Qwen-Audio-Turbo in AIR-Bench's table of foundation results prints 57.8 as the average of these 19."""
    printed = dict(
        zip(
            TASKS,
            (
                *(45.4, 95.9, 82.5, 60.0, 58.8, 48.1, 56.4, 54.3, 69.3),  # speech
                *(41.6, 78.1, 61.3, 62.8),  # sound
                *(59.6, 77.1, 30.1, 25.1, 62.5, 39.0),  # music
            ),
            strict=True,
        )
    )
    means = averages(
        {
            task: Estimate(share / 100, share / 100 - 0.05, share / 100 + 0.04, 100, 100)
            for task, share in printed.items()
        }
    )
    assert {name: round(100 * estimate.mean, 2) for name, estimate in means.items()} == {
        "group_speech": 63.41,
        "group_sound": 60.95,
        "group_music": 48.9,
        "official_average": 57.75,
        "mean_of_19_tasks": 58.31,
        "audio_thinker_mean_of_5": 63.54,
        "audio_thinker_SoundAQA": 62.8,
        "audio_thinker_MusicAQA": 62.5,
        "audio_thinker_SER": 60.0,
        "audio_thinker_VSC": 78.1,
        "audio_thinker_SNV": 54.3,
    }
    mean = means["group_sound"]
    assert (mean.mean - mean.low, mean.high - mean.mean) == (pytest.approx(0.025), pytest.approx(0.02))  # over sqrt(4)
    assert mean.n == 400


def test_means_are_over_the_tasks_that_are_there():
    estimate, other = Estimate(0.5, 0.4, 0.6, 10, 10), Estimate(1.0, 0.7, 1.0, 10, 10)
    means = averages({"Sound_AQA": estimate, "Audio_Grounding": other, "Something else": estimate})
    assert set(means) == {
        *("group_sound", "official_average", "mean_of_19_tasks"),
        *("audio_thinker_mean_of_5", "audio_thinker_SoundAQA"),
    }
    assert means["group_sound"].mean == means["official_average"].mean == 0.75
    mean = means["audio_thinker_mean_of_5"]
    assert (mean.mean, mean.low, mean.high, mean.n) == (0.5, pytest.approx(0.4), pytest.approx(0.6), 10)
