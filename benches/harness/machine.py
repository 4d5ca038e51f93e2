"""One line about the machine, since a figure means little without it. Names no host and no path."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path


def line(folder: Path) -> str:
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    gigabytes = int(memory.group(1)) / (1 << 20) if memory else 0
    return (
        f"{os.cpu_count()} cores ({processor()}), {gigabytes:.0f} GiB, {platform.system()} {kernel()}, "
        f"{file_system(folder)}; {versions()}"
    )


def processor() -> str:
    for entry in Path("/proc/cpuinfo").read_text().splitlines():
        if entry.startswith("model name"):
            return " ".join(entry.split(":", 1)[1].split())
    return platform.machine()


def kernel() -> str:
    release = re.match(r"[\d.]+", platform.release())
    return release.group(0) if release else platform.release()


def file_system(folder: Path) -> str:
    """The type of the file system that is measured, from the longest mount point that holds it."""
    target, kind, longest = folder.resolve(), "unknown file system", -1
    for entry in Path("/proc/self/mounts").read_text().splitlines():
        _, mount, found, *_ = entry.split()
        if target.is_relative_to(mount) and len(mount) >= longest:
            kind, longest = found, len(mount)
    return kind


def versions() -> str:
    parts = [f"Python {platform.python_version()}"]
    for name, command in (("Rust", ["rustc", "--version"]), ("Node", ["node", "--version"]), ("Go", ["go", "version"])):
        if shutil.which(command[0]):
            text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            number = re.search(r"\d+\.\d+(\.\d+)?", text)
            parts.append(f"{name} {number.group(0) if number else '?'}")
    return ", ".join(parts)


def load() -> float:
    """Runnable processes, averaged over a minute: above 0.5 the figures suffer."""
    return os.getloadavg()[0]
