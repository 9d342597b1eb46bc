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
from harken.system.model_messages import Reply
from harken.system.run_files import REPLIES, reopen_rows
from harken.system.writer_lock import WriterLock


class ReplyCache:
    """Replies in a file of JSON lines; each reply is written when it arrives. May be used from several threads.

    Args:
        path: the file; None keeps the replies in memory only.

    Raises DataError when the file holds anything other than replies, InUseError while another process writes it. The
    file is free again after `close`, or when the cache is deleted.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._replies: dict[str, Reply] = {}
        writer = WriterLock.of_file(path) if path is not None else None
        if writer is not None:
            writer.acquire()
        self._release = weakref.finalize(self, lambda: None if writer is None else writer.release())
        for row in [] if path is None else reopen_rows(path, REPLIES, "no stored reply; move the file away"):
            prompt_tokens, completion_tokens = row.get("tokens", (0, 0))
            self._replies[row["key"]] = Reply(
                row["text"], row["ended"], prompt_tokens, completion_tokens, row.get("reasoning", "")
            )

    def close(self) -> None:
        """Let another process write the file."""
        self._release()

    def get(self, key: str) -> Reply | None:
        return self._replies.get(key)

    def put(self, key: str, reply: Reply) -> None:
        """Raises HarkenError when the reply cannot be written, for example because the disk is full."""
        tokens = [reply.prompt_tokens, reply.completion_tokens]
        with self._lock:
            self._replies[key] = reply
            if self._path is not None:
                row = {"key": key, "text": reply.text, "ended": reply.ended, "tokens": tokens}
                append_json_lines(self._path, [row | ({"reasoning": reply.reasoning} if reply.reasoning else {})])


def cache_key(config: EndpointConfig, body: dict[str, Any], variant: str) -> str:
    """The key that a request's reply is stored under.

    The server's address and the name of its token limit are not part of it: when another server takes over, the replies
    are still valid.
    """
    body = {"max_tokens" if name == config.max_tokens_key else name: value for name, value in body.items()}
    content = json.dumps([config.api, body, variant], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
