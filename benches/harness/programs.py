"""What is run for each group of rows, and for how long in each mode; and the count of system calls by strace."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .prepare import Places
from .results import Results

MODES = ("quick", "default", "full")
HITS_UNDER_STRACE = 1_000_000
MARK = "getppid("


@dataclass(frozen=True)
class Program:
    """A group, what it needs to be there, and its options for quick, default and full."""

    group: str
    needs: str
    rounds: tuple[int, int, int]
    batch_ms: tuple[float, float, float] = (4, 8, 8)
    size: tuple[int, int, int] | None = None
    #: keeps its files from run to run, since they take long to make
    kept: bool = False
    runner: Callable[[Places, Program, int, Path], str] | None = None


def rust(places: Places, program: Program, mode: int, root: Path) -> str:
    command = [places.bench, program.group, "--root", root, "--rounds", str(program.rounds[mode])]
    command += ["--batch", str(int(program.batch_ms[mode]))]
    if program.size:
        command += ["--size", str(program.size[mode])]
    for path in {"command": (places.forebay, places.bkt), "native": (places.c_hits,)}.get(program.group, ()):
        command += ["--with", path]
    return output(command)


def language(places: Places, program: Program, mode: int, root: Path) -> str:
    """The fixture by the Rust program, then the program in that language."""
    output([places.bench, "fixture", "--root", root])
    start = {
        "python": [sys.executable, places.benches / "python" / "hits.py"],
        "python-memo": [sys.executable, places.benches / "python" / "memo.py"],
        "node": ["node", places.benches / "node" / "hits.mjs"],
        "go": [places.go_hits],
    }[program.group]
    options = ["--root", root, "--rounds", str(program.rounds[mode]), "--batch", str(program.batch_ms[mode])]
    return output([*start, *options])


def strace(places: Places, program: Program, mode: int, root: Path) -> str:
    """Counts what a million hits call, between two marks; the worker checks that they are hits.

    They take some ten milliseconds. A run that was held up for longer contains a look at the disk, which is due
    every 100 ms whatever the number of hits: the best of a few runs has none.
    """
    output([places.bench, "fixture", "--root", root])
    trace = root / "trace"
    counts = []
    while len(counts) < 5 and 0 not in counts:
        output(["strace", "-f", "-o", trace, places.worker, "hits", root / "cache", str(HITS_UNDER_STRACE)])
        lines = trace.read_text().splitlines()
        marks = [at for at, line in enumerate(lines) if MARK in line]
        if len(marks) != 2:
            raise RuntimeError(f"strace shows {len(marks)} marks instead of 2")
        counts.append(marks[1] - marks[0] - 1)
    calls = min(counts)
    facts = {"strace: calls": calls, "strace: hits": HITS_UNDER_STRACE}
    return "\n".join(f'{{"kind": "fact", "name": "{name}", "value": {value}}}' for name, value in facts.items())


def output(command: list[str | Path]) -> str:
    clean = {**os.environ, "FOREBAY_ROOT": ""}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=clean)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed ({done.returncode}):\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
    return done.stdout


# A reader looks at the disk every 100 ms, so batches of hits are longer than that: each bears its share.
HITS = (120, 200, 200)

# Writes first, on a file system at rest; then reading, and last what loads both cores.
PROGRAMS = (
    Program("commit-none", "rust", (25, 61, 101), (2, 2, 2)),
    Program("refresh-none", "rust", (25, 61, 101), (2, 2, 2)),
    Program("commit-data", "rust", (25, 61, 101), (5, 5, 5)),
    Program("refresh-data", "rust", (25, 61, 101), (5, 5, 5)),
    Program("live-put", "rust", (25, 61, 101), (2, 2, 2)),
    Program("hits", "rust", (9, 25, 61), HITS),
    Program("quota", "rust", (9, 25, 61), HITS),
    Program("live-hits", "rust", (9, 25, 61), HITS),
    Program("native", "native", (9, 25, 61), HITS),
    Program("threads", "rust", (7, 25, 61), HITS),
    Program("strace", "rust", (1, 1, 1), runner=strace),
    Program("python", "python", (7, 15, 31), HITS, runner=language),
    Program("python-memo", "python", (7, 15, 31), HITS, runner=language),
    Program("node", "node", (7, 15, 31), HITS, runner=language),
    Program("go", "go", (9, 25, 61), HITS, runner=language),
    Program("command", "command", (25, 101, 301), (8, 8, 8)),
    Program("open", "rust", (60, 300, 600)),
    Program("many", "rust", (60, 300, 600), size=(100_000, 100_000, 100_000), kept=True),
    Program("live-many", "rust", (3, 9, 15), size=(20_000, 100_000, 100_000), kept=True),
    Program("beside", "rust", (5, 15, 31), HITS),
    Program("follow", "rust", (100, 500, 2_000)),
    Program("follow-polling", "rust", (2, 6, 20)),
    Program("takeover", "rust", (100, 500, 2_000)),
    Program("race", "rust", (2_000, 2_000, 100_000)),
    Program("crowd", "rust", (3, 9, 25), size=(100, 100, 100)),
)


def spread(folder: Path) -> None:
    """Asks ext4 to place each folder made in this one apart (as `chattr +T` does); elsewhere it means nothing.

    ext4 passes over inodes that were freed within the last minutes, one by one: what one program deletes would slow
    down every file that the next one makes beside it.
    """
    get_flags, set_flags, top_of_hierarchy = 0x80086601, 0x40086602, 0x00020000
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flags = struct.unpack("l", fcntl.ioctl(descriptor, get_flags, struct.pack("l", 0)))[0]
        fcntl.ioctl(descriptor, set_flags, struct.pack("l", flags | top_of_hierarchy))
    except OSError:
        pass
    finally:
        os.close(descriptor)


def measure(places: Places, mode: str, only: list[str], failures: dict[str, str]) -> Results:
    """Runs the programs one after the other; one that fails costs its own rows only."""
    results = Results()
    index = MODES.index(mode)
    spread(places.work)
    for program in PROGRAMS:
        if only and program.group not in only:
            results.failures[program.group] = "not asked for"
            continue
        if program.needs in failures or "rust" in failures:
            results.failures[program.group] = failures.get(program.needs) or failures["rust"]
            continue
        print(f"bench: {program.group} ...", end="", file=sys.stderr, flush=True)
        root = places.work / program.group
        if not program.kept:
            shutil.rmtree(root, ignore_errors=True)
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        spread(root)
        start = time.monotonic()
        try:
            results.take((program.runner or rust)(places, program, index, root))
        except (RuntimeError, OSError) as reason:
            results.failures[program.group] = str(reason)
            print(f" failed: {reason}", file=sys.stderr, flush=True)
        else:
            print(f" {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
        results.seconds[program.group] = round(time.monotonic() - start, 1)
        if not program.kept:
            shutil.rmtree(root, ignore_errors=True)
    return results
