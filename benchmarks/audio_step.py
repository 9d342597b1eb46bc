"""A whole GRPO step with audio against ms-swift and against the repeated form, and what each ingredient saves.

The model is a random Qwen2.5-Omni of 30 M parameters. A step has one prompt with a clip of 10 s from disk and G = 8
completions of full length; everything trains, with the KL term against a frozen copy, temperature 1.2, AdamW, float32
and one thread. A side `without ...` is the packed form with one ingredient switched off.

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
from harness import Peer, arguments, interleaved, ratio, summary, timed, write_cases
from own_step import FORMS, OwnStep, settings
from repeated_form import RepeatedStep
from text_model import SHAPE

GROUP = 8
AIMS = {10: {"ms-swift": 12.0, "repeated": 8.0}, 100: {"ms-swift": 5.0, "repeated": 3.2}}
"""Completion tokens -> side -> the ratio that is aimed at."""
INGREDIENTS = ("audio once", "prefill once", "shared prefix", "completion-only logits")
FEED_FORWARD = (SHAPE["hidden_size"], SHAPE["intermediate_size"])
BLOCK_WEIGHTS = SHAPE["num_hidden_layers"] * (
    3 * math.prod(FEED_FORWARD)
    + 2 * SHAPE["hidden_size"] ** 2 * (1 + SHAPE["num_key_value_heads"] / SHAPE["num_attention_heads"])
)
"""Weights in the linear layers of the language model's blocks."""
PEERS = Path(__file__).parent / "peers"
SYSTEM = "You are a helpful assistant."
QUESTION = (
    "Listen to the recording. What kind of sound is it?\nA. a low tone\nB. a high tone\nC. white noise\n"
    "D. a rising sweep\nAnswer with one letter."
)


class Clips:
    """The clips of `swift_files.py`, decoded and made into features at every reading."""

    def __init__(self, model: QwenOmni, folder: Path) -> None:
        self._model, self._files = model, sorted((folder / "wav").glob("*.wav"))

    def question(self, step: int) -> Question:
        return Question(str(step), QUESTION, ("odd", "even"), 0, self._files[step % len(self._files)])

    def read(self, question: Question) -> ModelInput:
        assert question.audio is not None
        content = [{"type": "audio"}, {"type": "text", "text": QUESTION}]
        turns = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": content}]
        return self._model.render(turns, load_waveform(question.audio))


def load(folder: Path) -> QwenOmni:
    model = QwenOmni.load(str(folder / "model"), torch.float32)
    model.set_trainable(audio_tower=True, projector=True, language_model=True)
    model.eos_token_ids = (-1,)  # no token ends a completion
    return model


class LogitsEverywhere(QwenOmni):
    """Makes logits for every position and their gradients, which are zero outside the completions."""

    def hidden(self, *args, read: Tensor | None = None) -> Tensor:
        hidden = super().hidden(*args)
        return hidden + 0.0 * self.logits(hidden).sum()


class PlainStep:
    """A step in the packed form without one of the ingredients; the difference is what the ingredient saves."""

    def __init__(self, folder: Path, completion: int, without: str) -> None:
        self._model, self._length, self._without = load(folder), completion, without
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
            encoded = self._encoded(self._reference, inputs)
            prompts = self._reference.embed(inputs, encoded) * repeats
            reference = score_packed(self._reference, prompts, completions).logp
        self._model.module.train()
        scores = score_packed(self._model, self._model.embed(inputs, audio) * repeats, completions)
        texts = [self._model.decode(row) for row in completions.tokens.tolist()]
        rewards = torch.tensor([float(len(text) % 2) for text in texts])
        advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
        terms = grpo_loss(
            scores.logp,
            None,
            reference,
            advantages,
            completions.mask,
            beta=0.04,
            clip_low=0.2,
            clip_high=0.2,
            normalization="grpo",
            max_completion_tokens=self._length,
            total_rows=GROUP,
            total_tokens=GROUP * self._length,
        )
        terms.loss.backward()
        apply_update(self._optimizer, 1e-6, 1.0)

    def _encoded(self, model: QwenOmni, inputs: Sequence[ModelInput]) -> list[Tensor | None]:
        if self._without != "audio once":
            return model.encode_audio(inputs)
        copies = [encoded for encoded in model.encode_audio([*inputs] * GROUP) if encoded is not None]
        return [torch.stack(copies).mean(0)]  # so that every copy is in the graph


def main() -> None:
    options = arguments(__doc__ or "", rounds=3)
    if options.swift is None:
        raise SystemExit("--swift: the environment made by benchmarks/peers/swift_environment.sh")
    torch.set_num_threads(1)
    python = str(options.swift.resolve() / "bin" / "python")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "files"
        subprocess.run([python, str(PEERS / "swift_files.py"), str(folder)], check=True, capture_output=True)
        for completion, aims in AIMS.items():
            name = f"R={completion}"
            if options.only not in name:
                continue
            case = measure(folder, python, completion, options.rounds)
            write_cases(options.results, "audio_step", {name: case | {"aim": aims}})


def measure(folder: Path, python: str, completion: int, rounds: int) -> dict:
    """One case: completions of so many tokens, on all sides."""
    swift = swift_peer(folder, python, completion)
    model = load(folder)
    clips = Clips(model, folder)
    sides = {
        "ms-swift": swift,
        "repeated": timed(RepeatedStep(model, lambda step: clips.read(clips.question(step)), completion, GROUP)),
        **{form: timed(own_side(folder, completion, form)) for form in FORMS},
        **{f"without {name}": timed(PlainStep(folder, completion, name)) for name in INGREDIENTS},
        "sampling": timed(sampling_side(load(folder), clips, completion)),
    }
    costs = interleaved(sides, rounds=rounds)
    swift.close()
    ratios = {peer: {form: ratio(costs[peer], costs[form]) for form in FORMS} for peer in ("ms-swift", "repeated")}
    saved = {name: ratio(costs[f"without {name}"], costs["packed"]) for name in INGREDIENTS}
    prompt = clips.read(clips.question(1)).length
    print(f"R={completion} P={prompt}", {peer: forms["continued"] for peer, forms in ratios.items()}, saved, flush=True)
    return {"prompt_tokens": prompt, "ratio": ratios, "ingredients": saved, "seconds": summary(costs)} | arithmetic(
        prompt, completion
    )


def swift_peer(folder: Path, python: str, completion: int) -> Peer:
    environment = {
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HOME": str(folder / "hf"),
        "MODELSCOPE_CACHE": str(folder / "cache"),
        "HOME": str(folder),
        "PATH": str(Path(python).parent) + ":/usr/bin:/bin",
    }
    files = [str(folder / "model"), str(folder / "data.jsonl")]
    command = [python, str(PEERS / "swift_step.py"), *files, str(completion), str(GROUP)]
    return Peer(command, folder / "swift.log", **environment)


def own_side(folder: Path, completion: int, form: str) -> OwnStep:
    """A step of harken in one of FORMS."""
    model = load(folder)
    clips = Clips(model, folder)

    def read(questions: Sequence[Question]) -> list[ModelInput]:
        return [clips.read(question) for question in questions]

    return OwnStep(model, lambda step: [clips.question(step)], read, settings(1, GROUP, completion, form))


def arithmetic(prompt: int, completion: int) -> dict[str, float]:
    """What this core can do, and the seconds that the language model's matrices take of a step at that rate."""
    rate, read = matrix_rate(prompt), read_rate()
    return {
        "gflop_per_s": rate / 1e9,
        "matrices_s": 4 * (prompt + GROUP * completion) * 2 * BLOCK_WEIGHTS / rate,
        "gb_per_s": read / 1e9,
        "reading_s": (completion - 1) * 4 * BLOCK_WEIGHTS / read,
    }


def sampling_side(model: QwenOmni, clips: Clips, completion: int) -> Callable[[], object]:
    """The part of a step of harken that makes the completions, before anything is scored."""
    inputs = [clips.read(clips.question(1))]
    with torch.no_grad():
        embedded = model.embed(inputs, model.encode_audio(inputs))
    uniforms = torch.from_numpy(np.random.default_rng(0).random((GROUP, completion)))
    return lambda: rollout(model, embedded, GROUP, Sampling(1.2, completion), uniforms)


def matrix_rate(tokens: int) -> float:
    """Operations a second of this core in the language model's largest product."""
    hidden = torch.randn(tokens, FEED_FORWARD[0])
    layers = nn.ModuleList(nn.Linear(*FEED_FORWARD) for _ in range(8))
    multiply = timed(lambda: [layer(hidden) for layer in layers])
    seconds = statistics.median(multiply().cpu_s / len(layers) for _ in range(20))
    return 2 * tokens * math.prod(FEED_FORWARD) / seconds


def read_rate() -> float:
    """Bytes a second that this core reads from memory that its caches do not hold."""
    numbers = torch.ones(2**26)
    add = timed(lambda: numbers.sum())
    return 4 * len(numbers) / statistics.median(add().cpu_s for _ in range(20))


if __name__ == "__main__":
    main()
