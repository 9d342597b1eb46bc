"""Files are flushed before they have their name, and a fault of the system is a sentence about the file meant."""

import ast
import errno
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import harken
from harken.errors import DataError, FileError, file_error
from harken.system.files import naming, read_text, replacing, write_json, write_text


@pytest.fixture
def calls(monkeypatch):
    """What is flushed and renamed, in order."""
    log = []
    rename = os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: log.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    monkeypatch.setattr(os, "replace", lambda old, new: (log.append(f"{old} -> {new}"), rename(old, new)))
    return log


def test_a_file_is_flushed_renamed_and_its_folder_flushed(tmp_path, calls):
    write_text(tmp_path / "a.txt", "x")
    temporary = tmp_path / ".a.txt.tmp"
    assert calls == [str(temporary), f"{temporary} -> {tmp_path / 'a.txt'}", str(tmp_path)]


def test_everything_in_a_folder_is_flushed_before_the_folder_is_renamed(tmp_path, calls):
    with replacing(tmp_path / "step") as folder:
        (folder / "trainer").mkdir(parents=True)
        for name in ("weights", "trainer/state"):
            (folder / name).write_text("x")
    flushed = {path.replace(f"{tmp_path}/.step.tmp", "") for path in calls[:-2]}
    assert flushed == {"", "/weights", "/trainer", "/trainer/state"}
    assert calls[-2:] == [f"{tmp_path / '.step.tmp'} -> {tmp_path / 'step'}", str(tmp_path)]


def test_a_fault_names_the_file_that_was_meant_and_leaves_the_earlier_one(tmp_path):
    file = tmp_path / "a.txt"
    write_text(file, "before")

    def fill_the_disk(temporary):
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"a\.txt'") as error, replacing(file) as temporary:
        fill_the_disk(temporary)
    assert error.value.filename == str(file)
    assert file.read_text() == "before"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_the_number_of_the_system_is_read_from_errors_of_other_libraries(tmp_path):
    with pytest.raises(OSError, match="No space left") as error, naming(tmp_path / "w"):
        raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(tmp_path / "w"))


def test_a_copied_folder_and_a_database_on_a_full_disk_are_errors_of_the_operating_system(tmp_path):
    with pytest.raises(OSError, match="No space left") as error, naming(tmp_path / "copy"):
        raise shutil.Error([("a", "b", "[Errno 28] No space left on device: 'b'")])
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(tmp_path / "copy"))
    database = sqlite3.connect(tmp_path / "rows.sqlite")
    database.execute("PRAGMA max_page_count=2")
    with pytest.raises(OSError, match="No space left") as error, naming(tmp_path), closing(database):
        database.executescript("".join(f"CREATE TABLE t{i} (a TEXT);" for i in range(99)))
    assert error.value.filename == str(tmp_path)


@pytest.mark.parametrize(
    ("number", "way_out"),
    [
        (errno.ENOSPC, "Make room, then go on"),
        (errno.EROFS, "Choose another place"),
        (errno.ENOTDIR, "A file stands where a folder is needed"),
        (errno.ENAMETOOLONG, "Choose a shorter name"),
        (errno.EIO, "Mend it, then go on"),
    ],
)
def test_a_fault_of_the_system_becomes_a_sentence_with_a_way_out(number, way_out):
    error = file_error(OSError(number, os.strerror(number), "/a/b"), "go on")
    assert isinstance(error, FileError)
    assert str(error).startswith(f"/a/b: {os.strerror(number)}. {way_out}")


def test_half_of_a_surrogate_pair_is_written_as_an_escape_that_json_reads_back(tmp_path):
    import json

    write_json(tmp_path / "a.json", {"a": "\ud800"})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"a": "\ud800"}


def test_a_text_that_is_not_utf_8_is_an_error_with_its_place(tmp_path):
    (tmp_path / "card.md").write_bytes(b"ab\xff")
    with pytest.raises(DataError, match=r"card\.md: not UTF-8 at byte 2"):
        read_text(tmp_path / "card.md")


def renames(tree: ast.AST) -> list[str]:
    """Calls that rename or move: `os.replace`, `os.rename`, `shutil.move`, `path.rename(...)`, `path.replace(one)`."""
    found = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        of_path = name.endswith(".replace") and len(call.args) == 1 and not call.keywords  # text has two arguments
        if of_path or name == "os.replace" or name.endswith((".rename", ".renames", "shutil.move")):
            found.append(ast.unparse(call))
    return found


def test_one_function_renames_and_it_flushes_first():
    source = Path(harken.__file__).parent
    trees = {file: ast.parse(file.read_text(encoding="utf-8")) for file in sorted(source.rglob("*.py"))}
    found = {str(file.relative_to(source)): renames(tree) for file, tree in trees.items()}
    # `remove_folder` renames what it is about to remove.
    assert {name: calls for name, calls in found.items() if calls} == {
        "system/files.py": ["os.replace(temporary, path)", "os.replace(path, temporary)"]
    }
    assert renames(ast.parse("shutil.move(a, b); os.rename(a, b); a.replace(b); 'a'.replace('b', 'c')")) == [
        "shutil.move(a, b)",
        "os.rename(a, b)",
        "a.replace(b)",
    ]
