"""Finds the files of captioned clips in a folder, whichever way downloaders have spelled their names."""

from pathlib import Path

from harken.prepare.clip_source import ClipSource, file_source
from harken.prepare.media_index import AUDIO_SUFFIXES


class CaptionedClips:
    """The sound files in a folder and in its `audio`, as `prepare vggsound` and downloaders leave them.

    Attributes:
        folder: names are relative to it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._by_start: dict[str, str] = {}
        self._by_recording: dict[str, str] = {}
        for parent in (folder / "audio", folder):
            for path in sorted(parent.iterdir()) if parent.is_dir() else ():
                if path.suffix.lower() in AUDIO_SUFFIXES:
                    self._add(path.stem, path.relative_to(folder).as_posix())

    def file_of(self, clip: ClipSource) -> str | None:
        """The file of a clip; None where there is none.

        AudioSet has one clip of each recording, so an id without a start is any file of the recording. A clip that has
        a start needs a file that says the same one: another may be the whole recording.
        """
        if not clip.starts_s:
            return self._by_recording.get(clip.ident)
        return self._by_start.get(clip.names[0])

    def _add(self, stem: str, name: str) -> None:
        source = file_source(stem)
        if source is not None and source.site == "youtube":
            self._by_recording.setdefault(source.ident, name)
            for start in source.names:
                self._by_start.setdefault(start, name)
