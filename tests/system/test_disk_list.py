"""Lists on disk behave as lists do, and leave no file; tables of hashes find what dictionaries find."""

import gc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.system import hash_table
from harken.system.disk_list import DiskList
from harken.system.hash_table import HashTable
from harken.types import AudioSpan, Question, Rejected

QUESTION = Question("q", "What?", ("a", "b"), 0, (AudioSpan(Path("a.wav")), AudioSpan(Path("b.wav"), 1.5, 3.0)))


@settings(max_examples=30)
@given(values=st.lists(st.text()), changes=st.lists(st.tuples(st.integers(0, 5), st.text())))
def test_a_list_on_disk_holds_what_a_list_holds(values, changes):
    on_disk, in_memory = DiskList(values=values), list(values)
    for index, value in changes:
        if index < len(in_memory):
            on_disk[index] = in_memory[index] = value
    assert list(on_disk) == in_memory
    assert [on_disk[index] for index in range(len(on_disk))] == in_memory


def test_values_larger_than_a_block_and_questions_come_back_equal(tmp_path):
    values = [QUESTION, "x" * 3_000_000, Rejected("f", 1, "i", "why", repeated=True), None, Path("a/b")]
    on_disk = DiskList(tmp_path / "new", values)
    on_disk.append(on_disk[0])
    assert list(on_disk) == [*values, QUESTION]
    assert isinstance(on_disk[4], Path)


def test_a_list_on_disk_leaves_no_file(tmp_path):
    on_disk = DiskList(tmp_path, range(100))
    assert list(tmp_path.iterdir()) == []
    del on_disk
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_an_index_beyond_the_end_is_an_error():
    with pytest.raises(IndexError):
        DiskList(values=[1])[1]


@given(texts=st.lists(st.text(max_size=2), max_size=30))
def test_a_table_gives_the_numbers_of_a_text_in_order(texts):
    table = HashTable()
    for number, text in enumerate(texts):
        table.add(text, number)
    for text in {*texts, "none of them"}:
        assert [n for n in table.numbers(text) if texts[n] == text] == [n for n, t in enumerate(texts) if t == text]


def test_a_table_grows_and_keeps_texts_with_equal_hashes_apart(monkeypatch):
    monkeypatch.setattr(hash_table, "hash", lambda text: len(text), raising=False)
    table = HashTable()
    for number in range(1100):
        table.add(str(number), number)
    assert list(table.numbers("7")) == list(range(10))
    assert list(table.numbers("12345")) == []
