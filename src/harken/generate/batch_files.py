"""Asking through the providers' batch files, which cost less and take hours.

Takes requests, gives a file of those that no reply is stored for, in the JSON lines that OpenAI's batch interface and
those like it read; takes the file of results that comes back and stores its replies under the content of their
requests. From there on nothing differs from asking a server: a repair of a bad reply is a request of the next file.
Not taken: uploading and waiting, which every provider does its own way.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from harken.config import EndpointConfig
from harken.data.records import read_records
from harken.errors import DataError, short_repr
from harken.system.json_lines import write_json_lines
from harken.system.model_requests import Failure, Reply, Request, parse_response, request_body
from harken.system.reply_cache import ReplyCache, cache_key

_KEY = re.compile(r"[0-9a-f]{64}")


class BatchAsker:
    """Answers from stored replies alone and notes the requests that have none."""

    def __init__(self, config: EndpointConfig, cache: Path) -> None:
        self._config = config
        self._cache = ReplyCache(cache)
        self._missing: dict[str, dict] = {}
        self.prompt_tokens = self.completion_tokens = 0

    @property
    def complete(self) -> bool:
        return not self._missing

    def ask_all(self, requests: Iterable[Request]) -> Iterator[Reply | Failure]:
        for request in requests:
            body = request_body(self._config, request)
            key = cache_key(self._config, body, request.variant)
            known = self._cache.get(key)
            if known is None:
                self._missing[key] = body
                yield Failure("not asked yet")
            else:
                self.prompt_tokens += known.prompt_tokens
                self.completion_tokens += known.completion_tokens
                yield known

    def write(self, path: Path) -> int:
        """Write the requests without a reply; how many they are."""
        url = "/v1/chat/completions"
        rows = [{"custom_id": key, "method": "POST", "url": url, "body": body} for key, body in self._missing.items()]
        write_json_lines(path, rows)
        return len(rows)


def store_results(path: Path, cache: Path) -> tuple[int, list[str]]:
    """Store the replies in a provider's file of results: (how many, why each of the others is none).

    Raises DataError where the file cannot be read. A request whose result is no reply stays without one.
    """
    records, rejected = read_records(path)
    faults = [f"{path}:{one.line}: {one.reason}" for one in rejected]
    stored = 0
    replies = ReplyCache(cache)
    for line, record in records:
        key, response = record.get("custom_id"), record.get("response")
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            said = f"custom_id {short_repr(key)} is none of harken's: is this the file of results?"
            raise DataError(f"{path}:{line}: {said}")
        if not isinstance(response, dict) or response.get("status_code") != 200:
            faults.append(f"{path}:{line}: no reply: {short_repr(record.get('error') or response)}")
            continue
        reply = parse_response("chat", json.dumps(response.get("body")).encode())
        if isinstance(reply, Reply):
            replies.put(key, reply)
            stored += 1
        else:
            faults.append(f"{path}:{line}: {reply.reason}")
    return stored, faults
