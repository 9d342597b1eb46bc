"""The questions of a small step."""

from pathlib import Path

import pytest
import soundfile
from small_steps import CHOICES
from tiny_models import noise

from harken.types import Question


@pytest.fixture(scope="session")
def questions(tmp_path_factory) -> list[Question]:
    """Two questions about clips of different lengths, and a text-only question between them."""
    folder: Path = tmp_path_factory.mktemp("clips")
    for name, seconds, seed in (("a", 0.5, 1), ("b", 1.1, 2)):
        soundfile.write(folder / f"{name}.wav", noise(seconds, seed), 16_000, subtype="FLOAT")
    return [
        Question("a", "Which digit is spoken in the audio?", CHOICES, 0, folder / "a.wav"),
        Question("t", "What is 2 + 2?", CHOICES, 1, None),
        Question("b", "Which digit?", CHOICES, 2, folder / "b.wav"),
    ]
