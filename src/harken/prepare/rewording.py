"""Reword a question about a video so that it asks about the sound.

"video(s)" becomes "audio(s)" and "frame(s)" becomes "segment(s)", as whole words ("videotape" stays) and with their
case kept (Audio-Thinker, appendix C). Choices are not reworded.
"""

import re

_REPLACEMENTS = {"video": "audio", "frame": "segment"}
_WORD = re.compile(r"\b(video|frame)(s?)\b", re.IGNORECASE)


def reword_for_audio(text: str) -> str:
    """
    Example:
        >>> reword_for_audio("What happens in the Video?")
        'What happens in the Audio?'
    """
    return _WORD.sub(lambda match: _like(match[1], _REPLACEMENTS[match[1].lower()]) + match[2], text)


def _like(original: str, word: str) -> str:
    """The word in the case of the original."""
    if original.isupper():
        return word.upper()
    return word.capitalize() if original[0].isupper() else word
