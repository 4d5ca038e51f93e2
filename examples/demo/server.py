"""A local HTTP server with a model list, the slow source of the demo and of the README's examples.

`GET /models` answers with a few hundred generated entries and an ETag, or 304 when the caller's copy is
current. It counts what it was asked, and by whom. `POST /control` with a JSON object tells it how to answer
from then on, `GET /stats` what happened so far. It knows nothing of forebay. Standard library only:

    python examples/demo/server.py --port 8000
    curl -d '{"status": 429, "retry_after": "3"}' http://127.0.0.1:8000/control
"""

import argparse
import hashlib
import json
import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAMILIES = ["atlas", "borealis", "cirrus", "delta", "ember", "fjord", "glacier", "harbour", "isle", "juniper"]
SIZES = ["nano", "mini", "small", "medium", "large", "ultra"]
KINDS = ["chat", "code", "embedding", "vision", "speech", "rerank"]


def model_list(revision: int) -> bytes:
    """The whole list as JSON: the same bytes for the same revision, other bytes for another."""
    chance = random.Random(1000 + revision)
    models = [model(chance, family, size, kind) for family in FAMILIES for size in SIZES for kind in KINDS]
    body = {"object": "list", "revision": revision, "data": models}
    return json.dumps(body, indent=1).encode()


def model(chance: random.Random, family: str, size: str, kind: str) -> dict:
    """One entry, shaped like those of the public model lists."""
    price = round(chance.uniform(0.02, 15), 3)
    return {
        "id": f"{family}-{size}-{kind}-{chance.randint(1, 4)}",
        "object": "model",
        "created": 1_700_000_000 + chance.randrange(60_000_000),
        "owned_by": f"{family}-labs",
        "context_window": 1024 * 2 ** chance.randrange(2, 10),
        "modalities": sorted(chance.sample(["text", "image", "audio", "video"], chance.randint(1, 3))),
        "price_per_million_tokens": {"input": price, "output": round(price * 4, 3), "currency": "USD"},
        "deprecated": chance.random() < 0.08,
        "description": f"The {size} {kind} model of the {family} family.",
    }


class Source:
    """What the server knows: the list, how to answer next, and what it was asked so far."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.how = {"revision": 1, "status": 200, "retry_after": None, "delay": 0.0, "hold": False}
        self.requests: list[dict] = []

    def control(self, change: dict) -> None:
        """Changes how it answers; `hold` keeps answers back until it is turned off again."""
        unknown = sorted(set(change) - set(self.how))
        if unknown:
            raise ValueError(f"unknown setting {unknown[0]!r}; there are {', '.join(self.how)}")
        with self.changed:
            self.how.update(change)
            self.changed.notify_all()

    def begin(self, agent: str, validator: str | None) -> dict:
        """Counts a request, and returns its record."""
        record = {"agent": agent, "if_none_match": validator, "at": time.monotonic(), "status": None}
        with self.changed:
            self.requests.append(record)
            self.changed.notify_all()
        return record

    def answer(self, validator: str | None) -> tuple[int, dict, bytes]:
        """Waits as it was told to, and returns status, headers and body."""
        with self.changed:
            delay = self.how["delay"]
            self.changed.wait_for(lambda: not self.how["hold"], timeout=60)
            how = dict(self.how)
        time.sleep(delay)
        if how["status"] != 200:
            headers = {"Retry-After": how["retry_after"]} if how["retry_after"] else {}
            return how["status"], headers, b'{"error": "as it was told to"}\n'
        body = model_list(how["revision"])
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        headers = {"ETag": etag, "Cache-Control": "max-age=60"}
        return (304, headers, b"") if validator == etag else (200, headers, body)

    def stats(self, at_least: int, timeout: float) -> dict:
        """All requests so far, once there are `at_least` so many or the time is over."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.requests) >= at_least, timeout=timeout)
            return {"now": time.monotonic(), "requests": list(self.requests)}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    source: Source

    def do_GET(self) -> None:
        if self.path == "/models":
            validator = self.headers.get("If-None-Match")
            record = self.source.begin(self.headers.get("User-Agent", "unknown"), validator)
            status, headers, body = self.source.answer(validator)
            record["status"] = status
            self.reply(status, headers, body)
        elif self.path.startswith("/stats"):
            query = dict(part.split("=") for part in self.path.partition("?")[2].split("&") if part)
            found = self.source.stats(int(query.get("at_least", 0)), float(query.get("timeout", 0)))
            self.reply(200, {}, json.dumps(found).encode())
        else:
            self.reply(404, {}, b"there are /models, /stats and /control\n")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/control":
            self.reply(404, {}, b"there are /models, /stats and /control\n")
            return
        try:
            self.source.control(json.loads(body))
            self.reply(200, {}, b"")
        except ValueError as error:
            self.reply(400, {}, f"{error}\n".encode())

    def reply(self, status: int, headers: dict, body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the demo prints what matters."""


class Server(ThreadingHTTPServer):
    """A thread per connection; callers that are killed meanwhile are no news."""

    daemon_threads = True

    def handle_error(self, request: object, address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, address)


def main() -> None:
    parser = argparse.ArgumentParser(description="a model list over HTTP")
    parser.add_argument("--port", type=int, default=0, help="0: any free one, printed")
    options = parser.parse_args()
    Handler.source = Source()
    server = Server(("127.0.0.1", options.port), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
