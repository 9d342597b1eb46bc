"""The notebook is stored without outputs, and every cell runs."""

import os
import sys
from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "demo.ipynb"


@pytest.fixture
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_the_notebook_is_stored_without_outputs(notebook):
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None), cell.source


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # from the kernel's own libraries
def test_every_cell_runs_plays_a_sound_and_shows_what_changed(notebook, tmp_path, monkeypatch):
    """The cells run in a kernel process, as a reader runs them, with two training steps."""
    from nbclient import NotebookClient

    monkeypatch.setenv("HARKEN_NOTEBOOK_STEPS", "2")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    NotebookClient(
        notebook, timeout=500, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = "\n".join(str(output.get("text", "")) + str(output.get("data", "")) for output in outputs)
    assert shown.count("<audio") >= 3
    assert "8 test questions, 0 rejected" in shown
    assert "with the clip" in shown
    assert "without the clip" in shown
    assert "<th>advantage</th>" in shown
    assert shown.count("image/svg+xml") == 2
    assert "reward/accuracy" in shown
    assert "Traceback" not in shown
