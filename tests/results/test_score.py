"""Right predictions score 100 and no predictions 0; both denominators are reported, and no interval has width 0."""

import random
import time
from dataclasses import replace

import pytest
from benchmark_files import KEY, RECORDS, answered, gold, noise, write

from harken.benchmarks.mmau import MMAU
from harken.benchmarks.registry import find_benchmark
from harken.benchmarks.word_match import matches
from harken.errors import DataError
from harken.questions.grader import grade
from harken.results.score import score as score_benchmark

BENCHMARKS = tuple(RECORDS)
FIGURES = ("official_accuracy", "official_accuracy_all", "choice_accuracy")
REAL = ("original", "v05.15.25")


def score(name, questions, predictions, **options):
    return score_benchmark(find_benchmark(name), questions, predictions, **options)


@pytest.fixture
def items(tmp_path):
    def read(benchmark, records=None):
        path = write(tmp_path / f"{benchmark}.json", RECORDS[benchmark]() if records is None else records)
        questions, rejected = find_benchmark(benchmark).read(path)
        assert rejected == []
        return questions

    return read


def golden(benchmark, questions):
    """Right predictions in the form the official scorer reads."""
    lettered = benchmark in ("airbench", "mmsu")
    return {one.id: "ABCD"[one.answer] if lettered else one.choices[one.answer] for one in questions}


def every_figure(result):
    for group in (result, *(group for axis in result["by"].values() for group in axis.values())):
        yield from (group[name] for name in FIGURES)
    yield from (one for mean in result.get("averages", {}).values() if isinstance(mean, dict) for one in mean.values())


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_gold_scores_100_on_every_figure(items, benchmark):
    questions = items(benchmark)
    result = score(benchmark, questions, golden(benchmark, questions))
    assert {figure["value"] for figure in every_figure(result)} == {1.0}
    assert (result["n"], result["n_missing"], result["n_unreadable"], result["n_official"]) == (
        len(questions),
        0,
        0,
        len(questions),
    )


@pytest.mark.parametrize("version", REAL)
def test_gold_scores_100_on_both_mmau_versions(shared, version):
    questions, _ = MMAU.read(shared / "benchmarks" / f"mmau-test-mini.{version}.json")
    result = score("mmau", questions, golden("mmau", questions))
    assert {figure["value"] for figure in every_figure(result)} == {1.0}
    assert {axis: len(groups) for axis, groups in result["by"].items()} == {
        **{"task": 3, "difficulty": 3, "category": 2, "sub_category": 27}
    }
    assert sum(group["n"] for group in result["by"]["task"].values()) == result["n"] == 1000


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_no_predictions_score_0_over_all_items(items, benchmark):
    questions = items(benchmark)
    result = score(benchmark, questions, {})
    assert {figure["value"] for figure in every_figure(result)} == {0.0}
    assert (result["n"], result["n_missing"], result["n_official"]) == (len(questions), len(questions), 0)
    assert result["official_accuracy"]["ci95"] == [0.0, 1.0]  # of no items nothing is known
    assert result["official_accuracy_all"]["ci95"][1] < 0.12


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_a_tenth_missing_shows_in_one_denominator_and_not_in_the_other(items, benchmark):
    questions = items(benchmark)
    missing = {one.id for one in questions[::10]}
    result = score(benchmark, questions, {k: v for k, v in golden(benchmark, questions).items() if k not in missing})
    n = len(questions)
    assert (result["n"], result["n_missing"], result["n_official"]) == (n, len(missing), n - len(missing))
    assert result["official_accuracy"]["value"] == 1.0
    assert result["official_accuracy_all"]["value"] == result["choice_accuracy"]["value"] == 1 - len(missing) / n


def test_by_hand(items):
    records = RECORDS["mmau"](6)
    for record, choices, answer in zip(
        records, [["a dog", "a cat"], ["rain", "wind"], ["one", "two"]] * 2, ["a dog", "rain", "one"] * 2, strict=True
    ):
        record.update(choices=choices, answer=answer)
    said = {
        "m0": "a dog",  # right for both
        "m1": "rain, not wind",  # officially wrong, strictly right: the wind is denied
        "m2": "<think>two?</think><answer>one</answer>",  # officially wrong, strictly right
        "m3": "A",  # officially wrong, and no choice where no letters were shown
        "m4": "it rains",  # officially wrong, strictly right
    }
    result = score("mmau", items("mmau", records), said)
    assert [result[key] for key in ("n", "n_missing", "n_unreadable", "n_official", "n_unreadable_letters")] == [
        6,
        1,
        1,
        5,
        1,
    ]
    assert [result[name]["value"] for name in FIGURES] == [1 / 5, 1 / 6, 4 / 6]
    speech = result["by"]["task"]["speech"]  # m2 and m5
    assert [speech[key] for key in ("n", "n_missing", "n_unreadable", "n_official")] == [2, 1, 0, 1]
    assert [speech[name]["value"] for name in FIGURES] == [0, 0, 1 / 2]
    told = score("mmau", items("mmau", records), said, letters_shown=True)
    assert [told[name]["value"] for name in FIGURES] == [1 / 5, 1 / 6, 5 / 6]
    assert (told["n_unreadable"], told["n_unreadable_letters"]) == (0, 0)


def test_bare_hands_the_official_rule_the_choice_that_was_read(items):
    records = RECORDS["mmau"](2)
    records[0].update(choices=["a dog", "a cat"], answer="a dog")
    records[1].update(choices=["a dog", "a cat"], answer="a cat")
    said = {"m0": "The answer is a dog, not a bird", "m1": "no idea"}
    result = score("mmau", items("mmau", records), said, bare=True)
    assert [result[name]["value"] for name in FIGURES] == [0.5, 0.5, 0.5]
    assert (result["n_unreadable"], result["n_official"]) == (1, 2)
    lettered = RECORDS["airbench"](1)[:2]
    for record in lettered:
        record.update(choice_a="a dog", choice_b="Bird", choice_c="rain", choice_d=None, answer_gt="rain")
    questions = items("airbench", lettered)
    raw = {one.id: text for one, text in zip(questions, ("Rain.", "nothing"), strict=True)}
    assert score("airbench", questions, raw)["n_official"] == 0  # no letter in either
    handed = score("airbench", questions, raw, bare=True)
    assert handed["official_accuracy"]["value"] == 1.0
    assert [handed[key] for key in ("n_official", "n_unreadable")] == [1, 1]  # the script drops ""
    assert handed["official_accuracy_all"]["value"] == 0.5


def test_random_predictions_are_scored_as_item_by_item(items):
    questions, draw = items("mmau"), random.Random(5)
    said = {one.id: noise(draw, one.choices[one.answer], list(one.choices)) for one in questions[5:]}
    result = score("mmau", questions, said)
    official = [matches(one.choices[one.answer], said[one.id], one.choices) for one in questions[5:]]
    strict = [grade(said[one.id], one.choices, one.answer, letters_shown=False) for one in questions[5:]]
    assert result["official_accuracy"]["value"] == pytest.approx(sum(official) / 55)
    assert result["official_accuracy_all"]["value"] == pytest.approx(sum(official) / 60)
    assert result["choice_accuracy"]["value"] == pytest.approx(sum(one.correct for one in strict) / 60)
    assert result["n_unreadable"] == sum(one.choice is None for one in strict)
    for figure in every_figure(result):
        low, high = figure["ci95"]
        assert low <= figure["value"] <= high
        assert high - low > 0.02


def test_questions_on_one_clip_count_as_one_in_the_interval(items):
    one_each, shared_clips = RECORDS["mmau"](60), RECORDS["mmau"](60)
    for i, record in enumerate(one_each):
        record["audio_id"] = f"{i}.wav"
    widths = []
    for records in (one_each, shared_clips):
        questions = items("mmau", records)
        said = {q.id: q.choices[q.answer] if i // 2 % 3 else "" for i, q in enumerate(questions)}
        low, high = score("mmau", questions, said)["official_accuracy"]["ci95"]
        widths.append(high - low)
    assert widths[1] > 1.3 * widths[0]


def test_mmar_has_its_seven_modalities_and_no_difficulty(items):
    questions = items("mmar")
    by = score("mmar", questions, golden("mmar", questions))["by"]
    assert len(by["modality"]) == 7
    assert by["modality"] == by["task"]
    assert len(by["category"]) == 4
    assert by["difficulty"] == {}


def test_an_mmar_item_whose_answer_is_no_choice_is_scored_officially_and_strictly_wrong(items):
    records = RECORDS["mmar"](2)
    records[0].update(choices=["Colombian", "American"], answer="American\nColombian")
    questions = items("mmar", records)
    result = score("mmar", questions, {"r0_00-00-01": "Colombian and American", "r1_00-00-01": records[1]["answer"]})
    assert [result[name]["value"] for name in FIGURES] == [1.0, 1.0, 0.5]


def test_airbench_has_every_mean_by_name_and_says_what_is_missing(items):
    records = [
        one for one in RECORDS["airbench"]() if one["dataset_name"] != "meld" and one["task_name"] != "Music_AQA"
    ]
    records.append({**records[0], "task_name": "Another", "uniq_id": 999})
    questions = items("airbench", records)
    said = golden("airbench", questions)
    said |= {one.id: "no letter" for one in questions if one.task == "Sound_AQA" and int(one.id.rpartition("/")[2]) % 2}
    result = score("airbench", questions, said)
    averages = result["averages"]
    assert averages["tasks_missing"] == ["Music_AQA"]
    assert averages["tasks_unknown"] == ["Another"]
    assert averages["folders_missing"] == [
        *("Music_AQA_music_avqa", "Speaker_Emotion_Recontion_meld", "Speaker_Gender_Recognition_meld")
    ]
    assert result["by"]["task"]["Sound_AQA"]["official_accuracy_all"]["value"] == 0.5
    assert averages["audio_thinker_SoundAQA"]["official_accuracy"]["value"] == 1.0  # dropped, as the script does
    assert averages["audio_thinker_SoundAQA"]["official_accuracy_all"]["value"] == 0.5
    assert averages["group_sound"]["official_accuracy_all"]["value"] == pytest.approx((0.5 + 3) / 4)
    assert averages["official_average"]["official_accuracy_all"]["value"] == pytest.approx((0.875 + 2) / 3)
    assert "audio_thinker_MusicAQA" not in averages
    assert averages["audio_thinker_mean_of_5"]["official_accuracy_all"]["value"] == pytest.approx(3.5 / 4)
    assert result["by"]["folder"]["Sound_AQA_avqa"]["n"] == 4


def test_a_group_without_a_label_stands_beside_the_others(items):
    records = RECORDS["mmau"](4)
    records[0]["difficulty"] = None
    questions = items("mmau", records)
    assert {name: group["n"] for name, group in score("mmau", questions, {})["by"]["difficulty"].items()} == {
        "": 1,
        "easy": 1,
        "hard": 1,
        "medium": 1,
    }


@pytest.mark.parametrize(
    ("change", "predictions", "message"),
    [
        (lambda questions: [], {}, "mmau: there are no questions to score"),
        (lambda questions: questions + questions[:2], {}, "2 of 62 questions repeat an id"),
        (
            lambda questions: questions,
            {"x": "a", "m1": "a"},
            "1 of 2 predictions are for ids that mmau does not have",
        ),
        (lambda questions: questions, {"m1": None}, "1 of 1 predictions are not text"),
        (lambda questions: questions, {"m1": ["a dog"]}, "1 of 1 predictions are not text"),
    ],
)
def test_what_cannot_be_scored_is_an_error_with_counts(items, change, predictions, message):
    with pytest.raises(DataError, match=message):
        score("mmau", change(items("mmau")), predictions)


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_hidden_answers_are_refused(items, benchmark):
    records = [
        {key: value for key, value in one.items() if not key.startswith("answer")} for one in RECORDS[benchmark]()
    ]
    with pytest.raises(DataError, match=f"{len(records)} of {len(records)} questions hide their answer") as error:
        score(benchmark, items(benchmark, records), {})
    assert ("--submission" in str(error.value)) == (benchmark in ("mmau", "adqa"))  # those with a server of their own


def test_a_benchmark_without_an_official_rule_is_refused_by_name(items):
    benchmark = replace(MMAU, official_rule=None)
    with pytest.raises(DataError, match=r"mmau: harken knows no official rule of MMAU.*`harken evaluate`"):
        score_benchmark(benchmark, items("mmau"), {})


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_very_long_texts_are_scored_in_seconds(items, benchmark):
    questions = items(benchmark)[:6]
    texts = (
        "dog " * 100_000,
        "a" * 1_000_000,
        "\u0301" * 200_000,
        "<think>" * 100_000,
        "(B) " * 60_000,
        "A\n" * 200_000,
    )
    said = {one.id: text for one, text in zip(questions, texts, strict=True)}
    start = time.process_time()
    result = score(benchmark, questions, said)
    assert time.process_time() - start < 20
    assert result["n_missing"] == 0


def test_the_gold_of_the_fixtures_is_what_their_records_say():
    record = RECORDS["airbench"](1)[0]
    assert record[f"choice_{gold(record).lower()}"] == record["answer_gt"]
    assert set(KEY) == set(RECORDS)
    assert [one for one in answered([record], "response", lambda one: None) if "response" in one] == []
