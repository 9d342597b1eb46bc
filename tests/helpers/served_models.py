"""Tiny models, trained on built-in sounds until they give different answers, in the forms in which they are served."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from tiny_models import write_full_omni

from harken.config import Recipe
from harken.data.demo_set import write_demo_set
from harken.export.adapters import export_adapter
from harken.export.weights import export
from harken.models.tiny_checkpoint import question_texts, write_tiny
from harken.training.sft import sft

N_TRAIN, N_TEST = 1200, 100
N_TEXT = 320
"""Training questions that are asked without their clips too."""


@dataclass(frozen=True)
class ServedForm:
    """A trained model and the folder that a server loads.

    Attributes:
        base: what training started from.
        run: the run folder, which harken itself evaluates.
        folder: the exported folder; for an adapter that of its base.
        adapter: the exported adapter; None where the weights are merged.
    """

    base: Path
    run: Path
    folder: Path
    adapter: Path | None = None


class Workshop:
    """Makes the models in `folder` when they are needed. What is there already is not made again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def data(self) -> Path:
        """Folder of train.json and test.json."""
        folder = self.folder / "data"
        if not (folder / "test.json").exists():
            write_demo_set(folder, seed=0, n_train=N_TRAIN, n_test=N_TEST)
        return folder

    def form(self, name: str) -> ServedForm:
        return getattr(self, f"_{name}")()

    def _qwen2_audio(self) -> ServedForm:
        return self._of_windows("qwen2_audio")

    def _audioflamingo3(self) -> ServedForm:
        return self._of_windows("audioflamingo3")

    def _of_windows(self, arch: str) -> ServedForm:
        """A model whose tower runs on windows of 30 s, so that a clip costs ten times as much as one of Omni's."""
        base = self._tiny(arch)
        run = self._trained(arch, base, {"sft": {"steps": 100, "prompts_per_step": 16, "learning_rate": 1e-3}})
        return ServedForm(base, run, self._exported(run, arch))

    def _omni_thinker(self) -> ServedForm:
        base = self._tiny("qwen2_5_omni")
        run = self._trained("omni_thinker", base, {"sft": {"steps": 160}})
        return ServedForm(base, run, self._exported(run, "omni_thinker"))

    def _omni_full(self) -> ServedForm:
        base = self.folder / "full"
        if not (base / "config.json").exists():
            base.mkdir()
            write_full_omni(base, self._tiny("qwen2_5_omni"))
        run = self._trained("omni_full", base, {"sft": {"steps": 160}})
        return ServedForm(base, run, self._exported(run, "omni_full"))

    def _lora_merged(self) -> ServedForm:
        weak, run = self._lora_run()
        return ServedForm(weak, run, self._exported(run, "lora_merged"))

    def _lora_adapter(self) -> ServedForm:
        weak, run = self._lora_run()
        adapter = self.folder / "exported" / "adapter"
        if not adapter.exists():
            export_adapter(run, adapter, "vllm")
        return ServedForm(weak, run, self._exported(weak, "lora_base"), adapter)

    def _lora_run(self) -> tuple[Path, Path]:
        weak = self._trained("weak", self._tiny("qwen2_5_omni"), {"sft": {"steps": 30}})
        lora = {"model": {"lora": {"rank": 16, "alpha": 32}}, "sft": {"steps": 200, "learning_rate": 4e-3}}
        return weak, self._trained("lora", weak, lora)

    def _tiny(self, arch: str) -> Path:
        folder = self.folder / arch
        if not (folder / "config.json").exists():
            write_tiny(arch, folder, question_texts([self.data / "train.json"]), window_s=30)
        return folder

    def _trained(self, name: str, base: Path, changes: dict[str, Any]) -> Path:
        """The run folder of a supervised training. One that was stopped is made again from the beginning."""
        run = self.folder / "runs" / name
        steps = changes["sft"]["steps"]
        if (run / "checkpoints" / f"step_{steps:06d}").exists():
            return run
        shutil.rmtree(run, ignore_errors=True)
        values = {
            "name": name,
            "model": {"path": str(base), **changes.get("model", {})},
            "data": {"train": self._training_files()},
            "sft": {"prompts_per_step": 32, "learning_rate": 5e-4, "schedule": "constant", **changes["sft"]},
        }
        sft(Recipe.model_validate(values), run, Console(quiet=True))
        return run

    def _training_files(self) -> list[dict[str, str]]:
        """Questions with their clips and questions without, so that a model answers both kinds of prompts."""
        records = json.loads((self.data / "train.json").read_text())
        text = [{**record, "id": f"text-{record['id']}"} for record in records[:N_TEXT]]
        (self.data / "text.json").write_text(json.dumps(text))
        return [{"file": str(self.data / "train.json")}, {"file": str(self.data / "text.json"), "audio": "none"}]

    def _exported(self, run: Path, name: str) -> Path:
        folder = self.folder / "exported" / name
        if not folder.exists():
            export(run, folder)
        return folder
