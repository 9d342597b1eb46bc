"""Where the answer of an output stands, which form the output has, and its reasoning.

Training and evaluation call these functions with the text of a completion. The text is data: whatever it holds, nothing
raises, and the time stays linear in its length.
"""

import re

from harken.types import Form

_BLOCKS = re.compile(r"(?:<think>(.*)</think>\s*)?<answer>(.*)</answer>", re.DOTALL)
_THINKING = r"think(?:ing)?|thoughts?|reasoning|seed:think"
_ANSWERING = r"answer|response|final_answer|final|output"
_TAGS = re.compile(
    rf"(?P<think_open><(?:{_THINKING})>|\[(?:{_THINKING})\]|◁think▷)"
    rf"|(?P<think_close></(?:{_THINKING})>|\[/(?:{_THINKING})\]|◁/think▷)"
    rf"|(?P<answer_open><(?:{_ANSWERING})>)"
    rf"|(?P<answer_close></(?:{_ANSWERING})>)"
    r"|(?P<channel><\|channel\|>\s*(?P<name>[a-z]+)[^<]{0,40}<\|message\|>)"
    r"|(?P<end><\|(?:return|end|im_end|eot_id)\|>)",
    re.IGNORECASE,
)


def answer_part(text: str) -> str | None:
    """The part of an output that answers; None where its thinking never ends.

    It is the body of the first answer tag after the last thinking has ended; without an answer tag it is all that
    follows the thinking, and without thinking it is the whole text. An answer tag that never closes reaches to the end
    of the text. Tags count in the spelling that other models use, too (`<THINK>`, `<thinking>`, `[THINK]`,
    `<RESPONSE>`, the channels of harmony), because published and served outputs are graded by the same rule; only
    `<think>` and `<answer>` are a valid form (see `form`).
    """
    tags = list(_TAGS.finditer(text))
    start = 0
    thinking = False
    for tag in tags:
        if tag.lastgroup == "think_open" or (tag["channel"] and tag["name"].lower() != "final"):
            thinking = True
        elif tag["think_close"] or tag["channel"]:
            start, thinking = tag.end(), False
    if thinking:
        return None
    end = len(text)
    for tag in tags:
        if tag.start() < start:
            continue
        if tag["answer_open"]:
            closing = next((t.start() for t in tags if t.start() >= tag.end() and (t["answer_close"] or t["end"])), end)
            return text[tag.end() : closing]
        if tag["end"]:
            end = tag.start()
            break
    return text[start:end]


def form(text: str) -> Form:
    """The form of a whole output, for R_f (Audio-Thinker, arXiv 2508.08039, 4.2.1) and for think rates.

    no_think is `<answer>..</answer>`, think is `<think>..</think><answer>..</answer>`: each tag stands once, the bodies
    are not blank, and nothing but whitespace stands outside. Every other output is malformed.
    """
    text = text.strip()
    thinks, *other_counts = (text.count(tag) for tag in ("<think>", "</think>", "<answer>", "</answer>"))
    if thinks > 1 or other_counts != [thinks, 1, 1]:
        return "malformed"
    blocks = _BLOCKS.fullmatch(text)  # every tag stands once, so nothing is tried twice
    if not blocks or not blocks[2].strip():
        return "malformed"
    if thinks == 0:
        return "no_think"
    return "think" if (blocks[1] or "").strip() else "malformed"


def form_of_output(text: str, *, tags_asked: bool) -> Form | None:
    """The form of an output; None where the prompt asked for no tags and the output has none of the valid forms.

    An output can be malformed only where a form was asked for. A model that thinks by itself has its form either way.
    """
    kind = form(text)
    return kind if tags_asked or kind != "malformed" else None


def reasoning(text: str) -> str:
    """The body of `<think>` in an output of the form think, without whitespace at its edges; "" for other outputs."""
    if form(text) != "think":
        return ""
    return text.partition("<think>")[2].partition("</think>")[0].strip()
