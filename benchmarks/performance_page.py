"""docs/performance.md from the results under benchmarks/results: the page holds no number that no program wrote.

python benchmarks/performance_page.py
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audio_step import GROUP
from harness import RESULTS
from own_step import FORMS
from passes import ASKED_SHARE
from text_step import bound

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
PEERS = {"ms-swift": "ms-swift", "repeated": "the repeated form"}
"""A side of the audio step -> what a sentence calls it."""

HEAD = """# Speed and memory

Every figure here is written by one program from the JSON files in `benchmarks/results/`, and each of those by one
program named in its section. `python benchmarks/performance_page.py` makes this page again.

How it is measured: both sides take turns within a round, on one thread, after a round that warms up. A figure is the
median over the rounds with the lowest and the highest in brackets; a ratio is taken within each round. Seconds are
those that the process computed, not those on the clock: the machine is shared. A *bound* is the ratio of the arithmetic
alone, in tokens that go through the language model; a ratio can exceed it where the other side does more than that.

The processor is one of AMD with AVX-512. There torch's own float32 products (MKL) are slow (the rates of both are with
the audio step), and harken computes large linear layers through oneDNN, which comes with torch
([hardware.md](hardware.md)). The peers and the repeated form compute as they do by themselves. *Torch's products* are
ours without oneDNN: what sharing the work is worth alone, and what to expect where MKL is not slow. On a GPU neither
plays a part.

The load named with each figure is the machine's average over five minutes, this measurement's own one included.
"""

PASSES = """
## Policy and reference passes

G completions of R tokens to a prompt of P: the prompt once against G plain rows, with logits for completion tokens
alone in both, text model of 25 M parameters (hidden 512, 8 layers, 8 heads, 2 KV heads, vocabulary 4,096), float32,
both through oneDNN. Policy: forward and backward. Bound: G (P + R) / (P + G R). `python benchmarks/passes.py`

Where the completions together are at most half as long as the prompt, the prompt and all of them are one packed row;
where they are longer, each is a row against a copy of the prompt's keys and values. The last two columns are the packed
row alone: in it attention grows with (P + G R)^2, which the bound does not count. Nothing reads what the last block
makes of a prompt's tokens but its last one's, so its feed-forward layer is computed for that and for the completions:
an eighth of the layers here, 1 of 28 at 7B. The bound does not count that either.
"""

TEXT = """
## A whole step against TRL 1.16, text

Sampling, reference, reward, loss, backward, AdamW; one prompt a step, the model above, completions of full length, KL
to a frozen copy. `continued` and `packed` are values of `grpo.policy_pass`. `python benchmarks/text_step.py`

`packed` computes the prompt three times a step: to sample, for the reference and for the policy. `continued` keeps the
first with its graph and so computes it twice. It holds the activations of all prompts of a step while sampling, and
goes without gradient checkpointing. Bound: TRL's 5 G (P + R) token passes, a backward pass as two, over 5 (P + G R) for
`packed` and 4 (P + G R) + G R for `continued`.

To sample a token for 8 rows reads all weights for 8 tokens' work, for TRL as for ours: at R = 100 the bound, which
takes a sampled token for as cheap as a scored one, is out of reach of sharing alone.
"""

AUDIO = """
## A whole step with audio

Random Qwen2.5-Omni of 30 M parameters (language model as above, tower of 4 layers at width 256), clips of 10 s from
files, one prompt a step, G = 8, everything trains. ms-swift 4.6 in an environment of its own; the repeated form is
`benchmarks/repeated_form.py`, with torch's products and without an old-policy pass.
`benchmarks/peers/swift_environment.sh ENVIRONMENT`, then `python benchmarks/audio_step.py --swift ENVIRONMENT`

A prompt has {prompt} tokens. The bound counts tokens as for the text step. What lies above it is logits for whole
prompts, clips encoded up to 2 G + 1 times, and oneDNN where ours has it.{finding}
"""

GROWTH = """
## Growth

Text model above, P = 300, R = 10, `packed`. `python benchmarks/growth.py`
"""

INPUTS = """
## Reading clips

A step of the audio model above whose clips are decoded and made into features by threads one step ahead, against one
that has all features in memory; no cache. Process seconds count the threads in full.
`python benchmarks/input_pipeline.py`

`data.encoded_cache: FOLDER` keeps what a frozen tower encoded on disk across epochs and runs, by the clip's content and
the tower's weights. It is off by default and refused where the tower or the projector trains.
"""

CARD = """
## On an H100, at the published sizes

A program that is part of `benchmarks/gpu.py` since (which has whole steps too, and no figures yet)
builds a Qwen2.5-Omni thinker of the 7B and 3B shapes with random bfloat16 weights on one card and times the parts,
packed against repeated and ours against transformers' `generate`, interleaved, medians of 3 (2 for completions of 256
tokens). Prompt: 10 s of audio, {prompt_tokens} tokens in all. Everything trains, tower included; forward and backward,
no optimizer step. {device}, torch {torch}, transformers {transformers}, commit {commit}.
"""

CARD_END = """
The packed pass is 2.2 to 2.9 times faster than the repeated one and, without checkpointing, takes 7.5 to 11 GiB less.
The bound is 6.0 for P = 323, R = 16, G = 8. Part of the gap is fixed cost: both forms compute and write the same 8 B
weight gradients, and the packed row is short enough (451 tokens) that launching kernels shows.

Decoding takes as long as transformers' own, about 25 ms a token, where reading 15 GB of weights at this card's 3 TB/s
takes 5 ms: it is bound by launching small kernels. Prefill once saves little at one prompt of 323 tokens.

In float32 with two layers at 7B width the two forms' log-probabilities differ by at most 1.5e-4, in bfloat16 over 28
layers by 0.07 to 0.16. The exactness tests run in float64 and float32 on small models.
"""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Numbers with their units and brackets stay on one line."""
    marks = ["---", *["---:"] * (len(head) - 1)]
    kept = [[one.replace(" ", "\u00a0") if one[:1].isdigit() else one for one in row] for row in rows]
    return "\n" + "".join(f"| {' | '.join(row)} |\n" for row in [head, marks, *kept])


def spread(one: Mapping[str, float], digits: int = 2) -> str:
    return f"{one['median']:.{digits}f} ({one['low']:.{digits}f} to {one['high']:.{digits}f})"


def seconds(case: Mapping[str, Any], side: str) -> str:
    return f"{case['seconds'][side]['cpu_s']['median']:.2f} s"


def measured_on(cases: Mapping[str, Any]) -> str:
    """One line for each set of circumstances, with what was measured in it."""
    places: dict[str, list[str]] = {}
    for name, case in cases.items():
        where = case["machine"]
        versions = ", ".join(f"{package} {version}" for package, version in where["versions"].items())
        rounds = {side["cpu_s"]["n"] for side in case.get("seconds", {}).values()}
        text = f"{where['device']}, {where['threads']} thread, {versions}, commit {where['commit']}"
        text += f", load {where['load']}" if "load" in where else ""
        places.setdefault(text + (f", rounds: {min(rounds)}" if rounds else ""), []).append(name)
    if len(places) == 1:
        return f"\nMeasured on {next(iter(places))}.\n"
    return "\n" + "".join(f"- {', '.join(names)}: {place}\n" for place, names in places.items())


def passes(cases: Mapping[str, Any]) -> str:
    rows = []
    for name, case in cases.items():
        row = [name, f"{case['bound']:.2f}"]
        for kind in ("policy", "reference"):
            row += [spread(case["ratio"][kind]), f"{case['ratio'][kind]['median'] / case['bound']:.0%}"]
        for kind in ("policy", "reference"):
            repeated, packed = (case["seconds"][f"{kind} {form}"]["cpu_s"]["median"] for form in ("repeated", "packed"))
            row.append(f"{repeated / packed:.2f}")
        rows.append(row)
    head = ["shape", "bound", "policy", "of bound", "reference", "of bound", "policy packed", "reference packed"]
    return PASSES + below_the_share(cases) + table(head, rows) + measured_on(cases)


def below_the_share(cases: Mapping[str, Any]) -> str:
    """Which passes are short of what is asked of them."""
    short = [
        f"{kind} at {name} ({case['ratio'][kind]['median'] / case['bound']:.1%})"
        for name, case in cases.items()
        for kind in ("policy", "reference")
        if case["ratio"][kind]["median"] < case["asked"]
    ]
    return f"\nBelow {ASKED_SHARE:.0%} of the bound: {', '.join(short)}.\n" if short else ""


def text_step(cases: Mapping[str, Any]) -> str:
    rows = [
        [
            *(name, form, seconds(case, "trl"), seconds(case, form), spread(case["ratio"][form])),
            *(f"{case['bound'][form]:.2f}", f"{case['asked']:g}"),
        ]
        for name, case in cases.items()
        for form in FORMS
    ]
    text = TEXT + table(["shape", "form", "TRL", "ours", "ratio", "bound", "aim"], rows)
    sampling = ", ".join(f"{seconds(case, 'sampling')} ({name})" for name, case in cases.items())
    return f"{text}\nOf ours, sampling takes {sampling}.\n" + measured_on(cases)


def audio_step(cases: Mapping[str, Any]) -> str:
    prompt = next(iter(cases.values()))["prompt_tokens"]
    text = AUDIO.format(prompt=prompt, finding=short_of_the_aim(cases))
    rows = [
        [
            *(name, peer, form, seconds(case, peer), seconds(case, form), spread(case["ratio"][peer][form])),
            *(f"{bound(prompt, int(name.removeprefix('R=')), GROUP, form):.2f}", f"{case['asked'][peer]:g}"),
        ]
        for name, case in cases.items()
        for peer in PEERS
        for form in FORMS
    ]
    text += table(["completion", "against", "form", "theirs", "ours", "ratio", "bound", "aim"], rows)
    text += "\nA step with one ingredient switched off, over the packed step with all of them:\n"
    ingredients = list(next(iter(cases.values()))["worth"])
    rows = [[name, *(spread(case["worth"][one]) for one in ingredients)] for name, case in cases.items()]
    text += table(["completion", *ingredients], rows)
    last = list(cases.values())[-1]
    text += (
        f"\nThe language model's largest product, a prompt by a feed-forward matrix, runs at {last['gflop_per_s']:.0f} "
    )
    text += f"GFLOP/s through oneDNN and at {last['torch_gflop_per_s']:.0f} as torch has it.\n"
    return text + measured_on(cases)


def short_of_the_aim(cases: Mapping[str, Any]) -> str:
    """What the aims would take of us where they are not reached, beside the arithmetic of a step."""
    text = ""
    for name, case in cases.items():
        wanted = [
            f"{aim:g} times as fast as {said} is a step of {case['seconds'][peer]['cpu_s']['median'] / aim:.2f} s"
            for peer, said in PEERS.items()
            if case["ratio"][peer]["continued"]["median"] < (aim := case["asked"][peer])
        ]
        if wanted:
            text += f"\n- {name}: {', '.join(wanted)}. Ours takes {seconds(case, 'continued')}, of which sampling "
            text += (
                f"{seconds(case, 'sampling')}. Its scored and prefilled tokens are {case['matrices_s']:.2f} s of the "
                f"language model's matrices at the measured rate of {case['gflop_per_s']:.0f} GFLOP/s; to read those "
                f"matrices once for each sampled token is {case['reading_s']:.2f} s at {case['gb_per_s']:.0f} GB/s."
            )
    return f"\n\nWhere the aim is not reached:\n{text}" if text else ""


def growth(cases: Mapping[str, Any]) -> str:
    text = GROWTH
    if (case := cases.get("completions per prompt")) is not None:
        costs = ", ".join(f"{side} {seconds(case, side)}" for side in case["seconds"])
        text += f"\nCompletions per prompt: {costs} a step. Cost of G = 16 over G = 4: {spread(case['ratio'])}; "
        text += f"the aim is at most {case['asked']:g}.\n"
    if (case := cases.get("prompts per step")) is not None:
        each = ", ".join(f"{name} {value:.2f} s" for name, value in case["seconds_a_prompt"].items())
        text += f"\nCost per prompt, G = 4, one prompt a micro-batch: {each}.\n"
    if (case := cases.get("bytes")) is not None:
        rows = [
            [f"P={row['P']} R={row['R']} G={row['G']}", str(row["tokens"])]
            + [f"{row[key] / 2**20:.1f} MiB" for key in ("saved_bytes", "cache_bytes")]
            for row in case["rows"]
        ]
        text += table(["shape", "P + G R", "saved for backward", "keys and values of the rollout"], rows)
        text += f"\nSaved bytes lie on a line of {case['bytes_per_token'] / 1024:.1f} KiB a token, at most "
        text += f"{case['largest_distance']:.1%} off it.\n"
    return text + measured_on(cases)


def input_pipeline(cases: Mapping[str, Any]) -> str:
    rows = [
        [name, seconds(case, "files"), seconds(case, "memory"), spread(case["ratio"]), spread(case["ratio_wall"])]
        for name, case in cases.items()
    ]
    head = ["completion", "files", "memory", "ratio of process seconds", "ratio on the clock"]
    return INPUTS + table(head, rows) + measured_on(cases)


def omni_step_h100(result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    text = CARD.format(**result, **machine["versions"], device=machine["device"], commit=machine["commit"])
    rows = [
        [row["size"], row["prompts_x_group"], str(row["completion_tokens"]), "yes" if row["checkpointing"] else "no"]
        + [f"{row[form]['seconds']:.3f} s, {row[form]['gib']:.1f} GiB" for form in ("packed", "repeated")]
        + [f"{row['ratio']:.2f}", f"{row['rollout_prefill_once_s']:.3f} s", f"{row['rollout_generate_s']:.3f} s"]
        for row in result["rows"]
    ]
    head = ["size", "prompts x G", "completion tokens", "checkpointing", "packed row", "repeated", "ratio"]
    return text + table([*head, "rollout, prefill once", "rollout, generate"], rows) + CARD_END


SECTIONS = (passes, text_step, audio_step, growth, input_pipeline, omni_step_h100)
"""Each is named as its file of results; a section without results is left out."""


def page(folder: Path) -> str:
    text = HEAD
    for section in SECTIONS:
        file = folder / f"{section.__name__}.json"
        if file.exists():
            text += section(json.loads(file.read_text(encoding="utf-8")))
    return text


if __name__ == "__main__":
    PAGE.write_text(page(RESULTS), encoding="utf-8")
