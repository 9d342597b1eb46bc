"""The made-up benchmark of docs/extending.md, added as the page says and used in every command."""

import json
import re
import sys
from pathlib import Path

import pytest
from command_line import harken
from made_media import tone, write_wav

from harken.benchmarks import BENCHMARKS

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
RECORDS = [
    {"name": "b1", "sound": "1.wav", "question": "Who barks?", "options": ["a dog", "a seal"], "label": "a seal"},
    {
        "name": "b2",
        "sound": "2.wav",
        "question": "Who?",
        "options": ["a dog", "a fox"],
        "label": "a dog",
        "place": "zoo",
    },
]


@pytest.fixture
def barks(tmp_path, monkeypatch):
    """The page's file on the path, and the benchmark's own file with its clips in the present folder."""
    [text] = re.findall(r"^```python\n(# barks\.py\n.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    (tmp_path / "barks.py").write_text(text, encoding="utf-8")
    (tmp_path / "barks.json").write_text(json.dumps(RECORDS), encoding="utf-8")
    for record in RECORDS:
        write_wav(tmp_path / record["sound"], tone(440, 16_000, 0.1))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    del sys.modules["barks"]


@pytest.mark.parametrize("registered", [False, True])
def test_a_model_is_evaluated_on_it_and_predictions_are_scored(barks, monkeypatch, registered):
    if registered:
        monkeypatch.setitem(BENCHMARKS, "barks", "barks:BARKS")
    name = "barks" if registered else "barks:BARKS"
    options = ("--benchmark", name, "--data", "barks.json")
    done = harken("evaluate", "--model", "most-frequent-choice", *options, "--style", name, "--out", "out", "--json")
    assert (done.code, done.err) == (0, "")
    summary = json.loads((barks / "out" / "summary.json").read_text())
    assert summary["benchmark"] == {"name": "barks", "version": "", "part": ""}
    assert summary["official"]["official_accuracy"]["value"] == summary["accuracy"]["all"]["mean"] == 0.5
    guesses = [{"name": "b1", "guess": "a seal, I think"}, {"name": "b2", "guess": ""}]
    (barks / "guesses.json").write_text(json.dumps(guesses))
    scored = harken("score", *options, "guesses.json", "--json")
    assert (scored.code, scored.err) == (0, "")
    result = json.loads(scored.out)
    assert (result["benchmark"], result["prediction_keys"], result["n"], result["n_official"]) == (
        "barks",
        ["guess"],
        2,
        1,
    )
    assert result["official_accuracy"]["value"] == 1.0
    assert {place: group["n"] for place, group in result["by"]["task"].items()} == {"": 1, "zoo": 1}


def test_without_an_official_rule_it_is_evaluated_and_not_scored(barks):
    text = (barks / "barks.py").read_text().replace("    official_rule=barks_rule,\n", "")
    (barks / "barks.py").write_text(text)
    options = ("--benchmark", "barks:BARKS", "--data", "barks.json")
    assert harken("evaluate", "--model", "random-guess", *options, "--out", "out").code == 0
    assert "official" not in json.loads((barks / "out" / "summary.json").read_text())
    (barks / "guesses.json").write_text("[]")
    refused = harken("score", *options, "guesses.json")
    assert refused.code == 2
    assert "barks: harken knows no official rule of Barks" in refused.err
