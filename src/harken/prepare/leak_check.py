"""`harken prepare check`: compare a finished training set with benchmarks, by the rules in leaks.py."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from harken.prepare.data_card import CardTable
from harken.prepare.leak_check_sets import ComparedSet, read_compared_records
from harken.prepare.leaks import Leak, find_leaks, hash_clips
from harken.system.json_lines import write_json_lines

RULES = ("clip", "content", "question")


@dataclass(frozen=True, slots=True)
class LeakReport:
    """The leaks of one benchmark.

    Attributes:
        n_hashed: clips of the training set, and of the benchmark, that could be compared by content.
    """

    name: str
    n_training: int
    n_benchmark: int
    n_hashed: tuple[int, int]
    leaks: list[Leak]

    @property
    def leaked(self) -> bool:
        """Whether both sets have a clip in common. Similar questions alone are no leak, because wordings repeat."""
        return any(leak.rule != "question" for leak in self.leaks)


def check_leaks(
    training: ComparedSet, benchmarks: Sequence[ComparedSet], workers: int, out: Path | None = None
) -> list[LeakReport]:
    """Compare each benchmark with the training set, and write every pair to `out` as JSON lines. Raises DataError."""
    training_records = read_compared_records(training.file, training.audio_root)
    training_digests = hash_clips(training_records, workers)
    reports: list[LeakReport] = []
    for benchmark in benchmarks:
        name = benchmark.file.name
        records = read_compared_records(benchmark.file, benchmark.audio_root)
        digests = hash_clips(records, workers)
        leaks = find_leaks(training_records, records, name, training_digests | digests)
        n_hashed = (len(training_digests), len(digests))
        reports.append(LeakReport(name, len(training_records), len(records), n_hashed, leaks))
    if out is not None:
        write_json_lines(out, [asdict(leak) for report in reports for leak in report.leaks])
    return reports


def leak_table(report: LeakReport) -> CardTable:
    """Count the leaks by each rule, with the first pair of each."""
    rows = [("records: training, benchmark", f"{report.n_training:,}, {report.n_benchmark:,}")]
    rows.append(("clips hashed: training, benchmark", "{:,}, {:,}".format(*report.n_hashed)))
    for rule in RULES:
        matches = [leak for leak in report.leaks if leak.rule == rule]
        example = f" (first: {matches[0].id} = {matches[0].benchmark_id})" if matches else ""
        rows.append((f"training records with the same {rule}{example}", f"{len(matches):,}"))
    return CardTable(report.name, ("", "n"), rows)
