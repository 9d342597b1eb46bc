"""Recordings in the layout of realaqa's single digits, for the tests of recipes that read them."""

from pathlib import Path

import numpy as np
import soundfile

SPEAKERS = ("george", "jackson", "yweweler")
TAKES = {0: "test", 5: "dev", 8: "train"}
"""Number of a take -> the part that it is in."""


def write_tones(realaqa: Path) -> None:
    """Ten digits, three speakers, three takes: tones whose pitch is the digit's and whose loudness is the speaker's."""
    (realaqa / "audio").mkdir(parents=True, exist_ok=True)
    for digit in range(10):
        for place, speaker in enumerate(SPEAKERS):
            for take in TAKES:
                tone = 0.1 * (place + 1) * np.sin(np.arange(1600 + 10 * take) * (0.1 + 0.05 * digit))
                file = realaqa / "audio" / f"fsdd_{digit}_{speaker}_{take}.wav"
                soundfile.write(file, tone, 8000, subtype="PCM_16")
