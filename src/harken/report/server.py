"""Serves the live pages on this machine: a page, its state as JSON, and the clips that the run names.

A folder that holds runs has a page with their table, and below `/view/KEY/` the page of each run; several keys, joined
by "+", are several runs on one page.

The server listens on the loopback interface alone and refuses requests of other sites. It sends no file as it is: texts
are escaped and clips are decoded and sent as WAV. The standard library's server is enough for one reader.
"""

import json
import re
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from harken.errors import AudioError, DataError, HarkenError, StoppedError
from harken.report.find_runs import find_runs
from harken.report.page import security_policy
from harken.report.runs_viewer import RunsViewer
from harken.report.viewer import Viewer

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": security_policy(live=True) + "; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class ViewServer(ThreadingHTTPServer):
    """Serves a run, or a folder of runs, on 127.0.0.1; `port` 0 takes a free one.

    Raises HarkenError where the port is taken.
    """

    daemon_threads = True

    def __init__(self, viewer: Viewer | RunsViewer, port: int = 0) -> None:
        self.viewer = viewer
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise HarkenError(f"port {port}: {error.strerror}; choose another --port, or 0 for a free one") from error
        self.hosts = {f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")}
        self.url = f"http://127.0.0.1:{self.server_port}/"


def serve(path: Path, audio_roots: Sequence[Path], port: int, say: Callable[[str], None]) -> None:
    """Serve a run, or the runs below a folder, until the user interrupts. Raises DataError where there is no run."""
    viewer = Viewer([path], audio_roots) if (path / "config.yaml").is_file() else _runs(path, audio_roots)
    with ViewServer(viewer, port) as server:
        say(f"{server.url}  (press Ctrl-C to stop)")
        if not audio_roots:
            say("clips cannot be played: name their folder with --audio-root")
        try:
            server.serve_forever()
        except (KeyboardInterrupt, StoppedError):
            say("stopped")


def _runs(path: Path, audio_roots: Sequence[Path]) -> RunsViewer:
    viewer = RunsViewer(path, audio_roots)
    if not find_runs(path):
        raise DataError(
            f"{path}: no config.yaml, and no run below it; give the folder of a run, or one that holds runs"
        )
    return viewer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        try:
            self._respond()
        except ConnectionError:
            self.close_connection = True  # the reader closed the page or chose another clip

    def do_HEAD(self) -> None:
        self.do_GET()

    @property
    def _site(self) -> ViewServer:
        assert isinstance(self.server, ViewServer)
        return self.server

    def _respond(self) -> None:
        if refusal := self._refusal():
            self._fail(HTTPStatus.FORBIDDEN, refusal)
            return
        viewer, path = self._site.viewer, self.path
        if isinstance(viewer, RunsViewer) and path.startswith("/view/"):
            keys, _, rest = path.removeprefix("/view/").partition("/")
            viewer, path = self._open(viewer, keys), f"/{rest}"
            if viewer is None:
                return
        if path == "/":
            self._send(viewer.page, "text/html; charset=utf-8")
        elif path == "/state":
            self._send_state(viewer)
        elif isinstance(viewer, RunsViewer):
            self._fail(HTTPStatus.NOT_FOUND, "no such page")
        elif path.startswith("/clip/"):
            self._send_json(viewer.clip(_clip_name(path)))
        elif path.startswith("/sound/"):
            try:
                self._send_sound(viewer.sound(_clip_name(path)))
            except AudioError as error:
                self._fail(HTTPStatus.NOT_FOUND, str(error))
        else:
            self._fail(HTTPStatus.NOT_FOUND, "no such page")

    def _refusal(self) -> str | None:
        """Why a request is refused: another name for this machine (DNS rebinding), or another site; else None."""
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or hosts[0] not in self._site.hosts:
            return "this server answers to 127.0.0.1 and localhost only"
        if self.headers.get("Origin", f"http://{hosts[0]}") != f"http://{hosts[0]}":
            return "requests of other sites are refused"
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return "requests of other sites are refused"
        return None

    def _open(self, viewer: RunsViewer, keys: str) -> Viewer | None:
        """The viewer of the runs with these keys; None, after an answer, where there is none or a file is damaged."""
        try:
            opened = viewer.open(keys.split("+"))
        except HarkenError as error:
            self._fail(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
            return None
        if opened is None:
            self._fail(HTTPStatus.NOT_FOUND, "no such run")
        return opened

    def _send_state(self, viewer: Viewer | RunsViewer) -> None:
        try:
            state, tag = viewer.state()
        except HarkenError as error:
            self._fail(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
            return
        if self.headers.get("If-None-Match") == tag:
            self._send(b"", "application/json", HTTPStatus.NOT_MODIFIED, ETag=tag)
        else:
            self._send(state, "application/json", ETag=tag)

    def _send_sound(self, sound: bytes) -> None:
        """Send the range that is requested, or the whole sound where none or several are (RFC 9110, 14.2)."""
        match = _RANGE.fullmatch(self.headers.get("Range", ""))
        if not match or match.groups() == ("", ""):
            self._send(sound, "audio/wav", Accept_Ranges="bytes")
            return
        first, last = match.groups()
        start = int(first) if first else max(0, len(sound) - int(last))
        end = min(int(last), len(sound) - 1) if first and last else len(sound) - 1
        if start > end:
            status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            self._send(b"", "audio/wav", status, Content_Range=f"bytes */{len(sound)}")
            return
        sent = f"bytes {start}-{end}/{len(sound)}"
        part = sound[start : end + 1]
        self._send(part, "audio/wav", HTTPStatus.PARTIAL_CONTENT, Accept_Ranges="bytes", Content_Range=sent)

    def _send_json(self, value: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(json.dumps(value).encode("ascii"), "application/json", status)

    def _fail(self, status: HTTPStatus, reason: str) -> None:
        self._send_json({"error": reason}, status)

    def _send(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK, **headers: str) -> None:
        self.send_response(status)
        length = {} if status == HTTPStatus.NOT_MODIFIED else {"Content-Length": str(len(body))}
        for name, value in {**_HEADERS, "Content-Type": kind, **length, **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        return "harken"

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: the page sends a request every two seconds."""


def _clip_name(path: str) -> str:
    """The clip's name in a request's path, decoded once. Bytes that are not UTF-8 are replaced and name no clip."""
    return unquote(path.split("/", 2)[2], errors="replace")
