"""What a run ran on: commit, versions, processor and devices, as environment.json of every run folder records them."""

import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("harken", "torch", "transformers", "tokenizers", "safetensors", "numpy", "soundfile", "soxr", "peft")


def source_commit() -> str | None:
    """Commit of harken's source, with "-dirty" where files differ from it; None outside a checkout or without git."""
    source = Path(__file__)
    git = ["git", "-C", str(source.parent)]
    try:
        subprocess.run([*git, "ls-files", "--error-unmatch", source.name], check=True, capture_output=True)
        words = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        return subprocess.run([*git, *words], check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None  # installed as a package, perhaps inside another project's repository


def describe_environment() -> dict[str, Any]:
    """What the run ran on: commit, versions and devices; no variables of the environment, they may hold secrets."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "commit": source_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions,
        "processor": processor_name(),
        "threads": torch.get_num_threads(),
        "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


CPU_INFO = Path("/proc/cpuinfo")


def processor_name() -> str:
    """The processor's name. Which kernels round float32 sums depends on it."""
    lines = CPU_INFO.read_text(encoding="utf-8").splitlines() if CPU_INFO.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == "model name")
    return next(names, platform.processor() or platform.machine())
