"""Run a function on many items in several processes, and survive items that crash their process.

`clip_extraction.py` decodes clips with it: decoders of some formats hold Python's lock, so threads would not help, and
a hostile file may crash a decoder. Workers end when their parent is killed.
"""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
_CHUNK_SIZE = 8
CRASHED = "clip crashed the decoder; fetch the file again"


def map_in_processes(
    function: Callable[[ItemT], ResultT], items: Sequence[ItemT], workers: int
) -> Iterator[ResultT | str]:
    """Yield `function(item)` for each item in order, and CRASHED for an item that ends its process."""
    n_done = 0
    while n_done < len(items):
        try:
            with _pool(min(workers, len(items) - n_done)) as pool:
                for result in pool.map(function, items[n_done:], chunksize=_CHUNK_SIZE):
                    yield result
                    n_done += 1
        except BrokenProcessPool:  # one of the items under way did it: run each alone until that item is reached
            for item in items[n_done:]:
                result = _run_alone(function, item)
                yield result
                n_done += 1
                if result == CRASHED:
                    break


def _run_alone(function: Callable[[ItemT], ResultT], item: ItemT) -> ResultT | str:
    with _pool(1) as pool:
        try:
            return pool.submit(function, item).result()
        except BrokenProcessPool:
            return CRASHED


def _pool(workers: int) -> ProcessPoolExecutor:
    # Workers are fresh interpreters, not forks, because the parent may have threads.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent)


def _end_with_parent() -> None:
    """End this worker at once when its parent is killed, whatever it is writing; the next run removes what it left.
    Ctrl-C, which a terminal sends to all processes, is the parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
