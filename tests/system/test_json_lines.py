"""Files of JSON lines that a killed process may have left with half a line at the end."""

import contextlib
import resource

import pytest

from harken.errors import DataError, HarkenError
from harken.system.json_lines import append_json_lines, read_json_lines, reopen_json_lines, write_json_lines

ROWS = [{"id": "a", "text": "line\u2028separator"}, {"id": "b", "text": "\\n\nß"}]


def test_a_file_cut_at_any_byte_is_read_up_to_its_last_complete_line_and_reopening_removes_the_rest(tmp_path):
    path = tmp_path / "rows.jsonl"
    append_json_lines(path, ROWS)
    whole = path.read_bytes()
    first_end = whole.index(b"\n") + 1
    for cut in range(len(whole) + 1):
        n_complete, end = (2, cut) if cut == len(whole) else (1, first_end) if cut >= first_end else (0, 0)
        path.write_bytes(whole[:cut])
        assert read_json_lines(path) == ROWS[:n_complete]
        assert path.read_bytes() == whole[:cut]
        assert reopen_json_lines(path) == ROWS[:n_complete]
        assert path.read_bytes() == whole[:end]


def test_rows_appended_in_several_calls_are_those_of_a_file_written_whole(tmp_path):
    for row in ROWS:
        append_json_lines(tmp_path / "grown.jsonl", [row])
    write_json_lines(tmp_path / "whole.jsonl", ROWS)
    assert (tmp_path / "grown.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_a_file_that_does_not_exist_has_no_rows_and_reopening_creates_it_and_its_folder(tmp_path):
    path = tmp_path / "folder" / "rows.jsonl"
    assert read_json_lines(path) == []
    assert not path.parent.exists()
    assert reopen_json_lines(path) == []
    assert path.read_bytes() == b""


@pytest.mark.parametrize(("line", "fault"), [("what?", "not JSON"), ("[1]", "expected a JSON object, found list")])
@pytest.mark.parametrize("read", [read_json_lines, reopen_json_lines])
def test_a_complete_line_that_is_no_object_is_an_error_with_its_number(read, line, fault, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id": "a"}\n' + line + "\n")
    with pytest.raises(DataError, match=rf"rows\.jsonl:2: {fault}"):
        read(path)
    assert path.read_text() == '{"id": "a"}\n' + line + "\n"


@contextlib.contextmanager
def largest_file(n_bytes):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_file_that_cannot_be_written_is_an_error_that_says_how_to_go_on(tmp_path):
    with (
        largest_file(4),
        pytest.raises(HarkenError, match=r"rows\.jsonl: File too large\. Make room, then go on with X"),
    ):
        append_json_lines(tmp_path / "rows.jsonl", ROWS, "go on with X")


@pytest.mark.parametrize("room", [1, 20, 40])
def test_a_row_that_has_no_room_leaves_no_half_line_for_the_next_one(tmp_path, room):
    path = tmp_path / "rows.jsonl"
    append_json_lines(path, ROWS[:1])
    with largest_file(path.stat().st_size + room), pytest.raises(HarkenError):
        append_json_lines(path, [{"id": "long", "text": "x" * 100}])
    append_json_lines(path, ROWS[1:])
    assert read_json_lines(path) == ROWS
