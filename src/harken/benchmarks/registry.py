"""Finds a benchmark or a reader by the name that a recipe or an option gives.

A name is one of `BENCHMARKS`, the name that an installed package gives to one of its own, or `module:object`: a
`Benchmark`, or for a reader also a function that reads a file. `manifest` also names a reader.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from harken.benchmarks import BENCHMARKS
from harken.benchmarks.base import Benchmark
from harken.config.plugins import installed
from harken.data.manifest import read_manifest
from harken.data.records import Reader
from harken.errors import ConfigError, DataError, HarkenError, did_you_mean, raised, short_repr
from harken.system.import_object import import_object
from harken.types import Question, Rejected


def find_benchmark(name: str, key: str = "benchmark") -> Benchmark:
    """The benchmark with this name.

    Raises ConfigError, which begins with `key`, for a name that stands for no benchmark.
    """
    own = installed("benchmark")
    if name not in BENCHMARKS and name not in own and ":" not in name:
        raise ConfigError(f"{key}: no benchmark is called {name!r}{_known(name, (*BENCHMARKS, *own))}")
    benchmark = import_object(BENCHMARKS.get(name, name), key, "benchmark")
    if not isinstance(benchmark, Benchmark):
        raise ConfigError(f"{key}: {name} is no Benchmark but {type(benchmark).__name__}; see docs/extending.md")
    return benchmark


def find_reader(name: str, key: str = "data.reader") -> Reader:
    """The reader that a source of questions names: `manifest`, a benchmark's, or a function of the user's own.

    Raises ConfigError, which begins with `key`, for a name that stands for no reader.
    """
    if name == "manifest":
        return read_manifest
    own_reader = _own_reader(name, key)
    return find_benchmark(name, key).read if own_reader is None else own_reader


def benchmark_of_reader(name: str, key: str = "data.reader") -> Benchmark | None:
    """The benchmark whose records a reader reads; None for a reader that belongs to none."""
    if name == "manifest" or _own_reader(name, key) is not None:
        return None
    return find_benchmark(name, key)


def _own_reader(name: str, key: str) -> Reader | None:
    """A function of the user's own that reads a file of questions; None where the name is that of a benchmark."""
    own, benchmarks = installed("reader"), (*BENCHMARKS, *installed("benchmark"))
    if name in benchmarks:
        return None
    if name not in own and ":" not in name:
        raise ConfigError(f"{key}: no reader is called {name!r}{_known(name, ('manifest', *benchmarks, *own))}")
    reader = import_object(name, key, "reader")
    if isinstance(reader, Benchmark):
        return None
    if not callable(reader):
        raise ConfigError(
            f"{key}: {name} is neither a Benchmark nor a function that reads a file but {type(reader).__name__}; see "
            "docs/extending.md"
        )
    return lambda path, audio_root=None: _read_with(reader, name, path, audio_root)


def _read_with(
    function: Callable[..., Any], name: str, path: Path, audio_root: Path | None
) -> tuple[list[Question], list[Rejected]]:
    """What a reader of the user's own returns. Raises DataError that names it where that is no list of questions."""
    try:
        returned = function(path, path.parent if audio_root is None else audio_root)
    except HarkenError:
        raise
    except Exception as error:
        raise DataError(f"{path}: the reader {name} raised {raised(error)}") from error
    questions, rejected = returned if isinstance(returned, tuple) and len(returned) == 2 else (returned, [])
    if not isinstance(questions, list) or not all(isinstance(question, Question) for question in questions):
        raise DataError(
            f"{path}: the reader {name} returned {short_repr(returned)}; it returns a list of questions, or that and a "
            "list of Rejected"
        )
    read: list[Question] = []
    first: dict[str, int] = {}
    for number, question in enumerate(cast(list[Question], questions), start=1):
        if question.id in first:
            raise DataError(
                f"{path}: the reader {name} gives the id {short_repr(question.id)} to questions {first[question.id]} "
                f"and {number}; give each its own"
            )
        if question.answer is not None and not 0 <= question.answer < len(question.choices):
            raise DataError(
                f"{path}: the reader {name} returned question {short_repr(question.id)} with answer {question.answer}, "
                f"which is no index of its {len(question.choices)} choices"
            )
        first[question.id] = number
        placed = question.source.rpartition(":")[2].isdecimal()
        read.append(question if placed else replace(question, source=f"{path}:{number}"))
    return read, list(cast(Iterable[Rejected], rejected))


def _known(name: str, names: Iterable[str]) -> str:
    names = list(names)
    return (
        f"{did_you_mean(name, names)}; one of {', '.join(names)}, or module:object for a benchmark of yours "
        "(docs/extending.md)"
    )
