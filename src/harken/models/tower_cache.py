"""A folder with the output of an audio tower that does not train (`data.encoded_cache`).

`AudioLM.encode_audio` takes the tower's output from here, so each clip goes through the tower once for all epochs and
runs. What is kept is the output before the projector, which may train and is computed every time. A file is named by a
hash of everything that its content depends on: the tower's weights, the arithmetic, and the clip's spectrogram. So no
file is ever out of date, and several runs may share a folder. 10 s of audio are 250 vectors, 1.3 MB at the width of
Whisper's largest encoder in float32.
"""

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from harken.errors import DataError
from harken.models.audio_lm import AudioLM, ModelInput
from harken.models.sharded_tensors import gather_tensor
from harken.system.files import replace


class FolderOfTowerStates:
    """See `TowerCache`. The tower of the model must not change.

    Where the model is sharded, all ranks make this together.
    """

    def __init__(self, model: AudioLM, folder: Path) -> None:
        if any(parameter.requires_grad for parameter in _tower_only(model).values()):
            raise ValueError("the audio tower trains: its output changes with every step")
        self._folder, self._device = folder, model.device
        self._weights = _digest_of_tower(model)
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, prompt: ModelInput, encode: Callable[[], Tensor]) -> Tensor:
        assert prompt.features is not None
        file = self._folder / f"{self._name(prompt.features, prompt.clip_frames)}.safetensors"
        if file.exists():
            try:
                # Copied, because a product may round by where its factors lie, and a file's tensors lie anywhere.
                return load_file(file)["audio"].clone().to(self._device)
            except (SafetensorError, KeyError) as error:
                raise DataError(f"{file}: damaged ({error}); remove it, and it will be written again") from error
        with torch.no_grad():
            states = encode()
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".", suffix=".tmp", delete=False) as temporary:
            name = Path(temporary.name)  # another process may write the same clip
        try:
            save_file({"audio": states.cpu().contiguous()}, name)
            replace(name, file)
        except BaseException:
            name.unlink(missing_ok=True)
            raise
        return states

    def _name(self, features: Tensor, clip_frames: tuple[int, ...]) -> str:
        device = self._device.type
        arithmetic = str(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else "plain"
        key = hashlib.sha256(f"{self._weights} {arithmetic} {tuple(features.shape)}".encode())
        key.update(f"{clip_frames}".encode() if clip_frames else b"")
        key.update(features.contiguous().numpy().tobytes())
        return key.hexdigest()


def _tower_only(model: AudioLM) -> dict[str, Tensor]:
    """The weights and buffers of the tower by name, without those of a projector inside it."""
    tower, projector = model.parts["audio_tower"], model.parts["projector"]
    inside = {id(tensor) for tensor in (*projector.parameters(), *projector.buffers())}
    named = (*tower.named_parameters(), *tower.named_buffers())
    return {name: tensor for name, tensor in named if id(tensor) not in inside}


def _digest_of_tower(model: AudioLM) -> str:
    """Hash the architecture and every weight and buffer of the tower, with names, types and shapes. Where the model is
    sharded, all ranks take part, and the digest equals that of one process."""
    key = hashlib.sha256(f"{model.arch} before the projector".encode())
    for name, tensor in _tower_only(model).items():
        key.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        whole = gather_tensor(tensor.detach(), keep=True).cpu().contiguous()
        key.update(whole.flatten().view(torch.uint8).numpy().tobytes())
    return key.hexdigest()
