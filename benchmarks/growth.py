"""How time and memory of harken's own step grow with completions per prompt and with prompts per step.

    python benchmarks/growth.py

Time is that of a whole step on the text model, with P = 300 and R = 10. Memory is what autograd saves for the backward
pass of the packed row, each storage counted once and weights left out, against P + G R; the keys and values at the end
of a rollout are listed beside it. The sum includes the packed row's attention mask, which grows with (P + G R)^2.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harken.inference.completions import as_completions
from harken.inference.log_probabilities import score_packed
from harness import arguments, interleaved, ratio, summary, timed, write_cases
from text_model import SHAPE, TextModel, write_text_model
from text_step import own_side

GROUPS = (4, 8, 16)
PROMPTS = (1, 8, 32)
AIM = 1.5
"""The cost of a step with 16 completions per prompt over one with 4 that is aimed at, at most."""
ROWS = ((300, 10, 4), (300, 10, 8), (300, 100, 4), (700, 10, 8), (700, 10, 16), (300, 100, 8), (700, 100, 8))


def saved_bytes(model: TextModel, prompt: int, completion: int, group: int) -> int:
    """Bytes that the packed row's forward pass keeps for its backward pass."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.module.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage
        return tensor

    completions = as_completions(list(torch.randint(3, 4000, (group, completion))), model.device)
    embedded = [model.embed_tokens(torch.randint(3, 4000, (prompt,)))]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        scores = score_packed(model, embedded, completions)
    total = sum(storage.nbytes() for storage in kept.values())
    del scores
    return total


def cache_bytes(prompt: int, completion: int, group: int) -> int:
    """Bytes of the float32 keys and values at the end of a rollout."""
    head = SHAPE["hidden_size"] // SHAPE["num_attention_heads"]
    row = prompt + completion
    return 2 * 4 * SHAPE["num_hidden_layers"] * SHAPE["num_key_value_heads"] * head * group * row


def time_completions(checkpoint: Path, rounds: int) -> dict[str, Any]:
    """The cost of a step with more and more completions per prompt."""
    sides = {f"G={group}": timed(own_side(checkpoint, 300, 10, group, "packed")) for group in GROUPS}
    costs = interleaved(sides, rounds=rounds)
    return {"aim": AIM, "ratio": ratio(costs["G=16"], costs["G=4"]), "seconds": summary(costs)}


def time_prompts(checkpoint: Path, rounds: int) -> dict[str, Any]:
    """The cost per prompt of a step with more and more prompts."""
    names = {number: f"{number} prompt{'' if number == 1 else 's'}" for number in PROMPTS}
    sides = {name: timed(own_side(checkpoint, 300, 10, 4, "packed", number)) for number, name in names.items()}
    seconds = summary(interleaved(sides, rounds=rounds, warm_up=0))
    per_prompt = {name: seconds[name]["cpu_s"]["median"] / number for number, name in names.items()}
    return {"seconds_a_prompt": per_prompt, "seconds": seconds}


def count_bytes(model: TextModel) -> dict[str, Any]:
    """Bytes kept for the backward pass and by the rollout, and the line that the former lie on."""
    tokens = [prompt + group * completion for prompt, completion, group in ROWS]
    saved = [saved_bytes(model, *row) for row in ROWS]
    slope, constant = np.polyfit(tokens, saved, 1)
    distances = [abs(slope * n + constant - size) / size for n, size in zip(tokens, saved, strict=True)]
    rows = [
        {"P": row[0], "R": row[1], "G": row[2], "tokens": n, "saved_bytes": size, "cache_bytes": cache_bytes(*row)}
        for row, n, size in zip(ROWS, tokens, saved, strict=True)
    ]
    line = {"bytes_per_token": float(slope), "constant": float(constant), "largest_distance": max(distances)}
    return {"rows": rows, **line}


def main() -> None:
    options = arguments(__doc__ or "", rounds=3)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder)
        write_text_model(checkpoint)
        cases = {
            "completions per prompt": lambda: time_completions(checkpoint, options.rounds),
            "bytes": lambda: count_bytes(TextModel.load(checkpoint)),
            "prompts per step": lambda: time_prompts(checkpoint, options.rounds),
        }
        for name, measure in cases.items():
            if options.only in name:
                case = measure()
                print(name, case, flush=True)
                write_cases(options.results, "growth", {name: case})


if __name__ == "__main__":
    main()
