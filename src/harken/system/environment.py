"""What a run ran on, for environment.json in its folder: harken's commit, versions, processor and devices."""

import contextlib
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from harken.config.differences import mapping_differences

RESULT_PACKAGES = (
    "harken",
    "torch",
    "transformers",
    "tokenizers",
    "numpy",
    "soundfile",
    "soxr",
    "av",
    "peft",
    "torchao",
)
"""Packages that compute something of a result. A run keeps their versions: also a patch release may round or decode in
another way, and a resumed run is to end as one that never stopped."""
PACKAGES = (*RESULT_PACKAGES, "safetensors")


def source_commit() -> str | None:
    """The commit of harken's source, with "-dirty" when files differ; None outside a checkout or without git."""
    source = Path(__file__)
    git = ["git", "-C", str(source.parent)]
    try:
        subprocess.run([*git, "ls-files", "--error-unmatch", source.name], check=True, capture_output=True)
        words = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        return subprocess.run([*git, *words], check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None  # installed as a package, perhaps inside another project's repository


def describe_environment() -> dict[str, Any]:
    """The values of environment.json. Environment variables are left out, because they may hold secrets."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "commit": source_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": package_versions(),
        "processor": processor_name(),
        "threads": torch.get_num_threads(),
        "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


def package_versions() -> dict[str, str | None]:
    """Package -> its version; None where it is not installed."""
    versions: dict[str, str | None] = dict.fromkeys(PACKAGES)
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions


def version_differences(stored: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """`version of NAME: 1.0 then, 1.1 now`, of packages that compute something. What was not installed then computed
    nothing."""
    used = {name: value for name, value in stored.items() if name in RESULT_PACKAGES and value is not None}
    return mapping_differences("version of", used, {name: current.get(name) for name in used}, show=True)


CPU_INFO = Path("/proc/cpuinfo")


def processor_name() -> str:
    """The processor's name. The kernels, and so the rounding of float32 sums, depend on it."""
    lines = CPU_INFO.read_text(encoding="utf-8").splitlines() if CPU_INFO.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == "model name")
    return next(names, platform.processor() or platform.machine())
