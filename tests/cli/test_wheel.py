"""The wheel in an environment without anything else: its commands, recipes and demo work in an empty folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harken import __version__

CHECKOUT = Path(__file__).parents[2]


def run(*words, cwd: Path, **environment: str) -> str:
    """The output of a program that sees neither this checkout nor this environment."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.mark.slow
def test_the_wheel_runs_the_demo_from_an_empty_folder(tmp_path):
    """This takes some minutes: it installs torch and runs the whole demo."""
    dist, venv, empty = tmp_path / "dist", tmp_path / "venv", tmp_path / "empty"
    empty.mkdir()
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", dist, CHECKOUT, cwd=tmp_path)
    [wheel] = dist.iterdir()
    assert wheel.name == f"harken-{__version__}-py3-none-any.whl"
    run(sys.executable, "-m", "venv", venv, cwd=tmp_path)
    run(venv / "bin" / "pip", "install", "-q", "-c", CHECKOUT / "constraints.txt", wheel, cwd=tmp_path)
    harken = venv / "bin" / "harken"
    location = run(venv / "bin" / "python", "-c", "import harken; print(harken.__file__)", cwd=empty)
    assert Path(location.strip()).is_relative_to(venv)
    assert "omni_r1_avqa" in run(harken, "recipes", cwd=empty)
    assert run(harken, "recipes", "omni_r1_avqa", cwd=empty) == (CHECKOUT / "recipes/omni_r1_avqa.yaml").read_text()
    output = run(harken, "demo", cwd=empty, OMP_NUM_THREADS="1")
    assert "harken demo, seed 0" in output
    assert "without the clip" in output
    assert "| all | 480 |" in (empty / "runs/demo/results.md").read_text()
    run(harken, "report", "runs/demo/grpo", cwd=empty)
    assert (empty / "runs/demo/grpo/report.html").stat().st_size > 100_000
    assert {path.name for path in empty.iterdir()} == {"runs"}
