"""Runs coroutines of the user's own on a thread with an event loop, which lasts as long as the process.

A function that keeps a connection open from one call to the next finds the same loop each time, and a notebook, which
has a loop in its own thread, does not get in the way.
"""

import asyncio
import functools
import threading
from collections.abc import Awaitable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def run_in_background(awaitable: Awaitable[T]) -> Future[T]:
    """Start an awaitable and return at once."""
    return asyncio.run_coroutine_threadsafe(_await(awaitable), _loop())


async def _await(awaitable: Awaitable[T]) -> T:
    return await awaitable


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="functions of the user", daemon=True).start()
    return loop
