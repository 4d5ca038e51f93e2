"""The runner of tests/vectors: what every language must do alike. The format is in tests/vectors/README.md.

An op is a method whose keyword arguments are its fields, so an unknown op or field is an error by itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import forebay
import pytest
from vector_stage import LIMIT, Found, Stage, data_of

VECTORS = Path(__file__).parents[3] / "tests" / "vectors"
SCENARIOS = sorted((VECTORS / "scenarios").glob("*.json"))
SOURCE = ("ttl", "max_stale", "stale_if_error", "deadline")
IN_BACKGROUND = ("refresh", "get", "maybe_refresh_sync", "wait_for_change")


class Thrown(Exception):
    """An error that knows nothing of forebay."""


def ms(number: int | None) -> timedelta | None:
    return None if number is None else timedelta(milliseconds=number)


def commit_of(spec: dict[str, Any] | None) -> dict[str, Any]:
    def terms(*, validator: Any = None, ttl_ms: Any = None, max_stale_ms: Any = None) -> dict[str, Any]:
        return {"validator": validator, "ttl": ms(ttl_ms), "max_stale": ms(max_stale_ms)}

    return terms(**(spec or {}))


def age_ms(age: float | None) -> int | None:
    return None if age is None else int(age * 1000 + 1e-6)


def of_value(value: forebay.Value) -> Found:
    error = value.error
    return {
        **{name: getattr(value, name) for name in ("data", "state", "how", "phase", "validator", "version")},
        "age_ms": age_ms(value.age),
        "error": error and error.code,
        "says": error and str(error),
    }


class Player(Stage):
    """Plays one scenario against a root of its own. Each public method is an op."""

    def __init__(self, folder: Path, defaults: dict[str, Any]) -> None:
        super().__init__(folder)
        self._defaults = defaults
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
        thrown: list[Thrown] = []
        ran: list[bool] = []
        refreshes = op in ("refresh", "get", "maybe_refresh", "maybe_refresh_sync")
        try:
            if op in OF_SOURCE:
                for name, value in self._defaults.items():
                    fields.setdefault(name, value)
                options: Any = {name: ms(fields.pop(f"{name}_ms", None)) for name in SOURCE}
                floor_cap = fields.pop("backoff_ms", None)
                backoff: Any = floor_cap and tuple(timedelta(milliseconds=number) for number in floor_cap)
                identity = fields.pop("identity", None)
                cache = self._caches[fields.pop("cache", "a")]
                if refreshes:
                    fields["fn"] = self._refresher(place, ran, thrown, **fields["fn"])
                key = fields.pop("key")
                source = cache.source(key, **options, backoff=backoff, identity=identity)
                found = getattr(self, op)(source, **fields)
            else:
                found = getattr(self, op)(**fields)
        except forebay.Error as error:
            found = {"fails": error.code, "says": str(error), "retry_in_ms": self._until(error.retry_at)}
        except Thrown as error:
            found = {"fails": "refresh_failed" if thrown == [error] else "another error", "says": str(error)}
        found = of_value(found) if isinstance(found, forebay.Value) else found or {}
        return {**found, "ran": bool(ran)} if refreshes else found

    def _until(self, at: datetime | None) -> int | None:
        now = datetime.fromtimestamp(self._wall / 1000, timezone.utc)
        return None if at is None else (at - now) // timedelta(milliseconds=1)

    def _refresher(
        self,
        place: str,
        ran: list[bool],
        thrown: list[Thrown],
        *,
        during: Any = (),
        hold: str | None = None,
        returns: Any = None,
        commit: Any = None,
        unchanged: bool = False,
        fails: Any = None,
        throws: str | None = None,
    ) -> Callable[[forebay.Job], forebay.Fetched]:
        assert [returns is not None, unchanged, fails is not None, throws is not None].count(True) == 1

        def failing(*, code: str, message: str, retry_after_ms: int | None = None) -> forebay.Failure:
            return forebay.Failure(code, message, retry_after=ms(retry_after_ms))

        failure = None if fails is None else failing(**fails)
        data = None if returns is None else data_of(returns)
        fetched = forebay.Fetched(data, **commit_of(commit))
        events = None if hold is None else self._held(hold)

        def fn(job: forebay.Job) -> forebay.Fetched:
            ran.append(True)
            try:
                self._steps(list(during), f"{place}.during.")
                if events is not None:
                    events[0].set()
                    assert events[1].wait(LIMIT), "it was never released"
            except BaseException as error:
                self._failed = self._failed or error
            if failure is not None:
                raise failure
            if throws is not None:
                thrown.append(Thrown(throws))
                raise thrown[0]
            return fetched

        return fn

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


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: str(path.stem))
def test_scenario(path: Path, tmp_path: Path) -> None:
    file = json.loads(path.read_text())
    assert set(file) == {"name", "about", "source", "steps"}
    assert file["name"] == path.stem
    tmp_path.chmod(0o700)
    stage = Player(tmp_path, file["source"])
    try:
        stage._steps(file["steps"])
    finally:
        stage._end()


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
