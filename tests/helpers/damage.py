"""Damages the bytes of a file: as a power cut, a full disk, an editor or another program does, and by its structure.

`damaged(content, kind, rng)` draws one damage. The same generator gives the same damage.
"""

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import yaml

NUMBERS = [
    "9" * 400,
    "-" + "9" * 5000,
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "-1",
    "0",
    "0.5",
    "1e308",
    "true",
    "null",
]
DEEP: Any = None
for _ in range(90):
    DEEP = [DEEP]
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 7, 2**31, 2**63, 2**70, 10**99, 0.5, -0.0, 1e308),
    *(
        "",
        " ",
        "x",
        "a dog",
        "NaN",
        "\0",
        "\ud800",
        "../../etc/passwd",
        "/",
        ".",
        "<|im_end|>",
        "x" * 5000,
        "\u202e\x1b[31m",
    ),
    *([], {}, [[]], [None], ["a", "a"], {"": None}, {"a": {"b": 1}}, DEEP),
]
"""What a value may become."""


BY_STRUCTURE = ("a value", "no value", "another key", "one more", "a type", "moved")
"""Damages after which the file is still JSON or YAML."""


def damaged(content: bytes, kind: str, rng: random.Random) -> tuple[str, bytes]:
    """(name of the damage, damaged bytes).

    Args:
        kind: json, jsonl, yaml, or anything else, which is damaged by its bytes alone.
    """
    if kind in _STRUCTURED and rng.random() < 0.6:
        changed = _by_structure(content, kind, rng)
        if changed is not None:
            return changed
    name = rng.choice(list(_BY_BYTES))
    return name, _BY_BYTES[name](content, rng)


def _span(content: bytes, rng: random.Random, longest: int = 200) -> tuple[int, int]:
    start = rng.randrange(len(content) + 1)
    return start, min(len(content), start + rng.randrange(1, longest))


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _cut_out(content: bytes, rng: random.Random) -> bytes:
    start, end = _span(content, rng)
    return content[:start] + content[end:]


def _flip(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 3, 20])):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _insert(content: bytes, rng: random.Random) -> bytes:
    start, _ = _span(content, rng)
    choices = [b"\xff\xfe", b"\xed\xa0\x80", b"\0", b"{", b"[" * 3000, b"}", b"]", b'"', b"\n", b"\r\n", b",", b": "]
    choices += [rng.randbytes(rng.randrange(1, 30)), "\u2028".encode(), "\ufeff".encode(), b"&a *a", b"!!set ", b"\t"]
    return content[:start] + rng.choice(choices) + content[start:]


def _nul(content: bytes, rng: random.Random) -> bytes:
    """As a file system leaves blocks that were never written."""
    start = rng.randrange(len(content) + 1)
    end = len(content) if rng.random() < 0.7 else min(len(content), start + rng.randrange(1, 512))
    return content[:start] + b"\0" * (end - start) + content[end:]


def _repeat(content: bytes, rng: random.Random) -> bytes:
    start, end = _span(content, rng, 2000)
    return content[:end] + content[start:]


def _number(content: bytes, rng: random.Random) -> bytes:
    """Another number in the place of one."""
    places = [i for i, byte in enumerate(content[:20_000]) if 48 <= byte <= 57]
    if not places:
        return content + rng.choice(NUMBERS).encode()
    start = end = rng.choice(places)
    while end < len(content) and content[end : end + 1] in b"0123456789.":
        end += 1
    return content[:start] + rng.choice(NUMBERS).encode() + content[end:]


def _lines(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    rng.shuffle(lines)
    return b"\n".join(lines)


_BY_BYTES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "cut": _cut,
    "cut out": _cut_out,
    "bits flipped": _flip,
    "bytes inserted": _insert,
    "NUL bytes": _nul,
    "repeated": _repeat,
    "a number": _number,
    "lines in another order": _lines,
    "empty": lambda content, rng: b"",
    "another file": lambda content, rng: rng.choice([b"[]", b"{}", b"null", b"0", b'"x"', b"[1]\n", b"\n\n", b"- a\n"]),
    "Latin-1": lambda content, rng: content.decode("utf-8", "replace").encode("latin-1", "replace") + b"\xe4\n",
    "UTF-16": lambda content, rng: content.decode("utf-8", "replace").encode("utf-16"),
    "Windows line ends": lambda content, rng: content.replace(b"\n", b"\r\n"),
}


def _by_structure(content: bytes, kind: str, rng: random.Random) -> tuple[str, bytes] | None:
    read, write = _STRUCTURED[kind]
    try:
        whole = copy.deepcopy(read(content))
    except (ValueError, yaml.YAMLError):
        return None
    places = _places(whole)
    if not places:
        return None
    holder, key = rng.choice(places)
    name = rng.choice(["a value", "a value", *BY_STRUCTURE])
    if name == "a value":
        holder[key] = rng.choice(VALUES)
    elif name == "no value":
        del holder[key]
    elif name == "another key" and isinstance(holder, dict):
        holder[rng.choice(["x", "", "id ", "step ", "\0"])] = holder.pop(key)
    elif name == "one more":
        if isinstance(holder, dict):
            holder[rng.choice(["extra", "clips", "n", "step", "loss"])] = rng.choice(VALUES)
        else:
            holder.insert(0, rng.choice(VALUES))
    elif name == "a type":
        holder[key] = _other_type(holder[key])
    else:
        other, other_key = rng.choice(places)
        holder[key] = (
            copy.deepcopy(other[other_key])
            if other_key in (other if isinstance(other, dict) else range(len(other)))
            else None
        )
    try:
        return name, write(whole)
    except (ValueError, RecursionError, yaml.YAMLError):
        return None


def _other_type(value: Any) -> Any:
    if isinstance(value, str):
        return [value]
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        return dict.fromkeys(map(str, range(len(value))))
    return list(value) if isinstance(value, dict) else {"was": None}


def _places(value: Any) -> list[tuple[Any, Any]]:
    """(holder, key) of every value in it, at most some hundred."""
    places, open_ = [], [value]
    while open_ and len(places) < 400:
        holder = open_.pop(0)
        keys = list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        for key in keys:
            places.append((holder, key))
            open_.append(holder[key])
    return places


def _read_lines(content: bytes) -> list[Any]:
    return [json.loads(line) for line in content.decode("utf-8").split("\n") if line.strip()]


def _write_lines(rows: Any) -> bytes:
    values = rows if isinstance(rows, list) else [rows]
    return "".join(json.dumps(row) + "\n" for row in values).encode()


_STRUCTURED: dict[str, tuple[Callable[[bytes], Any], Callable[[Any], bytes]]] = {
    "json": (lambda content: json.loads(content.decode("utf-8")), lambda value: json.dumps(value).encode()),
    "jsonl": (_read_lines, _write_lines),
    "yaml": (lambda content: yaml.safe_load(content), lambda value: yaml.safe_dump(value).encode()),
}
