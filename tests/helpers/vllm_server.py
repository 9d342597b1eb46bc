"""A real vLLM server on the loopback interface, started by a test and ended with it.

The tests that use it run in an environment of their own (`make vllm`). Servers start one after the other, also those of
several test runs on one machine: each holds a lock, because a small machine has memory for one.
"""

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

START_S = 900
"""A server on a busy core takes a minute or several to begin."""
LOCK = Path(os.environ.get("HARKEN_VLLM_LOCK", Path(tempfile.gettempdir()) / "harken-vllm.lock"))
ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
}
OPTIONS = (
    *("--host", "127.0.0.1", "--dtype", "float32", "--enforce-eager", "--max-model-len", "2048"),
    *("--max-num-seqs", "16", "--generation-config", "vllm", "--max-lora-rank", "16"),
)


class DidNotStartError(Exception):
    """The server ended before it was ready. The message is the end of what it wrote."""


@dataclass(frozen=True)
class VllmServer:
    """A server that is ready. `log` is the file of what it writes, with a line for each request."""

    url: str
    log: Path
    process: subprocess.Popen

    def kill(self) -> None:
        """End the server and its workers at once, as a machine that fails does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # the group that it leads
        self.process.wait()

    def answered(self) -> int:
        """The number of completions that the server has sent."""
        return self.log.read_text(errors="replace").count('completions HTTP/1.1" 200 OK')


@contextlib.contextmanager
def serving_vllm(model: Path, log: Path, *options: str, port: int | None = None) -> Iterator[VllmServer]:
    """Start a server of the model, under the name "model", and wait until it is ready.

    Raises DidNotStartError where it ends before.
    """
    port = port or _free_port()
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)]
    command += ["--served-model-name", "model", "--port", str(port), *OPTIONS, *options]
    with LOCK.open("w") as lock, log.open("a") as output:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(
            command,
            env={**os.environ, **ENVIRONMENT},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        server = VllmServer(f"http://127.0.0.1:{port}/v1", log, process)
        try:
            _wait_until_ready(server, port)
            yield server
        finally:
            server.kill()


def _wait_until_ready(server: VllmServer, port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
            return
        time.sleep(1)
    raise DidNotStartError(server.log.read_text(errors="replace")[-20_000:])


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
