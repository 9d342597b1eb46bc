"""Encodes waveforms as MP3, for pages and trackers. `wav_bytes` in data/audio.py encodes them as WAV."""

import io

import numpy as np
import soundfile

from harken.data.audio import SAMPLE_RATE_HZ
from harken.types import Waveform


def as_mp3(samples: Waveform) -> bytes:
    """The sound as MP3 of about 27 kbit/s, 3.4 kB per second; every browser plays MP3, not every one plays Ogg.

    The bit rate is variable, so that the file has room for the tag by which decoders leave out the silence that MP3
    adds in front.
    """
    mp3 = io.BytesIO()
    soundfile.write(
        mp3,
        np.clip(samples, -1, 1),
        SAMPLE_RATE_HZ,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=0.7,
        bitrate_mode="VARIABLE",
    )
    return mp3.getvalue()
