"""The test suites of the repository: what they are, how each is run, and what its own closing line says.

Every suite is a command. Its output goes to a log of its own; here it becomes one line, and is shown in full
when something failed. Nothing is counted that a runner did not count itself: a suite that ends well without
its closing line, or that is missing, is a failure. scripts/test sets the environment and calls this.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "log"
HANG = 1800  # seconds after which a suite is taken to hang

CLOSING = re.compile(r"^(\d+) passed, (\d+) failed$")
CARGO = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", re.MULTILINE)


@dataclass
class Count:
    """What a suite's output says of itself."""

    passed: int
    failed: int
    note: str = ""


def by_status(output: str, status: int) -> Count:
    """A tool that only succeeds or fails counts as one test."""
    return Count(int(status == 0), int(status != 0))


def by_closing_line(output: str, status: int) -> Count:
    """Our own runners end with `N passed, N failed`."""
    lines = output.rstrip().splitlines()
    match = CLOSING.match(lines[-1].strip()) if lines else None
    if not match:
        return Count(0, 1, "its last line is not `N passed, N failed`")
    return judged(Count(int(match[1]), int(match[2])), status)


def by_cargo(output: str, status: int) -> Count:
    """cargo prints a line per test binary."""
    results = [tuple(map(int, found)) for found in CARGO.findall(output)]
    ignored = sum(result[2] for result in results)
    count = Count(sum(result[0] for result in results), sum(result[1] for result in results))
    if ignored:
        count.note = f"{ignored} ignored"
    return judged(count, status)


def judged(count: Count, status: int) -> Count:
    """The count, made to agree with the status: a runner that failed has failed at something."""
    if status != 0 and count.failed == 0:
        return Count(count.passed, 1, f"ended with status {status}")
    if count.passed + count.failed == 0:
        return Count(0, 1, "it ran no test")
    return count


@dataclass
class Suite:
    """One command, and how its result is read."""

    name: str
    command: list[str]
    read: object = by_closing_line


SUITES = [
    Suite("format", ["cargo", "fmt", "--all", "--check"], by_status),
    Suite("tidy", ["scripts/tidy"]),
    Suite(
        "clippy",
        "cargo clippy --workspace --all-targets --locked --quiet -- -D warnings".split(),
        by_status,
    ),
    Suite("rust", "cargo test --workspace --locked --no-fail-fast".split(), by_cargo),
    Suite("shuttle", ["scripts/check_interleavings"], by_cargo),
    Suite("c", ["tests/c/run"]),
    Suite("python", ["bindings/python/check"]),
    Suite("node", ["bindings/node/check"]),
    Suite("go", ["bindings/go/check"]),
    Suite("vectors", ["tests/vectors/run"]),
    Suite("interop", ["tests/interop/run"]),
    Suite("server", ["tests/server/run"]),
    Suite("crowd", ["tests/crowd/run"]),
    Suite("artifacts", ["scripts/check_artifacts"]),
    Suite("docs", ["scripts/check_docs"]),
    Suite("demo", ["scripts/demo"]),
]


def run(suite: Suite) -> tuple[Count, str]:
    """Runs one suite, and returns its count and its whole output."""
    program = suite.command[0]
    if "/" in program and not os.access(ROOT / program, os.X_OK):
        return Count(0, 1, "missing"), f"{program} does not exist, or is not executable\n"
    log = LOGS / f"test-{suite.name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            suite.command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            status = process.wait(timeout=HANG)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return Count(0, 1, f"not done after {HANG} s"), log.read_text(errors="replace")
    output = log.read_text(errors="replace")
    return suite.read(output, status), output


def report(suite: Suite, count: Count, output: str, took: float) -> None:
    """One line; all of the output where something failed."""
    note = f"   ({count.note})" if count.note else ""
    if count.failed:
        print(f"---- {suite.name}: {' '.join(suite.command)}")
        print(output, end="" if output.endswith("\n") else "\n")
        print(f"---- end of {suite.name}")
    print(f"{suite.name:10} {count.passed:6} passed {count.failed:4} failed {took:7.1f} s{note}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="run the test suites of this repository")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help="only these")
    parser.add_argument("--list", action="store_true", help="name the suites and their commands")
    options = parser.parse_args()
    if options.list:
        for suite in SUITES:
            print(f"{suite.name:10} {' '.join(suite.command)}")
        return 0
    unknown = set(options.suites) - {suite.name for suite in SUITES}
    if unknown:
        parser.error(f"no suite is called {', '.join(sorted(unknown))}; see --list")
    LOGS.mkdir(parents=True, exist_ok=True)
    passed = failed = 0
    for suite in SUITES:
        if options.suites and suite.name not in options.suites:
            continue
        began = time.monotonic()
        count, output = run(suite)
        report(suite, count, output, time.monotonic() - began)
        passed += count.passed
        failed += count.failed
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
