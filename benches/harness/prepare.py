"""Builds the measuring programs and installs the peers, all of it inside the repository; quick when nothing changed.

The library, the command and the bindings themselves are built by `scripts/build`, which `scripts/bench` calls first.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BKT = "0.8.2"


@dataclass(frozen=True)
class Places:
    """Where things lie."""

    repository: Path

    @property
    def benches(self) -> Path:
        return self.repository / "benches"

    @property
    def target(self) -> Path:
        return Path(os.environ["CARGO_TARGET_DIR"])

    @property
    def bench(self) -> Path:
        return self.target / "benches" / "release" / "forebay-bench"

    @property
    def worker(self) -> Path:
        return self.bench.with_name("forebay-bench-worker")

    @property
    def bkt(self) -> Path:
        return self.target / "bench-tools" / "bin" / "bkt"

    @property
    def forebay(self) -> Path:
        return self.target / "prefix" / "bin" / "forebay"

    @property
    def c_hits(self) -> Path:
        return self.target / "benches" / "libhits.so"

    @property
    def go_hits(self) -> Path:
        return self.target / "benches" / "go-hits"

    @property
    def work(self) -> Path:
        """Where the measured files go: on the repository's own file system, never one in memory."""
        return self.target / "bench-work"

    @property
    def results(self) -> Path:
        return self.repository / "bench-results"


class Failed(Exception):
    """A step that did not work; the text is what it printed last."""


def run(what: str, command: Sequence[str | Path], cwd: Path, **more: str) -> None:
    print(f"bench: {what}", file=sys.stderr, flush=True)
    done = subprocess.run(command, check=False, cwd=cwd, env={**os.environ, **more}, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{what} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def once(stamp: Path, inputs: Sequence[Path], words: str = "") -> bool:
    """Whether something must be done (again), because the inputs differ from those that the stamp names."""
    digest = hashlib.sha256(words.encode())
    for path in inputs:
        digest.update(path.read_bytes())
    found = stamp.read_text() if stamp.exists() else ""
    return found != digest.hexdigest()


def done(stamp: Path, inputs: Sequence[Path], words: str = "") -> None:
    digest = hashlib.sha256(words.encode())
    for path in inputs:
        digest.update(path.read_bytes())
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(digest.hexdigest())


def rust(places: Places) -> None:
    target = str(places.target / "benches")
    run("measuring programs in Rust", ["cargo", "build", "--release", "--locked"], places.benches, CARGO_TARGET_DIR=target)


def bkt(places: Places) -> None:
    if places.bkt.exists():
        return
    command = ["cargo", "install", "--quiet", "--locked", "--version", BKT, "--root", places.bkt.parents[1], "bkt"]
    run("bkt", command, places.repository, CARGO_TARGET_DIR=str(places.target / "benches"))


def node(places: Places) -> None:
    folder = places.benches / "node"
    lock, stamp = folder / "package-lock.json", folder / "node_modules" / ".installed"
    if once(stamp, [lock]):
        run("peers in Node", ["npm", "ci", "--no-audit", "--no-fund"], folder)
        done(stamp, [lock])


def go(places: Places) -> None:
    run("measuring program in Go", ["go", "build", "-o", places.go_hits, "."], places.benches / "go")


def c(places: Places) -> None:
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "forebay"], capture_output=True, text=True, check=True
    ).stdout.split()
    source = places.benches / "c" / "hits.c"
    command = ["cc", "-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-o", places.c_hits, source]
    run("measuring library in C", [*command, *flags, "-Wl,-rpath," + str(places.target / "prefix" / "lib")], places.repository)


def python(places: Places) -> None:
    """The peers are in this environment already; forebay, as built into .venv, is linked beside them."""
    built = sorted((places.repository / ".venv" / "lib").glob("python3*/site-packages/forebay"))
    if not built:
        raise Failed("the Python package is not in .venv: run scripts/build")
    here = Path(sys.prefix) / "lib" / f"python3.{sys.version_info.minor}" / "site-packages" / "forebay"
    if here.is_symlink():
        here.unlink()
    here.symlink_to(built[-1])


def everything(places: Places) -> dict[str, str]:
    """Prepares all; returns which parts failed, and why, so that the others can be measured all the same."""
    failures = {}
    for name, part in (("rust", rust), ("command", bkt), ("node", node), ("go", go), ("native", c), ("python", python)):
        try:
            part(places)
        except (Failed, subprocess.CalledProcessError) as reason:
            failures[name] = str(reason)
    return failures


def tools() -> list[str]:
    """The system's own tools that are missing, and how to get them."""
    hints = {
        "cargo": "install Rust from https://rustup.rs",
        "cc": "Debian: apt-get install build-essential",
        "pkg-config": "Debian: apt-get install pkg-config",
        "node": "install Node from https://nodejs.org",
        "npm": "it comes with Node",
        "go": "install Go from https://go.dev/dl",
        "strace": "Debian: apt-get install strace",
    }
    return [f"{tool}: not found; {hint}" for tool, hint in hints.items() if shutil.which(tool) is None]
