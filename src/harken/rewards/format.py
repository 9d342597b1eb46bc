"""Format reward R_f: takes a whole output and the form its prompt asked for, gives 1 or 0.

Not taken: a pattern searched for somewhere in the text, which grants the reward to nearly everything.
"""

from harken.questions.grader import form
from harken.questions.prompt import ExpectedForm


def format_reward(text: str, form_expected: ExpectedForm | None) -> float:
    """1.0 where the whole output has the form asked for, else 0.0 (Audio-Thinker 4.2.1).

    "answer" and "adaptive" accept both valid forms, "think" only thinking followed by an answer.
    Raises ValueError for None: a prompt that asks for no tags has no form to reward.
    """
    if form_expected is None:
        raise ValueError("this prompt style asks for no tags: remove the part format or set prompt.style: r1_aqa")
    accepted = ("think",) if form_expected == "think" else ("no_think", "think")
    return 1.0 if form(text) in accepted else 0.0
