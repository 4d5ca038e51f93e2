"""`Cache`: a root that many processes share, and the sources in it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

from . import _forebay
from ._cached import Decorator, Lifetimes
from ._durations import Duration, maybe_instant, optional
from ._errors import Closed, Invalid
from ._events import Events
from ._forebay import Value
from ._job import AsyncRefresher, Refresher, Ticket
from ._live import Live
from ._quota import Quota, QuotaKey, QuotaOptions
from ._source import Options, Source
from ._threads import spawn
from ._types import Durability, Listed, Progress, Pruned

if TYPE_CHECKING:
    from types import TracebackType

    from ._rows import ListedRow

T = TypeVar("T")
# Cache.list hides the type of that name.
Results: TypeAlias = list[Value | Exception]
Rows: TypeAlias = list[Listed]
Keys: TypeAlias = list[QuotaKey]


class Cache:
    """A directory of values that many processes share. Usable from any thread, and after a fork in both processes.

    ``root``: ``FOREBAY_ROOT``, else ``$XDG_CACHE_HOME/forebay``, else ``$HOME/.cache/forebay``; made at the
    first write. ``memory=True`` keeps the values in this process only. ``test_clock`` names a file that gives
    the time to all processes of a test.

    As a context manager it is closed at the end; refreshes that still run are then given up.

    >>> with forebay.Cache(memory=True) as cache:
    ...     cache.source("api/models", ttl="1h").get(lambda job: "[]").json()
    []
    """

    __slots__ = ("__weakref__", "_native")

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        *,
        durability: Durability | None = None,
        test_clock: str | os.PathLike[str] | None = None,
        memory: bool = False,
    ) -> None:
        path = None if root is None else os.fspath(root)
        clock = None if test_clock is None else os.fspath(test_clock)
        self._native = _forebay.Cache(path, durability, clock, memory)

    def __enter__(self) -> Cache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Cache:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close_async()

    def __repr__(self) -> str:
        return f"<forebay.Cache {self.root}{', closed' if self.closed else ''}>"

    @property
    def root(self) -> str:
        """The directory."""
        return self._native.root()

    @property
    def closed(self) -> bool:
        """Whether it was closed; each call on it or its sources is then ``Closed``."""
        return self._native.is_closed()

    def source(
        self,
        key: str,
        *,
        ttl: Duration | None = None,
        max_stale: Duration | None = None,
        stale_if_error: Duration | None = None,
        deadline: Duration | None = None,
        identity: str | None = None,
        durability: Durability | None = None,
        backoff: tuple[Duration, Duration] | None = None,
    ) -> Source:
        """Return the source ``tier/name`` (without a tier: ``default``); touches no disk.

        ``ttl``: fresh while younger. ``max_stale``: may be served for that long after; unset, for ever.
        ``stale_if_error``: the same after a failed refresh; unset, ``max_stale``. ``deadline`` (30 s): how long
        a refresh may take. ``identity``: whose answer it is, such as an account. ``backoff``: shortest and
        longest pause after failures.

        >>> cache.source("api/usage", ttl=180, identity="me@example.org").key
        'api/usage~...'
        """
        options = Options.of(ttl, max_stale, stale_if_error, deadline, identity, durability, backoff)
        return Source(self._native.source(key, options), options)

    @overload
    def readers(
        self,
        *,
        ttl: Duration | None = None,
        max_stale: Duration | None = None,
        identity: str | None = None,
    ) -> _forebay.Readers[bytes]: ...
    @overload
    def readers(
        self,
        *,
        ttl: Duration | None = None,
        max_stale: Duration | None = None,
        identity: str | None = None,
        decode: Callable[[bytes], T],
    ) -> _forebay.Readers[T]: ...
    def readers(
        self,
        *,
        ttl: Duration | None = None,
        max_stale: Duration | None = None,
        identity: str | None = None,
        decode: Callable[[bytes], Any] | None = None,
    ) -> object:
        """Return a mapping of keys to fresh values, for reading many of them often: see `Source.reader`.

        A key whose value is not fresh is missing: ``KeyError``, or the default of ``get``.

        >>> _ = cache.source("doc/hot", ttl="1m").put(b"x")
        >>> hot = cache.readers(ttl="1m")
        >>> hot["doc/hot"], hot.get("doc/cold"), "doc/cold" in hot
        (b'x', None, False)
        """
        options = Options.of(ttl, max_stale, None, None, identity, None, None)
        if decode is None:
            return self._native.readers(options, None)
        return self._native.readers(options, decode)

    def cached(
        self,
        *,
        ttl: Duration,
        max_stale: Duration | None = None,
        stale_if_error: Duration | None = None,
        deadline: Duration | None = None,
        identity: str | None = None,
        durability: Durability | None = None,
        backoff: tuple[Duration, Duration] | None = None,
        wait: Duration | None = None,
        key: Callable[..., object] | None = None,
        tier: str | None = None,
        name: str | None = None,
    ) -> Decorator:
        """Decorate a function or coroutine function: its arguments are the key, its result is kept as JSON.

        The key's tier is the function's module, its name the function's with a hash of the arguments as JSON.
        ``key`` makes something else of the arguments, where they are not JSON or do not all matter. ``wait`` is
        that of `Source.get`. What comes back is always what JSON keeps: a tuple comes back as a list.

        The decorated function has ``cache_key(...)``, ``source(...)`` and ``invalidate(...)``, which take the
        same arguments.

        >>> @cache.cached(ttl="5m", max_stale="1d")
        ... def weather(city: str) -> dict:
        ...     print("asking for", city)
        ...     return {"city": city, "sky": "blue"}
        >>> weather("Oslo") == weather(city="Oslo")
        asking for Oslo
        True
        >>> weather.invalidate("Oslo")
        True
        """
        lifetimes = Lifetimes(
            ttl, max_stale, stale_if_error, deadline, identity, durability, backoff, optional(wait, "wait")
        )
        return Decorator(self, lifetimes, key, tier, name)

    def quota(
        self,
        name: str = "usage",
        *,
        identity: str | None = None,
        ttl: Duration | None = None,
        error_ttl: Duration | None = None,
        rate_limited: Duration | None = None,
        unauthorized: Duration | None = None,
        timeout: Duration | None = None,
        max_stale: Duration | None = None,
        backoff: tuple[Duration, Duration] | None = None,
        wait: Duration | None = None,
        durability: Durability | None = None,
    ) -> Quota:
        """Return the quota of that name: a server's last answer, with a gate for all processes.

        ``ttl`` (180 s): fresh while younger. ``error_ttl`` (30 s): for how long a recorded error holds.
        ``rate_limited``, ``unauthorized`` (300 s each): the gates after 429 without a time, and 401 or 403.
        ``timeout`` (2 s): how long a fetch may take. ``max_stale`` (24 h): may be served for that long after a
        failure. ``backoff`` (1 s, 180 s): shortest and longest gate after others. ``wait``: how long to wait for
        another process's fetch where there is nothing to serve; unset, until it ends.

        >>> cache.quota("claude", identity="me@example.org").key
        'claude~...'
        """
        options = QuotaOptions.of(
            identity,
            durability,
            backoff,
            ttl=ttl,
            error_ttl=error_ttl,
            rate_limited=rate_limited,
            unauthorized=unauthorized,
            timeout=timeout,
            max_stale=max_stale,
            wait=wait,
        )
        return Quota(self._native.quota(name, options))

    def quotas(self) -> Keys:
        """List the quotas of the root: those with a record or a gate.

        >>> _ = cache.quota("doc-quotas").block(60)
        >>> "doc-quotas" in [key.name for key in cache.quotas()]
        True
        """
        return [QuotaKey(*row) for row in self._native.quotas()]

    def live(
        self,
        workspace: str | os.PathLike[str] = ".",
        *,
        deadline: Duration | None = None,
        size_cap: int | None = None,
    ) -> Live:
        """Return the derived results: those that hold while what they were computed from is as it was.

        ``workspace``: the folder that paths are relative to. ``deadline`` (10 min): how long a computation may
        take before another process may make it too. ``size_cap``: the most bytes that results may have, the least
        recently used going first; unset, no limit.

        >>> cache.live().lookup(forebay.live_key("anything")).outcome
        'miss'
        """
        folder = os.path.abspath(os.fspath(workspace))
        return Live(self._native.live(folder, optional(deadline, "deadline"), size_cap), folder)

    def refresh_many(
        self,
        work: Iterable[tuple[Source, Refresher]],
        *,
        concurrency: int = 8,
        progress: Callable[[Progress], object] | None = None,
    ) -> Results:
        """Refresh many sources, at most ``concurrency`` at a time, on daemon threads.

        Returns for each its value or its exception, in the order given; one failure stops nothing.
        ``progress`` is called in this thread after each.

        >>> sources = [cache.source(f"doc/many{n}", ttl="1m") for n in range(3)]
        >>> [value.data for value in cache.refresh_many((source, lambda job: job.key) for source in sources)]
        [b'doc/many0', b'doc/many1', b'doc/many2']
        """
        from queue import SimpleQueue

        _check(concurrency)
        pairs = list(work)
        results: Results = [Closed("not run")] * len(pairs)
        ended: SimpleQueue[tuple[int, Value | Exception]] = SimpleQueue()
        todo: Iterator[tuple[int, tuple[Source, Refresher]]] = iter(enumerate(pairs))
        turn = threading.Lock()

        def run() -> None:
            while True:
                with turn:
                    item = next(todo, None)
                if item is None:
                    return
                index, (source, fn) = item
                ended.put((index, _caught(source, fn)))

        import contextvars

        for _ in range(min(concurrency, len(pairs))):
            context = contextvars.copy_context()
            spawn(lambda context=context: context.run(run), "forebay refresh_many")  # type: ignore[misc]
        try:
            for done in range(1, len(pairs) + 1):
                index, result = ended.get()
                results[index] = result
                if progress is not None:
                    progress(Progress(done, len(pairs), pairs[index][0].key, result))
        finally:
            with turn:
                # An exception here, such as Ctrl-C: what has not begun does not.
                todo = iter(())
        return results

    async def refresh_many_async(
        self,
        work: Iterable[tuple[Source, AsyncRefresher]],
        *,
        concurrency: int = 8,
        progress: Callable[[Progress], object] | None = None,
    ) -> Results:
        """`refresh_many` for event loops; ``progress`` is called in the loop."""
        import asyncio

        _check(concurrency)
        pairs = list(work)
        gate = asyncio.Semaphore(concurrency)
        done = 0

        async def run(source: Source, fn: AsyncRefresher) -> Value | Exception:
            nonlocal done
            result: Value | Exception
            async with gate:
                try:
                    result = await source.refresh_async(fn)
                except Exception as error:  # it is the result
                    result = error
            done += 1
            if progress is not None:
                progress(Progress(done, len(pairs), source.key, result))
            return result

        return await asyncio.gather(*(run(source, fn) for source, fn in pairs))

    def next_refresh(self, timeout: Duration | None = None) -> Ticket | None:
        """Wait for a ticket that `Source.request_refresh` queued; ``None`` when the time is over.

        >>> cache.next_refresh(timeout=0) is None
        True
        """
        ticket = self._native.next_refresh(optional(timeout, "timeout"))
        return None if ticket is None else Ticket(ticket)

    async def next_refresh_async(self, timeout: Duration | None = None) -> Ticket | None:
        """`next_refresh`, without blocking the event loop."""
        from . import _aio

        ticket = await _aio.next_refresh(self._native, optional(timeout, "timeout"))
        return None if ticket is None else Ticket(ticket)

    def list(self) -> Rows:
        """List the values of the root.

        >>> _ = cache.source("doc/listed", ttl="1m").put(b"12345")
        >>> [row.size for row in cache.list() if row.key == "doc/listed"]
        [5]
        """
        return [_listed(row) for row in self._native.list()]

    async def list_async(self) -> Rows:
        """`list`, without blocking the event loop."""
        from . import _aio

        return await _aio.call(self.list)

    def prune(self, keep: Iterable[Source | str]) -> Pruned:
        """Remove the values of all sources but these, and what dead processes left.

        A source whose refresh is running is skipped, and reported with the reason.

        >>> with forebay.Cache(memory=True) as other:
        ...     _ = other.source("a/b").put(b"x")
        ...     other.prune(keep=["a/c"]).removed
        ['a/b']
        """
        kept = [self.source(source) if isinstance(source, str) else source for source in keep]
        removed, skipped, swept = self._native.prune([source._native for source in kept])
        return Pruned(removed, dict(skipped), swept)

    async def prune_async(self, keep: Iterable[Source | str]) -> Pruned:
        """`prune`, without blocking the event loop."""
        from . import _aio

        kept = list(keep)
        return await _aio.call(lambda: self.prune(kept))

    def counters(self) -> dict[str, int]:
        """Tell how often each kind of event has happened on this handle.

        >>> cache.counters()["damaged"]
        0
        """
        return dict(self._native.counters())

    def subscribe(self) -> Events:
        """Listen to what happens on this handle from now on, in this process.

        >>> events = cache.subscribe()
        >>> _ = cache.source("doc/event").read()
        >>> events.next(timeout=1).kind
        'miss'
        """
        return Events(self, self._native.subscribe())

    def close(self, drain: Duration | None = None) -> None:
        """Close it; each further call is ``Closed``. ``drain``: first wait that long for running refreshes.

        May be called any number of times. ``TimedOut``: some still ran. The cache is closed all the same, as it
        is after Ctrl-C.
        """
        self._native.close(optional(drain, "drain"))

    async def close_async(self, drain: Duration | None = None) -> None:
        """`close`, without blocking the event loop."""
        import asyncio

        drain_ns = optional(drain, "drain")
        await asyncio.wrap_future(spawn(lambda: self._native.close(drain_ns), "forebay close"))


def _check(concurrency: int) -> None:
    if concurrency < 1:
        raise Invalid(f"a concurrency of {concurrency} runs nothing", hint="give 1 or more")


def _caught(source: Source, fn: Refresher) -> Value | Exception:
    try:
        return source.refresh(fn)
    except Exception as error:  # it is the result
        return error
    except BaseException as error:
        # SystemExit and the like, in a thread of ours: its caller has to hear of it.
        failed = Closed(f"the refresher was ended by {type(error).__name__}")
        failed.__cause__ = error
        return failed


def _listed(row: ListedRow) -> Listed:
    key, state, age, size, stored, phase, validator, extra, version, error, retry = row
    return Listed(
        key,
        state,
        age,
        size,
        maybe_instant(stored),
        phase,
        validator,
        extra,
        version,
        error,
        maybe_instant(retry),
    )
