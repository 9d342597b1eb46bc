"""What a judge adds to the time of a step: the same GRPO run with and without a judge, in turn, and a trace of a step.

The program needs a model that thinks, such as the SFT start of recipes/realaqa_thinker.sh. Its steps are very short, so
the model can be given more layers that change nothing but the time, because their outputs are zero. The judge is a
server in a process of its own that takes LATENCY seconds for a reply and fails a share of its calls.

    python benchmarks/judge_overlap.py runs/realaqa-thinker/seed0 [--layers 24] [--latency 0.05] [--failing 0.3]

It prints, over the rounds, the median step with and without the judge and their ratio, the judge's latency, and the
time that a step waited for it. Then it draws one step as a time line: rollout, open requests, reference pass, wait
and update.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import shutil
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from aiohttp import web
from rich.console import Console
from safetensors.torch import load_file, save_file

import harken.grpo.step as grpo_step
from harken.config import load_recipe
from harken.grpo.loop import train
from harken.grpo.rewarding import Rewarder
from harken.models.architectures import resolve_checkpoint
from harken.system.files import write_json

RECIPES = Path(__file__).parents[1] / "recipes"

Span = tuple[str, float, float]
"""A part of a step: its name, start and end."""


def serve(port, calls, latency_s: float, failing: float) -> None:
    """Answer 1.0 after `latency_s`, or 500 to an even share of the calls; queue (arrival, answer) of each call."""
    count = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal count
        arrived = time.time()
        text = (await request.json())["messages"][0]["content"]
        count += 1
        fails = int(count * failing) > int((count - 1) * failing)
        await asyncio.sleep(latency_s)
        score = "1" if "End of the reasoning:" in text else "1.0"
        choice = {"index": 0, "message": {"role": "assistant", "content": score}, "finish_reason": "stop"}
        calls.put((arrived, time.time()))
        return web.json_response({} if fails else {"id": "x", "choices": [choice]}, status=500 if fails else 200)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port.put(listener.getsockname()[1])
        server = web.Application()
        server.router.add_post("/v1/chat/completions", answer)
        web.run_app(server, sock=listener, print=None, access_log=None)


@contextlib.contextmanager
def traced(spans: list[Span]) -> Iterator[None]:
    """Append (name, start, end) of each part of a step, by wall clock."""
    originals = grpo_step.score_with_reference, grpo_step.update, Rewarder.reward

    def timed(name, function):
        def run(*arguments, **options):
            started = time.time()
            result = function(*arguments, **options)
            spans.append((name, started, time.time()))
            return result

        return run

    grpo_step.score_with_reference = timed("reference", originals[0])
    grpo_step.update = timed("update", originals[1])
    Rewarder.reward = timed("wait and reward", originals[2])
    try:
        yield
    finally:
        grpo_step.score_with_reference, grpo_step.update, Rewarder.reward = originals


def deeper(start: Path, out: Path, layers: int) -> None:
    """Write the checkpoint `start` with `layers` blocks: the further ones are copies of its last, with zero outputs."""
    shutil.copytree(start, out, ignore=shutil.ignore_patterns("trainer"))
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    text = config["text_config"]
    last = f"model.layers.{text['num_hidden_layers'] - 1}."
    weights = load_file(out / "model.safetensors")
    for name in [name for name in weights if name.startswith(last)]:
        is_output = name.endswith(("o_proj.weight", "down_proj.weight"))
        for layer in range(text["num_hidden_layers"], layers):
            copy = torch.zeros_like(weights[name]) if is_output else weights[name].clone()
            weights[f"model.layers.{layer}.{name.removeprefix(last)}"] = copy
    text |= {"num_hidden_layers": layers, "layer_types": ["full_attention"] * layers}
    save_file(weights, out / "model.safetensors", {"format": "pt"})
    write_json(out / "config.json", config)


def run(model: Path, data: Path, realaqa: Path, out: Path, steps: int, judge: str | None) -> list[dict]:
    """Metric rows of a short run of the judged recipe, or of the same recipe without a judge."""
    settings = {
        "model.path": model,
        "data.train.0.file": data,
        "data.train.0.audio_root": realaqa,
        "prompt.prompt_file": RECIPES / "realaqa_thinker.txt",
        "grpo.steps": steps,
        "logging.evaluate_every": "null",
    }
    if judge is not None:
        settings |= {"judge.endpoint.base_url": judge, "judge.endpoint.concurrency": 64, "judge.max_failed_share": 1.0}
        settings |= {"judge.endpoint.retries": 1, "judge.endpoint.retry_wait_s": 0.01}
    name = "realaqa_thinker_atar.yaml" if judge is None else "realaqa_thinker_judged.yaml"
    recipe = load_recipe(RECIPES / name, [f"{key}={value}" for key, value in settings.items()])
    train(recipe, out, Console(quiet=True))
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def time_line(spans: list[Span], width: int = 72) -> str:
    """One line for each span, drawn to scale."""
    begin, end = min(span[1] for span in spans), max(span[2] for span in spans)
    lines = []
    for name, started, ended in spans:
        left = round((started - begin) / (end - begin) * width)
        length = max(1, round((ended - started) / (end - begin) * width))
        lines.append(
            f"{name:22s} {(started - begin) * 1e3:7.0f} to {(ended - begin) * 1e3:7.0f} ms  {' ' * left}{'#' * length}"
        )
    return "\n".join(lines)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("start", type=Path, help="folder that recipes/realaqa_thinker.sh wrote: sft and data in it")
    parser.add_argument("--realaqa", type=Path, default=Path("../shared/realaqa"))
    parser.add_argument("--layers", type=int, help="layers of the language model; default: its own")
    parser.add_argument("--latency", type=float, default=0.05, help="of the judge, seconds")
    parser.add_argument("--failing", type=float, default=0.0, help="share of calls answered by an error")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def main() -> None:
    options = read_options()
    context = multiprocessing.get_context("spawn")
    port, calls = context.Queue(), context.Queue()
    server = context.Process(target=serve, args=(port, calls, options.latency, options.failing), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{port.get()}/v1"
    with_judge: list[dict] = []
    without: list[dict] = []
    spans: list[Span] = []
    last: list[Span] = []
    with tempfile.TemporaryDirectory() as folder, traced(spans):
        data, model = options.start / "data" / "grpo.jsonl", Path(resolve_checkpoint(str(options.start / "sft")))
        if options.layers is not None:
            deeper(model, model := Path(folder) / "model", options.layers)
        for n in range(options.rounds):
            for judge, rows in ((url, with_judge), (None, without)):
                out = Path(folder) / f"{n}-{judge is not None}"
                spans.clear()
                rows += run(model, data, options.realaqa, out, options.steps, judge)[1:]  # the first step warms up
                if judge is not None:
                    last = spans[-3:]
    server.terminate()
    print_medians(with_judge, without)
    times = []
    while not calls.empty():
        times.append(calls.get())
    print_last_step(last, times, with_judge[-1]["time/rollout_s"])


def print_medians(with_judge: list[dict], without: list[dict]) -> None:
    def median(rows: list[dict], key: str) -> float:
        return statistics.median(row[key] for row in rows)

    judged_s, plain_s = median(with_judge, "time/step_s"), median(without, "time/step_s")
    print(f"step with the judge {judged_s:.3f} s, without {plain_s:.3f} s:")
    print(f"  {judged_s / plain_s - 1:+.1%} over {len(without)} steps each, in turn")
    requests, failed = median(with_judge, "judge/asked"), median(with_judge, "judge/failed_share")
    print(f"{requests:.0f} requests a step, {failed:.1%} failed")
    latency_s, waited_s = median(with_judge, "time/judge_latency_s"), median(with_judge, "time/judge_wait_s")
    print(f"the judge's latency is {latency_s:.3f} s, a step waits {waited_s:.3f} s for it")


def print_last_step(last: list[Span], calls: list[tuple[float, float]], rollout_s: float) -> None:
    """The time line of the last step with the judge.

    Args:
        calls: (arrival, answer) of each request.
    """
    reference = next(span for span in last if span[0] == "reference")
    began = reference[1] - rollout_s
    shown: list[Span] = [("rollout", began, reference[1])]
    open_calls = [call for call in calls if began <= call[0] <= last[-1][2]]
    if open_calls:
        first, end = min(call[0] for call in open_calls), max(call[1] for call in open_calls)
        shown.append((f"{len(open_calls)} open requests", first, end))
    print("\nthe last step with the judge:\n" + time_line([*shown, *last]))


if __name__ == "__main__":
    main()
