"""A whole GRPO step against TRL's GRPOTrainer, on one text model, with as many tokens of prompt and completion.

Both: one prompt a step, KL to a frozen copy, temperature 1.2, AdamW, float32, one thread, no token ends a completion.
The bound is the ratio of tokens that go through the language model, a backward pass counted as two: the peer
computes G (P + R) for sampling and four times that for scoring; ours the prompt twice (once with its backward pass,
once for the reference) and every completion token once to sample and four times to score.

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
from harness import RESULTS, Peer, arguments, interleaved, ratio, spent, summary, write_cases
from own_step import FORMS, OwnStep, settings
from text_model import TextModel, write_text_model

SHAPES = {(300, 10, 8): 7.0, (700, 10, 8): 8.0, (300, 10, 4): 3.5, (300, 100, 8): 3.0}
"""(prompt tokens, completion tokens, G) -> the ratio that is asked for."""
PEER = Path(__file__).parent / "peers" / "trl_step.py"


def bound(prompt: int, completion: int, group: int, form: str) -> float:
    theirs = group * (prompt + completion) * 5
    once = prompt + group * completion
    return theirs / (once * 5 if form == "packed" else once * 4 + group * completion)


def random_words(numbers: np.random.Generator, tokens: int) -> str:
    return " ".join(f"w{word}" for word in numbers.integers(4000, size=tokens))


def own_side(checkpoint: Path, prompt: int, completion: int, group: int, form: str, prompts: int = 1) -> OwnStep:
    policy_pass, onednn = FORMS[form]
    model, numbers = TextModel.load(checkpoint, onednn), np.random.default_rng(0)

    def questions(step: int) -> list[Question]:
        texts = [random_words(numbers, prompt) for _ in range(prompts)]
        return [Question(f"{step}-{i}", text, ("odd", "even"), 0, None) for i, text in enumerate(texts)]

    config = settings(prompts, group, completion, policy_pass=policy_pass)
    return OwnStep(model, questions, lambda asked: [model.prompt(one.text) for one in asked], config)


def sampling_side(checkpoint: Path, prompt: int, completion: int, group: int) -> Callable[[], object]:
    """What a step of ours spends on its completions before anything is scored."""
    model, numbers = TextModel.load(checkpoint), np.random.default_rng(0)
    asked = [model.prompt(random_words(numbers, prompt))]
    embedded = [one.detach() for one in model.embed(asked, model.encode_audio(asked))]
    uniforms = torch.from_numpy(numbers.random((group, completion)))
    return lambda: rollout(model, embedded, group, Sampling(1.2, completion), uniforms)


def main() -> None:
    options = arguments(__doc__ or "", rounds=5)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "model"
        write_text_model(checkpoint)
        for (prompt, completion, group), wanted in SHAPES.items():
            name = f"P={prompt} R={completion} G={group}"
            if options.only not in name:
                continue
            shape = [str(number) for number in (prompt, completion, group)]
            environment = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
            peer = Peer([sys.executable, str(PEER), str(checkpoint), *shape], Path(folder) / "peer.log", **environment)
            own = {form: spent(own_side(checkpoint, prompt, completion, group, form)) for form in FORMS}
            own["sampling"] = spent(sampling_side(checkpoint, prompt, completion, group))
            costs = interleaved({"trl": peer, **own}, rounds=options.rounds)
            peer.close()
            case = {
                "asked": wanted,
                "bound": {form: bound(prompt, completion, group, form) for form in FORMS},
                "ratio": {form: ratio(costs["trl"], costs[form]) for form in FORMS},
                "seconds": summary(costs),
            }
            print(name, {form: round(case["ratio"][form]["median"], 2) for form in FORMS}, case["bound"], flush=True)
            write_cases(options.results or RESULTS, "text_step", {name: case})


if __name__ == "__main__":
    main()
