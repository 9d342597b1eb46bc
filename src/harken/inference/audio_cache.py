"""Encoded clips of a tower that does not train, kept on disk across epochs, runs and ranks.

Takes a model and a folder, gives what `AudioLM.encode_audio` gives. A file is named by all that its content follows
from: the weights of tower and projector, their arithmetic, and the clip's spectrogram; so nothing in the folder is ever
stale, and several runs may share it. A clip is encoded alone, so that what the folder held already changes no result.
Not taken: a file per run or a limit on the folder's size; 10 s of audio are 250 vectors, 3.6 MB at the 7B's width in
float32.
"""

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from harken.errors import DataError
from harken.models.base import AudioLM, ModelInput
from harken.models.sharding import whole


class EncodedClips:
    """Called as `AudioLM.encode_audio` is. The model's tower and projector must not change."""

    def __init__(self, model: AudioLM, folder: Path) -> None:
        if model.audio_trains:
            raise ValueError("the audio tower or the projector trains: what it encodes changes with every step")
        self._model, self._folder = model, folder
        self._weights = _digest_of_weights(model)
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, inputs: Sequence[ModelInput]) -> list[Tensor | None]:
        return [None if one.features is None else self._known_or_encoded(one, one.features) for one in inputs]

    def _known_or_encoded(self, one: ModelInput, features: Tensor) -> Tensor:
        file = self._folder / f"{self._name(features)}.safetensors"
        if file.exists():
            try:
                return load_file(file)["audio"].to(self._model.device)
            except (SafetensorError, KeyError) as error:
                raise DataError(f"{file}: damaged ({error}); remove it, it is made again") from error
        (encoded,) = self._model.encode_audio([one])
        assert encoded is not None
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".", suffix=".tmp", delete=False) as temporary:
            name = Path(temporary.name)  # another process may write the same clip
        try:
            save_file({"audio": encoded.detach().cpu().contiguous()}, name)
            name.replace(file)
        except BaseException:
            name.unlink(missing_ok=True)
            raise
        return encoded

    def _name(self, features: Tensor) -> str:
        device = self._model.device.type
        arithmetic = str(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else "plain"
        key = hashlib.sha256(f"{self._weights} {arithmetic} {tuple(features.shape)}".encode())
        key.update(features.contiguous().numpy().tobytes())
        return key.hexdigest()


def _digest_of_weights(model: AudioLM) -> str:
    """Of the architecture and every weight and buffer of tower and projector, names, types and shapes included. Where
    these lie in parts, all ranks take part, and the digest is that of one process."""
    key = hashlib.sha256(model.arch.encode())
    for part in ("audio_tower", "projector"):
        for name, tensor in model.parts[part].state_dict().items():
            key.update(f"{part} {name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            key.update(
                whole(tensor.detach(), keep=True).cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
            )
    return key.hexdigest()
