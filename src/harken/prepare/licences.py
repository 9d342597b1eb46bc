"""Where each data set comes from and under which licence, as its publisher states it.

Data cards name both. harken ships no data. "not stated" means that the publisher's page names no licence.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DataSource:
    name: str
    url: str
    licence: str


AVQA = DataSource(
    "AVQA",
    "https://mn.cs.tsinghua.edu.cn/avqa",
    "annotations: not stated; clips: YouTube videos, which belong to their owners",
)
VGGSOUND = DataSource(
    "VGGSound",
    "https://www.robots.ox.ac.uk/~vgg/data/vggsound/",
    "list: CC BY 4.0; clips: YouTube videos, which belong to their owners",
)
AUDIOSETCAPS = DataSource("AudioSetCaps", "https://huggingface.co/datasets/baijs/AudioSetCaps", "CC BY 4.0")
ARC = DataSource("ARC", "https://huggingface.co/datasets/allenai/ai2_arc", "CC BY-SA 4.0")
AUDIOMCQ = DataSource(
    "AudioMCQ",
    "https://huggingface.co/datasets/Harland/AudioMCQ-StrongAC-GeminiCoT",
    "questions: Apache-2.0; clips: the licences of Clotho, AudioCaps, CompA-R, MusicCaps, LP-MusicCaps, SpeechCraft, "
    "TACOS",
)
OWN = DataSource("own data", "-", "that of your data")
