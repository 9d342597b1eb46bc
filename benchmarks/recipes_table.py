"""docs/recipes.md from the recipes themselves: what each stands for, its command, what it costs.

    python benchmarks/recipes_table.py

Takes the comment lines and the resolved settings of every shipped recipe. Hours are arithmetic from the passes measured
on one H100 (docs/performance.md), for the one model and the completion lengths measured; else nothing is said.
Not taken: a table kept by hand.
"""

from pathlib import Path
from typing import Any

import jinja2

from harken.config import Recipe, parse, read_yaml
from harken.config.builtin_recipes import about, shipped_recipes
from harken.system.files import write_text

PAGE = Path(__file__).parents[1] / "docs" / "recipes.md"
SECONDS_PER_PROMPT = {64: 0.338 + 0.621, 512: 0.469 + 6.375}
"""max_completion_tokens -> policy pass and rollout of one prompt at G = 8 with checkpointing, at 16 and 256 tokens."""
MEASURED = "Qwen/Qwen2.5-Omni-7B"


def page() -> str:
    """The whole page."""
    rows: dict[str, list[tuple[str, ...]]] = {"training": [], "evaluation": [], "cpu": []}
    for name, file in shipped_recipes().items():
        values = read_yaml(file)
        kind = (
            "cpu" if name.startswith("realaqa") else "training" if isinstance(values["model"], dict) else "evaluation"
        )
        stands_for, commands = about(file)
        row = (stands_for.removesuffix("."), "<br>".join(f"`{one}`" for one in commands))
        rows[kind].append((*row, hours(values, commands, str(file))) if kind == "training" else row)
    heading = ("row of the paper", "command")
    text = Path(__file__).with_suffix(".md.j2").read_text(encoding="utf-8")
    return jinja2.Template(text, undefined=jinja2.StrictUndefined, keep_trailing_newline=True).render(
        training=table((*heading, "H100 hours"), rows["training"]),
        evaluation=table(heading, rows["evaluation"]),
        cpu=table(("what", "command"), rows["cpu"]),
        short=SECONDS_PER_PROMPT[64],
        long=SECONDS_PER_PROMPT[512],
    )


def hours(values: dict[str, Any], commands: list[str], origin: str) -> str:
    recipe = parse(Recipe, values, origin)
    if recipe.model.path != MEASURED or not commands[0].startswith("harken train"):
        return "not measured"
    if recipe.data.train[0].audio == "none" or "arc" in recipe.name:
        return "not measured"
    grpo = recipe.grpo
    seconds = grpo.steps * grpo.prompts_per_step * SECONDS_PER_PROMPT[grpo.max_completion_tokens]
    return f"{seconds / 3600:.1f}"


def table(heading: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heading, ("---",) * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    write_text(PAGE, page())
