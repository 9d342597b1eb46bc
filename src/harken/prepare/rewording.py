"""Reword a question about a video so that it asks about the sound.

"video(s)" becomes "audio(s)" and "frame(s)" becomes "segment(s)", as whole words ("videotape" stays) and with their
case kept (Audio-Thinker, appendix C). "a video" becomes "an audio". Words that name a thing stay: a video game, a
picture frame, the bike's frame, somebody watching a video, how many videos. Choices are not reworded.
"""

import re

_REPLACEMENTS = {"video": "audio", "frame": "segment"}
_BEFORE = {
    "video": ("music",),
    "frame": ("picture", "photo", "door", "window", "bed", "bike", "bicycle", "time", "metal", "wooden", "drum"),
}
_AFTER = {
    "video": (
        *("game", "gamer", "gaming", "player", "camera", "recorder", "conference", "conferencing", "call", "chat"),
        *("tape", "cassette", "screen", "wall", "store", "arcade", "console", "editor", "editing", "card"),
        *("surveillance", "projector", "monitor"),
    ),
    "frame": ("drum", "rate", "saw", "of mind", "of reference"),
}
_A_THING = {
    "video": re.compile(
        r"\b(?:watch|film|shoot|record|mak|tak|edit|upload)(?:e|s|es|ed|ing)?\s+(?:(?:an?|some|his|her|their|your)\s+)?$",
        re.IGNORECASE,
    ),
    "frame": re.compile(r"(?<!video)(?<!videos)['\u2019]s?\s+$", re.IGNORECASE),
}
"""What stands before a video or a frame that is a thing in the scene."""


def reword_for_audio(text: str) -> str:
    """
    Example:
        >>> reword_for_audio("Is this a Video of a video game?")
        'Is this an Audio of a video game?'
    """
    place, pieces = 0, []
    for match in re.finditer(r"\b(video|frame)(s?)\b", text, re.IGNORECASE):
        between = text[place : match.start()]
        if _is_a_thing(match[0].lower(), text[: match.start()], text[match.end() :]):
            pieces.append(between + match[0])
        else:
            word = _like(match[1], _REPLACEMENTS[match[1].lower()])
            pieces.append(_with_article(between, word) + word + match[2])
        place = match.end()
    return "".join([*pieces, text[place:]])


def _is_a_thing(word: str, before: str, after: str) -> bool:
    """Whether "video", "videos", "frame" or "frames" is no name for what the model hears."""
    singular = word.removesuffix("s")
    last = re.search(r"([A-Za-z]+)[ -]$", before)
    if (last is not None and last[1].lower() in _BEFORE[singular]) or _A_THING[singular].search(before):
        return True
    if word == "videos" and last is not None and last[1].lower() in ("many", "several"):
        return True
    following = re.match(r"[ -]([A-Za-z]+(?: mind| reference)?)", after)
    return following is not None and following[1].lower().removesuffix("s") in _AFTER[singular]


def _with_article(before: str, word: str) -> str:
    """The text in front of "audio" or "segment", its article fitting the word."""
    match = re.search(r"\b([Aa])[\s\"'(\u201c\u2018]+$", before)
    if match is None or word.lower() != "audio":
        return before
    n = "N" if word.isupper() and match[1] == "A" else "n"
    return before[: match.end(1)] + n + before[match.end(1) :]


def _like(original: str, word: str) -> str:
    """The word in the case of the original."""
    if original.isupper():
        return word.upper()
    return word.capitalize() if original[0].isupper() else word
