"""Policy and reference passes over G completions of a prompt: the shared prompt against the repeated form.

Same model, prompts and completions; the repeated form is G plain rows, each with its own prompt, and like the others
makes logits for completion tokens alone. Policy: forward and backward. Reference: forward without gradients. The bound
is the ratio of tokens, G (P + R) / (P + G R).

    python benchmarks/passes.py
"""

import tempfile
from itertools import product
from pathlib import Path

import torch

from harken.inference.completions import as_completions
from harken.inference.log_probabilities import score_packed, score_repeated, score_shared
from harken.models.audio_lm import ModelInput
from harness import arguments, interleaved, ratio, spent, summary, write_cases
from text_model import TextModel, write_text_model

SHAPES = tuple(product((300, 700), (10, 100), (4, 8)))
ASKED_SHARE = 0.85
FORMS = ("shared", "packed", "repeated")


def sides(model: TextModel, prompt: int, completion: int, group: int) -> dict:
    numbers = torch.Generator().manual_seed(0)
    inputs = [ModelInput(torch.randint(3, 4000, (prompt,), generator=numbers), None, "")]
    answers = torch.randint(3, 4000, (group, completion), generator=numbers)
    completions = as_completions(list(answers), model.device)

    def score(form: str):
        if form == "repeated":
            return score_repeated(model, inputs, completions)
        return (score_packed if form == "packed" else score_shared)(model, model.embed(inputs, [None]), completions)

    def policy(form: str) -> None:
        model.module.zero_grad(set_to_none=True)
        score(form).logp.mean().backward()

    def reference(form: str) -> None:
        with torch.no_grad():
            score(form)

    return {
        f"{name} {form}": spent(lambda run=run, form=form: run(form))
        for (name, run), form in product((("policy", policy), ("reference", reference)), FORMS)
    }


def main() -> None:
    options = arguments(__doc__ or "", rounds=3)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        write_text_model(Path(folder))
        model = TextModel.load(Path(folder))
        interleaved(sides(model, 100, 10, 4), rounds=1)  # warms up
        for prompt, completion, group in SHAPES:
            name = f"P={prompt} R={completion} G={group}"
            if options.only not in name:
                continue
            costs = interleaved(sides(model, prompt, completion, group), rounds=options.rounds, warm_up=0)
            bound = group * (prompt + completion) / (prompt + group * completion)
            ratios = {
                kind: ratio(costs[f"{kind} repeated"], costs[f"{kind} shared"]) for kind in ("policy", "reference")
            }
            case = {"asked": ASKED_SHARE * bound, "bound": bound, "ratio": ratios, "seconds": summary(costs)}
            print(
                name, {kind: round(one["median"] / bound, 3) for kind, one in ratios.items()}, "of", bound, flush=True
            )
            write_cases(options.results, "passes", {name: case})


if __name__ == "__main__":
    main()
