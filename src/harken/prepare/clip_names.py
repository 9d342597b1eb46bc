"""Names of clips that were cut from videos: `<video id>_<start second>`.

Data sets and folders spell these names with the start padded to six digits or not; `parse_clip_name` reads both as the
same `ClipName`. A video id has 11 characters and may itself hold `-` and `_`, so it is taken by its length; the name is
never split at `_`.
"""

import re
from dataclasses import dataclass

_NAME = re.compile(r"([A-Za-z0-9_-]{11})_([0-9]{1,6})")


@dataclass(frozen=True, slots=True, order=True)
class ClipName:
    """A clip: the id of its video, and the second of the video at which it begins."""

    video: str
    start_s: int

    def __str__(self) -> str:
        """The padded form, `9bZkp7q19f0_000030`."""
        return f"{self.video}_{self.start_s:06d}"


def parse_clip_name(name: str) -> ClipName | None:
    """Read `9bZkp7q19f0_000030` or `9bZkp7q19f0_30`; None for any other text, such as a name with a folder."""
    match = _NAME.fullmatch(name)
    return ClipName(match[1], int(match[2])) if match else None
