"""`reward`: what a completion earns. docs/rewards.md describes each part."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from harken.config.section import Section


class AdaptiveOptions(Section):
    """Switches of the adaptive think accuracy reward (Audio-Thinker 4.2)."""

    consistency: Literal["equation", "correct_only"] | None = None
    """Multiply by 1 + 0.5 R_c, the judge's verdict on whether the reasoning supports the answer. equation: always, as
    equation 7 prints it [P]. correct_only: where the answer is right, as the text says it. null: no judge is asked."""
    balance: bool = True
    """Penalty factors that favour the rarer of the two modes and fade out until the last step [P]."""
    balance_scope: Literal["step", "group"] = "step"
    """What the share of thinking is counted over: all completions of the step, or those of one prompt [O]."""


BUILT_IN_REWARDS = ("accuracy", "format", "adaptive", "quality")


class RewardPart(Section):
    """One term of the reward."""

    name: str
    """accuracy: 1 where the graded choice is right, else 0 [P]. format: 1 where the whole output has the form asked
    for, else 0 [P]. adaptive: Audio-Thinker's R_a, or R_a (1 + 0.5 R_c) with `options.consistency` [P]. quality: the
    judge's score of the reasoning, R_t [P]. `module:function`: a function of yours, see docs/rewards.md."""
    weight: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    options: AdaptiveOptions | None = None
    """Of adaptive alone; default: all switches at theirs."""

    @model_validator(mode="after")
    def is_known(self) -> "RewardPart":
        module, colon, function = self.name.partition(":")
        names_function = all(part.isidentifier() for part in (*module.split("."), function))
        if self.name not in BUILT_IN_REWARDS and not (colon and names_function):
            raise ValueError(
                f"name: no such reward; one of {', '.join(BUILT_IN_REWARDS)}, or module:function for one of yours"
            )
        if self.weight == 0:
            raise ValueError("weight: a part of weight 0 rewards nothing: remove it")
        if self.options is not None and self.name != "adaptive":
            raise ValueError("options: belong to the part adaptive")
        return self


class RewardConfig(Section):
    parts: tuple[RewardPart, ...] = Field(default=(RewardPart(name="accuracy"),), min_length=1)
    """The reward is the sum of weight x part. Omni-R1: accuracy alone [P]."""

    @model_validator(mode="after")
    def every_part_is_named_once(self) -> "RewardConfig":
        names = self.names
        if len(set(names)) < len(names):
            raise ValueError(f"parts: a part is named twice: {', '.join(names)}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.parts)

    @property
    def adaptive(self) -> AdaptiveOptions | None:
        """The switches of the part adaptive; None where the reward has no such part."""
        found = [part.options or AdaptiveOptions() for part in self.parts if part.name == "adaptive"]
        return found[0] if found else None

    @property
    def judged(self) -> frozenset[Literal["consistency", "quality"]]:
        """What a judge is asked."""
        consistency = self.adaptive is not None and self.adaptive.consistency is not None
        return frozenset([*(["consistency"] if consistency else []), *(["quality"] if "quality" in self.names else [])])
