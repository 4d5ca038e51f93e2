"""A running server of server.py, for tests in Python: starts it, sets its scripts, reads its log, ends it. It asserts
nothing, and waits for nothing without an end."""

import json
import pathlib
import subprocess
import sys
import urllib.request

PROGRAM = pathlib.Path(__file__).resolve().parent / "server.py"
# Seconds; only something that hangs takes as long.
LIMIT = 60


class Server:
    """The server in a process of its own, until `close` or the end of the `with` block."""

    def __init__(self):
        self.child = subprocess.Popen(
            [sys.executable, str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.base = f"http://127.0.0.1:{int(self.child.stdout.readline())}"

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.close()

    def url(self, path):
        return self.base + path

    def post(self, where, /, **fields):
        """Posts a JSON object, and returns the one that comes back; a status of 400 or more is an HTTPError."""
        request = urllib.request.Request(self.url(where), data=json.dumps(fields).encode())
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:
            return json.load(answer)

    def script(self, path, *steps):
        """What the path answers from now on, a step for each request; the last one stays."""
        self.post("/_set", path=path, script=list(steps))

    def release(self, path):
        """Lets the answers go that are held back."""
        self.post("/_set", path=path, release=True)

    def revoke(self, token):
        self.post("/_set", revoke=token)

    def log(self, path=None, at_least=0):
        """What happened so far, once that path was asked so often; a TimeoutError if it is not."""
        query = f"at_least={at_least}&timeout={LIMIT}" + (f"&path={path}" if path else "")
        with urllib.request.urlopen(self.url(f"/_log?{query}"), timeout=2 * LIMIT) as answer:
            found = json.load(answer)
        if len(found["requests"]) < at_least:
            raise TimeoutError(f"{path} was asked {len(found['requests'])} times in {LIMIT} s, not {at_least}")
        return found

    def requests(self, path, at_least=0):
        """The requests to that path, once there are so many."""
        return self.log(path, at_least)["requests"]

    def count(self, path):
        return len(self.requests(path))

    def close(self):
        if not self.child.stdin.closed:
            self.child.stdin.close()
            self.child.wait(LIMIT)
            self.child.stdout.close()
