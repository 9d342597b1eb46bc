"""Fourteen questions about seven clips, and a tiny model that an evaluation loads as its checkpoint."""

from pathlib import Path

import pytest
from small_evaluations import talker, write_set

from harken.evaluation import evaluated_model
from harken.models.audio_lm import AudioLM


@pytest.fixture
def file(tmp_path) -> Path:
    return write_set(tmp_path)


@pytest.fixture
def model(monkeypatch) -> AudioLM:
    monkeypatch.setattr(evaluated_model, "load_model", lambda *_, **__: talker())
    return talker()
