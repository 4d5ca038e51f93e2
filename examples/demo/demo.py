"""The conductor of the demo: five programs in five languages on one slow source, and what they do to a server.

It starts the server of server.py, then the C, Python, Node and Go programs of this folder and the `forebay`
command, prints who fetched, who joined and how long each took, and checks what it prints: it ends with a
line `N passed, N failed` and a status to match. It knows nothing of how forebay works. scripts/demo builds
what it needs and runs it.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIMIT = 55  # seconds for all of it; whatever hangs longer is killed and the demo fails
SLOW = 0.3  # seconds that the server takes where it is slow
KEY = "api/models"


@dataclass
class Got:
    """What one program printed, and how long it took."""

    name: str
    how: str
    state: str
    bytes: int
    ms: float
    error: str


class Server:
    """The model list in a process of its own."""

    def __init__(self) -> None:
        command = [sys.executable, str(HERE / "server.py")]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.base = self.process.stdout.readline().strip()
        self.url = f"{self.base}/models"
        self.seen = 0

    def control(self, **change: object) -> None:
        request = urllib.request.Request(f"{self.base}/control", data=json.dumps(change).encode())
        urllib.request.urlopen(request, timeout=10).close()

    def stats(self, at_least: int = 0, timeout: float = 10) -> dict:
        address = f"{self.base}/stats?at_least={at_least}&timeout={timeout}"
        with urllib.request.urlopen(address, timeout=timeout + 10) as answer:
            return json.load(answer)

    def wait_for_request(self) -> dict:
        """The next request that was not reported before, as soon as it has arrived."""
        requests = self.stats(at_least=self.seen + 1)["requests"]
        if len(requests) <= self.seen:
            raise TimeoutError("no request reached the server within 10 s")
        return requests[self.seen]

    def news(self) -> list[dict]:
        """The requests since this was asked last."""
        requests = self.stats()["requests"]
        fresh, self.seen = requests[self.seen :], len(requests)
        return fresh


class Programs:
    """The five programs, and those of them that run."""

    def __init__(self, commands: dict[str, dict[str, list[str]]]) -> None:
        self.commands = commands
        self.running: list[subprocess.Popen] = []

    def start(self, name: str, mode: str) -> "Run":
        run = Run(name, self.commands[name][mode])
        self.running.append(run.process)
        return run

    def stop(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()


class Run:
    """One program that was started."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self.began = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.asking = threading.Event()
        self.out = b""
        self.took = 0.0
        self.thread = threading.Thread(target=self.collect, daemon=True)
        self.thread.start()

    def collect(self) -> None:
        """Reads to the end; a first line `asking` says that the program is past its own start-up."""
        if self.name != "shell":
            self.process.stdout.readline()
        self.asking.set()
        self.out = self.process.stdout.read()
        self.process.wait()
        self.took = time.perf_counter() - self.began

    def got(self) -> Got:
        self.thread.join()
        errors = self.process.stderr.read().decode(errors="replace").strip()
        if self.process.returncode != 0:
            raise ChildProcessError(f"{self.name} ended with {self.process.returncode}: {errors}")
        if self.name == "shell":
            return Got("shell", *said_by_the_command(errors), len(self.out), self.took * 1000, "-")
        fields = dict(pair.split("=", 1) for pair in self.out.decode().split())
        took = int(fields["us"]) / 1000
        return Got(self.name, fields["how"], fields["state"], int(fields["bytes"]), took, fields["error"])


def said_by_the_command(errors: str) -> tuple[str, str]:
    """How and state, as `forebay run --verbose` says them on standard error."""
    if f"{KEY}: ran here" in errors:
        return "ran", "fresh"
    said = re.search(rf"{KEY}: (\w+): (\w+),", errors)
    return (said[1], said[2]) if said else ("-", "-")


class Demo:
    """The acts, and what was checked in them."""

    def __init__(self, server: Server, programs: Programs, root: str) -> None:
        self.server = server
        self.programs = programs
        self.root = root
        self.passed = self.failed = 0
        self.size = 0

    def check(self, holds: bool, claim: str) -> None:
        self.passed += holds
        self.failed += not holds
        print(f"   {'ok' if holds else 'FAILED'}: {claim}", flush=True)

    def forebay(self, *arguments: str) -> str:
        done = subprocess.run(["forebay", *arguments], capture_output=True, text=True, timeout=20)
        if done.returncode != 0:
            raise ChildProcessError(f"forebay {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def state(self) -> dict:
        return json.loads(self.forebay("state", "--json", KEY))

    def report(self, results: list[Got]) -> None:
        for got in results:
            extra = f"   {got.error}" if got.error != "-" else ""
            what = got.how if got.how != "-" else got.state
            print(f"   {got.name:7} {what:11} {got.bytes:>8,} bytes  {got.ms:>9,.2f} ms{extra}")

    def all_whole(self, results: list[Got]) -> bool:
        return all(got.bytes == self.size for got in results)

    def cold(self, first: str | None) -> None:
        print(f"\n1. A cold source: five programs start at once; the server takes {SLOW:.1f} s once all have asked.")
        self.server.control(hold=True, delay=SLOW)
        runs = []
        if first:
            runs.append(self.programs.start(first, "get"))
            self.server.wait_for_request()
        runs += [self.programs.start(name, "get") for name in self.programs.commands if name != first]
        for run in runs:
            run.asking.wait()
        self.server.wait_for_request()
        self.server.control(hold=False)
        results = [run.got() for run in runs]
        requests = self.server.news()
        fetched = [request["agent"] for request in requests]
        self.report(results)
        self.size = results[0].bytes
        ran = [got.name for got in results if got.how == "ran"]
        print(f"   the server was asked {len(requests)} time(s), by {', '.join(fetched)}")
        self.check(len(requests) == 1, "one request for five programs")
        self.check(ran == fetched, "who says that it fetched is who asked the server")
        self.check(self.size > 50_000 and self.all_whole(results), "all five have the same bytes, whole")
        others = [got for got in results if got.how != "ran"]
        self.check(all(got.how in ("coalesced", "fresh") for got in others), "the other four joined it")

    def stale(self) -> None:
        if not self.state().get("validator"):
            print("\n   (curl keeps no validator, so the Go program fetches once more, to have one)")
            self.server.control(delay=0)
            self.forebay("mark-stale", KEY)
            self.programs.start("go", "get").got()
            self.server.news()
        print("\n2. The value is stale; the Go program refreshes it, the server holds its answer back; the others read.")
        self.forebay("mark-stale", KEY)
        self.server.control(hold=True, delay=0)
        refreshing = self.programs.start("go", "get")
        self.server.wait_for_request()
        results = [self.programs.start(name, "read").got() for name in self.programs.commands if name != "go"]
        in_flight = self.state()["refresh"]["phase"]
        self.server.control(hold=False)
        refreshed = refreshing.got()
        requests = self.server.news()
        self.report([*results, refreshed])
        print(f"   the server was asked {len(requests)} time(s), and said {', '.join(str(r['status']) for r in requests)}")
        self.check(in_flight == "running", "the four read while the refresh ran, and none waited for it")
        self.check(self.all_whole(results), "each got the stale value, whole")
        self.check(all(got.state == "stale" for got in results if got.name != "shell"), "and was told that it is stale")
        self.check([r["status"] for r in requests] == [304], "the refresh was one conditional request, answered 304")
        self.check(refreshed.how == "unchanged" and refreshed.state == "fresh", "a 304 makes the value fresh again")

    def limited(self) -> None:
        print("\n3. The server says 429, Retry-After: 5 to the Python program; then all five ask at once.")
        self.forebay("mark-stale", KEY)
        self.server.control(status=429, retry_after="5")
        first = self.programs.start("python", "get").got()
        asked = self.server.news()
        results = [run.got() for run in [self.programs.start(name, "get") for name in self.programs.commands]]
        requests = self.server.news()
        self.report([first, *results])
        print(f"   {self.forebay('why', KEY).strip()}")
        print(f"   the server was asked {len(asked)} time before the gate, and {len(requests)} times behind it")
        self.check(len(asked) == 1, "one program was told")
        self.check(len(requests) == 0, "none of the five asked again: the gate holds in every process")
        self.check(self.all_whole([first, *results]), "all were served the stale value")
        self.server.control(status=200, retry_after=None)
        self.sit_out()
        after = self.programs.start("node", "get").got()
        self.report([after])
        self.check(len(self.server.news()) == 1 and after.state == "fresh", "after that time the next one refreshes")

    def sit_out(self) -> None:
        """Waits for the end of the gate, as long as it says, and says so."""
        retry_at = self.state()["refresh"]["retry_at_ms"]
        left = max(0.0, retry_at / 1000 - time.time()) if retry_at else 0.0
        print(f"   (waiting {left:.1f} s, as the server asked)", flush=True)
        time.sleep(left)

    def killed(self) -> None:
        print("\n4. The Python program holds the lease and is killed; the four others were waiting.")
        self.forebay("mark-stale", KEY)
        self.server.control(hold=True)
        holder = self.programs.start("python", "get")
        self.server.wait_for_request()
        self.server.seen += 1
        waiting = [self.programs.start(name, "get") for name in ("c", "node", "go")]
        waiting.append(self.programs.start("shell", "wait"))
        for run in waiting:
            run.asking.wait()
        print("   (0.2 s for them to join)", flush=True)
        time.sleep(0.2)
        before = self.server.stats()
        os.kill(holder.process.pid, signal.SIGKILL)
        killed_at = time.monotonic()
        successor = self.server.wait_for_request()
        self.server.control(hold=False)
        results = [run.got() for run in waiting]
        self.settle()
        requests = self.server.news()
        self.report(results)
        took = (successor["at"] - killed_at) * 1000
        print(f"   {took:.1f} ms after the SIGKILL the server was asked by {successor['agent']}")
        self.check(len(before["requests"]) == self.server.seen - len(requests), "nobody had asked beside the holder")
        self.check(took < 1000, "another took over within a second")
        self.check(len(requests) == 1, "one, not four")
        self.check(self.all_whole(results), "all four have the value, whole")
        self.check(all(got.state == "fresh" for got in results), "and it is fresh")

    def settle(self) -> None:
        """Waits until no refresh is in flight: the command's detached child may still be at it."""
        until = time.monotonic() + 10
        while self.state()["refresh"]["phase"] == "running" and time.monotonic() < until:
            time.sleep(0.01)

    def failing(self) -> None:
        print("\n5. The server says 500 to the C program.")
        self.forebay("mark-stale", KEY)
        self.server.control(status=500)
        got = self.programs.start("c", "get").got()
        requests = self.server.news()
        self.report([got])
        print(f"   {self.forebay('why', KEY).strip()}")
        self.check(len(requests) == 1 and got.bytes == self.size, "the last good value is served")
        self.check(got.error != "-", "with the error beside it")


def commands(url: str, build: Path) -> dict[str, dict[str, list[str]]]:
    """How each of the five is started, by mode."""

    def both(*command: str) -> dict[str, list[str]]:
        return {mode: [*command, mode, url] for mode in ("get", "read")}

    run = ["forebay", "run", "--verbose", "--key", KEY, "--ttl", "1h", "--max-stale", "7d"]
    curl = ["--", "curl", "-fsS", "-A", "shell", url]
    return {
        "c": both(str(build / "fetch-c")),
        "python": both(sys.executable, str(HERE / "fetch.py")),
        "node": both("node", str(build / "node" / "fetch.mjs")),
        "go": both(str(build / "fetch-go")),
        # `get` serves what is stale at once; `wait` waits for the refresh, as the others' get does.
        "shell": {"get": [*run, *curl], "wait": [*run, "--wait", "20s", *curl], "read": ["forebay", "get", KEY]},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="five languages, one cold source, one fetch")
    parser.add_argument("--build", type=Path, required=True, help="the folder of the built programs")
    parser.add_argument("--first", choices=["c", "python", "node", "go", "shell"], help="who is to fetch first")
    options = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="forebay-demo-") as root, contextlib.ExitStack() as stack:
        os.environ["FOREBAY_ROOT"] = root
        server = Server()
        stack.callback(server.process.wait)
        stack.callback(server.process.kill)
        programs = Programs(commands(server.url, options.build))
        stack.callback(programs.stop)
        watchdog = threading.Timer(LIMIT, give_up, (programs, server))
        watchdog.daemon = True
        watchdog.start()
        demo = Demo(server, programs, root)
        print(f"A model list at {server.url}; the cache is {root}")
        demo.cold(options.first)
        demo.stale()
        demo.limited()
        demo.killed()
        demo.failing()
        watchdog.cancel()
    print(f"\n{time.perf_counter() - began:.1f} s")
    print(f"{demo.passed} passed, {demo.failed} failed")
    return 1 if demo.failed else 0


def give_up(programs: Programs, server: Server) -> None:
    """Called when something hangs: ends everything, so that the main thread fails with what it waited for."""
    print(f"FAILED: not done after {LIMIT} s", flush=True)
    programs.stop()
    server.process.kill()


if __name__ == "__main__":
    sys.exit(main())
