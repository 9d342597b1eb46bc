"""Finds clips by the names that predictions and rollouts hold.

A clip's name is the last two parts of its path. Names come from data files and may be hostile, so a clip is only read
from inside the given folders. A page gets the decoded sound (mono, 16 kHz, as the model gets it), never the file
itself, so that a file that is not a sound is never sent.
"""

import base64
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from harken.data.audio import load_waveform
from harken.errors import AudioError
from harken.types import Waveform


class ClipFinder:
    """Finds the files of clips by name inside `roots`."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = [root.resolve() for root in roots if root.is_dir()]

    def find(self, name: str) -> Path:
        """The file of the clip. Raises AudioError where no file has that name, several have it, or it lies outside."""
        parts = name.split("/")
        if "\0" in name or "\\" in name or not all(part.strip(".") for part in parts):
            raise AudioError(f"{name[:200]!r} is not the name of a clip")
        candidates = [root / name for root in self.roots]
        if len(parts) == 2:
            candidates += [root / parts[1] for root in self.roots if root.name == parts[0]]
        files = [file for file in candidates if os.path.isfile(file)] or self._index.get("/".join(parts[-2:]), [])
        files = list(dict.fromkeys(files))
        if len(files) != 1:
            raise AudioError(f"{len(files) or 'no'} files called {name[:200]!r} in the audio folders")
        file = files[0].resolve()
        if not any(file.is_relative_to(root) for root in self.roots):
            raise AudioError(f"{name[:200]!r} is a link that leads out of the audio folders")
        return file

    @cached_property
    def _index(self) -> dict[str, list[Path]]:
        """Every file below the roots by the last two parts of its path, for clips that lie deeper."""
        index: dict[str, list[Path]] = {}
        for root in self.roots:
            for folder, _, names in os.walk(root):
                for name in names:
                    path = Path(folder) / name
                    index.setdefault("/".join(path.parts[-2:]), []).append(path)
        return index


def load_clip(finder: ClipFinder, name: str) -> Waveform:
    """Raises AudioError where the clip cannot be found, read or decoded."""
    try:
        return load_waveform(finder.find(name), truncated="accept")  # a page shows what a run could have used
    except OSError as error:
        raise AudioError(f"{name[:200]!r} cannot be read: {error.strerror}") from error


def data_uri(kind: str, content: bytes) -> str:
    """Content that stands in the page itself, such as `data:image/png;base64,...`."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
