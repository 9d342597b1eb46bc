"""An OpenAI-compatible chat server on this machine that replies by a rule. It stands for a language model in recipes.

`realaqa_generated.py` writes questions with it, `realaqa_thinker_judge.py` judges reasoning. It uses the standard
library only.
"""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def open_chat_server(reply_to: Callable[[str], str], port: int = 0) -> ThreadingHTTPServer:
    """Open a server on the loopback interface; the caller calls `serve_forever`.

    Args:
        reply_to: text of the first message -> text of the reply.
        port: 0 chooses a free one.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            message = {"role": "assistant", "content": reply_to(request["messages"][0]["content"])}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            body = json.dumps({"id": "scripted", "object": "chat.completion", "choices": [choice]}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing: there are thousands of requests."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    return Server(("127.0.0.1", port), Handler)
