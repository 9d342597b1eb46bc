"""Holds what the live page shows of one run or of several, and the clips that they name; `server.py` serves it.

Only the run folders and the given folders of clips are read. So evaluations of the run that a run started from are only
shown where that run lies in the folder over many runs that is served. The whole state is sent whenever a file changed:
it has a few megabytes at most and stays on the machine.
"""

import functools
import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from harken.data.audio import load_waveform, wav_bytes
from harken.errors import AudioError
from harken.report.build import run_summary
from harken.report.clip_picture import draw_clip
from harken.report.clips import ClipFinder, data_uri
from harken.report.curve_names import SECTIONS
from harken.report.curves import panels
from harken.report.facts import progress_line, run_names
from harken.report.page import encodable, render_page, script_json
from harken.report.question_sample import take_within
from harken.report.question_sets import question_sets
from harken.report.questions import clips_of, evaluation_items, training_items
from harken.report.run import Run, read_run

TEXT_BUDGET = 4_000_000
"""Bytes of questions and completions in the page's state; the newest are kept."""
EVERY_MS = 2000
"""How often the page asks for changes."""
_WATCHED = (
    "config.yaml",
    "environment.json",
    "metrics.jsonl",
    "rollouts/step_*.jsonl",
    "eval/*/*.json*",
    "eval/*/*/*.json*",
)


class Viewer:
    """The live page of the runs at `paths`. Raises DataError where one of them is not a run folder.

    Args:
        within: the folder over many runs; None where single runs are served.
        up: address of the page over many runs, "" where there is none.
    """

    def __init__(
        self, paths: Sequence[Path], audio_roots: Sequence[Path], *, within: Path | None = None, up: str = ""
    ) -> None:
        self.paths = [path.resolve() for path in paths]
        self.names = run_names(self.paths)
        self._within = within
        self._finder = ClipFinder(audio_roots)
        self._clip_names: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self._files: object = None
        self._state, self._tag = b"", ""
        empty = {
            "live": True,
            "every_ms": EVERY_MS,
            "runs": [],
            "panels": [],
            "sections": [],
            "questions": [],
            "note": "",
        }
        self.page = render_page(" · ".join(self.names), Markup(""), empty, up=up).encode("utf-8")
        self.state()

    def state(self) -> tuple[bytes, str]:
        """Everything that changes, as JSON, and its entity tag. Raises DataError where a file cannot be read."""
        with self._lock:
            stats = [
                (str(file), file.stat())
                for path in self.paths
                for pattern in _WATCHED
                for file in sorted(path.glob(pattern))
            ]
            files = [(name, stat.st_mtime_ns, stat.st_size) for name, stat in stats]
            if files != self._files:
                self._state = self._read([read_run(path) for path in self.paths])
                self._tag = f'"{hashlib.sha256(self._state).hexdigest()}"'
                self._files = files
            return self._state, self._tag

    def clip(self, name: str) -> dict[str, Any]:
        """What the player shows of a clip: {sound, mel, outline, seconds, note}, or {fault}."""
        try:
            picture = draw_clip(load_waveform(self._file(name), truncated="accept"))
        except AudioError as error:
            return {"fault": str(error)}
        return {
            "sound": f"sound/{quote(name, safe='')}",
            "mel": data_uri("image/png", picture.mel),
            "outline": picture.outline,
            "seconds": picture.duration_s,
            "note": "",
        }

    def sound(self, name: str) -> bytes:
        """The clip as WAV. Raises AudioError where the run does not name it, or it cannot be found or decoded."""
        file = self._file(name)
        return _wav(file, file.stat().st_mtime_ns)

    def _read(self, runs: Sequence[Run]) -> bytes:
        sets = [question_sets(run, within=self._within or run.path) for run in runs]
        items = [*training_items(runs), *evaluation_items(sets)]
        kept = take_within(items, TEXT_BUDGET)
        clips = [clip for item in kept for clip in clips_of(item)]
        for clip in clips:
            clip["sound"] = clip["clip"] or None
        self._clip_names = frozenset(clip["clip"] for clip in clips if clip["clip"])
        number = f"all {len(kept):,}" if len(kept) == len(items) else f"the newest {len(kept):,} of {len(items):,}"
        state = {
            "live": True,
            "runs": [{"name": name} for name in self.names],
            "panels": panels([run.metrics for run in runs]),
            "sections": SECTIONS,
            "questions": kept,
            "note": f"This page shows {number} questions of the run folder.",
            "status": "; ".join(map(progress_line, runs)),
            "summary": encodable(run_summary(self.names, runs, sets)),
        }
        return script_json(state).encode("ascii")

    def _file(self, name: str) -> Path:
        if name not in self._clip_names:
            raise AudioError("the run names no such clip")
        return self._finder.find(name)


@functools.lru_cache(maxsize=8)
def _wav(file: Path, mtime_ns: int) -> bytes:
    """Kept, because a browser requests one clip in several ranges."""
    return wav_bytes(load_waveform(file, truncated="accept"))
