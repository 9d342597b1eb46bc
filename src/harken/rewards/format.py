"""The format reward R_f: whether the whole output has the form that its prompt asks for.

The whole output must match. A pattern that is only searched for somewhere in the text rewards nearly every output.
"""

from harken.questions.output_parts import form
from harken.questions.prompt import ExpectedForm


def format_reward(text: str, form_expected: ExpectedForm | None) -> float:
    """1.0 where the whole output has the expected form, else 0.0 (Audio-Thinker, section 4.2.1).

    "answer" and "adaptive" accept both valid forms; "think" accepts only thinking followed by an answer.
    Raises ValueError for None: a prompt that asks for no tags has no form to reward.
    """
    if form_expected is None:
        raise ValueError("this prompt style asks for no tags: remove the part format or set prompt.style: r1_aqa")
    accepted = ("think",) if form_expected == "think" else ("no_think", "think")
    return 1.0 if form(text) in accepted else 0.0
