"""Reasons why records were rejected, by their kind: thousands of records usually have a few faults."""

import re
from collections import Counter
from collections.abc import Iterable

_RECORD = re.compile(r"^record \d+: ")
_KIND = re.compile(r"(?:[a-z_]+: )?(?:(?!: | \(|; ).)*")
_VALUE = re.compile(r"(?<!key )'[^']*'|\"[^\"]*\"|(?<=line )\d+")
_FILE = re.compile(r"[/\\]|\.\w{2,5}(#\S*|:\d+)?$")
"""What a reason begins with that is about a file: a path, or a name with an ending, with a line or a part of it."""


def commonest_reasons(reasons: Iterable[str]) -> str:
    """The three commonest kinds of reasons with their numbers and an example each, a line each for an error; "" where
    there are none."""
    example: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for reason in reasons:
        kind = reason_kind(reason)
        example.setdefault(kind, reason)
        counts[kind] += 1
    lines = [f"\n  {n:,} x {example[kind]}" for kind, n in counts.most_common(3)]
    return f". The commonest:{''.join(lines)}" if lines else ""


def reason_kind(reason: str) -> str:
    """Cut a reason before its value, detail or advice, and put dots for values and lines inside it. The name of a field
    says too little alone, so what follows it stays.

    Example:
        >>> reason_kind("record 2: answer out of range: 7 of 4")
        'answer out of range'
        >>> reason_kind("id 'q1' is taken by the record in line 3")
        'id ... is taken by the record in line ...'
        >>> reason_kind("clips/dog 1.wav: no such file")
        'no such file'
        >>> reason_kind("audio_path: holds no sound: ''; name the clip")
        'audio_path: holds no sound'
    """
    text = _RECORD.sub("", reason)
    place, colon, rest = text.partition(": ")
    while colon and _FILE.search(place):
        text = rest
        place, colon, rest = text.partition(": ")
    match = _KIND.match(text)
    return _VALUE.sub("...", text if match is None else match[0])[:120]
