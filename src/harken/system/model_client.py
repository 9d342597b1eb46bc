"""The client of OpenAI-compatible servers: it sends requests to a language model and returns replies or failures.

Evaluation of served models, generation of training data and judges all use it. Requests run side by side on a thread
of their own, so that callers stay ordinary code and can compute in the meantime. Whatever the server or the network
does becomes a `Failure` with its reason, never an exception.
"""

import asyncio
import random
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import aiohttp

from harken.config import EndpointConfig
from harken.errors import ServerError, short_repr
from harken.system.http_parts import AttemptError, api_key, header_value, proxy_of, read_body, retry_after_s
from harken.system.model_messages import (
    Failure,
    ListedModel,
    Reply,
    Request,
    parse_model_list,
    parse_response,
    request_body,
)
from harken.system.reply_cache import ReplyCache, cache_key

MAX_WAIT_S = 60.0
REACH_S = 10.0
"""How long a server may take to answer anything before a run is refused."""
MAX_CAUSE = 1000
"""Characters of a server's own words that a reason quotes."""
FATAL_STATUSES = {401: "the key was refused", 403: "access was refused", 404: "no such model or path"}
RETRIED_STATUSES = {408, 409, 425, 429}  # and 500 or more


def refuse_unreachable(config: EndpointConfig, key: str) -> None:
    """Raise ServerError where nothing answers at the address.

    Args:
        key: of the recipe, which the error begins with.
    """
    with ModelClient(config) as client:
        client.refuse_unreachable(key)


class ModelClient:
    """The connection to one server. Use it as a context manager, or call `close`.

    Args:
        cache: file of JSON lines that keeps the replies; None keeps them in memory only.

    Attributes:
        n_requests, n_cached, n_failed: requests so far, those answered from the cache, and those that failed.
        n_retried: attempts beyond the first one of each request.

    Raises ConfigError when the environment lacks the variable that holds the key.
    """

    def __init__(self, config: EndpointConfig, cache: Path | None = None) -> None:
        self.config = config
        self.n_requests = self.n_cached = self.n_failed = self.n_retried = 0
        self._key = api_key(config)
        self._extra_headers = {name: header_value(name, value) for name, value in config.extra_headers.items()}
        self._cache = ReplyCache(cache)
        self._next_slot_s = 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="model client", daemon=True)
        self._thread.start()
        self._session, self._free_connections = self._run(self._open()).result()

    def __enter__(self) -> "ModelClient":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def submit(self, request: Request) -> "Future[Reply | Failure]":
        """Send a request in the background. No fault of the server or the network becomes an exception."""
        return self._run(self._answer(request))

    def send_all(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply | Failure]]:
        """Send each request and yield it with its reply, in the order of the requests.

        At most four times `config.concurrency` requests are taken from the iterable before their replies are yielded.
        """
        pending: deque[tuple[Request, Future[Reply | Failure]]] = deque()
        for request in requests:
            pending.append((request, self.submit(request)))
            while len(pending) >= 4 * self.config.concurrency or (pending and pending[0][1].done()):
                earliest, reply = pending.popleft()
                yield earliest, reply.result()
        for request, reply in pending:
            yield request, reply.result()

    def list_models(self) -> "Future[tuple[ListedModel, ...]]":
        """Ask in the background which models the server has; () where it does not say."""
        return self._run(self._list_models())

    @property
    def has_replies(self) -> bool:
        """Whether a reply is kept, of this command or an earlier one."""
        return len(self._cache) > 0

    def refuse_unreachable(self, key: str) -> None:
        """Ask the server once for anything. A refusal is an answer too. Raises ServerError where nothing answers."""
        fault = self._run(self._reach()).result()
        if fault is not None:
            raise ServerError(
                f"{key}: {self.config.base_url}: cannot be reached: {fault}; start the server, or correct the address"
            )

    def close(self) -> None:
        """Cancel the requests under way, and release the connections and the file of replies."""
        if self._loop.is_closed():
            return
        self._run(self._shut()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._cache.close()

    def _run(self, coroutine) -> Future:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    async def _open(self) -> tuple[aiohttp.ClientSession, asyncio.Semaphore]:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),  # the semaphore limits the number of connections
            headers={"Authorization": f"Bearer {self._key}", **self._extra_headers},
            timeout=aiohttp.ClientTimeout(total=self.config.timeout_s),
            proxy=proxy_of(self.config.base_url),
        )
        return session, asyncio.Semaphore(self.config.concurrency)

    async def _shut(self) -> None:
        pending = asyncio.all_tasks() - {asyncio.current_task()}
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        await self._session.close()

    async def _answer(self, request: Request) -> Reply | Failure:
        """Take the reply from the cache, or send the request until it is answered or the allowed attempts are used."""
        body = request_body(self.config, request)
        key = cache_key(self.config, body, request.variant)
        self.n_requests += 1
        stored = self._cache.get(key)
        if stored is not None:
            self.n_cached += 1
            return stored
        attempts = 0
        while True:
            try:
                async with self._free_connections:
                    await self._wait_for_rate_limit()
                    reply = await self._send(body)
            except AttemptError as error:
                attempts += 1
                if not error.retry or attempts > self.config.retries:
                    self.n_failed += 1
                    return Failure(error.reason, error.fatal)
                self.n_retried += 1
                await asyncio.sleep(self._wait_s(attempts, error))
            else:
                self._cache.put(key, reply)
                return reply

    async def _send(self, body: dict[str, Any]) -> Reply:
        path = "chat/completions" if self.config.api == "chat" else "completions"
        url = f"{self.config.base_url.rstrip('/')}/{path}"
        try:
            # A redirect is not followed: it could carry the key to another server.
            async with self._session.post(url, json=body, allow_redirects=False) as response:
                content = await read_body(response)
        except TimeoutError as error:
            raise AttemptError(f"no reply within {self.config.timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            cause = self._without_key(short_repr(str(error) or type(error).__name__, MAX_CAUSE))
            raise AttemptError(f"{self.config.base_url}: cannot be reached: {cause}") from error
        if not 200 <= response.status < 300:
            raise self._status_error(response, content)
        reply = parse_response(self.config.api, content)
        if isinstance(reply, Failure):
            raise AttemptError(reply.reason, retry=reply.repeatable)
        return reply

    async def _reach(self) -> str | None:
        url, limit = f"{self.config.base_url.rstrip('/')}/models", aiohttp.ClientTimeout(total=REACH_S)
        try:
            async with self._session.get(url, allow_redirects=False, timeout=limit):
                return None
        except TimeoutError:
            return f"no reply within {REACH_S:g} s"
        except (aiohttp.ClientError, OSError) as error:
            return self._without_key(short_repr(str(error) or type(error).__name__, MAX_CAUSE))

    async def _list_models(self) -> tuple[ListedModel, ...]:
        """Any reply counts as an answer; only a server that cannot be reached is asked again, as often as a request."""
        url = f"{self.config.base_url.rstrip('/')}/models"
        for attempt in range(1, self.config.retries + 2):
            try:
                async with self._session.get(url, allow_redirects=False) as response:
                    return parse_model_list(await read_body(response)) if response.status == 200 else ()
            except AttemptError:
                return ()
            except (aiohttp.ClientError, OSError, TimeoutError):
                await asyncio.sleep(self._wait_s(attempt, AttemptError("")))
        return ()

    def _status_error(self, response: aiohttp.ClientResponse, content: bytes) -> "AttemptError":
        status, server = response.status, self.config.base_url
        text = self._without_key(short_repr(content[:4000].decode("utf-8", errors="replace"), MAX_CAUSE))
        if b"insufficient_quota" in content[:4000]:
            reason = f"{server}: status {status}, the account's quota is used up: {text}"
            return AttemptError(reason, fatal=True, retry=False)
        if status in FATAL_STATUSES:
            reason = f"{server} (model {self.config.model!r}): status {status}, {FATAL_STATUSES[status]}: {text}"
            return AttemptError(reason, fatal=True, retry=False)
        if 300 <= status < 400:
            target = self._without_key(short_repr(response.headers.get("location", "an address it does not name")))
            reason = f"{server}: status {status}, moved to {target}; give the new address as base_url"
            return AttemptError(reason, fatal=True, retry=False)
        retry = status in RETRIED_STATUSES or status >= 500
        return AttemptError(f"status {status}: {text}", retry=retry, wait_s=retry_after_s(response))

    def _without_key(self, text: str) -> str:
        for secret in (self._key, *self._extra_headers.values()):
            text = text.replace(secret, "***")
        return text

    async def _wait_for_rate_limit(self) -> None:
        if self.config.requests_per_minute is None:
            return
        now = time.monotonic()
        slot = max(now, self._next_slot_s)
        self._next_slot_s = slot + 60 / self.config.requests_per_minute
        await asyncio.sleep(slot - now)

    def _wait_s(self, attempts: int, error: "AttemptError") -> float:
        """The wait that the server requested; else a random wait whose bound doubles with each attempt."""
        random_s = random.uniform(0, self.config.retry_wait_s * 2 ** min(attempts - 1, 16))
        return min(error.wait_s if error.wait_s is not None else random_s, MAX_WAIT_S)
