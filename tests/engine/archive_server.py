"""An archive on the loopback interface, for tests: real HTTP, with the faults a test asks for."""

from __future__ import annotations

import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Archive:
    """Files by path, and what is to go wrong with each.

    Attributes:
        files: content by path, "/a/b.gz".
        tags: ETag by path.
        headers: further headers by path.
        breaks: by path, how many bytes of each of the next answers go out before the connection is cut.
        stall: by path, after how many bytes an answer waits as long as the entry is there.
        statuses: by path, HTTP statuses of the next answers.
        ignores_ranges: whether Range is answered with the whole file.
        requests: (path, Range header or None) in the order they came.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.tags: dict[str, str] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.breaks: dict[str, list[int]] = {}
        self.stall: dict[str, int] = {}
        self.statuses: dict[str, list[int]] = {}
        self.ignores_ranges = False
        self.requests: list[tuple[str, str | None]] = []
        archive = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                archive.answer(self)

            def do_HEAD(self) -> None:
                found = archive.files.get(self.path)
                self.send_response(200 if found is not None else 404)
                self.send_header("Content-Length", str(len(found or b"")))
                self.end_headers()

            def log_message(self, *arguments) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> Archive:
        Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error) -> None:
        self.server.shutdown()
        self.server.server_close()

    def sent(self, path: str) -> list[str | None]:
        """The Range headers of the requests for a path."""
        return [wanted for asked, wanted in self.requests if asked == path]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path, wanted = request.path, request.headers.get("Range")
        self.requests.append((path, wanted))
        if self.statuses.get(path):
            request.send_error(self.statuses[path].pop(0))
            return
        if path not in self.files:
            request.send_error(404)
            return
        content, start, tag = self.files[path], 0, self.tags.get(path, '"1"')
        if wanted and not self.ignores_ranges and request.headers.get("If-Range") in (None, tag):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                request.send_error(416)
                return
        request.send_response(206 if start else 200)
        request.send_header("ETag", tag)
        request.send_header("Content-Length", str(len(content) - start))
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        for name, value in self.headers.get(path, {}).items():
            request.send_header(name, value)
        request.end_headers()
        body = content[start:]
        if self.breaks.get(path):
            request.wfile.write(body[: self.breaks[path].pop(0)])
            request.close_connection = True
            return
        with suppress(OSError):
            sent = self.stall.get(path, len(body))
            request.wfile.write(body[:sent])
            while path in self.stall:
                time.sleep(0.02)
            request.wfile.write(body[sent:])
