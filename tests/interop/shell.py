"""The shell's side of the matrix: each request is one run of the `forebay` command, and a lease is a `forebay
refresh` whose command waits at a pipe until it is told how to end."""

import base64
import json
import os
import pathlib
import subprocess
import tempfile
import time

from peers import LIMIT, Problem, workspace

# What the command of a lease does: it waits for a line, and prints the file, or fails.
HELD = 'read verdict < "$1"; test "$verdict" = ok && cat "$2"'
# What the command of `get` does: it leaves a mark that it was run, and prints the file.
FETCH = ': > "$1"; cat "$2"'


parsed = json.loads


def text_of(line, name):
    """The text of that field, which is the last one of the line, as it is written there."""
    begin = line.index(f'"{name}":') + len(name) + 3
    _, end = json.JSONDecoder().raw_decode(line, begin)
    return line[begin:end]


class ShellPeer:
    """A peer without a process of its own, but for the leases that it holds."""

    can_commit_validators = False
    # The command has no word for the state of a rotation.
    shows_rotations = False
    # Its results have a kind, but no upstreams; it tells whether one holds, but ends none by that; and it keeps what a
    # run wrote to standard error before the output.
    kind = "run"
    builds_on = False
    ends_by_looking = False
    keeps_envelopes = True

    def __init__(self, command, root):
        self.program = str(command)
        self.command = [self.program, "--root", str(root)]
        self.work = workspace(root)
        self.state = ["--state", str(pathlib.Path(root).with_name("state"))]
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

    def told(self, *arguments, given=None, statuses=(0,)):
        """The output of the command, which prints JSON, also of what goes wrong."""
        done = subprocess.run(
            [self.program, *arguments], input=given, capture_output=True, timeout=LIMIT, check=False
        )
        if done.returncode in statuses:
            return done.stdout.decode()
        lines = done.stderr.decode().splitlines() or [""]
        try:
            error = json.loads(lines[-1])["error"]
        except ValueError:
            raise Problem(f"forebay {' '.join(arguments[:2])}: status {done.returncode}: {lines}") from None
        raise Problem(f"forebay {' '.join(arguments[:2])}: {error['code']}: {error['message']}", error["code"])

    def quota(self, verb, name, identity, *options, behind=(), statuses=(0,)):
        whose = [] if identity is None else ["--identity", identity]
        line = ["quota", verb, *self.command[1:], "--json", *whose, *options, name, *behind]
        return self.told(*line, statuses=statuses)

    def op_quota_resolve(self, name, identity, credential, json, status, retry_after):
        answer, secret = self.path / "answer", self.path / "secret"
        header = "" if retry_after is None else f"Retry-After: {retry_after}\r\n"
        answer.write_text(f"HTTP/1.1 {status} Told\r\n{header}\r\n" if json is None else json, newline="")
        options = []
        if credential is not None:
            secret.write_text(credential)
            options = ["--credentials", f"cat {secret}"]
        out = self.quota("resolve", name, identity, "--timeout", "30s", *options, behind=["--", "cat", str(answer)])
        found = parsed(out)
        same = {name: found[name] for name in ("how", "retry_at_ms")}
        return lambda: {"json": text_of(out, "data"), "error": found["error"] and found["error"]["code"], **same}

    def op_quota_read(self, name, identity):
        out = self.quota("show", name, identity, statuses=(0, 1, 3))
        found = parsed(out)
        blocked = found["blocked"] or {}
        there = found["data"] is not None
        return lambda: {
            "json": text_of(out, "data") if there else None,
            "state": found["state"] if there else None,
            "cached_at_ms": found["cached_at_ms"],
            "blocked_until_ms": blocked.get("retry_at_ms"),
            "error": blocked.get("code"),
            **{name: blocked.get(name) for name in ("message", "declared", "attempts")},
        }

    def op_quota_block(self, name, identity, for_ms, code, message):
        if code != "rate_limited":
            raise Problem(f"the command blocks for a rate limit only, not for {code}")
        out = self.quota("block", name, identity, "--for", f"{for_ms}ms", "--reason", message)
        return lambda: {"until_ms": parsed(out)["retry_at_ms"]}

    def op_quota_clear(self, name, identity):
        out = self.quota("clear", name, identity, statuses=(0, 1))
        return lambda: {"cleared": parsed(out)["cleared"]}

    def op_quotas(self):
        rows = parsed(self.told("quota", "show", *self.command[1:], "--json"))
        return lambda: {"keys": [row["key"] for row in rows]}

    def rotate(self, key, script, *arguments, seen=None):
        seen = [] if seen is None else ["--seen", seen]
        line = ["rotate", *self.state, "--json", *seen, key, "--", "sh", "-c", script, "sh", *map(str, arguments)]
        found = parsed(self.told(*line))
        data = found.get("data")
        found["hex"] = base64.b64decode(found["data_base64"]).hex() if data is None else data.encode().hex()
        return found

    def op_rotate(self, key, seen, hex, code, message):
        previous, data = self.path / "previous", self.path / "next"
        previous.unlink(missing_ok=True)
        if hex is None:
            script = "exit 1"
        else:
            script = 'cat > "$1"; cat "$2"'
            data.write_bytes(bytes.fromhex(hex))
        found = self.rotate(key, script, previous, data, seen=seen)
        # The first one is exchanged for nothing, which to a command is an empty input.
        given = previous.read_bytes().hex() or None if previous.exists() else None
        return lambda: {**{name: found[name] for name in ("hex", "how", "version")}, "previous": given}

    def op_rotate_current(self, key):
        try:
            found = self.rotate(key, "exit 75")
        except Problem as why:
            # Nothing is stored, so it wanted to make the first one; the command said that it sent nothing.
            if why.code != "unavailable":
                raise
            found = {"hex": None, "version": None}
        return lambda: {name: found[name] for name in ("hex", "version")}

    def op_rotate_reset(self, key, hex):
        given = [] if hex is None else ["--stdin"]
        data = None if hex is None else bytes.fromhex(hex)
        found = parsed(self.told("rotate-reset", *self.state, "--json", *given, key, given=data))
        return lambda: {"version": found["version"]}

    def live(self, verb, *arguments, statuses=(0,)):
        """What `forebay live` prints as JSON."""
        return json.loads(self.run("live", verb, "--json", *arguments, statuses=statuses))

    def why(self, key):
        return self.live("why", "--workspace", str(self.work), key, statuses=(0, 1))

    def derive(self, key, inputs, data):
        """Its output, and whether the command was run for it."""
        mark, answer = self.path / "mark", self.path / "derived"
        mark.unlink(missing_ok=True)
        answer.write_bytes(data)
        named = [word for each in inputs for word in ("--input", each)]
        line = ["--workspace", str(self.work), "--key", key, *named, "--", "sh", "-c", FETCH, "sh", str(mark), str(answer)]
        return self.run("run", *line), mark.exists()

    def row(self, key):
        """What the list says of that result."""
        [found] = [row for row in self.live("ls") if row["key"] == key]
        return {name: found[name] for name in ("kind", "inputs", "upstreams")}

    def op_live_key(self, text, of):
        """A command says no key but in the list of results: so it makes one, and removes it."""
        before = {row["key"] for row in self.live("ls")}
        self.derive(text, ["tag:key"], b"")
        [key] = {row["key"] for row in self.live("ls")} - before
        self.live("invalidate", "--key", key)
        return lambda: {"key": key}

    def op_live_get(self, key, hex, kind, inputs, upstreams):
        if upstreams or kind != self.kind:
            raise Problem("the command gives its results no upstreams, and a kind of its own")
        out, ran = self.derive(key, inputs, bytes.fromhex(hex))
        return lambda: {"hex": out.hex(), "how": "ran" if ran else "fresh", "error": None, **self.row(key)}

    def op_live_lookup(self, key, revalidate):
        if not self.why(key)["holds"]:
            return lambda: {"outcome": "miss"}
        row = self.row(key)
        out, ran = self.derive(key, row["inputs"] or ["tag:none"], b"")
        if ran:
            raise Problem("a result that holds was computed")
        return lambda: {"outcome": "hit", "hex": out.hex(), **row}

    def op_live_why(self, key):
        found = self.why(key)
        return lambda: {name: found[name] for name in ("holds", "input", "upstream")}

    def op_live_tag(self, name):
        [found] = self.live("invalidate", "--tag", name)
        return lambda: {"removed": found["results"]}

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
