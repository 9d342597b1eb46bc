"""Makes sounds by code for the built-in question set: noises, notes of toy instruments, and vowels.

Every function takes a random generator and a word and returns a signal with peak 1 at 16 kHz. The generator varies
pitch, tempo, filters and formants, so that no two clips are alike while the words stay easy to tell apart.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, sawtooth, sosfilt

from harken.data.audio import SAMPLE_RATE_HZ

Rng = np.random.Generator
Signal = NDArray[np.float64]

SOUNDS = ("noise", "hiss", "rumble", "siren", "beeps", "clicks", "chirp", "engine")
INSTRUMENTS = ("flute", "organ", "bell", "harp", "violin", "drum")
FORMANTS_HZ = {
    "ah": (730, 1090, 2440),
    "ee": (270, 2290, 3010),
    "oo": (300, 750, 2240),
    "eh": (530, 1840, 2480),
    "oh": (500, 900, 2410),
}
VOWELS = tuple(FORMANTS_HZ)


def time_axis(duration_s: float) -> Signal:
    """[S] the time of every sample, in seconds."""
    return np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ


def sine(frequency_hz: Signal | float, t: Signal) -> Signal:
    """[S] a sine wave at the times `t`; the frequency may change over time."""
    return np.sin(_phase(frequency_hz, t))


def _phase(frequency_hz: Signal | float, t: Signal) -> Signal:
    return 2 * np.pi * np.cumsum(np.broadcast_to(frequency_hz, t.shape)) / SAMPLE_RATE_HZ


def _filtered(signal: Signal, edge_hz: float, passed: str) -> Signal:
    sections = butter(5, edge_hz, passed, fs=SAMPLE_RATE_HZ, output="sos")
    return np.asarray(sosfilt(sections, signal))


def with_fades(signal: Signal, attack_s: float = 0.01) -> Signal:
    """The signal with peak 1, faded in over `attack_s` and out over 10 ms."""
    ramp_in, ramp_out = (np.arange(n) / n for n in (round(attack_s * SAMPLE_RATE_HZ), 160))
    faded = signal / np.abs(signal).max()
    faded[: ramp_in.size] *= ramp_in
    faded[-ramp_out.size :] *= ramp_out[::-1]
    return faded


def join_with_gaps(rng: Rng, parts: list[Signal]) -> Signal:
    """The parts one after the other, with 30 to 60 ms of silence between them."""
    gap = np.zeros(int(rng.uniform(0.03, 0.06) * SAMPLE_RATE_HZ))
    return np.concatenate([piece for part in parts for piece in (part, gap)][:-1])


def make_sound(rng: Rng, word: str, duration_s: float) -> Signal:
    """[S] the sound that one of SOUNDS names."""
    t = time_axis(duration_s)
    noise = rng.standard_normal(t.size)
    match word:
        case "noise":
            signal = noise
        case "hiss":
            signal = _filtered(noise, rng.uniform(4000, 5000), "high")
        case "rumble":
            signal = _filtered(noise, rng.uniform(150, 250), "low")
        case "siren":
            swing = np.sin(2 * np.pi * (rng.uniform(2.5, 4.0) * t + rng.random()))
            signal = sine(rng.uniform(800, 1100) * 2 ** (0.6 * swing), t)
        case "beeps":
            beat = (t * rng.uniform(6, 9)) % 1 < 0.5
            signal = sine(rng.uniform(1000, 1600), t) * beat
        case "clicks":
            since = t % (1 / rng.uniform(10, 16))
            signal = noise * np.exp(-since / 0.002)
        case "chirp":
            beat = (t * rng.uniform(5, 8)) % 1
            signal = sine(rng.uniform(2200, 2800) * (1 + 0.9 * beat), t) * (beat < 0.8)
        case _:
            speed_hz = rng.uniform(50, 90)
            signal = sawtooth(_phase(speed_hz, t)) * (1 + 0.5 * sine(speed_hz / 4, t))
    return with_fades(signal)


def make_note(rng: Rng, instrument: str, pitch_hz: float, duration_s: float) -> Signal:
    """[S] a note of one of INSTRUMENTS."""
    t = time_axis(duration_s)

    def partials(ratios: tuple[float, ...], fall: float, decay_s: float) -> Signal:
        audible = [(k, ratio) for k, ratio in enumerate(ratios) if ratio * pitch_hz < 0.45 * SAMPLE_RATE_HZ]
        return sum(
            (sine(ratio * pitch_hz, t) * (k + 1) ** -fall * np.exp(-t * ratio**0.5 / decay_s) for k, ratio in audible),
            np.zeros(t.size),
        )

    match instrument:
        case "flute":
            return with_fades(sine(pitch_hz * (1 + 0.01 * sine(rng.uniform(4.5, 6), t)), t), attack_s=0.06)
        case "organ":
            return with_fades(partials((1, 2, 4, 8), 0.2, 100.0))
        case "bell":
            return with_fades(partials((1, 2.76, 5.4, 8.93), 0.2, rng.uniform(0.4, 0.6)), attack_s=0.002)
        case "harp":
            return with_fades(partials((1, 2, 3, 4, 5, 6), 0.8, rng.uniform(0.06, 0.1)), attack_s=0.002)
        case "violin":
            return with_fades(sawtooth(_phase(pitch_hz * (1 + 0.015 * sine(rng.uniform(5, 7), t)), t)), attack_s=0.06)
        case _:
            thump = sine(60 + 120 * np.exp(-t / 0.03), t) * np.exp(-t / rng.uniform(0.05, 0.09))
            return with_fades(thump + 0.3 * rng.standard_normal(t.size) * np.exp(-t / 0.015), attack_s=0.002)


def make_vowel(rng: Rng, word: str, duration_s: float, voice_hz: float) -> Signal:
    """[S] one of VOWELS: a glottal pulse train through three resonators, whose formants are within 4 % of a man's."""
    t = time_axis(duration_s)
    cycles = _phase(voice_hz * (1 + rng.uniform(-0.1, 0.1) * t / duration_s), t) / (2 * np.pi)
    signal = np.diff(np.floor(cycles), prepend=0.0) + 0.01 * rng.standard_normal(t.size)
    for formant_hz, width_hz in zip(FORMANTS_HZ[word], (70, 90, 130), strict=True):
        radius = np.exp(-np.pi * width_hz / SAMPLE_RATE_HZ)
        angle = 2 * np.pi * formant_hz * rng.uniform(0.96, 1.04) / SAMPLE_RATE_HZ
        poles = [1.0, -2 * radius * np.cos(angle), radius**2]
        signal = np.asarray(lfilter([sum(poles)], poles, signal))
    return with_fades(signal, attack_s=0.03)
