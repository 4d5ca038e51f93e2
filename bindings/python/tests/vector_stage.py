"""The stage of one scenario of tests/vectors: folder, clock, other processes, files, and how what was found is
compared with what was expected. Knows nothing of forebay; the calls of its API are in test_vectors.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

LIMIT = 20.0
"""Seconds after which something has hung."""
Found = dict[str, Any]


def data_of(spec: Any) -> bytes:
    if isinstance(spec, str):
        return spec.encode()
    [(kind, value)] = spec.items()
    assert kind in ("hex", "fill"), f"{spec} is not bytes"
    return bytes.fromhex(value) if kind == "hex" else bytes([value[0]]) * int(value[1])


class Stage:
    """One scenario's folder and clock, and what its steps have named. Each public method is an op."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._root = folder, folder / "root"
        self._wall, self._boot = 1_700_000_000_000, 1_000_000
        self._saved: dict[str, str] = {}
        self._holds: dict[str, tuple[threading.Event, threading.Event]] = {}
        self._running: dict[str, Future[Found]] = {}
        self._actors: dict[str, subprocess.Popen[str]] = {}
        self._failed: BaseException | None = None
        self._pool = ThreadPoolExecutor(32)
        self.advance()

    def _end(self) -> None:
        for _, release in self._holds.values():
            release.set()
        for name in list(self._actors):
            self.kill(actor=name)
        self._pool.shutdown()

    def _held(self, name: str) -> tuple[threading.Event, threading.Event]:
        return self._holds.setdefault(name, (threading.Event(), threading.Event()))

    # The ops of the stage.

    def join(self, *, background: str) -> Any:
        return self._running.pop(background).result(LIMIT)

    def entered(self, *, hold: str) -> Any:
        assert self._held(hold)[0].wait(LIMIT), "the refresher was not called"

    def release(self, *, hold: str) -> Any:
        self._held(hold)[1].set()

    def advance(self, *, ms: int = 0, wall_ms: int = 0) -> Any:
        self._wall, self._boot = self._wall + ms + wall_ms, self._boot + ms
        stamps = {"wall_ns": str(self._wall * 10**6), "boot_ns": str(self._boot * 10**6)}
        new = self._folder / "clock.new"
        new.write_text(json.dumps(stamps))
        new.rename(self._folder / "clock")

    def actor(self, *, actor: str, args: Any) -> Any:
        program = os.environ.get("FOREBAY_ACTOR")
        assert program, "set FOREBAY_ACTOR to target/debug/forebay-actor (cargo build -p forebay-processes)"
        line = [program, "--root", str(self._root), "--clock", str(self._folder / "clock"), *args]
        pipe = subprocess.PIPE
        self._actors[actor] = subprocess.Popen(line, stdin=pipe, stdout=pipe, text=True, bufsize=1)
        return self._answer(actor)

    def _answer(self, actor: str) -> Found:
        out = self._actors[actor].stdout
        assert out is not None
        return {"json": json.loads(out.readline())}

    def tell(self, *, actor: str, line: str) -> Any:
        stdin = self._actors[actor].stdin
        assert stdin is not None
        stdin.write(line + "\n")
        return self._answer(actor)

    def kill(self, *, actor: str) -> Any:
        program = self._actors.pop(actor)
        program.kill()
        program.communicate()

    # The ops of files. Fields named "in" arrive as "within": which of the two roots.

    def _at(self, path: str, within: str) -> Path:
        assert within in ("root", "state")
        return self._folder / within / path

    def files(self, *, within: str = "root") -> Any:
        top, found = self._at("", within), []
        for folder, folders, names in os.walk(top):
            folders[:] = [name for name in folders if name != ".forebay"]
            links = [name for name in folders if (Path(folder) / name).is_symlink()]
            found += [str((Path(folder) / name).relative_to(top)) for name in names + links]
        return {"files": sorted((name for name in found if name != "CACHEDIR.TAG"), key=str.encode)}

    def file(self, *, path: str, within: str = "root") -> Any:
        file = self._at(path, within)
        raw = file.read_bytes()
        found = {"data": raw, "json": None, "mode": f"{file.stat().st_mode & 0o7777:o}"}
        with contextlib.suppress(ValueError):
            found["json"] = json.loads(raw)
        return found

    def write_file(self, *, path: str, data: Any, within: str = "root") -> Any:
        file = self._at(path, within)
        self._make(file.parent)
        file.write_bytes(data_of(data))

    def _make(self, folder: Path) -> None:
        for part in (*reversed(folder.parents), folder):
            if self._folder in part.parents:
                part.mkdir(mode=0o700, exist_ok=True)

    def _change(self, file: Path, change: Callable[[bytearray], None]) -> None:
        """Change the bytes in place, keeping the mtime."""
        stat = file.stat()
        raw = bytearray(file.read_bytes())
        change(raw)
        with file.open("r+b") as handle:
            handle.write(raw)
            handle.truncate()
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    def flip(self, *, path: str, at: int, within: str = "root") -> Any:
        self._change(self._at(path, within), lambda raw: raw.__setitem__(at, raw[at] ^ 0xFF))

    def truncate(self, *, path: str, size: int, within: str = "root") -> Any:
        self._change(self._at(path, within), lambda raw: raw.__delitem__(slice(size, None)))

    def make_dir(self, *, path: str, within: str = "root") -> Any:
        self._at(path, within).unlink(missing_ok=True)
        self._make(self._at(path, within))

    def delete(self, *, path: str, within: str = "root") -> Any:
        self._at(path, within).unlink()

    def symlink(self, *, path: str, to: str, within: str = "root") -> Any:
        file = self._at(path, within)
        self._make(file.parent)
        file.unlink(missing_ok=True)
        file.symlink_to(to)

    def chmod(self, *, path: str, mode: str, within: str = "root") -> Any:
        self._at(path, within).chmod(int(mode, 8))

    def set_mtime(self, *, path: str, age_ms: int, within: str = "root") -> Any:
        at = (self._wall - age_ms) * 10**6
        os.utime(self._at(path, within), ns=(at, at))

    # Comparing.

    def _compare(self, op: str, expect: Found, found: Found) -> None:
        assert "fails" not in found or "fails" in expect, f"it failed: {found}"
        if op == "acquire" and "fails" not in found:
            expect = {"outcome": "ticket", **expect}
        for name, want in expect.items():
            assert self._holds_good(name, want, found), f"expected {name} {want}, found {str(found)[:2000]}"

    def _holds_good(self, name: str, want: Any, found: Found) -> bool:
        if name in ("same_version", "other_version"):
            return bool((found["version"] == self._saved[want]) == (name == "same_version"))
        shown = {"lacks": "json", "silent": "says"}.get(name, name)
        assert shown in found or name == "silent", f"nothing like {name!r} in {found}"
        have = found.get(shown)
        if name == "lacks":
            return not set(want) & set(have or ())
        if name == "says":
            return have is not None and want in have
        if name == "silent":
            return want not in (have or "")
        if name in ("data", "previous", "credential"):
            return bool(have == (None if want is None else data_of(want)))
        if name == "json":
            return _within(want, have)
        if name in ("removed_keys", "skipped_keys", "keys"):
            return sorted(want) == sorted(have or [])
        if name == "list":
            rows = {row["key"]: row for row in have or []}
            assert sorted(rows) == sorted(row["key"] for row in want), f"listed are {sorted(rows)}"
            return all(self._holds_good(n, w, rows[row["key"]]) for row in want for n, w in row.items())
        if isinstance(want, list) and name in ("how", "outcome", "fails", "state"):
            return bool(have in want)
        if isinstance(want, list) and isinstance(have, int):
            return bool(want[0] <= have <= want[1])
        return bool(want == have) and isinstance(want, bool) == isinstance(have, bool)


def _within(want: Any, have: Any) -> bool:
    if isinstance(want, dict) and isinstance(have, dict):
        return all(name in have and _within(value, have[name]) for name, value in want.items())
    return bool(want == have)
