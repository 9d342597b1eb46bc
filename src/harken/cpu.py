"""What the operating system says of the CPU.

Takes /proc/cpuinfo, gives a name and a maker. Where there is none (another system than Linux) the name is what Python
knows, and the maker is not known.
"""

import platform
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")


def processor() -> str:
    """The CPU's name: which kernels round float32 sums depends on it."""
    return _listed("model name") or platform.processor() or platform.machine()


def made_by_amd() -> bool:
    return _listed("vendor_id") == "AuthenticAMD"


def _listed(key: str) -> str | None:
    """Of the first core."""
    lines = CPU_INFO.read_text(encoding="utf-8").splitlines() if CPU_INFO.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), None)
