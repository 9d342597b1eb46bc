"""A whole GRPO step against TRL's GRPOTrainer, on one text model, with prompts and completions of the same length.

Both have one prompt a step, the KL term against a frozen copy, temperature 1.2, AdamW, float32 and one thread; no token
ends a completion. The bound is the ratio of tokens that go through the language model, where a backward pass counts as
two: the peer computes G (P + R) tokens to sample and four times that to score; harken computes the prompt twice (once
with its backward pass, once for the reference) and every completion token once to sample and four times to score.

    python benchmarks/text_step.py
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from harken.inference.rollout import rollout
from harken.inference.sampling import Sampling
from harken.types import Question
from harness import Peer, arguments, interleaved, ratio, summary, timed, write_cases
from own_step import FORMS, OwnStep, settings
from text_model import TextModel, write_text_model

SHAPES = {(300, 10, 8): 7.0, (700, 10, 8): 8.0, (300, 10, 4): 3.5, (300, 100, 8): 3.0}
"""(prompt tokens, completion tokens, G) -> the ratio that is aimed at."""
PEER = Path(__file__).parent / "peers" / "trl_step.py"


def bound(prompt: int, completion: int, group: int, form: str) -> float:
    theirs = group * (prompt + completion) * 5
    packed = prompt + group * completion
    return theirs / (packed * 5 if form == "packed" else packed * 4 + group * completion)


def random_words(numbers: np.random.Generator, tokens: int) -> str:
    return " ".join(f"w{word}" for word in numbers.integers(4000, size=tokens))


def own_side(checkpoint: Path, prompt: int, completion: int, group: int, form: str, prompts: int = 1) -> OwnStep:
    """A step of harken on random prompts of `prompt` tokens, in one of FORMS."""
    model, numbers = TextModel.load(checkpoint), np.random.default_rng(0)

    def questions(step: int) -> list[Question]:
        texts = [random_words(numbers, prompt) for _ in range(prompts)]
        return [Question(f"{step}-{i}", text, ("odd", "even"), 0, None) for i, text in enumerate(texts)]

    config = settings(prompts, group, completion, form)
    return OwnStep(model, questions, lambda batch: [model.prompt(question.text) for question in batch], config)


def sampling_side(checkpoint: Path, prompt: int, completion: int, group: int) -> Callable[[], object]:
    """The part of a step of harken that makes the completions, before anything is scored."""
    model, numbers = TextModel.load(checkpoint), np.random.default_rng(0)
    inputs = [model.prompt(random_words(numbers, prompt))]
    embedded = [row.detach() for row in model.embed(inputs, model.encode_audio(inputs))]
    uniforms = torch.from_numpy(numbers.random((group, completion)))
    return lambda: rollout(model, embedded, group, Sampling(1.2, completion), uniforms)


def main() -> None:
    options = arguments(__doc__ or "", rounds=5)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "model"
        write_text_model(checkpoint)
        for (prompt, completion, group), aim in SHAPES.items():
            name = f"P={prompt} R={completion} G={group}"
            if options.only not in name:
                continue
            shape = [str(number) for number in (prompt, completion, group)]
            environment = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
            peer = Peer([sys.executable, str(PEER), str(checkpoint), *shape], Path(folder) / "peer.log", **environment)
            own = {form: timed(own_side(checkpoint, prompt, completion, group, form)) for form in FORMS}
            own["sampling"] = timed(sampling_side(checkpoint, prompt, completion, group))
            costs = interleaved({"trl": peer, **own}, rounds=options.rounds)
            peer.close()
            case = {
                "aim": aim,
                "bound": {form: bound(prompt, completion, group, form) for form in FORMS},
                "ratio": {form: ratio(costs["trl"], costs[form]) for form in FORMS},
                "seconds": summary(costs),
            }
            print(name, {form: round(case["ratio"][form]["median"], 2) for form in FORMS}, case["bound"], flush=True)
            write_cases(options.results, "text_step", {name: case})


if __name__ == "__main__":
    main()
