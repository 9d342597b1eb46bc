"""The built-in set is balanced, needs listening, and is the same for the same seed."""

import json
from collections import Counter, defaultdict

import numpy as np
import pytest
import soundfile

from harken.benchmarks.mmau import MMAU
from harken.data.audio import load_waveform
from harken.data.built_in_sounds import FORMANTS_HZ, make_vowel
from harken.data.demo_set import KINDS, write_demo_set

N_TRAIN, N_TEST = 960, 240


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("demo")
    write_demo_set(path, seed=0, n_train=N_TRAIN, n_test=N_TEST)
    return path


@pytest.fixture(scope="module")
def sets(folder):
    def read(split):
        questions, rejected = MMAU.read(folder / f"{split}.json")
        assert rejected == []
        return questions

    return read("train"), read("test")


def test_every_record_is_a_question_of_the_size_asked_for(sets):
    train, test = sets
    assert (len(train), len(test)) == (N_TRAIN, N_TEST)
    ids = [question.id for question in train + test]
    assert len(set(ids)) == len(ids)


def test_tasks_are_equal_and_difficulties_are_60_25_15(sets):
    for questions, n in zip(sets, (N_TRAIN, N_TEST), strict=True):
        cells = Counter((question.task, question.difficulty) for question in questions)
        for task in ("sound", "music", "speech"):
            for difficulty, share in (("easy", 0.6), ("medium", 0.25), ("hard", 0.15)):
                assert cells[task, difficulty] == pytest.approx(n * share / 3, abs=4)


def test_there_are_few_short_answers_and_one_wording_a_kind(sets):
    words = {choice for question in sets[0] for choice in question.choices}
    assert len(words) == 27
    assert max(len(word.split()) for word in words) == 2
    assert len({(question.task, question.difficulty, question.text) for question in sets[0]}) == 9


def test_positions_are_exactly_balanced_and_answers_differ_by_one_at_most(sets):
    for questions in sets:
        assert len(set(Counter(question.answer for question in questions).values())) == 1
        assert all(len(set(question.choices)) == 4 for question in questions)
        for kind in KINDS:
            same_kind = [question for question in questions if question.text == kind.question]
            counts = Counter(question.choices[question.answer] for question in same_kind)
            assert max(counts.values()) - min(counts.values()) <= 1
            assert set(counts) == set(kind.words)


def best_guesses_without_audio(train, test):
    """Accuracy on `test` of four guessers that learned from `train`."""

    def prior(keys):
        right, seen = Counter(), Counter()
        for question in train:
            for at in range(4):
                seen[keys(question, at)] += 1
                right[keys(question, at)] += at == question.answer
        return lambda question, at: right[keys(question, at)] / max(1, seen[keys(question, at)])

    guessers = {
        "word": prior(lambda question, at: (question.text, question.choices[at])),
        "word among these choices": prior(lambda q, at: (q.text, frozenset(q.choices), q.choices[at])),
        "position": prior(lambda question, at: (question.text, at)),
        "word and position": prior(lambda question, at: (question.text, question.choices[at], at)),
    }
    return {
        name: np.mean([max(range(4), key=lambda at, q=q, p=p: p(q, at)) == q.answer for q in test])
        for name, p in guessers.items()
    }


def test_whoever_does_not_listen_is_at_chance(sets):
    train, test = sets
    learned = best_guesses_without_audio(train, test)
    assert learned["word and position"] == pytest.approx(0.25, abs=0.08)
    assert {name: value for name, value in learned.items() if name != "word and position"} == pytest.approx(
        {"word": 0.25, "word among these choices": 0.25, "position": 0.25}, abs=0.05
    )


def test_given_its_choices_every_answer_of_the_training_set_is_equally_frequent(sets):
    for questions in sets:
        answers = defaultdict(Counter)
        for question in questions:
            answers[question.text, frozenset(question.choices)][question.choices[question.answer]] += 1
        assert all(len(counts) == 4 and len(set(counts.values())) == 1 for counts in answers.values())


def test_the_file_name_does_not_tell_the_answer(sets):
    for questions in sets:
        hits = [int(question.id[-5:]) % 4 == question.answer for question in questions]
        assert np.mean(hits) == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / len(hits)))


def test_clips_are_short_audible_16_khz_mono_pcm_and_all_different(sets, folder):
    seen = set()
    for question in sets[0] + sets[1]:
        info = soundfile.info(question.audio)
        assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16")
        assert 0.3 <= info.duration <= 1.25
        waveform = load_waveform(question.audio)
        assert 0.2 < np.abs(waveform).max() <= 1.0
        seen.add(waveform.tobytes())
    assert len(seen) == N_TRAIN + N_TEST == len(list((folder / "audio").iterdir()))


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_seed_gives_the_same_files_and_another_seed_gives_others(tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        write_demo_set(tmp_path / name, seed=seed, n_train=40, n_test=20)
    first, again, other = (contents(tmp_path / name) for name in "abc")
    assert first == again
    assert first.keys() == other.keys()
    assert all(first[path] != other[path] for path in first)


def test_train_and_test_of_one_size_share_no_clip(tmp_path):
    write_demo_set(tmp_path, seed=5, n_train=20, n_test=20)
    assert len({path.read_bytes() for path in (tmp_path / "audio").iterdir()}) == 40


def test_a_test_set_does_not_change_with_the_size_of_the_training_set(tmp_path):
    write_demo_set(tmp_path / "a", seed=5, n_train=40, n_test=20)
    write_demo_set(tmp_path / "b", seed=5, n_train=80, n_test=20)
    assert (tmp_path / "a/test.json").read_bytes() == (tmp_path / "b/test.json").read_bytes()


@pytest.mark.parametrize("sizes", [(0, 4), (4, 0), (10, 4), (4, -4)])
def test_a_size_that_is_not_a_multiple_of_four_is_an_error(tmp_path, sizes):
    with pytest.raises(ValueError, match="questions come in fours"):
        write_demo_set(tmp_path / "x", seed=0, n_train=sizes[0], n_test=sizes[1])
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("word", FORMANTS_HZ)
def test_a_vowel_is_loudest_near_its_first_formants(word):
    signal = make_vowel(np.random.default_rng(0), word, 0.5, 120)
    spectrum = np.abs(np.fft.rfft(signal)) ** 2
    frequency_hz = np.fft.rfftfreq(signal.size, 1 / 16_000)
    near = np.zeros(spectrum.size, dtype=bool)
    for formant_hz in FORMANTS_HZ[word][:2]:
        near |= np.abs(frequency_hz - formant_hz) < 130
    assert spectrum[near].sum() > 0.5 * spectrum.sum()


@pytest.mark.parametrize(("answer", "n_beeps"), [("one", 1), ("two", 2), ("three", 3), ("four", 4)])
def test_the_beeps_can_be_counted(sets, answer, n_beeps):
    same_kind = [q for q in sets[1] if q.text == "How many beeps are heard?" and q.choices[q.answer] == answer]
    assert same_kind
    for question in same_kind:
        waveform = np.abs(load_waveform(question.audio))
        frames = waveform[: len(waveform) // 320 * 320].reshape(-1, 320).max(axis=1) > 0.3 * waveform.max()
        assert np.count_nonzero(np.diff(frames.astype(int), prepend=0) == 1) == n_beeps


def test_the_records_have_the_keys_of_mmau(folder):
    [first, *_] = json.loads((folder / "test.json").read_text())
    keys = "id audio_id question choices answer dataset task split category sub-category difficulty"
    assert list(first) == keys.split()
