"""A whole GRPO step with audio against ms-swift and against the repeated form, and what each ingredient is worth.

A random Qwen2.5-Omni of 30 M parameters, clips of 10 s read from disk, one prompt a step, G = 8, everything trains,
KL to a frozen copy, temperature 1.2, AdamW, float32, one thread, completions of full length. `without ...` is the
packed form with one ingredient switched off.

    benchmarks/peers/swift_environment.sh ENVIRONMENT
    python benchmarks/audio_step.py --swift ENVIRONMENT
"""

import math
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from harken.data.audio import load_waveform
from harken.grpo.loss import grpo_loss
from harken.inference.log_probabilities import score_packed
from harken.inference.rollout import rollout
from harken.inference.sampling import Sampling
from harken.models.audio_lm import ModelInput
from harken.models.policy import frozen_copy
from harken.models.qwen_omni import QwenOmni
from harken.training.optimizer import apply_update, build_optimizer
from harken.types import Question
from harness import Peer, arguments, interleaved, ratio, spent, summary, write_cases
from own_step import FORMS, OwnStep, settings
from repeated_form import RepeatedStep
from text_model import SHAPE

GROUP = 8
ASKED = {10: {"ms-swift": 12.0, "repeated": 8.0}, 100: {"ms-swift": 5.0, "repeated": 3.2}}
INGREDIENTS = ("audio once", "prefill once", "shared prefix", "completion-only logits", "oneDNN")
FEED_FORWARD = (SHAPE["hidden_size"], SHAPE["intermediate_size"])
BLOCK_WEIGHTS = SHAPE["num_hidden_layers"] * (
    3 * math.prod(FEED_FORWARD)
    + 2 * SHAPE["hidden_size"] ** 2 * (1 + SHAPE["num_key_value_heads"] / SHAPE["num_attention_heads"])
)
PEERS = Path(__file__).parent / "peers"
SYSTEM = "You are a helpful assistant."
QUESTION = (
    "Listen to the recording. What kind of sound is it?\nA. a low tone\nB. a high tone\nC. white noise\n"
    "D. a rising sweep\nAnswer with one letter."
)


class Clips:
    """The clips of `swift_files.py`, decoded and made into features each time they are asked for."""

    def __init__(self, model: QwenOmni, folder: Path) -> None:
        self._model, self._files = model, sorted((folder / "wav").glob("*.wav"))

    def question(self, step: int) -> Question:
        return Question(str(step), QUESTION, ("odd", "even"), 0, self._files[step % len(self._files)])

    def read(self, question: Question) -> ModelInput:
        assert question.audio is not None
        asked = [{"type": "audio"}, {"type": "text", "text": QUESTION}]
        turns = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": asked}]
        return self._model.render(turns, load_waveform(question.audio))


def load(folder: Path, onednn: bool = True) -> QwenOmni:
    """onednn: where harken takes it; else torch's own products everywhere."""
    model = QwenOmni.load(str(folder / "model"), torch.float32)
    model.set_trainable(audio_tower=True, projector=True, language_model=True)
    model.eos_token_ids = (-1,)  # no token ends a completion
    return model


class LogitsEverywhere(QwenOmni):
    """Makes logits for every position, and takes their gradient, which is zero where no completion is."""

    def hidden(self, *args, read: Tensor | None = None) -> Tensor:
        hidden = super().hidden(*args)
        return hidden + 0.0 * self.logits(hidden).sum()


class PlainStep:
    """A step in the packed form with all ingredients but one; what the ingredient is worth is the difference."""

    def __init__(self, folder: Path, completion: int, without: str) -> None:
        self._model, self._length, self._without = load(folder, without != "oneDNN"), completion, without
        if without == "completion-only logits":
            self._model = LogitsEverywhere(self._model.module, self._model.tokenizer, self._model.feature_extractor)
            self._model.eos_token_ids = (-1,)
        self._reference = frozen_copy(self._model)
        self._optimizer = build_optimizer(self._model.module, learning_rate=1e-6, betas=(0.9, 0.999), weight_decay=0.0)
        self._clips, self._step = Clips(self._model, folder), 0

    def __call__(self) -> None:
        self._step += 1
        inputs = [self._clips.read(self._clips.question(self._step))]
        audio = self._encoded(self._model, inputs)
        uniforms = torch.from_numpy(np.random.default_rng(self._step).random((GROUP, self._length)))
        with torch.no_grad():
            embedded = self._model.embed(inputs, audio)
        repeats = GROUP if self._without == "prefill once" else 1
        completions = rollout(self._model, embedded * repeats, GROUP // repeats, Sampling(1.2, self._length), uniforms)
        repeats = GROUP if self._without == "shared prefix" else 1
        with torch.no_grad():
            heard = self._encoded(self._reference, inputs)
            reference = score_packed(self._reference, self._reference.embed(inputs, heard) * repeats, completions).logp
        self._model.module.train()
        scores = score_packed(self._model, self._model.embed(inputs, audio) * repeats, completions)
        said = [self._model.decode(row) for row in completions.tokens.tolist()]
        rewards = torch.tensor([float(len(text) % 2) for text in said])
        grpo_loss(
            *(scores.logp, None, reference, (rewards - rewards.mean()) / (rewards.std() + 1e-4), completions.mask),
            **{"beta": 0.04, "clip_low": 0.2, "clip_high": 0.2, "normalization": "grpo"},
            **{"max_completion_tokens": self._length, "total_rows": GROUP, "total_tokens": GROUP * self._length},
        ).loss.backward()  # fmt: skip
        apply_update(self._optimizer, 1e-6, 1.0)

    def _encoded(self, model: QwenOmni, inputs: Sequence[ModelInput]) -> list[Tensor | None]:
        if self._without != "audio once":
            return model.encode_audio(inputs)
        times = [one for one in model.encode_audio([*inputs] * GROUP) if one is not None]
        return [torch.stack(times).mean(0)]  # each of them in the graph


def main() -> None:
    options = arguments(__doc__ or "", rounds=3)
    if options.swift is None:
        raise SystemExit("--swift: the environment made by benchmarks/peers/swift_environment.sh")
    torch.set_num_threads(1)
    python = str(options.swift.resolve() / "bin" / "python")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "files"
        subprocess.run([python, str(PEERS / "swift_files.py"), str(folder)], check=True, capture_output=True)
        for completion, asked in ASKED.items():
            name = f"R={completion}"
            if options.only not in name:
                continue
            case = measured(folder, python, completion, options.rounds)
            write_cases(options.results, "audio_step", {name: case | {"asked": asked}})


def measured(folder: Path, python: str, completion: int, rounds: int) -> dict:
    environment = {
        **{"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "TOKENIZERS_PARALLELISM": "false"},
        **{"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "MODELSCOPE_CACHE": str(folder / "cache")},
        **{"PATH": str(Path(python).parent) + ":/usr/bin:/bin", "HOME": str(folder), "HF_HOME": str(folder / "hf")},
    }
    command = [python, str(PEERS / "swift_step.py"), str(folder / "model"), str(folder / "data.jsonl")]
    swift = Peer([*command, str(completion), str(GROUP)], folder / "swift.log", **environment)
    sides = {"ms-swift": swift}
    model = load(folder, onednn=False)
    clips = Clips(model, folder)
    sides["repeated"] = spent(RepeatedStep(model, lambda step: clips.read(clips.question(step)), completion, GROUP))
    for form, (policy_pass, onednn) in FORMS.items():
        own = load(folder, onednn)
        heard = Clips(own, folder)
        config = settings(1, GROUP, completion, policy_pass=policy_pass)
        sides[form] = spent(
            OwnStep(
                own,
                lambda step, heard=heard: [heard.question(step)],
                lambda asked, heard=heard: [heard.read(one) for one in asked],
                config,
            )
        )
    for ingredient in INGREDIENTS:
        sides[f"without {ingredient}"] = spent(PlainStep(folder, completion, ingredient))
    sides["sampling"] = spent(sampling_side(load(folder), clips, completion))
    costs = interleaved(sides, rounds=rounds)
    swift.close()
    ratios = {peer: {form: ratio(costs[peer], costs[form]) for form in FORMS} for peer in ("ms-swift", "repeated")}
    worth = {one: ratio(costs[f"without {one}"], costs["packed"]) for one in INGREDIENTS}
    prompt = clips.read(clips.question(1)).length
    print(f"R={completion} P={prompt}", {peer: one["continued"] for peer, one in ratios.items()}, worth, flush=True)
    rate, plain, read = matrix_rate(prompt), matrix_rate(prompt, onednn=False), read_rate()
    limits = {
        **{"gflop_per_s": rate / 1e9, "matrices_s": 4 * (prompt + GROUP * completion) * 2 * BLOCK_WEIGHTS / rate},
        **{"torch_gflop_per_s": plain / 1e9},
        **{"gb_per_s": read / 1e9, "reading_s": (completion - 1) * 4 * BLOCK_WEIGHTS / read},
    }
    return {"prompt_tokens": prompt, "ratio": ratios, "worth": worth, "seconds": summary(costs), **limits}


def sampling_side(model: QwenOmni, clips: Clips, completion: int) -> Callable[[], object]:
    """What a step of ours spends on its completions before anything is scored."""
    inputs = [clips.read(clips.question(1))]
    with torch.no_grad():
        embedded = model.embed(inputs, model.encode_audio(inputs))
    uniforms = torch.from_numpy(np.random.default_rng(0).random((GROUP, completion)))
    return lambda: rollout(model, embedded, GROUP, Sampling(1.2, completion), uniforms)


def matrix_rate(tokens: int, onednn: bool = True) -> float:
    """Operations a second of this core in the product that the language model is made of most."""
    hidden = torch.randn(tokens, FEED_FORWARD[0])
    layers = nn.ModuleList(nn.Linear(*FEED_FORWARD) for _ in range(8))
    taken = []
    for _ in range(20):
        cost = spent(lambda: [layer(hidden) for layer in layers])()
        taken.append(cost.cpu_s / 8)
    return 2 * tokens * math.prod(FEED_FORWARD) / statistics.median(taken)


def read_rate() -> float:
    """Bytes a second that this core reads of more than its caches hold."""
    numbers = torch.ones(2**26)
    return 4 * len(numbers) / statistics.median(spent(lambda: numbers.sum())().cpu_s for _ in range(20))


if __name__ == "__main__":
    main()
