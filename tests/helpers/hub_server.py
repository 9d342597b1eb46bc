"""The few endpoints of the Hub that an upload needs, on the loopback interface. Files come in the commit itself; where
large ones go first is the client library's business."""

import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class HubServer:
    """`repositories`: name -> {"private": bool, "files": {path: content}}. `refuse`: path prefix -> HTTP status."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.repositories: dict[str, dict] = {}
        self.refuse: dict[str, int] = {}
        self.asked: list[str] = []
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
        self.asked.append(f"{request.command} {path}")
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
            asked = json.loads(body)
            name = f"{asked.get('organization', 'me')}/{asked['name']}"
            if name in self.repositories:
                return self.reply(request, 409, {"error": "exists", "url": f"{self.url}/{name}"})
            self.repositories[name] = {
                "private": asked.get("private") or asked.get("visibility") == "private",
                "files": {},
            }
            return self.reply(request, 200, {"url": f"{self.url}/{name}"})
        name = next((one for one in self.repositories if f"/{one}" in path), None)
        if name is None:
            return self.reply(request, 404, {"error": "not found"}, {"X-Error-Code": "RepoNotFound"})
        return self._of_repository(request, name, path, body)

    def _of_repository(self, request: BaseHTTPRequestHandler, name: str, path: str, body: bytes) -> None:
        there = self.repositories[name]
        if path == f"/api/models/{name}":
            return self.reply(request, 200, {"id": name, "private": there["private"], "siblings": []})
        if "/preupload/" in path:
            asked = [one["path"] for one in json.loads(body)["files"]]
            modes = [{"path": one, "uploadMode": "regular", "shouldIgnore": False} for one in asked]
            return self.reply(request, 200, {"files": modes})
        if "/commit/" in path:
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "header":
                    self.commits.append(value["summary"])
                else:
                    there["files"][value["path"]] = base64.b64decode(value["content"])
            done = {"commitUrl": f"{self.url}/{name}/commit/1", "commitOid": "1" * 40, "pullRequestUrl": None}
            return self.reply(request, 200, done)
        if "/resolve/" in path:
            found = path.rpartition("/")[2] in there["files"]
            return self.reply(request, 200 if found else 404, {}, {} if found else {"X-Error-Code": "EntryNotFound"})
        return self.reply(request, 404, {"error": f"unknown: {path}"})

    def reply(self, request: BaseHTTPRequestHandler, status: int, value: dict, headers: dict | None = None) -> None:
        body = json.dumps(value).encode()
        request.send_response(status)
        for key, said in {**(headers or {}), "X-Repo-Commit": "1" * 40, "ETag": '"1"'}.items():
            request.send_header(key, said)
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
