"""Holds what the page over many runs shows: a table of the runs below a folder, and a page for each choice of them.

`harken view RUNS/` serves it. The folder is read again whenever the page asks, and of a run only what has changed.
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harken.errors import DataError
from harken.report.find_runs import MOST_RUNS, Row, find_runs, read_row, state_of
from harken.report.page import encodable, render_runs_page, script_json
from harken.report.question_sets import distinct_names
from harken.report.settings import differing_keys
from harken.report.viewer import Viewer

EVERY_MS = 5000
"""How often the page asks for changes."""
MOST_OPEN = 8
"""Pages of runs that are kept; the one that was asked for longest ago goes first."""
_LONGEST = 200
"""Characters of a setting in the table."""


class RunsViewer:
    """The runs below `root`. Raises DataError where `root` is no folder."""

    def __init__(self, root: Path, audio_roots: Sequence[Path]) -> None:
        self.root = root.resolve()
        if not self.root.is_dir():
            raise DataError(f"{root}: no such folder; give the folder of a run, or one that holds runs")
        self.name = self.root.name or str(self.root)
        self._audio_roots = audio_roots
        self._lock = threading.Lock()
        self._rows: dict[Path, tuple[Any, Row]] = {}
        self._open: dict[tuple[str, ...], Viewer] = {}
        self.page = render_runs_page(f"Runs in {self.name}", {"every_ms": EVERY_MS}).encode("utf-8")

    def state(self) -> tuple[bytes, str]:
        """The table as JSON, and its entity tag."""
        with self._lock:
            self._read_changed()
            rows = [row for _, row in self._rows.values()]
        state = script_json(runs_table(rows, self.name)).encode("ascii")
        return state, f'"{hashlib.sha256(state).hexdigest()}"'

    def open(self, keys: Sequence[str]) -> Viewer | None:
        """The page of the runs with these keys, in this order; None where there is no such run."""
        with self._lock:
            self._read_changed()
            paths = {row["key"]: path for path, (_, row) in self._rows.items()}
            chosen = tuple(dict.fromkeys(keys))
            if not chosen or not set(chosen) <= paths.keys():
                return None
            viewer = self._open.pop(chosen, None) or Viewer(
                [paths[key] for key in chosen], self._audio_roots, within=self.root, up="../../"
            )
            self._open[chosen] = viewer
            while len(self._open) > MOST_OPEN:
                del self._open[next(iter(self._open))]
            return viewer

    def _read_changed(self) -> None:
        rows: dict[Path, tuple[Any, Row]] = {}
        for path in find_runs(self.root):
            state, name = state_of(path), path.relative_to(self.root).as_posix()
            known = self._rows.get(path)
            rows[path] = known if known and known[0] == state else (state, read_row(path, name, self.root))
        self._rows = rows


def runs_table(rows: Sequence[Row], name: str) -> dict[str, Any]:
    """The content of the page: {name, status, note, sets, keys, rows}.

    `sets` are the names of the sets of questions, the one with most runs first; `keys` are the settings that are not
    the same in all runs. Rows hold results by the name of the set.
    """
    counted = Counter(ids for row in rows for ids in row["results"])
    ids_in_order = sorted(counted, key=lambda ids: -counted[ids])
    names = distinct_names(
        (ids, next(row["results"][ids]["set"] for row in rows if ids in row["results"])) for ids in ids_in_order
    )
    keys = differing_keys([row["settings"] for row in rows])
    shown = [
        {
            **row,
            "results": {names[ids]: figures for ids, figures in row["results"].items()},
            "settings": {key: row["settings"][key][:_LONGEST] for key in keys if key in row["settings"]},
        }
        for row in rows
    ]
    note = f"only the first {MOST_RUNS} runs are shown" if len(rows) == MOST_RUNS else ""
    values = {"status": f"{len(rows):,} runs", "note": note, "sets": list(names.values()), "keys": keys, "rows": shown}
    return {"name": encodable(name), **values}
