"""A real HTTP server on the loopback interface whose replies a test scripts."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Scripted:
    """One reply. `cut` closes the connection after half of the body; `delay_s` comes before it."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Received:
    path: str
    headers: dict[str, str]
    body: Any


def said(text: Any, finish_reason: str = "stop") -> Scripted:
    """A proper reply, in a body that serves both endpoints."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "text": text}
    return Scripted(json.dumps({"id": "x", "choices": [{**choice, "finish_reason": finish_reason}]}).encode())


class _PatientServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # connections that wait while a busy machine comes to accept them; 5 would be refused


class Server:
    """`received` lists what was asked, in order of arrival; `most_at_once` is the highest number under way together.

    `listings` counts how often the list of models was asked for. `models` is what it says: name -> owner.
    """

    def __init__(self, reply: Callable[[Received], Scripted], models: dict[str, str] | None = None) -> None:
        self.received: list[Received] = []
        self.listings = 0
        self.most_at_once = 0
        self._under_way = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                asked = Received(self.path, {k.lower(): v for k, v in self.headers.items()}, None)
                asked = Received(asked.path, asked.headers, json.loads(self.rfile.read(length)))
                with outer._lock:
                    outer.received.append(asked)
                    outer._under_way += 1
                    outer.most_at_once = max(outer.most_at_once, outer._under_way)
                try:
                    self._send(reply(asked))
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True  # the client gave up
                finally:
                    with outer._lock:
                        outer._under_way -= 1

            def do_GET(self) -> None:
                outer.listings += 1
                listed = [{"id": name, "owned_by": owner} for name, owner in (models or {}).items()]
                body = json.dumps({"object": "list", "data": listed}).encode()
                self._send(Scripted(body) if models is not None else Scripted(b"{}", status=404))

            def _send(self, scripted: Scripted) -> None:
                time.sleep(scripted.delay_s)
                self.send_response(scripted.status)
                headers = {"content-type": "application/json", **scripted.headers}
                for name, value in {**headers, "content-length": str(len(scripted.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if scripted.cut:
                    self.wfile.write(scripted.body[: len(scripted.body) // 2])
                    self.wfile.flush()
                    self.connection.close()
                    self.close_connection = True
                else:
                    self.wfile.write(scripted.body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._http = _PatientServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@contextlib.contextmanager
def serving(reply: Callable[[Received], Scripted], models: dict[str, str] | None = None) -> Iterator[Server]:
    server = Server(reply, models)
    try:
        yield server
    finally:
        server.close()
