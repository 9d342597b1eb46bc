"""A folder of encoded clips, for runs whose audio tower does not train (`data.encoded_cache`).

The training loop calls `EncodedAudioCache` in place of `AudioLM.encode_audio`; each clip is then encoded once for all
epochs, ranks and runs. A file is named by a hash of everything that its content depends on: the weights of tower and
projector, the arithmetic, and the clip's spectrogram. So no file is ever out of date, and several runs may share a
folder. 10 s of audio are 250 vectors, 3.6 MB at the width of a 7B model in float32.
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
from harken.models.audio_lm import AudioLM, ModelInput
from harken.models.sharded_tensors import gather_tensor


class EncodedAudioCache:
    """Call it as `AudioLM.encode_audio`. The model's tower and projector must not change."""

    def __init__(self, model: AudioLM, folder: Path) -> None:
        if model.audio_trains:
            raise ValueError("the audio tower or the projector trains: what it encodes changes with every step")
        self._model, self._folder = model, folder
        self._weights = _digest_of_weights(model)
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, inputs: Sequence[ModelInput]) -> list[Tensor | None]:
        # Each prompt's clips are encoded alone, so that the result does not depend on which the folder holds already.
        return [None if prompt.features is None else self._read_or_encode(prompt, prompt.features) for prompt in inputs]

    def _read_or_encode(self, prompt: ModelInput, features: Tensor) -> Tensor:
        file = self._folder / f"{self._name(features, prompt.clip_frames)}.safetensors"
        if file.exists():
            try:
                return load_file(file)["audio"].to(self._model.device)
            except (SafetensorError, KeyError) as error:
                raise DataError(f"{file}: damaged ({error}); remove it, and it will be written again") from error
        (encoded,) = self._model.encode_audio([prompt])
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

    def _name(self, features: Tensor, clip_frames: tuple[int, ...]) -> str:
        device = self._model.device.type
        arithmetic = str(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else "plain"
        key = hashlib.sha256(f"{self._weights} {arithmetic} {tuple(features.shape)}".encode())
        key.update(f"{clip_frames}".encode() if clip_frames else b"")
        key.update(features.contiguous().numpy().tobytes())
        return key.hexdigest()


def _digest_of_weights(model: AudioLM) -> str:
    """Hash the architecture and every weight and buffer of tower and projector, with names, types and shapes. Where the
    model is sharded, all ranks take part, and the digest equals that of one process."""
    key = hashlib.sha256(model.arch.encode())
    for part in ("audio_tower", "projector"):
        for name, tensor in model.parts[part].state_dict().items():
            key.update(f"{part} {name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            whole = gather_tensor(tensor.detach(), keep=True).cpu().contiguous()
            key.update(whole.flatten().view(torch.uint8).numpy().tobytes())
    return key.hexdigest()
