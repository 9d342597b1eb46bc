"""The files of docs/extending.md and docs/rewards.md, and questions for them."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from harken.config import plugins

DOCS = Path(__file__).parents[2] / "docs"
BARKS = [
    {"name": "b1", "sound": "loud.wav", "question": "Who barks?", "options": ["a dog", "a seal"], "label": "a dog"},
    {"name": "b2", "sound": "soft.wav", "question": "Who barks?", "options": ["a dog", "a seal"], "label": "a seal"},
    {"name": "b3", "sound": "loud.wav", "question": "Who now?", "options": ["a fox", "a seal"], "label": "a seal"},
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The files of the pages, and a small benchmark with a loud and a soft clip. It is the working folder."""
    for page in ("extending.md", "rewards.md"):
        text = (DOCS / page).read_text(encoding="utf-8")
        for name, code in re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", text, flags=re.M | re.S):
            (tmp_path / name).write_text(code)
    for name, level in (("loud", 0.5), ("soft", 0.01)):
        soundfile.write(tmp_path / f"{name}.wav", level * np.sin(np.arange(8000) / 5), 16_000)
    (tmp_path / "barks.json").write_text(json.dumps(BARKS))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    plugins.installed.cache_clear()
    yield tmp_path
    plugins.installed.cache_clear()
    for file in tmp_path.glob("*.py"):
        sys.modules.pop(file.stem, None)
