"""Get replies through the batch files of a provider, which cost less and take hours.

`BatchFileClient` answers from stored replies and writes the other requests to a file, in the JSON lines of OpenAI's
batch interface, or to several where one would be larger than the provider takes. A person uploads them, because every
provider does that its own way. `store_batch_results` stores the replies of a results file under their requests. After
that the same command finds them as if a server had replied; the repair of a bad reply is a request in the next file.
"""

import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from harken.config import EndpointConfig
from harken.data.records import iter_records
from harken.errors import DataError, short_repr
from harken.system.files import replace
from harken.system.json_lines import json_line
from harken.system.model_messages import Failure, Reply, Request, parse_response, request_body
from harken.system.reply_cache import ReplyCache, cache_key
from harken.types import Rejected

_KEY = re.compile(r"[0-9a-f]{64}")


MAX_REQUESTS, MAX_MB = 50_000, 200
"""The largest batch file that OpenAI takes; other providers take as much or more."""


class BatchFileClient:
    """A `GeneratorClient` that answers from stored replies and writes the requests that have none.

    Args:
        path: of the file of requests. Several files are named `<path>-001`, `-002` and so on, before the extension.
        max_requests, max_mb: the largest file.

    Attributes:
        n_missing: requests without a reply so far.
    """

    def __init__(
        self, config: EndpointConfig, cache: Path, path: Path, max_requests: int = MAX_REQUESTS, max_mb: float = MAX_MB
    ) -> None:
        self._config = config
        self._cache = ReplyCache(cache)
        self._keys: set[bytes] = set()
        self._files = _RequestFiles(path, max_requests, round(max_mb * 1_000_000))
        self.prompt_tokens = self.completion_tokens = 0

    def close(self) -> None:
        """Let another process write the file of replies, and remove files that were not finished."""
        self._cache.close()
        self._files.discard()

    @property
    def n_missing(self) -> int:
        return len(self._keys)

    @property
    def complete(self) -> bool:
        return not self._keys

    def send_all(self, requests: Iterable[Request]) -> Iterator[Reply | Failure]:
        for request in requests:
            body = request_body(self._config, request)
            key = cache_key(self._config, body, request.variant)
            reply = self._cache.get(key)
            if reply is None:
                if (digest := bytes.fromhex(key)[:16]) not in self._keys:
                    self._keys.add(digest)
                    self._files.add({"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": body})
                yield Failure("not sent yet")
            else:
                self.prompt_tokens += reply.prompt_tokens
                self.completion_tokens += reply.completion_tokens
                yield reply

    def finish(self) -> list[Path]:
        """Put the files of requests under their names, in the place of those of an earlier command. Returns them."""
        return self._files.finish()


class _RequestFiles:
    """Files of requests under temporary names, so that a killed command leaves none that looks whole."""

    def __init__(self, path: Path, max_requests: int, max_bytes: int) -> None:
        self._path, self._max_requests, self._max_bytes = path, max_requests, max_bytes
        self._parts: list[Path] = []
        self._file: BinaryIO | None = None
        self._n_requests = self._n_bytes = 0

    def add(self, row: dict[str, Any]) -> None:
        line = json_line(row).encode("utf-8")
        is_full = self._n_requests == self._max_requests or self._n_bytes + len(line) > self._max_bytes
        if self._file is None or (is_full and self._n_requests):
            self._begin()
        assert self._file is not None
        self._file.write(line)
        self._n_requests += 1
        self._n_bytes += len(line)

    def finish(self) -> list[Path]:
        self._close()
        names = [self._path]
        if len(self._parts) > 1:
            numbers = range(1, len(self._parts) + 1)
            names = [self._path.with_name(f"{self._path.stem}-{n:03d}{self._path.suffix}") for n in numbers]
        for part, name in zip(self._parts, names, strict=True):
            replace(part, name)
        for old in self._earlier_files():
            if old not in names:
                old.unlink()
        self._parts = []
        return names

    def discard(self) -> None:
        """Remove what was not finished."""
        self._close()
        for part in self._parts:
            part.unlink(missing_ok=True)

    def _begin(self) -> None:
        self._close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_name(f".{self._path.name}.{len(self._parts) + 1}.tmp")
        self._parts.append(part)
        self._file = part.open("wb")
        self._n_requests = self._n_bytes = 0

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _earlier_files(self) -> list[Path]:
        pattern = re.compile(rf"{re.escape(self._path.stem)}(?:-[0-9]{{3}})?{re.escape(self._path.suffix)}")
        return [path for path in self._path.parent.iterdir() if pattern.fullmatch(path.name)]


def store_batch_results(path: Path, cache: Path) -> tuple[int, list[str]]:
    """Store the replies of a provider's file of results. A request whose result is no reply stays without one.

    Returns:
        The number of replies, and for each other result the reason why it is none.

    Raises DataError where the file cannot be read or belongs to other requests.
    """
    faults: list[str] = []
    n_stored = 0
    with contextlib.closing(ReplyCache(cache)) as replies:
        for outcome in iter_records(path):
            if isinstance(outcome, Rejected):
                faults.append(f"{path}:{outcome.line}: {outcome.reason}")
                continue
            line, _, record = outcome
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
