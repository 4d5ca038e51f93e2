"""The runner of tests/vectors: what every language must do alike. The format is in tests/vectors/README.md.

An op is a method whose keyword arguments are its fields, so an unknown op or field is an error by itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import forebay
import pytest
from vector_callees import Calls, Thrown, age_ms, commit_of, ms
from vector_quota import QuotaOps
from vector_stage import LIMIT, Found, data_of

VECTORS = Path(__file__).parents[3] / "tests" / "vectors"
SCENARIOS = sorted((VECTORS / "scenarios").glob("*.json"))
SOURCE = ("ttl", "max_stale", "stale_if_error", "deadline")
REFRESHING = ("refresh", "get", "maybe_refresh", "maybe_refresh_sync")
CALLING = ("quota_resolve", "rotate")
IN_BACKGROUND = ("refresh", "get", "maybe_refresh_sync", "wait_for_change", *CALLING)


def of_value(value: forebay.Value) -> Found:
    error = value.error
    return {
        **{name: getattr(value, name) for name in ("data", "state", "how", "phase", "validator", "version")},
        "age_ms": age_ms(value.age),
        "error": error and error.code,
        "says": error and str(error),
    }


class Player(QuotaOps):
    """Plays one scenario against a root of its own. Each public method is an op."""

    def __init__(self, folder: Path, defaults: dict[str, Any], quota: dict[str, Any], *, loop: bool) -> None:
        super().__init__(folder)
        self._defaults, self._quota_defaults, self._loop = defaults, quota, loop
        self._credentials = {}
        self._caches: dict[str, forebay.Cache] = {}
        self._tickets: dict[str, forebay.Ticket] = {}
        self._readers: dict[str, Any] = {}
        self.open(cache="a")

    def _end(self) -> None:
        self._tickets.clear()
        self._readers.clear()
        for _, release in self._holds.values():
            release.set()
        for cache in self._caches.values():
            cache.close(drain=LIMIT)
        super()._end()

    def _steps(self, steps: list[dict[str, Any]], prefix: str = "") -> None:
        for index, step in enumerate(steps):
            try:
                self._step(dict(step), f"{prefix}{index}")
            except Exception as error:
                if getattr(error, "placed", False):
                    raise
                placed = AssertionError(f"step {prefix}{index}, {step.get('do')}: {error!r}")
                placed.placed = True  # type: ignore[attr-defined]
                raise placed from error
            if self._failed is not None:
                raise self._failed

    def _step(self, step: dict[str, Any], place: str) -> None:
        op, expect, save = step.pop("do"), step.pop("expect", None), step.pop("save", None)
        step.pop("note", None)
        if "in" in step:
            step["within"] = step.pop("in")
        assert op in OPS, f"unknown op {op!r}"
        if op != "join" and "background" in step:
            name = step.pop("background")
            assert op in IN_BACKGROUND, "it cannot run in the background"
            assert expect is None
            assert save is None
            assert name not in self._running
            self._running[name] = self._pool.submit(self._call, op, step, place)
            return
        found = self._call(op, step, place)
        self._compare(op, expect or {}, found)
        if save is not None:
            self._saved[save] = found["version"]

    def _call(self, op: str, fields: dict[str, Any], place: str) -> Found:
        """Make the call of a step, and give what it found: its result, or its failure."""
        calls = Calls()
        try:
            found = self._made(op, fields, place, calls)
        except forebay.Error as error:
            found = {"fails": error.code, "says": str(error), "retry_in_ms": self._until(error.retry_at)}
        except Thrown as error:
            found = {"fails": calls.fails_as(error), "says": str(error)}
        found = of_value(found) if isinstance(found, forebay.Value) else found or {}
        return {**found, **calls.found()} if op in REFRESHING or op in CALLING else found

    def _made(self, op: str, fields: dict[str, Any], place: str, calls: Calls) -> Any:
        call = getattr(self, op)
        if op in CALLING:
            fields |= {"place": place, "calls": calls}
        if op in OF_QUOTA:
            quota = self._quota_of(fields)
            return call(quota, **fields)
        if op not in OF_SOURCE:
            return call(**fields)
        for name, value in self._defaults.items():
            fields.setdefault(name, value)
        options: Any = {name: ms(fields.pop(f"{name}_ms", None)) for name in SOURCE}
        floor_cap = fields.pop("backoff_ms", None)
        backoff: Any = floor_cap and tuple(timedelta(milliseconds=number) for number in floor_cap)
        identity = fields.pop("identity", None)
        cache = self._caches[fields.pop("cache", "a")]
        if op in REFRESHING:
            fields["fn"] = self._callee("fn", place, calls, fields["fn"])
        source = cache.source(fields.pop("key"), **options, backoff=backoff, identity=identity)
        return call(source, **fields)

    def _until(self, at: datetime | None) -> int | None:
        now = datetime.fromtimestamp(self._wall / 1000, timezone.utc)
        return None if at is None else (at - now) // timedelta(milliseconds=1)

    # The ops of a source.

    def read(self, source: forebay.Source) -> Any:
        return source.read()

    def load(self, source: forebay.Source, *, reader: str) -> Any:
        return self._readers.setdefault(reader, source.reader()).value

    def put(self, source: forebay.Source, *, data: Any, commit: Any = None) -> Any:
        return source.put(data_of(data), **commit_of(commit))

    def mark_stale(self, source: forebay.Source) -> Any:
        source.mark_stale()

    def remove(self, source: forebay.Source) -> Any:
        return {"removed": source.remove()}

    def refresh(
        self,
        source: forebay.Source,
        *,
        fn: Any,
        min_fresh_in_ms: int | None = None,
        override_gate: bool = False,
    ) -> Any:
        at = None if min_fresh_in_ms is None else (self._wall + min_fresh_in_ms) / 1000
        moment = None if at is None else datetime.fromtimestamp(at, timezone.utc)
        return source.refresh(fn, min_fresh_at=moment, override_gate=override_gate)

    def get(self, source: forebay.Source, *, fn: Any, wait_ms: int | None = None) -> Any:
        return source.get(fn, wait=ms(wait_ms))

    def maybe_refresh(self, source: forebay.Source, *, fn: Any) -> Any:
        return {"outcome": source.maybe_refresh(fn)}

    def maybe_refresh_sync(self, source: forebay.Source, *, fn: Any) -> Any:
        return source.maybe_refresh_sync(fn)

    def refresh_state(self, source: forebay.Source) -> Any:
        return self._of_state(source.refresh_state())

    def _of_state(self, state: forebay.RefreshState) -> Found:
        last, holder = state.last_error, state.holder
        return {
            **{
                name: getattr(state, name)
                for name in ("phase", "in_flight", "failed", "attempts", "declared")
            },
            "error": last and last.code,
            "says": last and str(last),
            "retry_in_ms": self._until(state.retry_at),
            "deadline_in_ms": self._until(state.deadline),
            "holder": None if holder is None else "self" if holder == os.getpid() else "other",
        }

    def wait_for_change(self, source: forebay.Source, *, since: str, timeout_ms: int | None = None) -> Any:
        return {"changed": source.wait_for_change(self._saved[since], ms(timeout_ms)) is not None}

    def acquire(
        self, source: forebay.Source, *, ticket: str, since: str | None = None, **options: bool
    ) -> Any:
        version = None if since is None else self._saved[since]
        acquired = source.acquire(unless_changed_since=version, **options)
        found: Found = {"outcome": acquired.outcome}
        if acquired.ticket is not None:
            self._tickets[ticket] = acquired.ticket
        if acquired.state is not None:
            found |= self._of_state(acquired.state)
        if acquired.value is not None:
            found |= of_value(acquired.value)
        return found

    def why(self, source: forebay.Source) -> Any:
        why = source.why()
        return {"state": why.state, "phase": why.phase, "says": why.text}

    def idle(self, source: forebay.Source) -> Any:
        end = datetime.now(timezone.utc) + timedelta(seconds=LIMIT)
        while source.refresh_state().phase == "running":
            assert datetime.now(timezone.utc) < end, "a refresh is still running"
            source.wait_for_change(timeout=0.025)

    # The ops of tickets and caches.

    def open(self, *, cache: str, durability: Any = None) -> Any:
        clock = self._folder / "clock"
        self._caches[cache] = forebay.Cache(self._root, durability=durability, test_clock=clock)

    def close(self, *, cache: str = "a") -> Any:
        self._caches[cache].close()

    def ticket(self, *, ticket: str) -> Any:
        held = self._tickets[ticket]
        found = {name: getattr(held, name) for name in ("cancelled", "previous", "validator")}
        return {**found, "remaining_ms": age_ms(held.remaining)}

    def complete(self, *, ticket: str, data: Any, commit: Any = None) -> Any:
        return self._tickets[ticket].complete(data_of(data), **commit_of(commit))

    def unchanged(self, *, ticket: str, commit: Any = None) -> Any:
        return self._tickets[ticket].unchanged(**commit_of(commit))

    def fail(self, *, ticket: str, code: str, message: str, retry_after_ms: int | None = None) -> Any:
        self._tickets[ticket].fail(code, message, retry_after=ms(retry_after_ms))

    def renew(self, *, ticket: str, ms: int) -> Any:
        self._tickets[ticket].renew(timedelta(milliseconds=ms))

    def drop(self, *, ticket: str) -> Any:
        del self._tickets[ticket]

    def list(self, *, cache: str = "a") -> Any:
        names = ("key", "state", "size", "phase", "validator")
        rows = self._caches[cache].list()
        more = [{"age_ms": age_ms(row.age), "error": row.error and row.error.code} for row in rows]
        return {
            "list": [
                {name: getattr(row, name) for name in names} | m for row, m in zip(rows, more, strict=True)
            ]
        }

    def prune(self, *, keep: Any, cache: str = "a") -> Any:
        pruned = self._caches[cache].prune(keep)
        return {"removed_keys": pruned.removed, "skipped_keys": [*pruned.skipped]}


OPS = {name for name in dir(Player) if not name.startswith("_")}
OF_SOURCE = {name for name in OPS if "source" in getattr(Player, name).__annotations__}
OF_QUOTA = {name for name in OPS if "quota" in getattr(Player, name).__annotations__}


def play(path: Path, folder: Path, *, loop: bool) -> None:
    """Play a scenario; ``loop``: the calls that have forms for event loops by those."""
    file = json.loads(path.read_text())
    quota = file.pop("quota", {})
    assert set(file) == {"name", "about", "source", "steps"}
    assert file["name"] == path.stem
    stage = Player(folder, file["source"], quota, loop=loop)
    try:
        stage._steps(file["steps"])
    finally:
        stage._end()


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: str(path.stem))
def test_scenario(path: Path, tmp_path: Path) -> None:
    for loop in (False, True) if any(f'"{op}"' in path.read_text() for op in CALLING) else (False,):
        folder = tmp_path / ("loop" if loop else "plain")
        folder.mkdir(mode=0o700)
        play(path, folder, loop=loop)


def test_no_scenario_is_left_out(request: pytest.FixtureRequest) -> None:
    assert len(SCENARIOS) > 80
    collected = [item for item in request.session.items if item.name.startswith("test_scenario[")]
    chosen = request.config.getoption("keyword") or any("::" in arg for arg in request.config.args)
    assert chosen or len(collected) == len(SCENARIOS) == len(list((VECTORS / "scenarios").iterdir()))


def test_names(cache: forebay.Cache, root: Path) -> None:
    table = json.loads((VECTORS / "names.json").read_text())
    for row in table["names"]:
        key = f"{row['tier']}/{row['name']}"
        cache.source(key, identity=row.get("identity")).put(b"x")
        assert (root / row["folder"] / f"{row['stem']}.json").read_bytes() == b"x"
    for key in table["refused"]:
        with pytest.raises(forebay.Invalid):
            cache.source(key).put(b"x")
    for row in table["keys"]:
        assert cache.source(row["text"]).key == f"{row['tier']}/{row['name']}"


def test_names_of_quotas_and_credentials(root: Path, state: Path) -> None:
    table = json.loads((VECTORS / "names.json").read_text())
    for number, row in enumerate(table["quotas"]):
        with forebay.Cache(root / str(number)) as cache:
            quota = cache.quota(row["name"], identity=row.get("identity"))
            assert quota.resolve(lambda job: {}).data == {}
            assert quota.key == row["key"]
            assert [str(key) for key in cache.quotas()] == [row["key"]]
        assert (root / str(number) / f"{row['stem']}.json").exists()
    with forebay.Cache(root) as cache:
        for name in table["quotas_refused"]:
            with pytest.raises(forebay.Invalid):
                cache.quota(name).read()
    credentials = forebay.Credentials(state)
    for row in table["credentials"]:
        credentials.reset(row["key"], b"secret")
        assert (state / row["folder"] / f"{row['stem']}.json").read_bytes() == b"secret"


def test_words() -> None:
    table = json.loads((VECTORS / "defaults.json").read_text())
    from typing import get_args

    for name, words in [
        ("durabilities", forebay.Durability),
        ("hows", forebay.How),
        ("phases", forebay.Phase),
        ("states", forebay.State),
        ("started", forebay.Started),
    ]:
        known: Iterator[str] = iter(get_args(words))
        assert name in table, sorted(table)
        assert list(known) == table[name]
    with forebay.Cache(memory=True) as cache:
        assert list(cache.counters()) == table["events"]
