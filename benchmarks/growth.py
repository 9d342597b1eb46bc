"""How the cost of harken's own step grows: with completions per prompt, with prompts per step; and what it holds.

    python benchmarks/growth.py

Time: a whole step on the text model, P = 300, R = 10. Memory: bytes that autograd saves for the backward pass of the
packed row, each storage counted once, weights left out, against P + G R; bytes of keys and values at the end of a
rollout beside it. The packed row's attention mask is not linear, T x T once; its bytes are in the sum.
"""

import math
import tempfile
from pathlib import Path

import numpy as np
import torch

from harken.inference.completions import as_completions
from harken.inference.kv_cache_growing import ROOM_TOKENS
from harken.inference.log_probabilities import score_packed
from harness import arguments, interleaved, ratio, spent, summary, write_cases
from text_model import SHAPE, TextModel, write_text_model
from text_step import own_side

GROUPS = (4, 8, 16)
PROMPTS = (1, 8, 32)
ROWS = ((300, 10, 4), (300, 10, 8), (300, 100, 4), (700, 10, 8), (700, 10, 16), (300, 100, 8), (700, 100, 8))


def saved_bytes(model: TextModel, prompt: int, completion: int, group: int) -> int:
    """What the packed row's forward pass leaves for its backward pass."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.module.parameters()}
    held: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage
        return tensor

    completions = as_completions(list(torch.randint(3, 4000, (group, completion))), model.device)
    embedded = [model.embed_tokens(torch.randint(3, 4000, (prompt,)))]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        scores = score_packed(model, embedded, completions)
    total = sum(storage.nbytes() for storage in held.values())
    del scores
    return total


def cache_bytes(prompt: int, completion: int, group: int) -> int:
    """Keys and values of a rollout at its end, float32."""
    head = SHAPE["hidden_size"] // SHAPE["num_attention_heads"]
    row = prompt + math.ceil(completion / ROOM_TOKENS) * ROOM_TOKENS
    return 2 * 4 * SHAPE["num_hidden_layers"] * SHAPE["num_key_value_heads"] * head * group * row


def main() -> None:
    options = arguments(__doc__ or "", rounds=3)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder)
        write_text_model(checkpoint)
        costs = interleaved(
            {f"G={group}": spent(own_side(checkpoint, 300, 10, group, "packed")) for group in GROUPS},
            rounds=options.rounds,
        )
        case = {"asked": 1.5, "ratio": ratio(costs["G=16"], costs["G=4"]), "seconds": summary(costs)}
        print("cost(G=16) / cost(G=4):", case["ratio"], flush=True)
        write_cases(options.results, "growth", {"completions per prompt": case})

        model = TextModel.load(checkpoint)
        tokens = [prompt + group * completion for prompt, completion, group in ROWS]
        held = [saved_bytes(model, *row) for row in ROWS]
        slope, constant = np.polyfit(tokens, held, 1)
        off = [abs(slope * n + constant - bytes_) / bytes_ for n, bytes_ in zip(tokens, held, strict=True)]
        rows = [
            {
                "P": row[0],
                "R": row[1],
                "G": row[2],
                "tokens": n,
                "saved_bytes": bytes_,
                "cache_bytes": cache_bytes(*row),
            }
            for row, n, bytes_ in zip(ROWS, tokens, held, strict=True)
        ]
        print("bytes a token", slope, "largest distance from the line", max(off), flush=True)
        line = {"bytes_per_token": float(slope), "constant": float(constant), "largest_distance": max(off)}
        write_cases(options.results, "growth", {"bytes": {"rows": rows, **line}})

        costs = interleaved(
            {f"{n} prompts": spent(own_side(checkpoint, 300, 10, 4, "packed", n)) for n in PROMPTS},
            rounds=options.rounds,
            warm_up=0,
        )
        seconds = summary(costs)
        each = {f"{n} prompts": seconds[f"{n} prompts"]["cpu_s"]["median"] / n for n in PROMPTS}
        print("seconds a prompt", each, flush=True)
        write_cases(options.results, "growth", {"prompts per step": {"seconds_a_prompt": each, "seconds": seconds}})


if __name__ == "__main__":
    main()
