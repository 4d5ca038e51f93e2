"""`Events`: what happens on one cache, as an iterator. Knows nothing of what the events mean."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from ._durations import Duration, optional
from ._types import Event

if TYPE_CHECKING:
    from types import TracebackType

    from . import _forebay
    from ._cache import Cache


class Events:
    """What happens on one cache in this process: an iterator, also for ``async for``, that ends with the cache.

    Events that nobody fetches are kept up to a limit, after which the oldest are dropped.
    """

    __slots__ = ("_cache", "_closed", "_native")

    def __init__(self, cache: Cache, native: _forebay.Events) -> None:
        self._cache = cache
        self._native = native
        self._closed = False

    def __enter__(self) -> Events:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def dropped(self) -> int:
        """How many events were dropped because nobody fetched them."""
        return self._native.dropped()

    def close(self) -> None:
        """End the iteration, here or in another thread."""
        self._closed = True

    def next(self, timeout: Duration | None = None) -> Event | None:
        """Return the next event; ``None`` when the time is over."""
        row = self._native.next(optional(timeout, "timeout"))
        return None if row is None else Event(*row)

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        while True:
            # Before looking: what happened until then is still handed out.
            over = self._closed or self._cache.closed
            event = self.next(0 if over else 0.05)
            if event is not None:
                return event
            if over:
                raise StopIteration

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        from . import _aio

        def look() -> list[Event] | None:
            over = self._closed or self._cache.closed
            event = self.next(0)
            if event is not None:
                return [event]
            return [] if over else None

        found = await _aio.poll(look)
        if not found:
            raise StopAsyncIteration
        return found[0]
