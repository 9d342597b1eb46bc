"""Finds a benchmark or a reader by the name that a recipe or an option gives.

A name is one of `BENCHMARKS`, or `module:object` for a `Benchmark` of the user's own; `manifest` also names a reader.
"""

from collections.abc import Iterable

from harken.benchmarks import BENCHMARKS
from harken.benchmarks.base import Benchmark
from harken.data.manifest import read_manifest
from harken.data.records import Reader
from harken.errors import ConfigError, did_you_mean
from harken.system.import_object import import_object


def find_benchmark(name: str, key: str = "benchmark") -> Benchmark:
    """The benchmark with this name.

    Raises ConfigError, which begins with `key`, for a name that stands for no benchmark.
    """
    if name not in BENCHMARKS and ":" not in name:
        raise ConfigError(f"{key}: no benchmark is called {name!r}{_known(name, BENCHMARKS)}")
    benchmark = import_object(BENCHMARKS.get(name, name), key)
    if not isinstance(benchmark, Benchmark):
        raise ConfigError(f"{key}: {name} is no Benchmark but {type(benchmark).__name__}; see docs/extending.md")
    return benchmark


def find_reader(name: str, key: str = "data.reader") -> Reader:
    """The reader that a source of questions names: `manifest`, or a benchmark's.

    Raises ConfigError, which begins with `key`, for a name that stands for no reader.
    """
    if name == "manifest":
        return read_manifest
    if name not in BENCHMARKS and ":" not in name:
        raise ConfigError(f"{key}: no reader is called {name!r}{_known(name, ('manifest', *BENCHMARKS))}")
    return find_benchmark(name, key).read


def _known(name: str, names: Iterable[str]) -> str:
    names = list(names)
    return (
        f"{did_you_mean(name, names)}; one of {', '.join(names)}, or module:object for a benchmark of yours "
        "(docs/extending.md)"
    )
