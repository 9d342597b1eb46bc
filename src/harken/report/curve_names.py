"""What each figure of a metric row is called in the report: its title, its unit, and the section that it stands in."""

SECTIONS = ("Rewards and accuracy", "Answers and thinking", "Policy", "Speed and memory", "Everything else")

_SHARE, _REWARD, _NATS = "share", "reward", "nats per token"
_NAMES = {
    "dev/accuracy": ("Accuracy on the development questions", _SHARE),
    "dev/n": ("Development questions", "questions"),
    "reward/mean": ("Reward", _REWARD),
    "reward/std_in_group": ("Reward: standard deviation within a group", _REWARD),
    "reward/equal_groups": ("Groups with equal rewards", _SHARE),
    "resample/rounds": ("Rounds of replaced prompts", "rounds"),
    "resample/prompts": ("Prompts sampled in a step", "prompts"),
    "resample/equal_groups_first": ("Groups with equal rewards before prompts were replaced", _SHARE),
    "answer/unreadable": ("Unreadable answers", _SHARE),
    "completion/length_mean": ("Mean completion length", "tokens"),
    "completion/length_max": ("Longest completion", "tokens"),
    "completion/truncated": ("Completions cut at the maximum length", _SHARE),
    "think/rate": ("Valid completions that think", _SHARE),
    "think/malformed": ("Malformed completions", _SHARE),
    "think/accuracy_think": ("Accuracy of completions that think", _SHARE),
    "think/accuracy_no_think": ("Accuracy of completions without thinking", _SHARE),
    "think/reasoning_words": ("Length of the reasoning", "words"),
    "think/lambda": ("Adaptive reward: mean λ", "λ"),
    "think/factor_think": ("Adaptive reward: factor for thinking", "factor"),
    "think/factor_no_think": ("Adaptive reward: factor without thinking", "factor"),
    "judge/consistency": ("Judge's score of consistency", "score"),
    "judge/quality": ("Judge's score of quality", "score"),
    "judge/asked": ("Calls of the judge", "calls"),
    "judge/failed": ("Failed calls of the judge", "calls"),
    "judge/failed_share": ("Failed calls of the judge", _SHARE),
    "loss/kl": ("KL divergence from the reference", _NATS),
    "loss/total": ("Loss", "loss"),
    "loss/sft": ("Loss on the answers", _NATS),
    "policy/entropy": ("Entropy", _NATS),
    "policy/grad_norm": ("Gradient norm", "norm"),
    "policy/clip_low": ("Tokens clipped below", _SHARE),
    "policy/clip_high": ("Tokens clipped above", _SHARE),
    "policy/ratio_max": ("Largest ratio to the old policy", "ratio"),
    "probe/wer": ("Word error rate on the probe", "errors per word"),
    "probe/loss": ("Loss on the probe", _NATS),
    "optim/learning_rate": ("Learning rate", "learning rate"),
    "time/step_s": ("Time of a step", "s"),
    "time/rollout_s": ("Time of a step's rollout", "s"),
    "time/tokens_per_s": ("Speed", "tokens per s"),
    "time/judge_wait_s": ("Time of a step's wait for the judge", "s"),
    "time/judge_latency_s": ("Time of a judge's reply", "s"),
    "memory/peak_gib": ("Peak memory", "GiB"),
    "memory/rss_gib": ("Memory of the process", "GiB"),
    "rollout/logp_gap_mean": ("Mean gap of log-probabilities, rollout to training", "nats"),
    "rollout/logp_gap_max": ("Largest gap of log-probabilities, rollout to training", "nats"),
    "rollout/importance_mean": ("Mean importance weight", "weight"),
    "rollout/importance_cut": ("Importance weights at the cap", _SHARE),
}
_ORDER = {key: index for index, key in enumerate(_NAMES)}
_DETAILS = {
    "_std": ("standard deviation", _REWARD),
    "_zero": ("zeros", _SHARE),
    "_equal_groups": ("groups with equal values", _SHARE),
}
"""Title and unit of the further figures of a reward part, by the ending of their keys."""
_ENDINGS = {"_s": "s", "_gib": "GiB", "_share": _SHARE, "_rate": _SHARE}
"""Units of figures that have no name here, by the ending of their keys."""


def title_and_unit(key: str) -> tuple[str, str]:
    """The title of a figure and the unit of its axis; a figure that has no name here is shown under its own key."""
    if key in _NAMES:
        return _NAMES[key]
    if key.startswith("think/no_think_"):
        return f"Valid completions without thinking: {key.removeprefix('think/no_think_')}", _SHARE
    if key.startswith("reward/"):
        name = key.replace("reward/", "Reward part: ")
        for ending, (words, unit) in _DETAILS.items():
            if key.endswith(ending):
                return f"{name.removesuffix(ending)}, {words}", unit
        return name, _REWARD
    return key, next((unit for ending, unit in _ENDINGS.items() if key.endswith(ending)), "value")


def section(key: str) -> str:
    if key == "dev/n" or key.endswith(tuple(_DETAILS)):
        return SECTIONS[4]
    if key.startswith(("time/", "memory/")):
        return SECTIONS[3]
    if key.startswith(("reward/", "dev/", "probe/")) or key == "loss/sft":
        return SECTIONS[0]
    if key.startswith(("answer/", "completion/")) or "think" in key or "judge" in key:
        return SECTIONS[1]
    return SECTIONS[2] if key in ("loss/kl", "loss/total", "policy/entropy", "policy/grad_norm") else SECTIONS[4]


def place(key: str) -> tuple[int, int, str]:
    """Where a figure stands: by its section, then in the order of the names, then by its key."""
    return SECTIONS.index(section(key)), _ORDER.get(key, len(_ORDER)), key
