"""The built-in recipes by kind, and what each row of Audio-Thinker's table 1 is."""

from harken.config import Recipe, load_any_recipe
from harken.config.builtin_recipes import builtin_recipes

BASES = {"omni_r1", "audio_thinker", "zero_shot", "realaqa", "realaqa_thinker"}
"""Recipes that others extend and that are not run themselves."""
FILES = {name: file for name, file in builtin_recipes().items() if name not in BASES}
TRAINING = [name for name, file in FILES.items() if isinstance(load_any_recipe(file), Recipe)]
EVALUATION = [name for name in FILES if name not in TRAINING]

ROWS = {
    # row: base, prompt, longest completion, reward; Audio-Thinker's table 1
    "sft_a": ("qwen2_audio", "r1_aqa", None, None),
    "sft_b": ("qwen2_audio", "r1_aqa_think", None, None),
    "grpo_a": ("qwen2_audio", "r1_aqa", 64, "accuracy + format"),
    "grpo_b": ("qwen2_audio", "r1_aqa_think", 512, "accuracy + format"),
    "model_a": ("qwen2_audio", "adaptive", 512, "adaptive + 0.5 format"),
    "model_b": ("qwen2_audio", "adaptive", 512, "adaptive correct_only + 0.5 format"),
    "model_c": ("qwen2_audio", "adaptive", 512, "adaptive correct_only + 0.5 format + quality"),
    "sft_c": ("qwen2_5_omni", "r1_aqa", None, None),
    "sft_d": ("qwen2_5_omni", "r1_aqa_think", None, None),
    "grpo_c": ("qwen2_5_omni", "r1_aqa", 64, "accuracy + format"),
    "grpo_d": ("qwen2_5_omni", "r1_aqa_think", 512, "accuracy + format"),
    "model_d": ("qwen2_5_omni", "adaptive", 512, "adaptive + 0.5 format"),
    "model_e": ("qwen2_5_omni", "adaptive", 512, "adaptive correct_only + 0.5 format"),
    "model_f": ("qwen2_5_omni", "adaptive", 512, "adaptive correct_only + 0.5 format + quality"),
}
READINGS = ("untruncated", "2_prompts", "equation")
"""Last words of recipes that read a row of a paper in another way."""
BASELINES = {"random_guess", "most_frequent_choice"}
OWN = ("Ours, no row of the paper", "Real recordings on a CPU")
"""First words of recipes that stand for no published row."""


def arch_of(name: str) -> str:
    row = name.removeprefix("audio_thinker_")
    if row in ROWS:
        return ROWS[row][0]
    return "qwen2_audio" if "qwen2_audio" in name or name == "r1_aqa" else "qwen2_5_omni"
