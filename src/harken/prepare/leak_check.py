"""`harken prepare check A B...`: what a training set and benchmarks have in common (the rules are in `leaks.py`)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from harken.prepare.data_card import Section
from harken.prepare.leaks import Against, Leak, digests_of, find_leaks, read_entries
from harken.system.json_lines import write_json_lines

RULES = ("clip", "content", "question")


@dataclass(frozen=True, slots=True)
class Checked:
    """One benchmark: its leaks, and how many of its clips, and of the training set's, could be compared by content."""

    name: str
    n_training: int
    n_benchmark: int
    n_hashed: tuple[int, int]
    leaks: list[Leak]

    @property
    def leaked(self) -> bool:
        """Whether a clip is in both; similar questions alone are no leak, wordings repeat."""
        return any(leak.rule != "question" for leak in self.leaks)


def check_leaks(
    training: Against, benchmarks: Sequence[Against], workers: int, out: Path | None = None
) -> list[Checked]:
    """Compare each benchmark with the training set; every pair goes to `out`, JSON lines. Raises DataError."""
    entries = read_entries(training.file, training.audio_root)
    own = digests_of(entries, workers)
    checked: list[Checked] = []
    for one in benchmarks:
        others = read_entries(one.file, one.audio_root)
        theirs = digests_of(others, workers)
        leaks = find_leaks(entries, others, one.file.name, own | theirs)
        checked.append(Checked(one.file.name, len(entries), len(others), (len(own), len(theirs)), leaks))
    if out is not None:
        write_json_lines(out, [asdict(leak) for one in checked for leak in one.leaks])
    return checked


def section(checked: Checked) -> Section:
    """Training records per rule, and the first pair of each."""
    rows = [("records: training, benchmark", f"{checked.n_training:,}, {checked.n_benchmark:,}")]
    rows.append(("clips hashed: training, benchmark", "{:,}, {:,}".format(*checked.n_hashed)))
    for rule in RULES:
        found = [leak for leak in checked.leaks if leak.rule == rule]
        example = f" (first: {found[0].id} = {found[0].benchmark_id})" if found else ""
        rows.append((f"training records with the same {rule}{example}", f"{len(found):,}"))
    return Section(checked.name, ("", "n"), rows)
