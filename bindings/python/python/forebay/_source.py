"""`Source`: one key, its lifetimes, and all that can be done with it.

Each method that can wait has a twin for event loops, named ``…_async``. Knows nothing of roots.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeVar, cast, overload

from ._durations import Duration, nanoseconds, optional, stamp
from ._forebay import Value
from ._job import AsyncRefresher, Refresher, Ticket, encoded, terms
from ._run import drive, launch
from ._types import Acquired, Durability, RefreshState, Started, Why, refresh_state

if TYPE_CHECKING:
    from . import _forebay

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a source as the native half takes them: nanoseconds, ``None`` for unset."""

    ttl: int | None
    max_stale: int | None
    stale_if_error: int | None
    deadline: int | None
    identity: str | None
    durability: str | None
    backoff: tuple[int, int] | None

    @classmethod
    def of(
        cls,
        ttl: Duration | None,
        max_stale: Duration | None,
        stale_if_error: Duration | None,
        deadline: Duration | None,
        identity: str | None,
        durability: Durability | None,
        backoff: tuple[Duration, Duration] | None,
    ) -> Options:
        """Convert what a caller gave."""
        return cls(
            optional(ttl, "ttl"),
            optional(max_stale, "max_stale"),
            optional(stale_if_error, "stale_if_error"),
            optional(deadline, "deadline"),
            identity,
            durability,
            None
            if backoff is None
            else (nanoseconds(backoff[0], "backoff"), nanoseconds(backoff[1], "backoff")),
        )


class Source:
    """One key with its lifetimes. Made by `Cache.source`; usable from any thread.

    >>> models = cache.source("doc/models", ttl="1h", max_stale="7d", deadline="10s")
    >>> models.get(lambda job: '["a", "b"]').json()
    ['a', 'b']
    >>> models.read()
    <forebay.Value fresh, 10 bytes, age ...>
    """

    __slots__ = ("_native", "_options")

    def __init__(self, native: _forebay.Source, options: Options) -> None:
        self._native = native
        self._options = options

    @property
    def key(self) -> str:
        """``tier/name``; with an identity, ``~`` and its hash behind."""
        return self._native.key()

    def __repr__(self) -> str:
        return f"<forebay.Source {self.key}>"

    # Looking.

    def read(self) -> Value:
        """Look at the disk once, and never wait: what is there, fresh or not, or a false value.

        Damage is no exception: it is absent, with ``error``.

        >>> cache.source("doc/nothing").read().state
        'absent'
        """
        return self._native.read()

    @overload
    def reader(self) -> _forebay.Reader[bytes]: ...
    @overload
    def reader(self, decode: Callable[[bytes], T]) -> _forebay.Reader[T]: ...
    def reader(self, decode: Callable[[bytes], T] | None = None) -> object:
        """Return a handle for reading often: calling it gives the bytes while they are fresh, else ``None``.

        A hit costs some tens of nanoseconds and gives the same object again; with ``decode`` that is what
        ``decode`` made of the bytes, once per value: don't change it. Its ``value`` has state and age.
        Writers that don't follow forebay's protocol are seen within 100 ms, all others at once.

        >>> import json
        >>> source = cache.source("doc/reader", ttl="1m")
        >>> _ = source.put("[1, 2]")
        >>> numbers = source.reader(decode=json.loads)
        >>> numbers(), numbers() is numbers()
        ([1, 2], True)
        """
        return self._native.reader(decode) if decode is not None else self._native.reader(None)

    def refresh_state(self) -> RefreshState:
        """Tell whether a refresh runs or cools down, why, and until when.

        >>> cache.source("doc/state").refresh_state().phase
        'idle'
        """
        return refresh_state(self._native.refresh_state())

    def why(self) -> Why:
        """Explain which fact decides about this source now.

        >>> cache.source("doc/why").why().state
        'absent'
        """
        return Why(*self._native.why())

    def wait_for_change(
        self, since: str | Value | None = None, timeout: Duration | None = None
    ) -> str | None:
        """Wait until the value differs from ``since``, and return its version; ``None`` when the time is over.

        ``since`` is a value or its version; unset, what is there now.

        >>> source = cache.source("doc/change")
        >>> source.wait_for_change(timeout=0) is None
        True
        """
        return self._native.wait_for_change(self._since(since), optional(timeout, "timeout"))

    async def wait_for_change_async(
        self, since: str | Value | None = None, timeout: Duration | None = None
    ) -> str | None:
        """`wait_for_change`, without blocking the event loop."""
        from . import _aio

        return await _aio.wait_for_change(self._native, self._since(since), optional(timeout, "timeout"))

    def _since(self, since: str | Value | None) -> str:
        if since is None:
            return self._native.read().version
        return since if isinstance(since, str) else since.version

    # Refreshing.

    def get(self, fn: Refresher, wait: Duration | None = None) -> Value:
        """Return a fresh value, or one refreshed within ``wait``, or a stale one that may be served.

        Without ``wait``, ``fn`` runs in this thread. With it, ``fn`` runs on a daemon thread and goes on when
        the wait is over; ``wait=0`` starts it and returns what may be served at once. Nothing to return:
        ``TimedOut`` or ``Gated``. What ``fn`` raises is raised here as itself, unless a stale value may be
        served instead (``stale_if_error``), which then has it as the cause of its ``error``.

        >>> cache.source("doc/get", ttl="1m").get(lambda job: b"made").how
        'ran'
        """
        wait_ns = optional(wait, "wait")
        attempt = self._native.begin("get", wait_ns, None, False)
        return drive(attempt, fn, apart=wait_ns is not None)

    async def get_async(self, fn: AsyncRefresher, wait: Duration | None = None) -> Value:
        """`get` for event loops: ``fn`` runs as a task, which goes on when this call is cancelled.

        >>> async def fetch(job):
        ...     return b"made"
        >>> import asyncio
        >>> asyncio.run(cache.source("doc/get_async", ttl="1m").get_async(fetch)).data
        b'made'
        """
        from . import _aio

        wait_ns = optional(wait, "wait")
        attempt = self._native.begin("get", wait_ns, None, False)
        return await _aio.drive(attempt, fn, apart=wait_ns is not None)

    def refresh(
        self, fn: Refresher, *, min_fresh_at: datetime | float | None = None, override_gate: bool = False
    ) -> Value:
        """Refresh now, whatever the age, or join a refresh in flight anywhere and return its outcome.

        ``min_fresh_at``: a refresh that ended after that instant will do. ``override_gate``: also pass a time
        that the server gave.

        >>> source = cache.source("doc/refresh", ttl="1h")
        >>> [source.refresh(lambda job: b"x").how for _ in range(2)]
        ['ran', 'ran']
        """
        return drive(self._refresh(min_fresh_at, override_gate), fn, apart=False)

    async def refresh_async(
        self,
        fn: AsyncRefresher,
        *,
        min_fresh_at: datetime | float | None = None,
        override_gate: bool = False,
    ) -> Value:
        """`refresh` for event loops."""
        from . import _aio

        return await _aio.drive(self._refresh(min_fresh_at, override_gate), fn, apart=False)

    def _refresh(self, min_fresh_at: datetime | float | None, override_gate: bool) -> _forebay.Attempt:
        at = None if min_fresh_at is None else stamp(min_fresh_at)
        return self._native.begin("refresh", None, at, override_gate)

    def maybe_refresh(self, fn: Refresher) -> Started:
        """Start a refresh on a daemon thread if the value is not fresh; return at once what was done.

        >>> source = cache.source("doc/maybe", ttl="1h")
        >>> _ = source.put(b"x")
        >>> source.maybe_refresh(lambda job: b"y")
        'fresh'
        """
        return launch(self._native.begin("maybe_refresh", None, None, False), fn)

    async def maybe_refresh_async(self, fn: AsyncRefresher) -> Started:
        """`maybe_refresh` for event loops: ``fn`` runs as a task."""
        from . import _aio

        return await _aio.launch(self._native.begin("maybe_refresh", None, None, False), fn)

    def maybe_refresh_sync(self, fn: Refresher) -> Value:
        """Fresh: do nothing. Cooling down: return at once what is there. Else as `refresh`.

        >>> cache.source("doc/maybe_sync", ttl="1h").maybe_refresh_sync(lambda job: b"y").how
        'ran'
        """
        return drive(self._native.begin("maybe_refresh_sync", None, None, False), fn, apart=False)

    async def maybe_refresh_sync_async(self, fn: AsyncRefresher) -> Value:
        """`maybe_refresh_sync` for event loops: waits for the refresh."""
        from . import _aio

        return await _aio.drive(self._native.begin("maybe_refresh_sync", None, None, False), fn, apart=False)

    def request_refresh(self) -> Started:
        """Take the lease if the value is not fresh, and queue its ticket for `Cache.next_refresh`.

        >>> cache.source("doc/request", ttl="1h").request_refresh()
        'started'
        >>> cache.next_refresh(timeout=1).complete(b"pulled").data
        b'pulled'
        """
        return self._native.request_refresh()

    def acquire(
        self,
        *,
        deadline: Duration | None = None,
        unless_fresh: bool = False,
        unless_changed_since: str | Value | None = None,
        override_gate: bool = False,
        force: bool = False,
    ) -> Acquired:
        """Take the lease, and do the work yourself; true if there is a ticket.

        ``deadline`` goes before the source's. ``force`` passes a gate that was guessed, ``override_gate`` any.

        >>> acquired = cache.source("doc/acquire").acquire()
        >>> acquired.outcome, acquired.ticket.complete("done").how
        ('ticket', 'ran')
        """
        since = None if unless_changed_since is None else self._since(unless_changed_since)
        outcome, ticket, state, value = self._native.acquire(
            optional(deadline, "deadline"), unless_fresh, since, override_gate, force
        )
        return Acquired(
            cast(Literal["ticket", "in_flight", "fresh", "gated"], outcome),
            None if ticket is None else Ticket(ticket),
            None if state is None else refresh_state(state),
            value,
        )

    async def acquire_async(
        self,
        *,
        deadline: Duration | None = None,
        unless_fresh: bool = False,
        unless_changed_since: str | Value | None = None,
        override_gate: bool = False,
        force: bool = False,
    ) -> Acquired:
        """`acquire`, without blocking the event loop."""
        from . import _aio

        return await _aio.call(
            lambda: self.acquire(
                deadline=deadline,
                unless_fresh=unless_fresh,
                unless_changed_since=unless_changed_since,
                override_gate=override_gate,
                force=force,
            )
        )

    # Changing.

    def put(
        self,
        data: bytes | bytearray | memoryview | str,
        *,
        validator: str | None = None,
        ttl: Duration | None = None,
        max_stale: Duration | None = None,
        extra: str | None = None,
    ) -> Value:
        """Store a value. It always wins: what a refresh in flight brings later is not stored.

        ``ttl`` and ``max_stale`` given here go before those of the source.

        >>> cache.source("doc/put", ttl="1m").put(b"known", validator='"1"').fresh
        True
        """
        return self._native.put(encoded(data), terms(validator, ttl, max_stale, extra))

    async def put_async(
        self,
        data: bytes | bytearray | memoryview | str,
        *,
        validator: str | None = None,
        ttl: Duration | None = None,
        max_stale: Duration | None = None,
        extra: str | None = None,
    ) -> Value:
        """`put`, without blocking the event loop."""
        from . import _aio

        raw, recorded = encoded(data), terms(validator, ttl, max_stale, extra)
        return await _aio.call(lambda: self._native.put(raw, recorded))

    def mark_stale(self) -> None:
        """Keep the value, but let nobody take it for fresh. What a refresh in flight brings is stale too.

        >>> source = cache.source("doc/stale", ttl="1h")
        >>> _ = source.put(b"x")
        >>> source.mark_stale()
        >>> source.read().state
        'stale'
        """
        self._native.mark_stale()

    async def mark_stale_async(self) -> None:
        """`mark_stale`, without blocking the event loop."""
        from . import _aio

        await _aio.call(self._native.mark_stale)

    def remove(self) -> bool:
        """Delete the value with all that goes with it; return whether there was anything.

        >>> cache.source("doc/remove").remove()
        False
        """
        return self._native.remove()

    async def remove_async(self) -> bool:
        """`remove`, without blocking the event loop."""
        from . import _aio

        return await _aio.call(self._native.remove)
