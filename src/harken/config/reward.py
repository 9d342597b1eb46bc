"""The section `reward`: what a completion earns (docs/rewards.md)."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from harken.config.plugins import installed, is_object_name
from harken.config.section import PositiveInt, Section
from harken.errors import did_you_mean

Consistency = Literal["equation", "correct_only"]
"""Which rewards the judge's verdict on consistency multiplies."""


class AdaptiveOptions(Section):
    """Switches of the part adaptive, the adaptive think accuracy reward (Audio-Thinker 4.2)."""

    consistency: Consistency | None = None
    """Multiply the reward by 1 + 0.5 R_c, where the judge's verdict R_c says whether the reasoning supports the answer.
    correct_only: where the answer is right, as the paper's text has it [P]; the recipes take it. equation: for every
    completion, as equation 7 is printed [P]. null: no judge is needed."""
    thinking_price: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Replace R_a by 1 for a right answer and 0 for a wrong one, minus this price where the model thought and minus
    what `balance` takes. Thinking then wins on a question where it raises accuracy by more than the price [O]. It
    needs advantages that are not divided by a group's deviation (grpo.scale_rewards: false). null: R_a as in the paper,
    which pays thinking where the model is unsure [P] (docs/rewards.md)."""
    balance: bool = True
    """Use penalty factors that favour the rarer of the two modes and fade out until the last step [P]."""
    balance_scope: Literal["step", "group"] = "step"
    """The completions over which the share of thinking is counted: all of the step, or those of one prompt [O]."""

    @model_validator(mode="after")
    def a_price_has_no_consistency(self) -> "AdaptiveOptions":
        if self.thinking_price is not None and self.consistency is not None:
            raise ValueError("thinking_price: consistency multiplies the R_a of the paper: set one of the two")
        return self


class ListeningOptions(Section):
    """What the part listening compares each completion with (docs/rewards.md)."""

    against: Literal["none", "silence", "noise", "shuffled"] = "none"
    """What is heard in place of the clip while the same completions are scored again: nothing at all, silence, noise,
    or the clip of another question of the training data [O]. A model that was never asked without a clip may be far
    off there, and shuffled is then the fairer comparison."""
    measure: Literal["log_probability", "correctness"] = "log_probability"
    """log_probability: by how many nats the completion is more likely with the clip, divided by `bound` and cut to
    [-1, 1] [O]. correctness: for a right completion 1 minus the probability that the same right answers are given
    without the clip, else 0 [O]; for short answers."""
    bound: Annotated[float, Field(gt=0)] = 2.0
    """The nats at which the reward is 1, for log_probability [O]. With 2 it is 1 where the clip makes the completion
    7.4 times as likely."""
    per_token: bool = False
    """Divide the nats by the number of tokens, for long completions: without it a reasoning reaches the bound early
    [O]. `bound` is then in nats a token."""
    only_correct: bool = True
    """Give 0 to a completion whose answer is wrong, so that a wrong answer earns nothing by hanging on the clip [O]."""


class OverlongOptions(Section):
    """How the part overlong grows (docs/rewards.md)."""

    buffer_tokens: PositiveInt
    """The number of last tokens before grpo.max_completion_tokens over which the penalty grows from 0 to -1. DAPO has
    4,096 of 20,480."""


BUILT_IN_REWARDS = ("accuracy", "format", "adaptive", "quality", "listening", "open_answer", "transcript", "overlong")
OPEN_REWARDS = ("open_answer", "transcript")
"""The parts that score open questions; they give 0 to a question with choices, and accuracy gives 0 to an open one."""
Judgement = Literal["consistency", "quality", "answer"]
"""The judgements of a judge that can earn a completion a reward."""


class RewardPart(Section):
    """One term of the reward."""

    name: str
    """accuracy: 1 where the graded choice is right, else 0 [P]. format: 1 where the whole output has the form that the
    prompt asks for, else 0 [P]. adaptive: Audio-Thinker's R_a, as `reward.adaptive` says, or R_a (1 + 0.5 R_c) [P].
    quality: R_t, the judge's score of the reasoning [P]. listening: what the clip adds to the completion's probability,
    in one more pass over the same completions, as `reward.listening` says [O]. open_answer: for a question without
    choices, the judge's score of the answer against the reference, or by the question's rubric [O]. transcript: for a
    question without choices, 1 - the word error rate against the reference, at least 0 [O]. overlong: DAPO's soft
    penalty, 0 to -1, of completions near grpo.max_completion_tokens, as `reward.overlong` says. `module:function`: a
    function of yours (docs/rewards.md), also under the name that an installed package gives it."""
    weight: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    """The factor of this part in the sum."""

    @model_validator(mode="after")
    def name_is_known(self) -> "RewardPart":
        known = (*BUILT_IN_REWARDS, *installed("reward"))
        if self.name not in known and not is_object_name(self.name):
            raise ValueError(
                f"name: no such reward{did_you_mean(self.name, known)}; one of {', '.join(known)}, or module:function "
                "for one of yours"
            )
        if self.weight == 0:
            raise ValueError("weight: a part of weight 0 rewards nothing: remove it")
        return self


class RewardConfig(Section):
    """The reward of a completion, as a weighted sum of parts."""

    parts: tuple[RewardPart, ...] = Field(default=(RewardPart(name="accuracy"),), min_length=1)
    """The reward is the sum of weight x part. Omni-R1 has accuracy alone [P]."""
    adaptive: AdaptiveOptions | None = None
    """The options of the part adaptive. Default: those of `AdaptiveOptions`, where the reward has the part."""
    listening: ListeningOptions | None = None
    """The options of the part listening. Default: those of `ListeningOptions`, where the reward has the part."""
    overlong: OverlongOptions | None = None
    """The options of the part overlong, which needs them."""

    @model_validator(mode="after")
    def every_part_is_named_once(self) -> "RewardConfig":
        names = self.names
        if len(set(names)) < len(names):
            raise ValueError(f"parts: a part is named twice: {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def options_have_their_part(self) -> "RewardConfig":
        for name in ("adaptive", "listening", "overlong"):
            if getattr(self, name) is not None and name not in self.names:
                raise ValueError(
                    f"{name}: has options and is no part of the reward: add it to reward.parts, or remove it"
                )
        return self

    @model_validator(mode="after")
    def overlong_has_its_buffer(self) -> "RewardConfig":
        if self.overlong is None and "overlong" in self.names:
            raise ValueError(
                "parts: overlong: set overlong.buffer_tokens, the last tokens over which the penalty grows"
            )
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.parts)

    @property
    def adaptive_options(self) -> AdaptiveOptions | None:
        """The options of the part adaptive; None where the reward has no such part."""
        return (self.adaptive or AdaptiveOptions()) if "adaptive" in self.names else None

    @property
    def listening_options(self) -> ListeningOptions | None:
        """The options of the part listening; None where the reward has no such part."""
        return (self.listening or ListeningOptions()) if "listening" in self.names else None

    @property
    def scores_open_answers(self) -> bool:
        """Whether a part scores questions without choices; a function of the user's own may."""
        return any(name in OPEN_REWARDS or name not in BUILT_IN_REWARDS for name in self.names)

    @property
    def judged(self) -> frozenset[Judgement]:
        """The judgements that the reward needs."""
        judgements: set[Judgement] = set()
        adaptive = self.adaptive_options
        if adaptive is not None and adaptive.consistency is not None:
            judgements.add("consistency")
        if "quality" in self.names:
            judgements.add("quality")
        if "open_answer" in self.names:
            judgements.add("answer")
        return frozenset(judgements)
