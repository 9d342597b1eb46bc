"""Parts of HTTP requests to model servers: keys, headers, proxies, bodies of replies and waits between attempts."""

import contextlib
import os
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from harken.config import EndpointConfig
from harken.errors import ConfigError

MAX_REPLY_BYTES = 1 << 24


class AttemptError(Exception):
    def __init__(self, reason: str, *, fatal: bool = False, retry: bool = True, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.fatal, self.retry, self.wait_s = reason, fatal, retry, wait_s


def api_key(config: EndpointConfig) -> str:
    if config.api_key_env is None:
        return "none"
    key = os.environ.get(config.api_key_env, "")
    if not key:
        raise ConfigError(
            f"api_key_env: the environment variable {config.api_key_env} is not set; set it, or api_key_env: null for "
            "a server that needs no key"
        )
    return key


async def read_body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_REPLY_BYTES:
            raise AttemptError(f"a reply of more than {MAX_REPLY_BYTES >> 20} MiB", retry=False)
    return bytes(body)


def proxy_of(url: str) -> str | None:
    """The proxy that the environment names for an address (https_proxy, no_proxy, ...)."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def header_value(name: str, value: str) -> str:
    """A header's value, from the environment where it says so."""
    if not value.startswith("env:"):
        return value
    variable = value.removeprefix("env:")
    if not os.environ.get(variable):
        raise ConfigError(f"extra_headers: {name}: the environment variable {variable} is not set; set it")
    return os.environ[variable]


def retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    """The wait that the server asks for: `retry-after-ms`, or `retry-after` in seconds or as a date."""
    with contextlib.suppress(ValueError):
        return max(0.0, float(response.headers.get("retry-after-ms", "")) / 1000)
    value = response.headers.get("retry-after", "")
    with contextlib.suppress(ValueError):
        return max(0.0, float(value))
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    return None
