"""Whether a match inside a text is whole words: "bass" is no word of "bass_guitar", "3" is none of "3.5" or "3-4"."""

import unicodedata

from harken.questions.readings import GLUE

# Scripts written without spaces, where a neighbouring letter does not make a longer word.
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # kana
    (0x3400, 0x9FFF),  # Han
    (0xAC00, 0xD7AF),  # Hangul: spaced, but particles are joined to the word
    (0x20000, 0x3FFFF),  # Han, rare
)


def is_joined_left(text: str, start: int) -> bool:
    """Whether what stands before `start` makes the match part of a longer word or number."""
    if start == 0:
        return False
    far, near, edge = text[start - 2] if start > 1 else " ", text[start - 1], text[start]
    if near == GLUE:
        return True
    if not _is_word(edge):
        return _is_word(near) or near == edge  # "+" in "c++", "-3" in "10-3"
    if _is_word(near):
        return not (_is_unspaced(near) or _is_unspaced(edge))
    if near in "_/":
        return _is_word(far) and not (_is_unspaced(far) or _is_unspaced(edge))
    if edge.isdigit():
        if near in "-+.":
            return not far.isalpha() and far != near  # a sign, a range, a decimal point
        return near in ",:" and far.isdigit()
    return False


def is_joined_right(text: str, end: int) -> bool:
    """Whether what stands at `end` makes the match part of a longer word or number."""
    if end == len(text):
        return False
    edge, near, far = text[end - 1], text[end], text[end + 1] if end + 1 < len(text) else " "
    if near == GLUE:
        return True
    if near in "_/:":  # 6/8, f#:7/1, 0:08
        return _is_word(far) and not (_is_unspaced(far) or _is_unspaced(edge))
    if not _is_word(edge):
        return _is_word(near) or near == edge
    if _is_word(near):
        return not (_is_unspaced(near) or _is_unspaced(edge))
    if edge.isdigit() and near in ".,-":
        return far.isdigit()
    return near in "#♯♭+" and not _is_unspaced(edge)  # f is not named by f#, c not by c++


def _is_word(char: str) -> bool:
    return char.isalnum() or (not char.isascii() and unicodedata.category(char)[0] == "M")


def _is_unspaced(char: str) -> bool:
    return char > "\u0dff" and any(low <= ord(char) <= high for low, high in _UNSPACED)
