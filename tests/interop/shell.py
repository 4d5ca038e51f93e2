"""The shell's side of the matrix: each request is one run of the `forebay` command, and a lease is a `forebay
refresh` whose command waits at a pipe until it is told how to end."""

import json
import os
import pathlib
import subprocess
import tempfile
import time

from peers import LIMIT, Problem

# What the command of a lease does: it waits for a line, and prints the file, or fails.
HELD = 'read verdict < "$1"; test "$verdict" = ok && cat "$2"'
# What the command of `get` does: it leaves a mark that it was run, and prints the file.
FETCH = ': > "$1"; cat "$2"'


class ShellPeer:
    """A peer without a process of its own, but for the leases that it holds."""

    can_commit_validators = False

    def __init__(self, command, root):
        self.command = [str(command), "--root", str(root)]
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        self.pipe = self.path / "pipe"
        self.data = self.path / "data"
        os.mkfifo(self.pipe)
        self.lease = None

    def run(self, *arguments, given=None, statuses=(0,)):
        done = subprocess.run([*self.command, *arguments], input=given, capture_output=True, timeout=LIMIT, check=False)
        if done.returncode not in statuses:
            raise Problem(f"forebay {' '.join(arguments[:2])}: status {done.returncode}: {done.stderr.decode()}")
        return done.stdout

    def look(self, key, ttl_ms=None):
        ttl = [] if ttl_ms is None else ["--ttl", f"{ttl_ms}ms"]
        return json.loads(self.run("state", "--json", *ttl, key, statuses=(0, 1)))

    def ask(self, **request):
        return self.ask_later(**request)()

    def ask_later(self, *, op, **request):
        return getattr(self, f"op_{op}")(**request)

    def op_put(self, key, hex, validator, ttl_ms):
        options = ["--ttl", f"{ttl_ms}ms"] + (["--validator", validator] if validator else [])
        self.run("put", *options, key, given=bytes.fromhex(hex))
        return lambda: {"version": self.look(key)["version"]}

    def op_read(self, key, ttl_ms):
        found = self.look(key, ttl_ms)
        absent = found["state"] == "absent"
        data = None if absent else self.run("get", "--ttl", f"{ttl_ms}ms", key).hex()
        error = found["error"] and found["error"]["code"]
        same = {name: found[name] for name in ("state", "validator", "version")}
        return lambda: {"hex": data, "phase": found["refresh"]["phase"], "error": error, **same}

    def op_acquire(self, key, deadline_ms):
        phase = self.look(key)["refresh"]["phase"]
        if phase != "idle":
            return lambda: {"outcome": "gated" if phase == "cooling" else "in_flight"}
        command = ["refresh", "--deadline", f"{deadline_ms}ms", key, "--", "sh", "-c", HELD, "sh"]
        self.lease = subprocess.Popen(
            [*self.command, *command, str(self.pipe), str(self.data)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.held_key = key
        end = time.monotonic() + LIMIT
        while self.look(key)["refresh"]["phase"] != "running":
            if time.monotonic() > end or self.lease.poll() is not None:
                raise Problem("the command took no lease")
        return lambda: {"outcome": "ticket"}

    def end(self, verdict):
        """Tells the command of the lease how to end, and waits for the lease's end; its status."""
        lease, self.lease = self.lease, None
        self.pipe.write_text(verdict + "\n")
        return lease.wait(LIMIT)

    def op_complete(self, hex, validator):
        self.data.write_bytes(bytes.fromhex(hex))
        if self.end("ok"):
            raise Problem("the refresh failed")
        return lambda: {"version": self.look(self.held_key)["version"]}

    def fail(self, code, message, retry_after_ms):
        """A command says no code, text or time of its own; the time until the next attempt is guessed."""
        if self.end("no") == 0:
            raise Problem("the refresh did not fail")
        return {"error": "refresh_failed", "declared": False}

    def op_state(self, key):
        found = self.look(key)["refresh"]
        error = found["last_error"] or {"code": None, "message": None}
        same = {name: found[name] for name in ("phase", "attempts", "declared", "retry_at_ms", "holder")}
        return lambda: {"error": error["code"], "message": error["message"], **same}

    def op_get(self, key, ttl_ms, hex):
        mark, self.data = self.path / "mark", self.path / "got"
        self.data.write_bytes(bytes.fromhex(hex))
        command = [
            "run",
            "--key",
            key,
            "--ttl",
            f"{ttl_ms}ms",
            "--",
            "sh",
            "-c",
            FETCH,
            "sh",
            str(mark),
            str(self.data),
        ]
        child = subprocess.Popen([*self.command, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)

        def answer():
            out, err = child.communicate(timeout=LIMIT)
            if child.returncode:
                raise Problem(f"forebay run: status {child.returncode}: {err.decode()}")
            return {"hex": out.hex(), "how": "ran" if mark.exists() else "coalesced"}

        return answer

    def op_mark_stale(self, key):
        self.run("mark-stale", key)
        return dict

    def op_remove(self, key):
        removed = json.loads(self.run("remove", "--json", key, statuses=(0, 1)))
        return lambda: {"removed": removed[0]["removed"] if isinstance(removed, list) else removed["removed"]}

    def op_list(self):
        keys = [row["key"] for row in json.loads(self.run("list", "--json"))]
        return lambda: {"keys": keys}

    def holder(self):
        return self.lease.pid

    def kill(self):
        """Kills the process that holds the lease; its command, left alone, ends at the end of its input."""
        self.lease.kill()
        self.lease.wait()
        self.lease = None
        os.close(os.open(self.pipe, os.O_RDWR | os.O_NONBLOCK))

    def close(self):
        if self.lease is not None:
            self.end("no")
        self.folder.cleanup()


class Shell:
    """The language `shell`."""

    name = "shell"

    def __init__(self, command):
        self.command = command

    def open(self, root):
        return ShellPeer(self.command, root)
