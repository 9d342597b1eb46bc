"""Settings of a client for tests: short waits, and a server on the loopback interface."""

from harken.config import EndpointConfig


def config(url: str, **changes) -> EndpointConfig:
    return EndpointConfig(**{"base_url": url, "model": "m", "retry_wait_s": 0.01, "timeout_s": 5.0, **changes})
