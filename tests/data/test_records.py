"""Records are read with their lines; a bad record is rejected with its line and reason, and none is lost."""

import json
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.data import json_values
from harken.data.record_fields import clip_path
from harken.data.records import RecordError, read_records
from harken.errors import DataError


@pytest.fixture
def read(tmp_path):
    def read_text(text):
        path = tmp_path / "records.json"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        records, rejected = read_records(path)
        assert all(record.file == str(path) for record in rejected)
        return [(line, record) for line, _, record in records], [(record.line, record.reason) for record in rejected]

    return read_text


def test_each_record_of_a_json_list_has_the_line_where_it_begins(read):
    assert read('[\n {"a": 1},\n\n {"a":\n  2}, {"a": 3}\n]\n') == ([(2, {"a": 1}), (4, {"a": 2}), (5, {"a": 3})], [])


def test_json_lines_may_have_blank_lines_and_windows_line_ends(read):
    assert read('{"a": 1}\r\n\r\n{"a": 2}\r\n') == ([(1, {"a": 1}), (3, {"a": 2})], [])


def test_a_line_separator_inside_a_text_does_not_end_the_line(read):
    assert read('{"a": "x\u2028y\u0085z"}\n{"a": 2}') == ([(1, {"a": "x\u2028y\u0085z"}), (2, {"a": 2})], [])


@pytest.mark.parametrize("text", ["", "\n\n", "[]", " [ ] \n"])
def test_no_records_is_no_error(read, text):
    assert read(text) == ([], [])


def test_a_byte_order_mark_is_not_part_of_the_first_record(read):
    assert read('\ufeff[{"a": 1}]') == ([(1, {"a": 1})], [])


def test_each_bad_line_is_rejected_with_its_place(read):
    records, rejected = read('{"a": 1}\n{"a": }\n{"a": 3}\nhello\n')
    assert records == [(1, {"a": 1}), (3, {"a": 3})]
    assert rejected == [
        (2, "not JSON: Expecting value at column 7: '{\"a\": }'"),
        (4, "not JSON: Expecting value at column 1: 'hello'"),
    ]


@pytest.mark.parametrize("text", ['{"a": 1}\n7\n"x"\n', '[{"a": 1},\n7,\n"x"]'])
def test_what_is_no_object_is_rejected(read, text):
    records, rejected = read(text)
    assert records == [(1, {"a": 1})]
    assert rejected == [(2, "expected a JSON object, found 7"), (3, "expected a JSON object, found 'x'")]


def test_a_list_cut_inside_a_record_keeps_the_records_before_the_cut(read):
    records, rejected = read('[\n{"a": 1},\n{"a": 2},\n{"a": 3,\n "b": "no')
    assert records == [(2, {"a": 1}), (3, {"a": 2})]
    [(line, reason)] = rejected
    assert line == 5
    assert reason.startswith("the JSON list breaks off in the record of line 4: Unterminated string")
    assert reason.endswith("nothing after this place was read")


@pytest.mark.parametrize(("text", "line"), [('[\n{"a": 1}\n', 2), ('[\n{"a": 1},\n', 3), ('[\n{"a": 1},', 2)])
def test_a_list_cut_between_records_says_so(read, text, line):
    records, rejected = read(text)
    assert records == [(2, {"a": 1})]
    assert [place for place, _ in rejected] == [line]


def test_a_missing_comma_ends_the_list_there(read):
    records, rejected = read('[{"a": 1}\n{"a": 2}]')
    assert records == [(1, {"a": 1})]
    assert rejected == [
        (2, "the JSON list breaks off: expected ',' or ']', found '{'; nothing after this place was read")
    ]


def test_text_after_the_end_of_a_list_is_rejected_line_by_line(read):
    records, rejected = read('[{"a": 1}]\n{"a": 2}\n\n{"a": 3}')
    assert records == [(1, {"a": 1})]
    assert [line for line, _ in rejected] == [2, 4]


def test_hostile_json_is_rejected_not_raised(read):
    deep, long_number, half_pair = "[" * 200_000, "9" * 5_000, '{"a": "\\ud83d"}'
    records, rejected = read(f'{{"a": 1}}\n{{"a": {deep}\n{{"a": {long_number}}}\n{half_pair}\n')
    assert records == [(1, {"a": 1})]
    assert [line for line, _ in rejected] == [2, 3, 4]
    assert "nested too deeply" in rejected[0][1]
    assert "4300 digits" in rejected[1][1]
    assert rejected[2][1] == r"holds half of a surrogate pair, which is not text: '\ud83d'"
    assert max(len(reason) for _, reason in rejected) < 400


def test_another_encoding_is_an_error_that_names_file_and_byte(read):
    with pytest.raises(DataError, match=r"records\.json: not UTF-8: byte 0xe9 at byte 10; save the file as UTF-8"):
        read('{"a": "caf\u00e9"}'.encode("latin-1"))


def test_a_missing_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(DataError, match=r"gone\.json: cannot be read: No such file"):
        read_records(tmp_path / "gone.json")


values = st.dictionaries(st.text(max_size=3), st.none() | st.integers() | st.text(), max_size=3) | st.integers()


@given(written=st.lists(values, max_size=6), indent=st.sampled_from([None, 1]))
def test_list_and_lines_hold_the_same_records_and_lose_none(tmp_path_factory, written, indent):
    folder = tmp_path_factory.mktemp("records")
    (folder / "list.json").write_text(json.dumps(written, indent=indent), encoding="utf-8")
    (folder / "lines.jsonl").write_text("".join(json.dumps(value) + "\n" for value in written), encoding="utf-8")
    for name in ("list.json", "lines.jsonl"):
        records, rejected = read_records(folder / name)
        assert [record for _, _, record in records] == [value for value in written if isinstance(value, dict)]
        assert len(records) + len(rejected) == len(written)


@given(cut=st.integers(min_value=1, max_value=130))
def test_wherever_a_list_is_cut_the_whole_records_are_kept_and_the_cut_is_rejected(tmp_path_factory, cut):
    whole = [{"id": str(i), "text": "x" * i} for i in range(5)]
    text = json.dumps(whole, indent=1)[: -1 - cut]
    path = tmp_path_factory.mktemp("records") / "cut.json"
    path.write_text(text, encoding="utf-8")
    records, rejected = read_records(path)
    kept = [record for _, _, record in records]
    assert kept == whole[: len(kept)]
    assert len(kept) == text.count("}")
    assert len(rejected) == 1
    assert rejected[0].line == pytest.approx(len(text.split("\n")), abs=1)


def test_a_clip_name_is_joined_to_its_root(tmp_path):
    assert clip_path("./audio//a.wav", tmp_path) == tmp_path / "audio" / "a.wav"
    assert clip_path("x/../..a.wav", tmp_path) == tmp_path / "..a.wav"


@pytest.mark.parametrize("name", ["/etc/passwd", "//etc/passwd", "../a.wav", "x/../../a.wav", "..", "./../a.wav"])
def test_a_clip_name_may_not_leave_its_root(tmp_path, name):
    with pytest.raises(RecordError, match="is outside audio_root"):
        clip_path(name, tmp_path)


@pytest.mark.parametrize("name", ["", ".", "a/..", "a\0b.wav", 7, ["a.wav"]])
def test_a_clip_name_must_name_a_file(tmp_path, name):
    with pytest.raises(RecordError, match="clip name"):
        clip_path(name, tmp_path)


def outcomes(path):
    """(line, value) of each record, and (line, reason) of each rejected one."""
    records, rejected = read_records(path)
    return [tuple(record) for record in records], [(record.line, record.reason) for record in rejected]


@settings(max_examples=25)
@given(
    values=st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=6) | st.integers() | st.floats(-9, 9))),
    gap=st.sampled_from(["", " ", "\n", " \n\t"]),
    chunk=st.integers(1, 9),
)
def test_a_list_is_read_the_same_however_little_of_it_is_held(tmp_path_factory, values, gap, chunk):
    path = tmp_path_factory.mktemp("list") / "records.json"
    path.write_text(f"{gap}[{gap}" + f"{gap},{gap}".join(json.dumps(value) for value in values) + f"{gap}]{gap}")
    whole = outcomes(path)
    assert ([record for _, _, record in whole[0]], whole[1]) == (values, [])
    with mock.patch.object(json_values, "_CHUNK", chunk):
        assert outcomes(path) == whole


@pytest.mark.parametrize(
    "text",
    [
        *('[{"a": 1}, {"b": 2', '[{"a": 1}\n{"b": 2}]', '[{"a": 1}, 2, "x]', '[{"a": 1},\n {"b": tru}]', "[", "[1,"),
        *('[{"a": "\u00e9\U0001f600"}] x\ny', '[{"a": 1}\n\n', "[" * 2000, '\ufeff[{"a": "\\ud800"}, {"b": 1}]'),
        *('{"a": 1}\nnope\n\n{"b": 2}', '\ufeff{"a": 1}\r\n{"b": "\u2028"}', "", " \n", '[{"n": 12345678}]'),
    ],
)
def test_a_broken_list_is_told_the_same_however_little_of_it_is_held(tmp_path, text):
    path = tmp_path / "records.json"
    path.write_text(text, encoding="utf-8")
    whole = outcomes(path)
    for chunk in (1, 2, 3, 7):
        with mock.patch.object(json_values, "_CHUNK", chunk):
            assert outcomes(path) == whole


def test_bytes_that_are_not_utf8_are_named_by_their_place_in_the_file(tmp_path):
    path = tmp_path / "records.json"
    for text in (b'[{"a": "' + b"x" * 20 + b'\xe9"}]', b'{"a": 1}\n{"b": "\xe9"}\n'):
        path.write_bytes(text)
        with (
            mock.patch.object(json_values, "_CHUNK", 3),
            pytest.raises(DataError, match=f"not UTF-8: byte 0xe9 at byte {text.index(0xE9)};"),
        ):
            read_records(path)
