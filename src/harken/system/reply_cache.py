"""Replies of language models, kept on disk so that no request is sent twice.

A reply is stored under a hash of its request. A program that was killed and starts again finds the replies that had
already arrived.
"""

import hashlib
import json
import threading
import weakref
from pathlib import Path
from typing import Any

from harken.config import EndpointConfig
from harken.system.json_lines import append_json_lines
from harken.system.json_text import parse_json
from harken.system.model_messages import Reply
from harken.system.run_files import REPLIES, reopened_with_places
from harken.system.writer_lock import WriterLock

_FIX = "no stored reply; move the file away"


class ReplyCache:
    """Replies in a file of JSON lines; each reply is written when it arrives. May be used from several threads.

    Memory holds the hashes and the places of the replies in the file: about 200 bytes a reply.

    Args:
        path: the file; None keeps the replies in memory only.

    Raises DataError when the file holds anything other than replies, InUseError while another process writes it. The
    file is free again after `close`, or when the cache is deleted.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._replies: dict[str, Reply] = {}
        self._places: dict[bytes, int] = {}
        writer = WriterLock.of_file(path) if path is not None else None
        if writer is not None:
            writer.acquire()
        self._release = weakref.finalize(self, lambda: None if writer is None else writer.release())
        if path is not None:
            for row, start, _ in reopened_with_places(path, REPLIES, _FIX):
                self._places[_short(row["key"])] = start

    def close(self) -> None:
        """Let another process write the file."""
        self._release()

    def __len__(self) -> int:
        return len(self._places) or len(self._replies)

    def get(self, key: str) -> Reply | None:
        if self._path is None:
            return self._replies.get(key)
        start = self._places.get(_short(key))
        if start is None:
            return None
        with self._path.open("rb") as file:
            file.seek(start)
            row = parse_json(file.readline())
        prompt_tokens, completion_tokens = row.get("tokens", (0, 0))
        return Reply(row["text"], row["ended"], prompt_tokens, completion_tokens, row.get("reasoning", ""))

    def put(self, key: str, reply: Reply) -> None:
        """Raises HarkenError when the reply cannot be written, for example because the disk is full."""
        tokens = [reply.prompt_tokens, reply.completion_tokens]
        with self._lock:
            if self._path is None:
                self._replies[key] = reply
                return
            start = self._path.stat().st_size if self._path.exists() else 0
            row = {"key": key, "text": reply.text, "ended": reply.ended, "tokens": tokens}
            append_json_lines(self._path, [row | ({"reasoning": reply.reasoning} if reply.reasoning else {})])
            self._places[_short(key)] = start


def _short(key: str) -> bytes:
    """The bytes of a hash, which take half of the memory of its text; those of the text where it is none."""
    try:
        return bytes.fromhex(key)
    except ValueError:
        return key.encode("utf-8", "surrogatepass")


def cache_key(config: EndpointConfig, body: dict[str, Any], variant: str) -> str:
    """The key that a request's reply is stored under.

    The server's address and the name of its token limit are not part of it: when another server takes over, the replies
    are still valid.
    """
    body = {"max_tokens" if name == config.max_tokens_key else name: value for name, value in body.items()}
    content = json.dumps([config.api, body, variant], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
