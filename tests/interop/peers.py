"""The peers of the matrix: how each language's program is built and started, and how one talks to it."""

import json
import os
import pathlib
import queue
import shutil
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
REPO = HERE.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPO / "target"))
PREFIX = TARGET / "prefix"
BUILT = TARGET / "interop"
# Only something that hangs takes as long.
LIMIT = 60


class Problem(Exception):
    """A peer that cannot be built, started or understood, or a call that failed, with that code."""

    def __init__(self, message, code=None):
        super().__init__(message)
        self.code = code


def build(what, command, cwd=REPO):
    """Runs one build step; a failure says what it printed."""
    env = dict(os.environ, PKG_CONFIG_PATH=str(PREFIX / "lib" / "pkgconfig"), LD_LIBRARY_PATH=str(PREFIX / "lib"))
    try:
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    except OSError as why:
        sys.exit(f"tests/interop: {what}: {why}; run scripts/setup and scripts/build")
    if done.returncode:
        sys.exit(f"tests/interop: {what} cannot be built; run scripts/build\n{done.stdout}{done.stderr}")
    return done.stdout.split()


def workspace(root):
    """The folder that inputs of derived results are relative to, beside the root."""
    folder = pathlib.Path(root).with_name("work")
    folder.mkdir(exist_ok=True)
    return folder


class Process:
    """One running peer, spoken to in lines of JSON."""

    can_commit_validators = True
    shows_rotations = True
    # Of derived results: what it says of their kind, and what the command does otherwise.
    kind = "größe v1"
    builds_on = True
    ends_by_looking = True
    keeps_envelopes = False

    def __init__(self, command, root):
        self.work = workspace(root)
        env = dict(os.environ, LD_LIBRARY_PATH=str(PREFIX / "lib"), FOREBAY_MODULE=str(REPO / "bindings" / "node"))
        try:
            self.child = subprocess.Popen(
                [*command, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
            )
        except OSError as why:
            raise Problem(f"{command[0]}: {why}") from why
        self.lines = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        if "language" not in self._next():
            raise Problem("it did not say its language")

    def _listen(self):
        for line in self.child.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def _next(self):
        try:
            line = self.lines.get(timeout=LIMIT)
        except queue.Empty:
            raise Problem(f"no answer in {LIMIT} s") from None
        if line is None:
            raise Problem(f"it ended, status {self.child.wait()}")
        return json.loads(line)

    def ask_later(self, **request):
        """Sends a request; the result, when called, waits for its answer."""
        self.child.stdin.write(json.dumps(request) + "\n")
        self.child.stdin.flush()

        def answer():
            found = self._next()
            if "message" in found and len(found) == 2:
                raise Problem(f"{request['op']} failed: {found['error']}: {found['message']}", found["error"])
            return found

        return answer

    def ask(self, **request):
        return self.ask_later(**request)()

    def fail(self, code, message, retry_after_ms):
        """Fails the ticket; what the others then have to see."""
        self.ask(op="fail", code=code, message=message, retry_after_ms=retry_after_ms)
        return {"error": code, "message": message, "declared": True}

    def holder(self):
        """The process that a lease of this peer names."""
        return self.child.pid

    def kill(self):
        self.child.kill()
        self.child.wait()

    def close(self):
        """Ends it: at the end of its input it has to go by itself."""
        if self.child.returncode is None:
            self.child.stdin.close()
            try:
                status = self.child.wait(LIMIT)
            except subprocess.TimeoutExpired:
                self.kill()
                raise Problem("it did not end with its input") from None
            if status:
                raise Problem(f"it ended with status {status}")
        self.child.stdout.close()


class Language:
    """A peer that is a program."""

    def __init__(self, name, command):
        self.name = name
        self.command = [str(word) for word in command]

    def open(self, root):
        return Process(self.command, root)


def build_c():
    flags = build("the C peer", ["pkg-config", "--cflags", "--libs", "forebay"])
    warnings = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    build("the C peer", ["cc", *warnings, "-o", str(BUILT / "peer-c"), *map(str, (HERE / "peers").glob("*.c")), *flags])
    return Language("c", [BUILT / "peer-c"])


def build_rust():
    build("the Rust peer", ["cargo", "build", "--quiet", "-p", "forebay-processes"])
    return Language("rust", [TARGET / "debug" / "forebay-peer"])


def build_go():
    build("the Go peer", ["go", "build", "-o", str(BUILT / "peer-go"), "."], HERE / "peers" / "go")
    return Language("go", [BUILT / "peer-go"])


def find(program):
    """A program that scripts/setup or scripts/build has made."""
    if program is None or not os.access(program, os.X_OK):
        sys.exit(f"tests/interop: {program or 'node'} is missing; run scripts/setup and scripts/build")
    return program


def find_shell():
    from shell import Shell

    return Shell(find(PREFIX / "bin" / "forebay"))


ALL = {
    "rust": build_rust,
    "c": build_c,
    "python": lambda: Language("python", [find(REPO / ".venv" / "bin" / "python"), HERE / "peers" / "peer.py"]),
    "node": lambda: Language("node", [find(shutil.which("node")), HERE / "peers" / "peer.mjs"]),
    "go": build_go,
    "shell": find_shell,
}


def build_all(names):
    """Those languages, built and ready to start. One that is missing ends the run."""
    BUILT.mkdir(parents=True, exist_ok=True)
    return [ALL[name]() for name in names]
