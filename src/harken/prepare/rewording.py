"""Reword a question about a video so that it asks about the sound.

"video(s)" becomes "audio(s)" and "frame(s)" becomes "segment(s)", as whole words ("videotape" stays) and with their
case kept (Audio-Thinker, appendix C). "a video" becomes "an audio". Compounds that name a thing stay: a video game, a
picture frame. Choices are not reworded.
"""

import re

_REPLACEMENTS = {"video": "audio", "frame": "segment"}
_BEFORE = {
    "video": ("music",),
    "frame": ("picture", "photo", "door", "window", "bed", "bike", "bicycle", "time", "metal", "wooden", "drum"),
}
_AFTER = {
    "video": (
        *("game", "games", "gamer", "player", "players", "camera", "cameras", "recorder", "recorders", "conference"),
        *("call", "calls", "chat", "tape", "tapes", "screen", "wall", "store", "arcade", "console", "editor", "card"),
    ),
    "frame": ("drum", "drums", "rate", "saw"),
}


def reword_for_audio(text: str) -> str:
    """
    Example:
        >>> reword_for_audio("Is this a Video of a video game?")
        'Is this an Audio of a video game?'
    """
    place, pieces = 0, []
    for match in re.finditer(r"\b(video|frame)(s?)\b", text, re.IGNORECASE):
        word = match[1].lower()
        before, after = text[place : match.start()], text[match.end() :]
        if _last_word(before) in _BEFORE[word] or _first_word(after) in _AFTER[word]:
            pieces.append(before + match[0])
        else:
            pieces.append(_with_article(before, word) + _like(match[1], _REPLACEMENTS[word]) + match[2])
        place = match.end()
    return "".join([*pieces, text[place:]])


def _last_word(text: str) -> str:
    match = re.search(r"([A-Za-z]+)[ -]$", text)
    return match[1].lower() if match else ""


def _first_word(text: str) -> str:
    match = re.match(r"[ -]([A-Za-z]+)", text)
    return match[1].lower() if match else ""


def _with_article(before: str, word: str) -> str:
    """The text in front of the word, its article fitting "audio" or "segment"."""
    if word != "video":
        return before
    return re.sub(r"\b([Aa])(?= $)", r"\1n", before)


def _like(original: str, word: str) -> str:
    """The word in the case of the original."""
    if original.isupper():
        return word.upper()
    return word.capitalize() if original[0].isupper() else word
