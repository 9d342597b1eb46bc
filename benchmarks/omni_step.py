"""One GRPO step on a Qwen2.5-Omni thinker of the published sizes with random weights, part by part.

Pairs, interleaved, medians of the repeats:
    rollout   encode and prefill once, branch G times   against   transformers' generate(num_return_sequences=G)
    policy    packed row, forward and backward          against   the repeated form, forward and backward
and the largest difference between the two forms' log-probabilities. No optimizer step: what it costs depends on the
mode.

    python benchmarks/omni_step.py --size 7b --seconds 10 --group 8 --completion 16 --dtype bfloat16
    python benchmarks/omni_step.py --size tiny            # a smoke run on a CPU
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from transformers import Qwen2_5OmniThinkerConfig, WhisperFeatureExtractor

from harken.models.loading import enable_gradient_checkpointing, pick_device
from harken.models.qwen_omni import Qwen2_5OmniThinkerForConditionalGeneration, QwenOmni
from harken.models.tiny import SPECIAL_TOKENS, build_tokenizer
from harken.rollout import Completions, Sampling, rollout
from harken.shared_prefix import score_packed, score_repeated

QUESTION = (
    "Which of these instruments is playing the melody in the second half of the recording? Please choose the answer "
    "from the following options: ['an acoustic guitar', 'a violin', 'a grand piano', 'a clarinet']"
)
KEYS = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
# Language model of the published configurations; the audio tower is the same in both.
SIZES = {"7b": (3584, 18944, 28, 28, 4), "3b": (2048, 11008, 36, 16, 2), "tiny": (256, 512, 2, 2, 1)}


def build(size: str, layers: int | None, dtype: torch.dtype, device: torch.device) -> QwenOmni:
    """A thinker with random weights, made on the device."""
    tokenizer = build_tokenizer([QUESTION])
    text = {
        **dict(zip(KEYS, SIZES[size], strict=True)),
        "vocab_size": 152_064 if size != "tiny" else len(tokenizer),
        "rope_parameters": {"mrope_section": [16, 24, 24], "rope_type": "default", "rope_theta": 1e6},
    }
    if layers is not None:
        text["num_hidden_layers"] = layers
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    audio = {"output_dim": text["hidden_size"], "num_mel_bins": 128}
    if size == "tiny":
        audio |= {"d_model": 128, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 256}
    config = Qwen2_5OmniThinkerConfig(
        text_config=text,
        audio_config=audio,
        vision_config={
            "depth": 1,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "fullatt_block_indexes": [0],
        },
        audio_token_index=ids["<|AUDIO|>"],
        vision_start_token_id=ids["<|vision_bos|>"],
        image_token_index=ids["<|IMAGE|>"],
        video_token_index=ids["<|VIDEO|>"],
        pad_token_id=0,
    )
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    with device:
        module = Qwen2_5OmniThinkerForConditionalGeneration(config)
    torch.set_default_dtype(before)
    module.generation_config.eos_token_id = None
    return QwenOmni(module, tokenizer, WhisperFeatureExtractor(feature_size=128, chunk_length=300))


def timed(device: torch.device, run) -> tuple[float, float, object]:
    """(seconds, peak GiB, result)."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
    started = time.perf_counter()
    result = run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    peak = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else float("nan")
    return time.perf_counter() - started, peak, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--layers", type=int)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--prompts", type=int, default=1)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--completion", type=int, default=16)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--freeze-tower", action="store_true")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    device = pick_device("auto")
    model = build(arguments.size, arguments.layers, getattr(torch, arguments.dtype), device)
    model.set_trainable(
        audio_tower=not arguments.freeze_tower, projector=not arguments.freeze_tower, language_model=True
    )
    if arguments.checkpointing:
        enable_gradient_checkpointing(model.module)
    generator = np.random.default_rng(0)
    inputs = []
    for _ in range(arguments.prompts):
        clip = (generator.standard_normal(int(arguments.seconds * 16_000)) * 0.1).astype(np.float32)
        content = [{"type": "audio"}, {"type": "text", "text": QUESTION}]
        inputs.append(model.render([{"role": "user", "content": content}], clip))
    rows = arguments.prompts * arguments.group
    uniforms = torch.from_numpy(generator.random((rows, arguments.completion)))
    tokens = torch.from_numpy(generator.integers(20, 250, (rows, arguments.completion))).to(device)
    completions = Completions(
        tokens,
        torch.ones_like(tokens, dtype=torch.bool),
        tokens * 0.0,
        torch.ones(rows, dtype=torch.bool, device=device),
    )
    sampling = Sampling(1.0, arguments.completion)
    model.eos_token_ids = (-1,)  # every completion runs to its full length in both forms

    def ours_rollout():
        with torch.no_grad():
            embedded = model.embed(inputs, model.encode_audio(inputs))
        return rollout(model, embedded, arguments.group, sampling, uniforms)

    def theirs_rollout():
        ids = torch.stack([one.input_ids for one in inputs]).to(device)
        features = torch.stack([one.features for one in inputs]).to(device, model.module.lm_head.weight.dtype)
        mask = torch.ones(features.shape[0], features.shape[2], dtype=torch.long, device=device)
        model.module.eval()
        return model.module.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), input_features=features, feature_attention_mask=mask,
            do_sample=True, temperature=1.0, top_k=0, top_p=1.0, num_return_sequences=arguments.group,
            max_new_tokens=arguments.completion, min_new_tokens=arguments.completion, pad_token_id=0,
        )  # fmt: skip

    def pass_(form: str):
        model.module.train()
        model.module.zero_grad(set_to_none=True)
        if form == "packed":
            scores = score_packed(model, model.embed(inputs, model.encode_audio(inputs)), completions)
        else:
            scores = score_repeated(model, inputs, completions)
        scores.logp.mean().backward()
        return scores.logp.detach().float()

    runs = {
        "rollout, prefill once": ours_rollout,
        "rollout, generate": theirs_rollout,
        "policy pass, packed": lambda: pass_("packed"),
        "policy pass, repeated": lambda: pass_("repeated"),
    }
    times, peaks, results = {name: [] for name in runs}, {}, {}
    for repeat in range(arguments.repeats + 1):
        for name, run in runs.items():
            try:
                seconds, peak, results[name] = timed(device, run)
            except torch.OutOfMemoryError:
                seconds, peak = float("nan"), float("inf")
            if repeat:  # the first round warms up
                times[name].append(seconds)
            peaks[name] = peak
    report = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        **{key: str(value) for key, value in vars(arguments).items()},
        "prompt_tokens": inputs[0].length,
        "parameters_billion": sum(p.numel() for p in model.module.parameters()) / 1e9,
        "seconds": {name: statistics.median(values) for name, values in times.items()},
        "peak_gib": peaks,
    }
    if all(name in results for name in ("policy pass, packed", "policy pass, repeated")):
        report["logp_difference_max"] = float(
            (results["policy pass, packed"] - results["policy pass, repeated"]).abs().max()
        )
    for name, value in report["seconds"].items():
        print(f"{name:24s} {value:8.3f} s   peak {peaks[name]:6.2f} GiB")
    print({key: value for key, value in report.items() if key not in ("seconds", "peak_gib")})
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
