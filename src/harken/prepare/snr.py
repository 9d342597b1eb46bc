"""Estimate the signal-to-noise ratio of a clip from its samples alone.

The estimator [O] computes the mean power of each frame of 25 ms. The 10th percentile P10 of these is taken as the power
of the noise, and the mean power above it as that of the signal:

    SNR = 10 log10((mean P - P10) / P10),    both at least the power of 16-bit rounding, 1/12

The ratio is high where sounds stand out of a quieter background, and low for a steady sound (rain, an engine) however
clean it is. So it says how much of a clip is an event, which is what a filter of recordings with nothing to hear needs.
Silence has 0 dB. `prepare avqa --min-snr` uses it; Audio-Thinker filters at 10 dB and does not name its estimator.
"""

import numpy as np
from numpy.typing import NDArray

FRAME_SAMPLES = 400
_ROUNDING_POWER = 1 / 12


def frame_powers(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """Mean square of each 25 ms frame: samples [S] at 16 kHz -> [F], in units of the last bit.

    An incomplete frame at the end is left out, unless it is the only frame.
    """
    n_whole = samples.size - samples.size % FRAME_SAMPLES
    frames = samples[:n_whole].reshape(-1, FRAME_SAMPLES) if n_whole else samples.reshape(1, -1)
    return np.square(frames, dtype=np.float64).mean(axis=1)


def snr_db(powers: NDArray[np.float64]) -> float:
    """The ratio in dB from frame powers [F], F >= 1; always finite."""
    noise = max(float(np.quantile(powers, 0.1)), _ROUNDING_POWER)
    signal = max(float(powers.mean()) - noise, _ROUNDING_POWER)
    return float(10 * np.log10(signal / noise))
