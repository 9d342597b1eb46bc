"""The sources of the settings of the papers' recipes, from which settings_table.py takes marks and texts.

P: the paper states the value. S: a sibling has it, R1-AQA's code or ms-swift. O: it is ours, because nothing public
states one. Of several lines that fit a value, the first counts.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """The source of one value of one setting.

    Attributes:
        key: the setting, as in the table.
        value: as the table shows it; None for any.
        mark: P, S or O.
        text: the place that states the value, such as a section of the paper or a file of code.
        rows: beginnings of the names of the recipes that it holds for; "" for all.
    """

    key: str
    value: str | None
    mark: str
    text: str
    rows: tuple[str, ...] = ("",)


OMNI = ("omni_r1",)
R1 = ("r1_aqa",)
SARI = ("sari",)
THINKER = ("audio_thinker",)
R1_CODE = "R1-AQA's code, commit 5d24f31"
SWIFT = "ms-swift 3.4 to 3.12, `swift/trainers/arguments.py`"
NOT_STATED = "not stated"
LIKE_R1 = "not stated; R1-AQA's, which are its library's defaults"

_OF_THE_PAPERS = tuple(
    f"grpo.{key}"
    for key in (
        *("steps", "prompts_per_step", "completions_per_prompt", "temperature", "top_k", "top_p"),
        *("max_completion_tokens", "learning_rate", "beta", "normalization", "scale_rewards"),
    )
)

SOURCES = (
    # What is trained on what.
    Source("model.path", None, "P", "R1-AQA, section 3", R1),
    Source("model.path", None, "P", "the model of the row", (*OMNI, *THINKER)),
    Source("model.path", None, "O", "the run of `sari_sft`; SARI's stages", SARI),
    Source("model.train", "everything", "P", 'Omni-R1, section III-A: "full fine-tuning"', OMNI),
    Source("model.train", "everything", "S", f"{R1_CODE}: nothing is frozen", R1),
    Source(
        "model.train", "everything", "O", "not stated; one note says LoRA of rank 8, unconfirmed", (*THINKER, *SARI)
    ),
    Source("data.train", "avqa_reasoning", "P", "section 5.1.1: rationales for AVQA by a language model", THINKER),
    Source("data.train", None, "P", "the data of the row", (*OMNI, *THINKER)),
    Source("data.train", None, "S", R1_CODE, R1),
    Source("data.train", None, "O", "SARI's own data is not public", SARI),
    Source("prompt.style", "omni_r1", "P", "section III-A", OMNI),
    Source("prompt.style", "adaptive", "P", "section 4.1; the wording is ours [O]", THINKER),
    Source(
        "prompt.style", None, "S", f"{R1_CODE}: prompts with `<answer>` and `<think>`; the paper's own is not public"
    ),
    *(Source(key, None, "O", "SARI's own is not public; Audio-Thinker's", SARI) for key in ("reward", *_OF_THE_PAPERS)),
    Source("reward", "accuracy", "P", "equation 2", OMNI),
    Source("reward", "accuracy + format", "S", f"{NOT_STATED}; {R1_CODE}", THINKER),
    Source("reward", "accuracy + format", "S", R1_CODE, R1),
    Source(
        *("reward", None, "P", "equation 7 as printed, which multiplies the rewards of wrong answers too"),
        ("audio_thinker_model_f_equation",),
    ),
    Source("reward", "adaptive + 0.5 format", "P", "equation 7 without R_c and R_t", THINKER),
    Source(
        "reward",
        None,
        "P",
        'equation 7; section 4.2.5: consistency "exclusively when the final answer is correct"',
        THINKER,
    ),
    Source("judge", "none", "P", "the row has no judged reward"),
    Source("judge", "Qwen/Qwen3-8B-Base", "P", "sections 4.2.3 and 4.2.4", THINKER),
    Source("data.order", "pass_rate", "S", "SARI: from easy to hard", SARI),
    Source("data.order", "shuffled", "S", f"{R1_CODE}: the trainer's random sampler"),
    # GRPO.
    Source("grpo.steps", "1000", "S", R1_CODE, R1),
    Source("grpo.steps", None, "P", "section IV-A: 1,000, and 2,000 for VGGS-GPT", OMNI),
    Source("grpo.steps", "1000", "P", "section 5.1.2", THINKER),
    Source(
        "grpo.prompts_per_step",
        "8",
        "P",
        'section IV-A: 4 cards x 1 x 2, "effective batch size of 8"; read as prompts [O]',
        OMNI,
    ),
    Source(
        "grpo.prompts_per_step",
        "2",
        "S",
        "ms-swift counts completions in a batch: 16 of them are 2 prompts x 8",
        THINKER,
    ),
    Source(
        "grpo.prompts_per_step",
        "16",
        "P",
        'section 5.1.2: 8 cards x 1 x 2, "effective batch size of 16"; read as prompts [O]',
        THINKER,
    ),
    Source("grpo.prompts_per_step", "16", "S", f"{R1_CODE}: 8 cards x 1 x 2 prompts", R1),
    Source("grpo.completions_per_prompt", "4", "P", "section IV-A", OMNI),
    Source("grpo.completions_per_prompt", "8", "P", "section 5.1.2", THINKER),
    Source("grpo.completions_per_prompt", "8", "S", R1_CODE, R1),
    Source("grpo.temperature", "1.2", "P", "section IV-A", OMNI),
    Source("grpo.temperature", "1.0", "P", "section 5.1.2", THINKER),
    Source("grpo.temperature", "1.0", "S", R1_CODE, R1),
    Source(
        "grpo.top_k",
        "50",
        "S",
        "R1-AQA's trainer on transformers 4.49: `GenerationConfig` without top_k, default 50",
        (*OMNI, *R1),
    ),
    Source("grpo.top_k", "50", "S", f"{SWIFT}: `top_k: int = 50`", THINKER),
    Source("grpo.top_k", "0", "O", "without the siblings' default"),
    Source("grpo.top_p", "1.0", "S", "R1-AQA's trainer on transformers 4.49: default 1", (*OMNI, *R1)),
    Source("grpo.top_p", "0.9", "S", f"{SWIFT}: `top_p: float = 0.9`", THINKER),
    Source("grpo.top_p", "1.0", "O", "without the sibling's default", THINKER),
    Source("grpo.max_completion_tokens", "64", "O", "not stated; direct answers"),
    Source("grpo.max_completion_tokens", "512", "O", "not stated; answers with reasoning"),
    Source("grpo.learning_rate", "1e-06", "P", "section IV-A", OMNI),
    Source("grpo.learning_rate", "1e-06", "P", "section 5.1.2", THINKER),
    Source("grpo.learning_rate", "1e-06", "S", R1_CODE, R1),
    Source("grpo.schedule", "linear", "S", f"{LIKE_R1} (ms-swift: cosine)"),
    Source("grpo.warmup_share", "0.0", "S", LIKE_R1),
    Source("grpo.betas", "0.9, 0.999", "S", f"{LIKE_R1} (ms-swift: 0.9, 0.95)"),
    Source("grpo.weight_decay", "0.0", "S", f"{LIKE_R1} (ms-swift: 0.1)"),
    Source("grpo.max_grad_norm", "1.0", "S", LIKE_R1),
    Source("grpo.beta", "0.04", "P", "section IV-A", OMNI),
    Source("grpo.beta", "0.04", "P", "section 5.1.2", THINKER),
    Source("grpo.beta", "0.04", "S", R1_CODE, R1),
    Source("grpo.clip_low", "0.2", "O", f"{NOT_STATED}; without effect at one update"),
    Source("grpo.clip_high", "0.2", "O", f"{NOT_STATED}; without effect at one update"),
    Source("grpo.num_iterations", "1", "S", f"{R1_CODE}: one update for each rollout"),
    Source("grpo.normalization", "grpo", "P", "equation 3", OMNI),
    Source("grpo.normalization", "grpo", "P", "equation 9", THINKER),
    Source("grpo.normalization", "grpo", "S", R1_CODE, R1),
    Source(
        "grpo.scale_rewards", "True", "P", "equation 1; the constant 1e-4 and the unbiased std are R1-AQA's [S]", OMNI
    ),
    Source(
        "grpo.scale_rewards",
        "True",
        "P",
        "equation 8; the constant 1e-4 and the unbiased std are R1-AQA's [S]",
        THINKER,
    ),
    Source("grpo.scale_rewards", "True", "S", R1_CODE, R1),
    Source(
        "grpo.temperature_in_loss",
        "False",
        "S",
        f"{R1_CODE}: log-probabilities of the logits as they are, neither divided nor cut",
    ),
    Source("grpo.mask_truncated", "False", "S", f"{R1_CODE}: cut completions stay in the loss"),
    # SFT.
    Source("sft.betas", None, "O", f"{NOT_STATED}; AdamW's defaults"),
    Source("sft.weight_decay", None, "O", NOT_STATED),
    *(
        Source(f"sft.{key}", None, "O", NOT_STATED)
        for key in ("epochs", "prompts_per_step", "learning_rate", "schedule", "warmup_share")
    ),
    # Evaluation.
    Source("model", None, "P", "the model of the row"),
    Source("temperature", "0.0", "O", f"{NOT_STATED}; greedy"),
    Source("max_completion_tokens", None, "O", f"{NOT_STATED}; 64 for direct answers, 512 with reasoning"),
)
