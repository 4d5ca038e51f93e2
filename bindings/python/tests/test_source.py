"""Every call of a source, in one thread: what it returns, and what it says of it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import forebay
import pytest
from conftest import HANG, Hold, TestClock


def no(job: forebay.Job) -> bytes:
    pytest.fail("the refresher ran")


def test_an_absent_value_is_false_and_no_error(cache: forebay.Cache) -> None:
    value = cache.source("a/b", ttl=1).read()
    assert not value
    assert (value.data, value.state, value.age, value.how) == (None, "absent", None, None)
    assert value.stale
    assert not value.fresh
    assert value.error is None
    assert value.stored_at is None
    with pytest.raises(forebay.NotFound):
        value.json()
    with pytest.raises(LookupError):
        value.text()


def test_get_runs_once_and_then_serves(timed: forebay.Cache, clock: TestClock) -> None:
    source = timed.source("api/models", ttl="1m")
    first = source.get(lambda job: '{"é": 1}')
    assert (first.how, first.state, first.text(), first.json()) == ("ran", "fresh", '{"é": 1}', {"é": 1})
    clock.advance(59.5)
    again = source.get(no)
    assert again.how == "fresh"
    assert again.age == pytest.approx(59.5)
    assert again.stored_at == datetime.fromtimestamp(1_700_000_000, timezone.utc)
    assert again.version == first.version
    clock.advance(0.5)
    assert source.read().state == "stale"
    assert source.get(lambda job: b"2").how == "ran"


def test_the_same_entry_gives_the_same_bytes_object(cache: forebay.Cache) -> None:
    source = cache.source("a/b", ttl=60)
    source.put(b"x" * 4096)
    assert source.read().data is source.read().data
    value = source.get(no)
    assert value.data is value.data is source.read().data


@pytest.mark.parametrize("ttl", [90, 90.0, timedelta(seconds=90), "90s", "1m30s", "90000ms"])
def test_durations_are_numbers_timedeltas_or_text(
    timed: forebay.Cache, clock: TestClock, ttl: forebay.Duration
) -> None:
    source = timed.source("a/b", ttl=ttl)
    source.put(b"x")
    clock.advance(89.999)
    assert source.read().fresh
    clock.advance(0.001)
    assert source.read().stale


@pytest.mark.parametrize(
    "wrong", [-1, -0.5, "90", "1 fortnight", "", float("nan"), float("inf"), True, b"1s"]
)
def test_what_is_no_duration_is_refused(cache: forebay.Cache, wrong: forebay.Duration) -> None:
    with pytest.raises(forebay.Invalid) as caught:
        cache.source("a/b", ttl=wrong)
    assert caught.value.hint


def test_bad_keys_and_options_are_refused_at_once(cache: forebay.Cache) -> None:
    for key in ("", "/x", "x/", "t/" + "n" * 5000):
        with pytest.raises(forebay.Invalid):
            cache.source(key)
    with pytest.raises(ValueError, match="durability"):
        cache.source("a/b", durability="sometimes")  # type: ignore[arg-type]
    with pytest.raises(forebay.Invalid):
        cache.source("a/b", deadline=0).get(no)


@pytest.mark.parametrize(
    "data", [b"", b"\0\xff", bytearray(b"ba"), memoryview(b"mv"), "text é", b"x" * 5_000_000]
)
def test_put_takes_bytes_and_text_of_any_size(
    cache: forebay.Cache, data: bytes | bytearray | memoryview | str
) -> None:
    expected = data.encode() if isinstance(data, str) else bytes(data)
    value = cache.source("a/b", ttl=60).put(data, validator='"1"', extra="beside")
    assert value.data == expected
    read = cache.source("a/b", ttl=60).read()
    assert (read.data, read.validator, read.extra, bool(read)) == (expected, '"1"', "beside", True)


@pytest.mark.parametrize("data", [None, 1, {"a": 1}, [b"x"]])
def test_what_is_not_bytes_is_refused_and_nothing_is_lost(cache: forebay.Cache, data: object) -> None:
    source = cache.source("a/b", ttl=60)
    source.put(b"kept")
    with pytest.raises(forebay.Invalid):
        source.put(data)  # type: ignore[arg-type]
    with pytest.raises(forebay.Invalid, match="the refresher returned"):
        source.refresh(lambda job: data)  # type: ignore[arg-type, return-value]
    assert source.read().data == b"kept"


def test_a_job_knows_what_is_there_and_asks_conditionally(timed: forebay.Cache, clock: TestClock) -> None:
    source = timed.source("a/b", ttl=60, deadline=10)
    seen: list[object] = []

    def first(job: forebay.Job) -> forebay.Fetched:
        seen.append((job.key, job.previous, job.validator, job.conditional_headers, job.cancelled))
        return forebay.Fetched(b"one", validator='"e1"')

    def second(job: forebay.Job) -> forebay.Fetched:
        seen.append((job.previous, job.validator, job.conditional_headers))
        assert job.remaining == pytest.approx(10)
        assert job.deadline == datetime.fromtimestamp(clock.now + 10, timezone.utc)
        return forebay.UNCHANGED

    source.get(first)
    clock.advance(61)
    value = source.get(second)
    assert (value.how, value.data, value.validator, value.age) == ("unchanged", b"one", '"e1"', 0)
    assert seen == [
        ("a/b", None, None, {}, False),
        (b"one", '"e1"', {"If-None-Match": '"e1"'}),
    ]


def test_what_the_refresher_says_of_lifetimes_goes_first(timed: forebay.Cache, clock: TestClock) -> None:
    source = timed.source("a/b", ttl=60)
    source.get(lambda job: forebay.Fetched("x", ttl=5, max_stale=timedelta(seconds=5)))
    clock.advance(5)
    assert source.read().state == "stale"
    clock.advance(5.001)
    assert source.read().state == "expired"


def test_a_put_during_a_refresh_wins_and_tells_the_refresher(cache: forebay.Cache) -> None:
    source = cache.source("a/b", ttl=60)

    def fetch(job: forebay.Job) -> bytes:
        assert not job.cancelled
        source.put(b"put")
        assert job.cancelled
        return b"late"

    value = source.refresh(fetch)
    assert value.data == b"late"
    assert value.how == "uncoordinated"
    assert source.read().data == b"put"


def test_min_fresh_at_is_satisfied_by_a_later_refresh(timed: forebay.Cache, clock: TestClock) -> None:
    source = timed.source("a/b", ttl=60)
    source.get(lambda job: b"x")
    before = clock.now - 1
    assert source.refresh(no, min_fresh_at=before).how == "fresh"
    assert source.refresh(no, min_fresh_at=datetime.fromtimestamp(before, timezone.utc)).how == "fresh"
    assert source.refresh(lambda job: b"y", min_fresh_at=clock.now).how == "ran"
    with pytest.raises(forebay.Invalid, match="time zone"):
        source.refresh(no, min_fresh_at=datetime(2026, 1, 1))


def test_mark_stale_remove_and_why(cache: forebay.Cache) -> None:
    source = cache.source("a/b", ttl=60)
    source.put(b"x")
    source.mark_stale()
    assert source.read().state == "stale"
    why = source.why()
    assert why.state == "stale"
    assert why.phase == "idle"
    assert str(why) == why.text != ""
    assert "forebay" in why.cache_status
    assert source.remove()
    assert not source.remove()


def test_an_acquired_ticket_may_be_ended_once(cache: forebay.Cache) -> None:
    source = cache.source("a/b", ttl=60)
    acquired = source.acquire(deadline=5)
    assert acquired
    ticket = acquired.ticket
    assert ticket is not None
    assert ticket.token > 0
    assert 0 < ticket.remaining <= 5
    other = source.acquire()
    assert (other.outcome, bool(other)) == ("in_flight", False)
    assert other.state is not None
    assert other.state.phase == "running"
    assert other.state.holder is not None
    ticket.renew("20s")
    assert ticket.remaining > 5
    value = ticket.complete(b"done", validator="v")
    assert (value.data, value.validator, value.how) == (b"done", "v", "ran")
    for again in (lambda: ticket.complete(b"x"), ticket.unchanged, ticket.fail):
        with pytest.raises(forebay.AlreadyUsed):
            again()
    fresh = source.acquire(unless_fresh=True)
    assert fresh.outcome == "fresh"
    assert fresh.value is not None
    assert fresh.value.data == b"done"
    changed = source.acquire(unless_changed_since="0")
    assert changed.outcome == "fresh"
    same = source.acquire(unless_changed_since=value)
    assert same
    assert same.ticket is not None
    same.ticket.close()
    with pytest.raises(forebay.AlreadyUsed):
        same.ticket.complete(b"x")


def test_a_ticket_given_up_frees_the_lease(cache: forebay.Cache) -> None:
    source = cache.source("a/b", ttl=60)
    acquired = source.acquire()
    assert acquired.ticket is not None
    with acquired.ticket:
        assert not source.acquire()
    del acquired
    again = source.acquire(force=True)
    assert again
    # Dropping the last reference does the same.
    del again
    assert source.acquire(force=True).outcome == "ticket"


def test_a_requested_refresh_is_pulled_from_the_cache(cache: forebay.Cache) -> None:
    source = cache.source("a/b", ttl=60)
    assert source.request_refresh() == "started"
    assert source.request_refresh() == "in_flight"
    ticket = cache.next_refresh(timeout=HANG)
    assert ticket is not None
    assert ticket.key == "a/b"
    ticket.complete(b"pulled")
    assert source.read().data == b"pulled"
    assert source.request_refresh() == "fresh"
    assert cache.next_refresh(timeout="0s") is None


def test_list_and_prune(cache: forebay.Cache, root: Path) -> None:
    for name in ("a", "b", "c"):
        cache.source(f"t/{name}", ttl=60).put(name * 3, validator="v", extra="e")
    listed = {row.key: row for row in cache.list()}
    assert set(listed) == {"t/a", "t/b", "t/c"}
    row = listed["t/a"]
    assert (row.size, row.validator, row.extra, row.phase, row.error) == (3, "v", "e", "idle", None)
    assert row.stored_at is not None
    busy = cache.source("t/c").acquire().ticket
    pruned = cache.prune(keep=[cache.source("t/a")])
    assert pruned.removed == ["t/b"]
    assert set(pruned.skipped) == {"t/c"}
    assert busy is not None
    busy.close()
    assert cache.prune(keep=["t/a"]).removed == ["t/c"]
    assert [row.key for row in cache.list()] == ["t/a"]


def test_readers_give_fresh_values_and_the_same_objects(timed: forebay.Cache, clock: TestClock) -> None:
    import json

    source = timed.source("hot/a", ttl=60)
    reader = source.reader()
    assert reader() is None
    source.put(b"[1]")
    data = reader()
    assert data == b"[1]"
    assert reader() is data
    decoded = source.reader(decode=json.loads)
    assert decoded() == [1]
    assert decoded() is decoded()
    readers = timed.readers(ttl=60, decode=json.loads)
    assert readers["hot/a"] is readers["hot/a"] is readers.get("hot/a") is readers.reader("hot/a")()
    assert "hot/a" in readers
    assert readers.get("hot/none", 7) == 7
    with pytest.raises(KeyError):
        readers["hot/none"]
    with pytest.raises(forebay.Invalid):
        readers[""]
    source.put(b"[2]")
    assert (reader(), decoded(), readers["hot/a"]) == (b"[2]", [2], [2])
    assert reader.value.state == "fresh"
    clock.advance(61)
    assert reader() is None
    assert reader.value.data == b"[2]"
    assert "hot/a" not in readers


def test_a_decoder_that_fails_or_reads_itself_harms_nothing(cache: forebay.Cache) -> None:
    source = cache.source("hot/a", ttl=60)
    source.put(b"no json")
    calls = 0

    def decode(data: bytes) -> bytes:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise KeyError("mine")
        return data if calls > 2 else (reader() or b"")

    reader = source.reader(decode)
    with pytest.raises(KeyError, match="mine"):
        reader()
    assert reader() == b"no json"


def test_counters_and_events(cache: forebay.Cache) -> None:
    with cache.subscribe() as events:
        source = cache.source("a/b", ttl=60)
        source.read()
        source.get(lambda job: b"x")
        kinds = []
        while (event := events.next(timeout=0)) is not None:
            assert event.key == "a/b"
            kinds.append(event.kind)
        assert kinds[0] == "miss"
        assert "refresh_started" in kinds
        assert "refresh_succeeded" in kinds
        assert events.dropped == 0
    assert cache.counters()["refresh_succeeded"] == 1
    assert list(events) == []


def test_events_end_with_the_cache(cache: forebay.Cache) -> None:
    events = cache.subscribe()
    cache.source("a/b").read()
    cache.close()
    assert [event.kind for event in events] == ["miss"]


def test_a_closed_cache_says_so(root: Path) -> None:
    with forebay.Cache(root) as cache:
        source = cache.source("a/b", ttl=60)
        source.put(b"x")
    assert cache.closed
    assert "closed" in repr(cache)
    cache.close()
    for call in (source.read, source.mark_stale, lambda: source.get(no), cache.list, source.refresh_state):
        with pytest.raises(forebay.Closed):
            call()


def test_close_with_drain_waits_for_running_refreshes(root: Path) -> None:
    hold = Hold()
    cache = forebay.Cache(root)
    source = cache.source("a/b", ttl=60)
    assert source.maybe_refresh(hold) == "started"
    assert hold.entered.wait(HANG)
    hold.release.set()
    cache.close(drain=HANG)
    with forebay.Cache(root) as other:
        assert other.source("a/b", ttl=60).read().data == b"held"


def test_memory_keeps_nothing_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_ROOT", str(tmp_path / "never"))
    with forebay.Cache(memory=True) as cache:
        source = cache.source("a/b", ttl=60)
        assert source.get(lambda job: b"x").data == b"x"
        assert source.read().fresh
    assert not (tmp_path / "never").exists()


def test_roots_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_ROOT", str(tmp_path / "é"))
    with forebay.Cache() as cache:
        assert cache.root == str(tmp_path / "é")
        cache.source("a/b").put(b"x")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert forebay.default_root("app") == str(tmp_path / "app")
