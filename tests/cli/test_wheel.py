"""The wheel in an environment that has nothing else: commands, recipes, and the demo from an empty folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harken import __version__

CHECKOUT = Path(__file__).parents[2]


def run(*words, cwd: Path, **environment: str) -> str:
    """Output of a program that sees neither this checkout nor this environment; its last lines where it fails."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.mark.slow
def test_the_wheel_runs_the_demo_from_an_empty_folder(tmp_path):
    """Some minutes: torch is installed anew, and the demo is the whole one."""
    dist, venv, empty = tmp_path / "dist", tmp_path / "venv", tmp_path / "empty"
    empty.mkdir()
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", dist, CHECKOUT, cwd=tmp_path)
    [wheel] = dist.iterdir()
    assert wheel.name == f"harken-{__version__}-py3-none-any.whl"
    run(sys.executable, "-m", "venv", venv, cwd=tmp_path)
    run(venv / "bin" / "pip", "install", "-q", "-c", CHECKOUT / "constraints.txt", wheel, cwd=tmp_path)
    harken = venv / "bin" / "harken"
    at = run(venv / "bin" / "python", "-c", "import harken; print(harken.__file__)", cwd=empty)
    assert Path(at.strip()).is_relative_to(venv)
    assert "omni_r1_avqa" in run(harken, "recipes", cwd=empty)
    assert run(harken, "recipes", "omni_r1_avqa", cwd=empty) == (CHECKOUT / "recipes/omni_r1_avqa.yaml").read_text()
    said = run(harken, "demo", cwd=empty, OMP_NUM_THREADS="1")
    assert "harken demo, seed 0" in said
    assert "without the clip" in said
    assert "| all | 480 |" in (empty / "runs/demo/results.md").read_text()
    run(harken, "report", "runs/demo/grpo", cwd=empty)
    assert (empty / "runs/demo/grpo/report.html").stat().st_size > 100_000
    assert {one.name for one in empty.iterdir()} == {"runs"}
