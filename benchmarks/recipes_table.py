"""Writes docs/recipes.md from the recipes: what each stands for, its command, what it costs, and what writes its data.

    python benchmarks/recipes_table.py

The page comes from the comment lines and the resolved settings of every built-in recipe. Hours are computed from the
passes measured on one H100 (docs/performance.md), for the one model and the completion lengths that were measured.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

import jinja2

from harken.config import MemoryConfig, Recipe, load_any_recipe, read_values
from harken.config.builtin_recipes import about, builtin_recipes
from harken.system.files import write_text

PAGE = Path(__file__).parents[1] / "docs" / "recipes.md"
SECONDS_PER_PROMPT = {64: 0.338 + 0.621, 512: 0.469 + 6.375}
"""max_completion_tokens -> policy pass and rollout of one prompt at G = 8 with checkpointing, at 16 and 256 tokens."""
MEASURED_MODEL = "Qwen/Qwen2.5-Omni-7B"

SERVER = "--endpoint http://127.0.0.1:8000/v1 --model Qwen/Qwen2.5-Omni-7B"
DATA_COMMANDS = (
    "harken prepare avqa --annotations train_qa.json --media videos --out data/avqa",
    f"harken generate captions --manifest data/avqa/manifest.jsonl {SERVER} --out data/avqa_captions",
    f"harken generate questions --captions data/avqa_captions/captions.jsonl {SERVER} --out data/avqa_gpt",
    "harken generate reasoning --manifest data/avqa/manifest.jsonl --captions data/avqa_captions/captions.jsonl "
    f"{SERVER} --out data/avqa_reasoning",
    "harken prepare audiomcq --data AudioMCQ/data.jsonl --audio-root AudioMCQ --out data/audiomcq",
    "harken evaluate --model Qwen/Qwen2.5-Omni-7B --benchmark manifest --data data/avqa/manifest.jsonl --samples 8 "
    "--temperature 1 --out data/avqa_pass_rates",
    "harken prepare vggsound --list vggsound.csv --split train --media videos --out data/vggsound",
    "harken prepare audiosetcaps --captions VGGSound_AudioSetCaps_caption.csv "
    "--answers 'VGGSound_Qwen-Audio_Q&A.csv' --audio-root data/vggsound --out data/vggsound_captions",
    f"harken generate questions --captions data/vggsound_captions/manifest.jsonl {SERVER} --out data/vggs_gpt",
    "harken prepare arc --hub allenai/ai2_arc --config ARC-Easy --out data/arc_easy",
    "harken evaluate avqa_need_of_clip --listening --out data/avqa_listening",
    "harken evaluate avqa_need_of_clip --audio fragment:0.25 --out data/avqa_quarter",
    "harken prepare filter data/avqa/manifest.jsonl --without data/avqa_listening --without data/avqa_quarter "
    "--drop-right 2 --max-likelihood 0.5 --out data/avqa_need",
    "harken prepare jsonl --format open --data data/avqa/manifest.jsonl --audio-root data/avqa --out data/avqa_open",
    "harken prepare mmau --data data/mmau/mmau-test-mini.json --audio-root data/mmau --out data/mmau",
    "harken prepare jsonl --format open --data data/mmau/manifest.jsonl --audio-root data/mmau --out data/mmau_open",
    f"harken generate paraphrases --manifest data/mmau/manifest.jsonl {SERVER} --out data/mmau_words",
    "harken prepare jsonl --format open --hub openslr/librispeech_asr --config clean --split train.100 "
    "--out data/librispeech",
    "harken prepare jsonl --format open --hub openslr/librispeech_asr --config clean --split test "
    "--out data/librispeech_test",
)
"""The commands that write the data of the recipes, in the order in which they can be run."""
DOWNLOADED = {"data/mmau/mmau-test-mini.json": "the file of MMAU's test-mini, with its clips beside it"}
"""Files that recipes read as their publisher has them."""


def written_by(command: str) -> str:
    """The file that a recipe reads of what a command of DATA_COMMANDS writes."""
    words = shlex.split(command)
    names = {
        "--listening": "listening.jsonl",
        "captions": "captions.jsonl",
        "paraphrases": "paraphrases.jsonl",
        "evaluate": "pass_rates.jsonl",
    }
    name = next((names[word] for word in names if word in words), "manifest.jsonl")
    return f"{words[words.index('--out') + 1]}/{name}"


def page() -> str:
    """The whole page."""
    rows: dict[str, list[tuple[str, ...]]] = {"training": [], "evaluation": [], "cpu": [], "bases": []}
    for name, file in builtin_recipes().items():
        stands_for, commands = about(file)
        row = (stands_for.removesuffix("."), "<br>".join(f"`{command}`" for command in commands))
        if "name" not in read_values(file):
            rows["bases"].append((f"`{name}`", row[0]))
            continue
        recipe = load_any_recipe(file)
        if name.startswith("realaqa"):
            rows["cpu"].append(row)
        elif isinstance(recipe, Recipe):
            rows["training"].append((*row, hours(recipe, commands)))
        else:
            rows["evaluation"].append(row)
    text = Path(__file__).with_suffix(".md.j2").read_text(encoding="utf-8")
    return jinja2.Template(text, undefined=jinja2.StrictUndefined, keep_trailing_newline=True).render(
        training=table(("row of the paper", "command", "H100 hours"), rows["training"]),
        evaluation=table(("row of the paper", "command"), rows["evaluation"]),
        cpu=table(("what", "command"), rows["cpu"]),
        bases=table(("base", "what it holds"), rows["bases"]),
        data=table(("file", "command"), [(f"`{written_by(line)}`", f"`{line}`") for line in DATA_COMMANDS]),
        downloaded=DOWNLOADED,
        short=SECONDS_PER_PROMPT[64],
        long=SECONDS_PER_PROMPT[512],
    )


def hours(recipe: Recipe, commands: Sequence[str]) -> str:
    """H100 hours of a GRPO recipe's passes, or "not measured"."""
    if recipe.model.path != MEASURED_MODEL or not commands[0].startswith("harken train"):
        return "not measured"
    if recipe.data.train[0].audio == "none" or "arc" in recipe.name:
        return "not measured"
    if recipe.memory != MemoryConfig() or recipe.model.lora is not None:
        return "not measured"
    grpo = recipe.grpo
    if grpo.max_completion_tokens not in SECONDS_PER_PROMPT:
        return "not measured"
    seconds = grpo.steps * grpo.prompts_per_step * SECONDS_PER_PROMPT[grpo.max_completion_tokens]
    return f"{seconds / 3600:.1f}"


def table(heading: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heading, ("---",) * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    write_text(PAGE, page())
