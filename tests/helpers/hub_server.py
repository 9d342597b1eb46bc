"""A server on the loopback interface with the few endpoints of the Hub that an upload needs.

All files come in the commit itself. The real Hub takes large files separately, which is up to the client library.
"""

import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class HubServer:
    """Keeps what was uploaded.

    Attributes:
        repositories: {"private": bool, "files": {path: content}} by name.
        refuse: HTTP status with which requests are refused, by prefix of the path.
        requests: method and path of every request.
        commits: titles of the commits.
    """

    def __init__(self, token: str) -> None:
        self.token = token
        self.repositories: dict[str, dict] = {}
        self.refuse: dict[str, int] = {}
        self.requests: list[str] = []
        self.commits: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.answer(self, b"")

            def do_HEAD(self) -> None:
                outer.answer(self, b"")

            def do_POST(self) -> None:
                outer.answer(self, self.rfile.read(int(self.headers.get("content-length", 0))))

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        path = request.path.partition("?")[0]
        self.requests.append(f"{request.command} {path}")
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return self.reply(request, 401, {"error": f"bad token {request.headers.get('authorization')}"})
        for prefix, status in self.refuse.items():
            if path.startswith(prefix):
                return self.reply(request, status, {"error": f"no, {self.token}"})
        if path == "/api/whoami-v2":
            return self.reply(request, 200, {"name": "me", "type": "user", "orgs": []})
        if path == "/api/validate-yaml":
            return self.reply(request, 200, {"errors": [], "warnings": []})
        if path == "/api/repos/create":
            values = json.loads(body)
            name = f"{values.get('organization', 'me')}/{values['name']}"
            if name in self.repositories:
                return self.reply(request, 409, {"error": "exists", "url": f"{self.url}/{name}"})
            self.repositories[name] = {
                "private": values.get("private") or values.get("visibility") == "private",
                "files": {},
            }
            return self.reply(request, 200, {"url": f"{self.url}/{name}"})
        name = next((known for known in self.repositories if f"/{known}" in path), None)
        if name is None:
            return self.reply(request, 404, {"error": "not found"}, {"X-Error-Code": "RepoNotFound"})
        return self._of_repository(request, name, path, body)

    def _of_repository(self, request: BaseHTTPRequestHandler, name: str, path: str, body: bytes) -> None:
        repository = self.repositories[name]
        if path == f"/api/models/{name}":
            return self.reply(request, 200, {"id": name, "private": repository["private"], "siblings": []})
        if "/preupload/" in path:
            paths = [file["path"] for file in json.loads(body)["files"]]
            modes = [{"path": file, "uploadMode": "regular", "shouldIgnore": False} for file in paths]
            return self.reply(request, 200, {"files": modes})
        if "/commit/" in path:
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "header":
                    self.commits.append(value["summary"])
                else:
                    repository["files"][value["path"]] = base64.b64decode(value["content"])
            done = {"commitUrl": f"{self.url}/{name}/commit/1", "commitOid": "1" * 40, "pullRequestUrl": None}
            return self.reply(request, 200, done)
        if "/resolve/" in path:
            exists = path.rpartition("/")[2] in repository["files"]
            return self.reply(request, 200 if exists else 404, {}, {} if exists else {"X-Error-Code": "EntryNotFound"})
        return self.reply(request, 404, {"error": f"unknown: {path}"})

    def reply(self, request: BaseHTTPRequestHandler, status: int, value: dict, headers: dict | None = None) -> None:
        body = json.dumps(value).encode()
        request.send_response(status)
        for key, text in {**(headers or {}), "X-Repo-Commit": "1" * 40, "ETag": '"1"'}.items():
            request.send_header(key, text)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)

    @contextlib.contextmanager
    def running(self) -> Iterator["HubServer"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()
