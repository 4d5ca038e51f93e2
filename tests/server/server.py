#!/usr/bin/env python3
"""A local HTTP server that is as unpleasant as rate-limited ones are: it answers by a script, path by path, and
counts who asked. `/token` exchanges refresh tokens, each of which it accepts once. It knows nothing of forebay, uses
the standard library only, and prints its port as its first line; it ends when its standard input ends. README.md
beside this file has the requests."""

import argparse
import email.utils
import json
import os
import secrets
import select
import socket
import struct
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KINDS = ("answer", "hang", "garbage", "truncate", "reset")
FIELDS = {
    "status", "body", "etag", "retry_after", "retry_after_date", "reset_epoch", "headers", "do", "hold", "delay_ms",
    "process",
}  # fmt: skip
GARBAGE = b"<html><body>502 Bad Gateway</body></html>\x00\xff{"


class Wrong(ValueError):
    """A request to the server itself that it does not understand."""


def step_of(written):
    """A step of a script: a status, the name of a kind, or an object; always as an object."""
    if isinstance(written, int):
        written = {"status": written}
    elif isinstance(written, str):
        written = {"do": written}
    if not isinstance(written, dict):
        raise Wrong(f"a step is a status, a kind or an object, not {written!r}")
    unknown = sorted(set(written) - FIELDS)
    if unknown:
        raise Wrong(f"a step has no {unknown[0]!r}; there are {', '.join(sorted(FIELDS))}")
    if written.get("do", "answer") not in KINDS:
        raise Wrong(f"no step does {written['do']!r}; there are {', '.join(KINDS)}")
    return written


class Path:
    """What one path answers: the steps that are left, the last of which stays for good."""

    def __init__(self):
        self.steps = [{}]
        self.releases = 0

    def next(self):
        return self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]


class Tokens:
    """Refresh tokens, and whether each was used."""

    def __init__(self):
        self.account = {}
        self.used = set()
        self.violations = []
        self.unknown = 0
        self.count = 0

    def issue(self, account):
        self.count += 1
        refresh = f"refresh.{account}.{self.count}.{secrets.token_hex(8)}"
        self.account[refresh] = account
        access = f"access.{account}.{self.count}.{secrets.token_hex(8)}"
        return {"access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": 3600}

    def exchange(self, refresh):
        """The next pair for a token that was not used yet; none otherwise, and a second use is noted."""
        if refresh not in self.account:
            self.unknown += 1
            return None
        if refresh in self.used:
            self.violations.append(refresh)
            return None
        self.used.add(refresh)
        return self.issue(self.account[refresh])

    def facts(self):
        return {
            "issued": self.count, "used": len(self.used), "violations": self.violations, "unknown": self.unknown,
        }  # fmt: skip


class World:
    """All that the server knows. Every method may be called by any thread."""

    def __init__(self):
        self.changed = threading.Condition()
        self.forget()

    def forget(self):
        with self.changed:
            self.paths = {}
            self.tokens = Tokens()
            self.revoked = set()
            self.requests = []
            self.serial = 0
            self.stands_at = None
            self.changed.notify_all()

    def now(self):
        return time.time() if self.stands_at is None else self.stands_at

    def set(self, change):
        """Obeys `/_set`; nothing is changed if a part of it is not understood."""
        known = {"path", "script", "release", "revoke", "seed", "now", "clear_log"}
        if not isinstance(change, dict) or set(change) - known:
            raise Wrong(f"/_set takes an object of {', '.join(sorted(known))}")
        if ("script" in change or "release" in change) and "path" not in change:
            raise Wrong("script and release want a path")
        script = [step_of(step) for step in change.get("script", [])]
        if "script" in change and not script:
            raise Wrong("a script has at least one step")
        with self.changed:
            if "path" in change:
                path = self.paths.setdefault(change["path"], Path())
                path.steps = script or path.steps
                path.releases += bool(change.get("release"))
            if "revoke" in change:
                self.revoked.add(change["revoke"])
            for token in change.get("seed", []):
                self.tokens.account[token] = "seed"
            if "now" in change:
                self.stands_at = change["now"]
            if change.get("clear_log"):
                self.requests.clear()
            self.changed.notify_all()

    def arrive(self, path, entry, refresh=None):
        """Notes a request; the step that answers it, which releases it waits for, and the tokens that it gets."""
        with self.changed:
            place = self.paths.setdefault(path, Path())
            revoked = entry["token"] in self.revoked
            step = {"status": 401, "headers": {"WWW-Authenticate": "Bearer"}} if revoked else place.next()
            entry["do"] = step.get("do", "answer")
            pair = None
            if refresh is not None and step.get("process", step.get("status", 200) == 200):
                pair = self.tokens.exchange(refresh)
                entry["exchanged"] = pair is not None
            self.serial += 1
            entry["n"] = self.serial
            self.requests.append(entry)
            self.changed.notify_all()
            return step, place.releases, pair

    def wait_released(self, path, seen, timeout):
        with self.changed:
            place = self.paths.setdefault(path, Path())
            return self.changed.wait_for(lambda: place.releases != seen, timeout)

    def login(self, account):
        with self.changed:
            return self.tokens.issue(account)

    def log(self, path, at_least, timeout):
        """The requests so far, to one path or to all, once there are so many or the time is over."""

        def found():
            return [entry for entry in self.requests if path in (None, entry["path"])]

        with self.changed:
            self.changed.wait_for(lambda: len(found()) >= at_least, timeout)
            counts = {}
            for entry in self.requests:
                counts[entry["path"]] = counts.get(entry["path"], 0) + 1
            return {"requests": [dict(entry) for entry in found()], "counts": counts, "tokens": self.tokens.facts()}


class Handler(BaseHTTPRequestHandler):
    """One connection, which is one request: each is closed after its answer, so that no client retries by itself."""

    protocol_version = "HTTP/1.1"
    world: World

    def do_GET(self):
        self.close_connection = True
        path, _, query = self.path.partition("?")
        try:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if path.startswith("/_"):
                self.control(path, dict(urllib.parse.parse_qsl(query)), body)
            elif path == "/login":
                self.send(200, {}, self.world.login(fields_of(body).get("account", "account")))
            elif path == "/token":
                self.token(body)
            else:
                self.scripted(path)
        except ValueError as why:
            self.send(400, {}, {"error": "invalid_request", "error_description": str(why)})
        except OSError:
            pass  # The caller has gone.

    do_POST = do_GET

    def control(self, path, query, body):
        if path == "/_set":
            self.world.set(json_of(body))
            self.send(200, {}, {})
        elif path == "/_reset":
            self.world.forget()
            self.send(200, {}, {})
        elif path == "/_log":
            at_least, timeout = int(query.get("at_least", 0)), float(query.get("timeout", 0))
            self.send(200, {}, self.world.log(query.get("path"), at_least, timeout))
        else:
            self.send(404, {}, {"error": "there are /_set, /_log and /_reset"})

    def entry(self, path):
        scheme, _, token = (self.headers.get("Authorization") or "").partition(" ")
        return {
            "path": path,
            "method": self.command,
            "token": token if scheme.lower() == "bearer" else None,
            "if_none_match": self.headers.get("If-None-Match"),
            "agent": self.headers.get("User-Agent"),
            "status": None,
        }

    def scripted(self, path):
        entry = self.entry(path)
        step, releases, _ = self.world.arrive(path, entry)
        self.play(path, entry, step, releases, {"used": 42, "limit": 100, "window": "5h", "n": entry["n"]})

    def token(self, body):
        refresh = fields_of(body).get("refresh_token")
        if self.command != "POST" or not refresh:
            raise Wrong("POST a refresh_token")
        entry = {**self.entry("/token"), "refresh_token": refresh}
        step, releases, pair = self.world.arrive("/token", entry, refresh)
        if pair is None and "exchanged" in entry:
            step = {**step, "status": 400, "body": {"error": "invalid_grant"}}
        failed = {"error": "temporarily_unavailable"}
        self.play("/token", entry, step, releases, pair if step.get("status", 200) == 200 else failed)

    def play(self, path, entry, step, releases, usual):
        """Does what the step says."""
        kind = step.get("do", "answer")
        if step.get("hold"):
            self.world.wait_released(path, releases, None)
        time.sleep(step.get("delay_ms", 0) / 1000)
        if kind == "hang":
            self.hang(path, releases)
        elif kind == "reset":
            self.reset()
        elif kind == "garbage":
            entry["status"] = 200
            self.send_bytes(200, {"Content-Type": "application/json"}, GARBAGE)
        else:
            status, headers = step.get("status", 200), self.headers_of(step)
            if status == 200 and step.get("etag") and self.headers.get("If-None-Match") == step["etag"]:
                status = 304
            entry["status"] = status
            self.send(status, headers, step.get("body", usual), whole=kind != "truncate")

    def headers_of(self, step):
        headers, now = dict(step.get("headers", {})), self.world.now()
        if "etag" in step:
            headers["ETag"] = step["etag"]
        if "retry_after" in step:
            headers["Retry-After"] = str(step["retry_after"])
        if "retry_after_date" in step:
            headers["Retry-After"] = email.utils.formatdate(now + step["retry_after_date"], usegmt=True)
        if "reset_epoch" in step:
            headers["X-RateLimit-Reset"] = str(int(now + step["reset_epoch"]))
        return headers

    def hang(self, path, releases):
        """Says nothing until the caller leaves, or the path is released."""
        while not select.select([self.connection], [], [], 0)[0] or self.connection.recv(1, socket.MSG_PEEK):
            if self.world.wait_released(path, releases, 0.05):
                return

    def reset(self):
        """Breaks the connection, as a proxy does that was restarted."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        os.close(self.connection.detach())

    def send(self, status, headers, body, whole=True):
        data = b"" if status == 304 else json.dumps(body).encode() + b"\n"
        kind = {} if status == 304 else {"Content-Type": "application/json"}
        self.send_bytes(status, {**kind, **headers}, data, whole)

    def send_bytes(self, status, headers, data, whole=True):
        """All in one piece; what is not whole ends in the middle of its body."""
        reason = self.responses.get(status, ("Status",))[0]
        head = [f"HTTP/1.1 {status} {reason}", f"Date: {email.utils.formatdate(self.world.now(), usegmt=True)}"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        head += ["Connection: close"] + ([] if status == 304 else [f"Content-Length: {len(data)}"])
        sent = data if whole else data[: len(data) // 2]
        self.connection.sendall("\r\n".join([*head, "", ""]).encode() + sent)

    def log_message(self, format, *args):
        """Nothing: what was asked is in /_log."""


def json_of(body):
    try:
        return json.loads(body)
    except ValueError as why:
        raise Wrong(f"the body is not JSON: {why}") from None


def fields_of(body):
    """The fields of a form, or of a JSON object."""
    if body.lstrip().startswith(b"{"):
        return json_of(body)
    return dict(urllib.parse.parse_qsl(body.decode(errors="replace")))


class Server(ThreadingHTTPServer):
    """A thread for each connection; none of them keeps the program alive."""

    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser(description="a rate-limited server, by a script")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    options = parser.parse_args()
    Handler.world = World()
    server = Server(("127.0.0.1", options.port), Handler)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
