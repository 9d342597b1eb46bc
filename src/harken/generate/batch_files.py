"""Get replies through the batch files of a provider, which cost less and take hours.

`BatchFileClient` answers from stored replies and writes the other requests to a file, in the JSON lines of OpenAI's
batch interface. A person uploads the file, because every provider does that its own way. `store_batch_results` stores
the replies of the results file under their requests. After that the same command finds them as if a server had replied;
the repair of a bad reply is a request in the next file.
"""

import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from harken.config import EndpointConfig
from harken.data.records import read_records
from harken.errors import DataError, short_repr
from harken.system.json_lines import write_json_lines
from harken.system.model_messages import Failure, Reply, Request, parse_response, request_body
from harken.system.reply_cache import ReplyCache, cache_key

_KEY = re.compile(r"[0-9a-f]{64}")


class BatchFileClient:
    """A `GeneratorClient` that answers from stored replies and collects the requests that have none."""

    def __init__(self, config: EndpointConfig, cache: Path) -> None:
        self._config = config
        self._cache = ReplyCache(cache)
        self._missing: dict[str, dict[str, Any]] = {}
        self.prompt_tokens = self.completion_tokens = 0

    def close(self) -> None:
        """Let another process write the file of replies."""
        self._cache.close()

    @property
    def complete(self) -> bool:
        return not self._missing

    def send_all(self, requests: Iterable[Request]) -> Iterator[Reply | Failure]:
        for request in requests:
            body = request_body(self._config, request)
            key = cache_key(self._config, body, request.variant)
            reply = self._cache.get(key)
            if reply is None:
                self._missing[key] = body
                yield Failure("not sent yet")
            else:
                self.prompt_tokens += reply.prompt_tokens
                self.completion_tokens += reply.completion_tokens
                yield reply

    def write_requests(self, path: Path) -> int:
        """Write the requests without a reply, and return their number."""
        url = "/v1/chat/completions"
        rows = [{"custom_id": key, "method": "POST", "url": url, "body": body} for key, body in self._missing.items()]
        write_json_lines(path, rows)
        return len(rows)


def store_batch_results(path: Path, cache: Path) -> tuple[int, list[str]]:
    """Store the replies of a provider's file of results. A request whose result is no reply stays without one.

    Returns:
        The number of replies, and for each other result the reason why it is none.

    Raises DataError where the file cannot be read or belongs to other requests.
    """
    records, rejected = read_records(path)
    faults = [f"{path}:{record.line}: {record.reason}" for record in rejected]
    n_stored = 0
    with contextlib.closing(ReplyCache(cache)) as replies:
        for line, record in records:
            key = record.get("custom_id")
            if not isinstance(key, str) or not _KEY.fullmatch(key):
                reason = f"custom_id {short_repr(key)} is not one of harken's: is this the file of results?"
                raise DataError(f"{path}:{line}: {reason}")
            reply = _read_result(record)
            if isinstance(reply, Reply):
                replies.put(key, reply)
                n_stored += 1
            else:
                faults.append(f"{path}:{line}: {reply.reason}")
    return n_stored, faults


def _read_result(record: dict[str, Any]) -> Reply | Failure:
    response = record.get("response")
    if not isinstance(response, dict) or response.get("status_code") != 200:
        return Failure(f"no reply: {short_repr(record.get('error') or response)}")
    return parse_response("chat", json.dumps(response.get("body")).encode())
