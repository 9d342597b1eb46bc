"""Policy and reference passes over G completions of a prompt: the packed row against the repeated form.

Model, prompts and completions are the same. The repeated form has G plain rows, each with its own prompt; the masked
form is the packed row with one mask over all of it. All forms make logits for completion tokens alone. The policy pass
is forward and backward, the reference pass is forward without gradients. The bound is the ratio of tokens,
G (P + R) / (P + G R).

    python benchmarks/passes.py
"""

import tempfile
from itertools import product
from pathlib import Path

import torch

from harken.inference import packed_rows
from harken.inference.completions import as_completions
from harken.inference.log_probabilities import Scores, score_packed, score_repeated
from harken.models.audio_lm import ModelInput
from harness import Side, arguments, interleaved, ratio, summary, timed, write_cases
from text_model import TextModel, write_text_model

SHAPES = tuple(product((300, 700), (10, 100), (4, 8)))
"""(prompt tokens, completion tokens, G)."""
AIMED_SHARE = 0.85
"""The share of the bound that is aimed at."""
FORMS = ("packed", "masked", "repeated")
TWO_PARTS = packed_rows.PAIRS_FOR_TWO_PARTS


def sides(model: TextModel, prompt: int, completion: int, group: int) -> dict[str, Side]:
    """Each pass in each form, named "policy packed" and so on."""
    numbers = torch.Generator().manual_seed(0)
    inputs = [ModelInput(torch.randint(3, 4000, (prompt,), generator=numbers), None, "")]
    answers = torch.randint(3, 4000, (group, completion), generator=numbers)
    completions = as_completions(list(answers), model.device)

    def score(form: str) -> Scores:
        if form == "repeated":
            return score_repeated(model, inputs, completions)
        packed_rows.PAIRS_FOR_TWO_PARTS = TWO_PARTS if form == "packed" else float("inf")
        return score_packed(model, model.embed(inputs, [None]), completions)

    def policy(form: str) -> None:
        model.module.zero_grad(set_to_none=True)
        score(form).logp.mean().backward()

    def reference(form: str) -> None:
        with torch.no_grad():
            score(form)

    return {
        f"{name} {form}": timed(lambda run=run, form=form: run(form))
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
                kind: ratio(costs[f"{kind} repeated"], costs[f"{kind} packed"]) for kind in ("policy", "reference")
            }
            case = {"aim": AIMED_SHARE * bound, "bound": bound, "ratio": ratios, "seconds": summary(costs)}
            shares = {kind: round(values["median"] / bound, 3) for kind, values in ratios.items()}
            print(name, shares, "of", bound, flush=True)
            write_cases(options.results, "passes", {name: case})


if __name__ == "__main__":
    main()
