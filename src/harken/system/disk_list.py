"""A list whose values lie on disk, so that a large set can be worked on in little memory.

The commands of `harken prepare` and `generate` keep their records in it between reading and writing. The file has no
name: it is gone when the list is no longer used or the process ends, however it ends.
"""

import io
import os
import pickle
import tempfile
import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from operator import attrgetter
from pathlib import Path, PosixPath
from typing import Any, Generic, TypeVar

from harken.system.files import naming

T = TypeVar("T")
_BLOCK = 1 << 20
"""How many bytes wait in memory before they are written."""


class DiskList(Generic[T]):
    """Values in order, which can be appended, read and replaced. Memory holds 16 bytes for each of them.

    A value that is read is a copy: changing it does not change the list.

    Args:
        folder: a folder on the disk to use; created where it is missing. None takes the system's temporary folder.

    Raises OSError that names the folder where the disk is full.
    """

    def __init__(self, folder: Path | None = None, values: Iterable[T] = ()) -> None:
        self._folder = Path(tempfile.gettempdir()) if folder is None else folder
        with naming(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder, buffering=0) as file:
                self._file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._file)
        self._starts, self._sizes = array("Q"), array("Q")
        self._waiting = bytearray()
        self._buffer = io.BytesIO()
        self._pickler = pickle.Pickler(self._buffer, pickle.HIGHEST_PROTOCOL)
        self._pickler.dispatch_table = _REDUCERS
        self._written = 0
        for value in values:
            self.append(value)

    def append(self, value: T) -> None:
        """Add a value at the end."""
        start, size = self._write(value)
        self._starts.append(start)
        self._sizes.append(size)

    def __setitem__(self, index: int, value: T) -> None:
        """Replace a value; the earlier one stays in the file, unused."""
        self._starts[index], self._sizes[index] = self._write(value)

    def __getitem__(self, index: int) -> T:
        start, size = self._starts[index], self._sizes[index]
        if start + size > self._written:
            self._flush()
        # The file is this process's own and has no name, so nobody else can have written what is unpickled.
        return pickle.loads(os.pread(self._file, size, start))

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[T]:
        return (self[index] for index in range(len(self)))

    def _write(self, value: T) -> tuple[int, int]:
        """(place in the file, number of bytes)."""
        self._buffer.seek(0)
        self._buffer.truncate()
        self._pickler.clear_memo()
        self._pickler.dump(value)
        data = self._buffer.getbuffer()
        start = self._written + len(self._waiting)
        size = len(data)
        self._waiting += data
        data.release()
        if len(self._waiting) >= _BLOCK:
            self._flush()
        return start, size

    def _flush(self) -> None:
        with naming(self._folder):
            while self._waiting:
                n_bytes = os.write(self._file, self._waiting)
                del self._waiting[:n_bytes]
                self._written += n_bytes


class _Reducers(dict[type, Callable[[Any], tuple[Any, ...]]]):
    """How values are taken apart: a dataclass into its fields, which takes half of the time of its own way."""

    def __missing__(self, kind: type) -> Callable[[Any], tuple[Any, ...]]:
        if not is_dataclass(kind):
            raise KeyError(kind)
        names = [field.name for field in fields(kind)]
        values = attrgetter(*names)
        self[kind] = lambda value: (kind, values(value) if len(names) > 1 else (values(value),))
        return self[kind]


_REDUCERS = _Reducers()
_REDUCERS[PosixPath] = lambda path: (PosixPath, (str(path),))
