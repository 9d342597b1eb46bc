"""A question about a video -> the same question about its sound.

"video(s)" becomes "audio(s)" and "frame(s)" "segment(s)", as whole words, case kept (Audio-Thinker, appendix C).
Choices stay as they are. Not taken: replacing inside words ("videotape"), as public code does.
"""

import re

_WORDS = {"video": "audio", "frame": "segment"}
_PATTERN = re.compile(r"\b(video|frame)(s?)\b", re.IGNORECASE)


def about_sound(text: str) -> str:
    """
    Example:
        >>> about_sound("What happens in the Video?")
        'What happens in the Audio?'
    """
    return _PATTERN.sub(lambda found: _cased(_WORDS[found[1].lower()], found[1]) + found[2], text)


def _cased(word: str, like: str) -> str:
    if like.isupper():
        return word.upper()
    return word.capitalize() if like[0].isupper() else word
