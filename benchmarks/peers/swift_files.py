"""Writes a tiny random Qwen2.5-Omni (30 M parameters) and 32 clips of 10 s that both ms-swift and harken can read.

    swift_files.py FOLDER      writes FOLDER/model, FOLDER/wav and FOLDER/data.jsonl

It runs in the environment of `swift_environment.sh`, whose transformers is the older of the two. The checkpoint has the
full layout with a talker of next to no size, because ms-swift loads the full class. Control tokens are never sampled,
so that every completion has full length.
"""

import json
import sys
from pathlib import Path

import numpy as np
import soundfile
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, Qwen2_5OmniConfig, Qwen2_5OmniForConditionalGeneration

VOCABULARY = 4096
SPECIAL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>", "<|box_end|>"),
    *("<|quad_start|>", "<|quad_end|>", "<|vision_bos|>", "<|vision_eos|>", "<|vision_pad|>", "<|IMAGE|>"),
    "<|VIDEO|>",
)
ROLES = {
    **{"image_token": "<|IMAGE|>", "audio_token": "<|AUDIO|>", "video_token": "<|VIDEO|>"},
    **{"vision_bos_token": "<|vision_bos|>", "vision_eos_token": "<|vision_eos|>"},
    **{"audio_bos_token": "<|audio_bos|>", "audio_eos_token": "<|audio_eos|>"},
}
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'audio' %}<|audio_bos|><|AUDIO|><|audio_eos|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QUESTION = (
    "Listen to the recording. What kind of sound is it?\nA. a low tone\nB. a high tone\nC. white noise\n"
    "D. a rising sweep\nAnswer with one letter."
)


def write_json(file: Path, values: object) -> None:
    file.write_text(json.dumps(values, indent=1))


def write_tokenizer(folder: Path) -> dict[str, int]:
    """Write a byte-level BPE tokenizer learnt from torch's own sources; gives the ids of the control tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train([str(file) for file in sorted(Path(torch.__file__).parent.glob("nn/modules/*.py"))], trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    tokenizer.save(str(folder / "tokenizer.json"))
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    write_json(folder / "vocab.json", model["vocab"])
    merges = (pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"])
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    ids = {token: tokenizer.token_to_id(token) for token in SPECIAL}
    added = dict.fromkeys(("lstrip", "rstrip", "normalized", "single_word"), False) | {"special": True}
    settings = {
        **{"tokenizer_class": "Qwen2Tokenizer", "processor_class": "Qwen2_5OmniProcessor", "chat_template": TEMPLATE},
        **{"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "unk_token": None, "bos_token": None},
        **{"model_max_length": 32768, "add_prefix_space": False, "errors": "replace"},
        "added_tokens_decoder": {str(i): {"content": token, **added} for token, i in ids.items()},
        **{"extra_special_tokens": ROLES, **ROLES},
    }
    write_json(folder / "tokenizer_config.json", settings)
    write_json(folder / "chat_template.json", {"chat_template": TEMPLATE})
    return ids


def write_model(folder: Path, ids: dict[str, int]) -> None:
    torch.manual_seed(0)
    text = {
        **{"vocab_size": VOCABULARY, "hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 8},
        **{"num_attention_heads": 8, "num_key_value_heads": 2, "max_position_embeddings": 32768},
        "rope_scaling": {"mrope_section": [8, 12, 12], "rope_type": "default", "type": "default"},
    }
    audio = {
        **{"d_model": 256, "encoder_layers": 4, "encoder_attention_heads": 4, "encoder_ffn_dim": 1024},
        **{"output_dim": 512, "num_mel_bins": 128, "n_window": 100},
    }
    vision = {
        **{"depth": 1, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 512},
        "fullatt_block_indexes": [0],
    }
    places = {
        **{"audio_token_index": ids["<|AUDIO|>"], "image_token_index": ids["<|IMAGE|>"]},
        **{"video_token_index": ids["<|VIDEO|>"], "audio_start_token_id": ids["<|audio_bos|>"]},
        **{"audio_end_token_id": ids["<|audio_eos|>"], "vision_start_token_id": ids["<|vision_bos|>"]},
        **{"vision_end_token_id": ids["<|vision_eos|>"], "pad_token_id": ids["<|endoftext|>"]},
    }
    talker = {
        **{"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 2},
        **{"num_key_value_heads": 1, "head_dim": 32, "embedding_size": 512, "vocab_size": 64, "pad_token_id": None},
    }
    config = Qwen2_5OmniConfig(
        thinker_config={
            **{"audio_config": audio, "vision_config": vision, "text_config": text, "tie_word_embeddings": False},
            **{"position_id_per_seconds": 25, **places},
        },
        talker_config=talker,
        enable_audio_output=False,
    )
    model = Qwen2_5OmniForConditionalGeneration(config).float()
    ends = [ids["<|im_end|>"], ids["<|endoftext|>"]]
    model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=ends[1], do_sample=True)
    model.save_pretrained(folder)
    torch.save({}, folder / "spk_dict.pt")  # the talker has no voices
    generation = json.loads((folder / "generation_config.json").read_text())
    write_json(folder / "generation_config.json", {**generation, "suppress_tokens": sorted(ids.values())})
    hears = {
        **{"feature_extractor_type": "WhisperFeatureExtractor", "image_processor_type": "Qwen2VLImageProcessor"},
        **{"processor_class": "Qwen2_5OmniProcessor", "chunk_length": 30, "n_samples": 480_000, "n_fft": 400},
        **{"nb_max_frames": 3000, "feature_size": 128, "hop_length": 160, "sampling_rate": 16_000, "dither": 0.0},
        **{"padding_side": "right", "padding_value": 0.0, "return_attention_mask": True},
    }
    sees = {
        **{"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "min_pixels": 3136, "max_pixels": 12_845_056},
        **{"merge_size": 2, "patch_size": 14, "temporal_patch_size": 2},
    }
    write_json(folder / "preprocessor_config.json", hears | sees)


def write_clips(folder: Path) -> None:
    """Write tones, noise and sweeps of 10 s, and ms-swift's records of them."""
    numbers, t = np.random.default_rng(0), np.arange(160_000) / 16_000
    (folder / "wav").mkdir()
    records = []
    for i in range(32):
        low, high = numbers.uniform(100, 300), numbers.uniform(2000, 5000)
        sounds = (
            0.3 * np.sin(2 * np.pi * low * t),
            0.3 * np.sin(2 * np.pi * high * t),
            0.2 * numbers.standard_normal(t.size),
            0.3 * np.sin(2 * np.pi * (low * t + (high - low) * t * t / 20)),
        )
        file = folder / "wav" / f"{i:02d}.wav"
        soundfile.write(file, (sounds[i % 4] + 0.01 * numbers.standard_normal(t.size)).astype(np.float32), 16_000)
        messages = [{"role": "user", "content": f"<audio>{QUESTION}"}]
        records.append({"messages": messages, "audios": [str(file)], "solution": "ABCD"[i % 4]})
    (folder / "data.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


if __name__ == "__main__":
    out = Path(sys.argv[1]).resolve()
    (out / "model").mkdir(parents=True)
    write_model(out / "model", write_tokenizer(out / "model"))
    write_clips(out)
