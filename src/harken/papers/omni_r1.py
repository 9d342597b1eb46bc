"""Tables of Omni-R1 (arXiv 2505.09439), versions 1 and 2.

Version 1 has two tables. Version 2 repeats them as I and IV, with the same figures, and adds II (the other version of
MMAU) and III (MMAR). All figures of I and IV are on the original MMAU: version 2 says so, and version 1 is older than
v05.15.25. The row of SARI is scored by an LLM judge.
"""

from harken.papers.table import Column, MeasuredOn, PublishedTable, read_table

_ORIGINAL = MeasuredOn("mmau", "original", "test-mini"), MeasuredOn("mmau", "original", "test-full")
_V05 = MeasuredOn("mmau", "v05.15.25", "test-mini"), MeasuredOn("mmau", "v05.15.25", "test-full")
_MMAR = MeasuredOn("mmar")
_TASKS = (("Sound", "sound"), ("Music", "music"), ("Speech", "speech"), ("Avg.", "all"))
_MODEL = ("Model", "Method")


def _mmau(parts: tuple[MeasuredOn, MeasuredOn]) -> tuple[Column, ...]:
    headings = "MMAU Test-mini (1k audios)", "MMAU Test-full (9k audios)"
    return tuple(
        Column((heading, name), part, group)
        for heading, part in zip(headings, parts, strict=True)
        for name, group in _TASKS
    )


_MODALITIES = (
    Column(("Single Modality", "Sound"), _MMAR, "sound"),
    Column(("Single Modality", "Music"), _MMAR, "music"),
    Column(("Single Modality", "Speech"), _MMAR, "speech"),
    Column(("Mixed Modalities", "Mix1"), _MMAR, "mix-sound-music"),
    Column(("Mixed Modalities", "Mix2"), _MMAR, "mix-sound-speech"),
    Column(("Mixed Modalities", "Mix3"), _MMAR, "mix-music-speech"),
    Column(("Mixed Modalities", "Mix4"), _MMAR, "mix-sound-music-speech"),
    Column(("Avg (%)",), _MMAR, "all"),
)
_WITH_AND_WITHOUT = (
    Column(("Inference", "w/ audio"), _ORIGINAL[0], "all"),
    Column(("Inference", "w/o audio"), _ORIGINAL[0], "all", with_audio=False),
)

_MMAU_ORIGINAL = """
    Baselines:
    — | Human | 86.3 78.2 82.2 82.2 - - - -
    Audio Flamingo 2 | Direct Inference | 61.6 74.0 30.9 55.5 65.1 72.9 40.3 59.4
    Phi-4 Multi-Modal | Direct Inference | 61.0 52.9 52.8 55.6 - - - -
    GPT-4o Voice Model | Direct Inference | 63.4 60.8 53.2 59.1 - - - -
    Qwen2-Audio-7B-Instruct | Direct Inference | 55.0 51.0 42.0 49.2 45.9 53.3 45.9 52.5
    Qwen2-Audio-7B-Instruct | Reproduced | 61.6 54.5 42.0 52.7 - - - -
    Qwen2-Audio-7B-Instruct | Zero-Shot-CoT | 61.9 56.3 55.3 57.8 - - - -
    Qwen2-Audio-7B-Instruct | CoTA | 60.1 64.3 60.7 61.7 - - - -
    Qwen2-Audio-7B-Instruct | R1-AQA | 68.8 64.3 63.7 65.6 69.8 61.4 62.7 64.4
    Kimi-Audio | Direct Inference | 73.3 61.7 60.7 65.2 - - - -
    Qwen2.5-Omni-7B | Direct Inference | 67.9 69.2 59.8 65.6 - - - -
    Qwen2.5-Omni-7B | Reproduced | 69.4 66.8 61.6 65.9 71.6 67.1 66.5 68.4
    Qwen2.5-Omni-7B | SARI | 72.8 67.2 61.3 67.1 - - - - | judged
    Ours:
    Qwen2.5-Omni-7B | Omni-R1 (AVQA) | 70.9 70.1 64.9 68.6 73.6 68.6 70.1 70.8
    Qwen2.5-Omni-7B | Omni-R1 (AVQA-GPT) | 72.4 73.1 64.3 69.9 74.3 70.2 69.2 71.2
    Qwen2.5-Omni-7B | Omni-R1 (VGGS-GPT) | 73.6 74.3 66.1 71.3 74.1 70.8 68.7 71.2
"""
# The first row's figures come from the benchmark's own page.
_MMAU_V05 = """
    Baselines:
    Qwen2.5-Omni-7B | Direct Inference | - - - - 74.7 68.6 76.0 73.1
    Qwen2.5-Omni-7B | Reproduced | 78.1 65.9 70.6 71.5 74.9 68.0 72.4 71.8
    Ours:
    Qwen2.5-Omni-7B | Omni-R1 (AVQA) | 82.0 70.1 75.4 75.8 77.8 69.1 76.3 74.4
    Qwen2.5-Omni-7B | Omni-R1 (AVQA-GPT) | 82.3 72.8 75.4 76.8 78.9 70.9 76.0 75.3
    Qwen2.5-Omni-7B | Omni-R1 (VGGS-GPT) | 81.7 73.4 76.0 77.0 78.3 70.8 75.8 75.0
"""
_MMAR_ROWS = """
    Closed-Source Models:
    Gemini 2.0 Flash | Direct Inference | 61.2 51.0 72.1 81.8 72.5 65.9 70.8 65.6
    GPT-4o Audio | Direct Inference | 53.9 51.0 70.4 63.6 72.5 62.2 75.0 63.5
    Open-Source Models:
    Qwen2-Audio-7B-Instruct | Direct Inference | 33.3 24.3 32.3 9.1 31.2 30.5 25.0 30.0
    Qwen2.5-Omni-7B | Direct Inference | 58.8 40.8 59.9 54.6 61.9 67.1 58.3 56.7
    Qwen2.5-Omni-7B | Reproduced | 61.2 47.6 59.5 54.6 61.5 61.0 66.7 58.0
    Ours:
    Qwen2.5-Omni-7B | Omni-R1 (AVQA) | 63.6 51.5 62.2 72.7 65.1 62.2 70.8 61.2
    Qwen2.5-Omni-7B | Omni-R1 (AVQA-GPT) | 58.8 53.4 65.0 45.5 66.1 63.4 66.7 61.5
    Qwen2.5-Omni-7B | Omni-R1 (VGGS-GPT) | 67.3 51.5 64.3 45.5 70.2 64.6 70.8 63.4
"""
_AUDIO_OR_NOT = """
    Qwen2-Audio | – | – | 52.7 30.5
    Qwen2-Audio | ✓ | AVQA | 63.2 44.6
    Qwen2-Audio | ✗ | AVQA | 58.8 42.4
    Qwen2-Audio | ✗ | ARC-Easy | 60.2 42.2
    Qwen2.5-Omni | – | – | 65.9 49.3
    Qwen2.5-Omni | ✓ | AVQA | 68.6 51.7
    Qwen2.5-Omni | ✗ | AVQA | 65.6 49.2
    Qwen2.5-Omni | ✗ | ARC-Easy | 68.2 51.7
"""
_FINE_TUNED = ("Model", "RL FT: w/ audio?", "FT Dataset")


def _main(source: str) -> PublishedTable:
    return read_table(source, "MMAU (original)", _MODEL, _mmau(_ORIGINAL), _MMAU_ORIGINAL)


def _ablation(source: str) -> PublishedTable:
    about = "fine-tuning and inference with and without audio, MMAU (original)"
    return read_table(source, about, _FINE_TUNED, _WITH_AND_WITHOUT, _AUDIO_OR_NOT)


TABLES = {
    "omni-r1-v1:I": _main("Omni-R1 v1, Table I"),
    "omni-r1-v1:II": _ablation("Omni-R1 v1, Table II"),
    "omni-r1-v2:I": _main("Omni-R1 v2, Table I"),
    "omni-r1-v2:II": read_table("Omni-R1 v2, Table II", "MMAU (v05.15.25)", _MODEL, _mmau(_V05), _MMAU_V05),
    "omni-r1-v2:III": read_table("Omni-R1 v2, Table III", "MMAR", _MODEL, _MODALITIES, _MMAR_ROWS),
    "omni-r1-v2:IV": _ablation("Omni-R1 v2, Table IV"),
}
