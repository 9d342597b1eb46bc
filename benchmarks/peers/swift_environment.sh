#!/bin/sh
# An environment with ms-swift 4.6 for a machine without a GPU: swift_environment.sh FOLDER
# torch comes first, so that torchvision (without dependencies) finds a CPU build and pulls no CUDA wheels. On a machine
# whose package index offers CUDA builds by default, set PIP_INDEX_URL=https://download.pytorch.org/whl/cpu for that line.
set -eu
folder=$1
python3 -m venv "$folder"
"$folder/bin/pip" install -q torch==2.13.0
"$folder/bin/pip" install -q --no-deps torchvision==0.28.0
"$folder/bin/pip" install -q torch==2.13.0 torchvision==0.28.0 ms-swift==4.6.0 transformers==5.19.0 \
    msgspec qwen_omni_utils decord av soundfile
# That torchvision is built for CUDA, so its operators do not load beside a CPU torch, and importing it fails because it
# registers shapes for two of them. Declaring their schemas is enough: an audio prompt calls neither.
"$folder/bin/python" - <<'PYTHON'
import importlib.util
from pathlib import Path

extension = Path(importlib.util.find_spec("torchvision").submodule_search_locations[0]) / "extension.py"
mark = "# schemas of operators that did not load"
text = extension.read_text()
if mark not in text:
    extension.write_text(text + f'''

{mark}
if not _has_ops():
    _schemas = torch.library.Library("torchvision", "DEF")
    for _name in ("nms", "qnms"):
        _schemas.define(_name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
''')
PYTHON
"$folder/bin/python" -c "import torchvision, swift; print('ms-swift', swift.__version__)"
