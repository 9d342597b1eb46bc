"""A benchmark's file is recognised as one of its published states by the share of items that agree."""

import hashlib
import json
from dataclasses import replace

import pytest

from harken.benchmarks.mmar import MMAR
from harken.benchmarks.mmau import MMAU
from harken.benchmarks.published_states import PublishedStates, published_states

VERSIONS = ("original", "v05.15.25")


@pytest.fixture
def questions(shared):
    return {version: MMAU.read(shared / "benchmarks" / f"mmau-test-mini.{version}.json")[0] for version in VERSIONS}


def test_the_real_files_are_the_last_states_of_the_two_versions(questions):
    for version, published in (("original", "2025-03-25"), ("v05.15.25", "2025-08-09")):
        recognised = MMAU.recognise_questions(questions[version])
        assert (recognised.version, recognised.state, recognised.n_agree) == (version, published, 1000)
        assert MMAU.recognise_questions(questions[version][:100]).version == version
        assert MMAU.recognise((one.id, None, None) for one in questions[version]).version == version  # ids alone
        assert MMAU.recognise((one.id, one.choices, None) for one in questions[version]).version == version


def test_items_that_were_changed_are_listed_and_many_of_them_are_no_version(questions):
    edited = [*questions["original"]]
    edited[3] = replace(edited[3], choices=("another", *edited[3].choices))
    edited[7] = replace(edited[7], answer=(edited[7].answer + 1) % len(edited[7].choices))
    recognised = MMAU.recognise_questions(edited)
    assert (recognised.version, recognised.n_agree) == ("original", 998)
    assert recognised.differing == (edited[3].id, edited[7].id)
    both = [*questions["original"], *questions["v05.15.25"]]
    assert MMAU.recognise_questions(both).version == "mixed"
    assert MMAU.recognise([("made up", ["a", "b"], None)]).version == "unknown"
    assert MMAU.recognise([]).version == "unknown"


def test_a_record_that_both_versions_have_tells_no_version(questions):
    alone = [MMAU.recognise_questions([one]).version for one in questions["original"]]
    assert (alone.count("original"), alone.count("unknown")) == (311, 689)  # the first state of v05.15.25 has 689


def test_of_equally_good_states_the_latest_counts_and_a_passing_one_only_alone():
    """Three items with the hashes of ids a, b, c; state 0 has a and b, state 1 all, state 2, passing, a alone."""

    def digits(n, *parts):
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:n]

    def word(ident, last):
        return digits(6, ident) + digits(6, ident, ["x", "y"]) + digits(4, ident, "x") + f"0{last}"

    text = "state first one\nstate second one\nstate third two passing\n"
    text += " ".join([word("a", 2), word("b", 1), word("c", 1).replace("01", "11")])
    states = PublishedStates(text)
    assert states.recognise([("a", ["x", "y"], "x")]).state == "second"
    assert states.recognise([("a", [" x", "y "], "x ")]).n_agree == 1
    assert states.recognise([("a", ["y", "x"], "x")]).version == "unknown"
    assert states.recognise([("a", ["x", "y"], "y")]).version == "unknown"


def test_mmar_has_two_states_of_one_version():
    assert MMAR.recognise([("made up", ["a", "b"], None)]).version == ""
    words = published_states("mmar")._words
    assert len(words) == 1000
    assert sum(len(of_id) for of_id in words.values()) == 1005  # five answers were mended
