"""A language model behind an OpenAI-compatible server: requests in, replies or failures out, nothing lost.

Takes chat or completion requests, gives for each a `Reply` or a `Failure` with its reason; never raises for what a
server does. Used by evaluation of served models, question and reasoning generation, and judges. Requests run side by
side on a thread of their own, so that callers stay ordinary code and can go on computing. aiohttp carries them; the
reply is parsed here, strictly, because a server may answer anything. Replies are kept on disk by content, line by line:
a killed run asks nothing twice. Not taken: the openai package, a call of which takes several times the processor time
from the training beside it; and following redirects, which could carry the key elsewhere.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import random
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from harken.config import EndpointConfig
from harken.errors import ConfigError, DataError, shown
from harken.system.files import json_line

LONGEST_WAIT_S = 60.0
LONGEST_REPLY_BYTES = 1 << 24
_FATAL = {401: "the key was refused", 403: "access was refused", 404: "no such model or path"}


@dataclass(frozen=True, slots=True)
class Request:
    """One thing to ask.

    Attributes:
        content: chat messages for the chat endpoint, a text for the completion endpoint.
        options: further fields of the request's body, such as stop or seed.
        variant: tells apart requests of equal content that are to be asked anew (the k-th of several samples). Not
            sent.
    """

    content: str | list[dict[str, Any]]
    max_tokens: int
    temperature: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model wrote. `ended` is False where it was cut at max_tokens.

    Attributes:
        prompt_tokens, completion_tokens: as the server counts them; 0 where it does not say.
    """

    text: str
    ended: bool
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no reply. `fatal` where asking anything else would fail in the same way (key, model name, path)."""

    reason: str
    fatal: bool = False


class ReplyCache:
    """Replies by content in one JSON-lines file, each line written at once; `None` keeps them in memory only.

    A line that a killed process left half written is cut off when the file is opened again.
    Raises DataError where the file holds anything else that is no reply.
    """

    def __init__(self, path: Path | None) -> None:
        self._replies: dict[str, Reply] = {}
        self._lock = threading.Lock()
        self._file = None
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        good = 0
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    break
                try:
                    row = json.loads(line)
                    self._replies[row["key"]] = Reply(row["text"], row["ended"], *row.get("tokens", (0, 0)))
                except (ValueError, KeyError, TypeError) as error:
                    raise DataError(f"{path}:{number}: not a stored reply ({error}); move the file away") from error
                good += len(line)
        os.truncate(path, good)
        self._file = path.open("ab")

    def get(self, key: str) -> Reply | None:
        return self._replies.get(key)

    def put(self, key: str, reply: Reply) -> None:
        with self._lock:
            self._replies[key] = reply
            if self._file is not None:
                row = {"key": key, "text": reply.text, "ended": reply.ended}
                row["tokens"] = [reply.prompt_tokens, reply.completion_tokens]
                self._file.write(json_line(row).encode("utf-8", errors="backslashreplace"))
                self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class Endpoint:
    """A server and the thread that talks to it. Use as a context manager, or call `close`.

    Attributes:
        asked, from_cache, failed, retried: counts so far, of requests (retried: of attempts beyond the first).

    Raises ConfigError where the recipe names a variable for the key that the environment does not hold.
    """

    def __init__(self, config: EndpointConfig, cache: Path | None = None) -> None:
        self.config = config
        self.asked = self.from_cache = self.failed = self.retried = 0
        self._key = _key(config)
        self._cache = ReplyCache(cache)
        self._next_slot_s = 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="endpoint", daemon=True)
        self._thread.start()
        self._client, self._slots = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()

    def __enter__(self) -> "Endpoint":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def submit(self, request: Request) -> "Future[Reply | Failure]":
        """Ask in the background. The future never holds an exception of the server's or the network's making."""
        return asyncio.run_coroutine_threadsafe(self._ask(request), self._loop)

    def ask_all(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply | Failure]]:
        """Ask each and give the replies in the order of the requests, reading a bounded number of requests ahead."""
        waiting: deque[tuple[Request, Future[Reply | Failure]]] = deque()
        ahead = 4 * self.config.concurrency
        for request in requests:
            waiting.append((request, self.submit(request)))
            while len(waiting) >= ahead or (waiting and waiting[0][1].done()):
                asked, future = waiting.popleft()
                yield asked, future.result()
        for asked, future in waiting:
            yield asked, future.result()

    def close(self) -> None:
        """Give up what is under way and release the connections."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._cache.close()

    async def _open(self) -> tuple[aiohttp.ClientSession, asyncio.Semaphore]:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),  # the semaphore limits
            headers={"Authorization": f"Bearer {self._key}"},
            timeout=aiohttp.ClientTimeout(total=self.config.timeout_s),
            proxy=_proxy(self.config.base_url),
        )
        return session, asyncio.Semaphore(self.config.concurrency)

    async def _shut(self) -> None:
        pending = asyncio.all_tasks() - {asyncio.current_task()}
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        await self._client.close()

    async def _ask(self, request: Request) -> Reply | Failure:
        body = request_body(self.config, request)
        key = content_key(self.config, body, request.variant)
        known = self._cache.get(key)
        self.asked += 1
        if known is not None:
            self.from_cache += 1
            return known
        attempts = 0
        while True:
            try:
                reply = await self._attempt(body)
            except _AttemptError as error:
                attempts += 1
                if not error.again or attempts > self.config.retries:
                    self.failed += 1
                    return Failure(error.reason, error.fatal)
                self.retried += 1
                await asyncio.sleep(self._wait_s(attempts, error))
            else:
                self._cache.put(key, reply)
                return reply

    async def _attempt(self, body: dict[str, Any]) -> Reply:
        async with self._slots:
            await self._rate()
            return await self._send(body)

    async def _send(self, body: dict[str, Any]) -> Reply:
        path = "chat/completions" if self.config.api == "chat" else "completions"
        url = f"{self.config.base_url.rstrip('/')}/{path}"
        try:
            async with self._client.post(url, json=body, allow_redirects=False) as response:
                content = await _whole(response)
        except TimeoutError as error:
            raise _AttemptError(f"no reply within {self.config.timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            cause = self._redacted(shown(str(error) or type(error).__name__))
            raise _AttemptError(f"{self.config.base_url}: cannot be reached: {cause}") from error
        if not 200 <= response.status < 300:
            raise self._status_failure(response, content)
        return _parse(self.config.api, content)

    def _status_failure(self, response: aiohttp.ClientResponse, content: bytes) -> "_AttemptError":
        status = response.status
        said = self._redacted(shown(content[:1000].decode("utf-8", errors="replace")))
        if status in _FATAL:
            where = f"{self.config.base_url} (model {self.config.model!r})"
            return _AttemptError(f"{where}: status {status}, {_FATAL[status]}: {said}", fatal=True, again=False)
        if 300 <= status < 400:
            moved = self._redacted(shown(response.headers.get("location", "an address it does not tell")))
            reason = f"{self.config.base_url}: status {status}, moved to {moved}; give the new address as base_url"
            return _AttemptError(reason, fatal=True, again=False)
        again = status in (408, 409, 425, 429) or status >= 500
        return _AttemptError(f"status {status}: {said}", again=again, wait_s=_retry_after_s(response))

    def _redacted(self, text: str) -> str:
        return text.replace(self._key, "***")

    async def _rate(self) -> None:
        if self.config.requests_per_minute is None:
            return
        now = time.monotonic()
        slot = max(now, self._next_slot_s)
        self._next_slot_s = slot + 60 / self.config.requests_per_minute
        await asyncio.sleep(slot - now)

    def _wait_s(self, attempts: int, error: "_AttemptError") -> float:
        """What the server asked for, else twice as long each time with jitter; a minute at most."""
        jittered_s = random.uniform(0, self.config.retry_wait_s * 2 ** min(attempts - 1, 16))
        return min(error.wait_s if error.wait_s is not None else jittered_s, LONGEST_WAIT_S)


class _AttemptError(Exception):
    def __init__(self, reason: str, *, fatal: bool = False, again: bool = True, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.fatal, self.again, self.wait_s = reason, fatal, again, wait_s


def _key(config: EndpointConfig) -> str:
    if config.api_key_env is None:
        return "none"
    key = os.environ.get(config.api_key_env, "")
    if not key:
        raise ConfigError(
            f"api_key_env: the environment variable {config.api_key_env} is not set; set it, or api_key_env: null for "
            "a server that wants no key"
        )
    return key


def request_body(config: EndpointConfig, request: Request) -> dict[str, Any]:
    """The body that is sent."""
    content = {"messages" if config.api == "chat" else "prompt": request.content}
    sampling = {"max_tokens": request.max_tokens, "temperature": request.temperature}
    return {"model": config.model, **content, **sampling, **request.options}


def content_key(config: EndpointConfig, body: dict[str, Any], variant: str) -> str:
    """What a reply is stored under. The address is left out: a server that comes back under another port is asked
    nothing twice."""
    content = json.dumps([config.api, body, variant], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def parse_reply(api: str, content: bytes) -> Reply | Failure:
    """The body of a response that came by another way, such as a provider's file of results."""
    try:
        return _parse(api, content)
    except _AttemptError as error:
        return Failure(error.reason)


def _parse(api: str, content: bytes) -> Reply:
    try:
        body = json.loads(content)
        choice = body["choices"][0]
        text = choice["message"]["content"] if api == "chat" else choice["text"]
        ended = choice.get("finish_reason") != "length"
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        beginning = shown(content[:200].decode("utf-8", errors="replace"))
        raise _AttemptError(f"not a reply of an OpenAI-compatible {api} endpoint: {beginning}") from error
    if not isinstance(text, str):
        raise _AttemptError(f"a reply without text: {shown(text)}")
    tokens = (_tokens(body, "prompt_tokens"), _tokens(body, "completion_tokens"))
    return Reply(text.encode("utf-8", errors="replace").decode("utf-8"), ended, *tokens)


def _tokens(body: dict[str, Any], name: str) -> int:
    usage = body.get("usage")
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if type(count) is int and 0 <= count < 2**53 else 0


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > LONGEST_REPLY_BYTES:
            raise _AttemptError(f"a reply of more than {LONGEST_REPLY_BYTES >> 20} MiB", again=False)
    return bytes(body)


def _proxy(url: str) -> str | None:
    """The proxy that the environment (https_proxy, no_proxy, ...) names for an address."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def _retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    with contextlib.suppress(ValueError):
        return max(0.0, float(response.headers.get("retry-after", "")))
    return None
