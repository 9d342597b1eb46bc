"""Where each data set comes from and under which terms, as its publisher states them.

Facts for cards; harken ships no data. "not stated" means that its page names no licence.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    name: str
    url: str
    licence: str


AVQA = Source(
    "AVQA", "https://mn.cs.tsinghua.edu.cn/avqa", "annotations: not stated; clips: videos of YouTube, their owners'"
)
VGGSOUND = Source(
    "VGGSound",
    "https://www.robots.ox.ac.uk/~vgg/data/vggsound/",
    "list: CC BY 4.0; clips: videos of YouTube, their owners'",
)
AUDIOSETCAPS = Source("AudioSetCaps", "https://huggingface.co/datasets/baijs/AudioSetCaps", "CC BY 4.0")
ARC = Source("ARC", "https://huggingface.co/datasets/allenai/ai2_arc", "CC BY-SA 4.0")
AUDIOMCQ = Source(
    "AudioMCQ",
    "https://huggingface.co/datasets/Harland/AudioMCQ-StrongAC-GeminiCoT",
    "questions: Apache-2.0; clips: those of Clotho, AudioCaps, CompA-R, MusicCaps, LP-MusicCaps, SpeechCraft, TACOS",
)
OWN = Source("own data", "-", "yours to say")
