"""`Live`: results that hold while what they were computed from is as it was, shared by all processes."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

from ._compute import LiveJob, Plan, Upstream, derive, keys, result_of
from ._durations import instant
from ._forebay import Derived
from ._inputs import Given, Input, LiveKey, rows
from ._job import encoded
from ._memo import MemoDecorator

if TYPE_CHECKING:
    from types import TracebackType

    from . import _forebay

Data: TypeAlias = "bytes | bytearray | memoryview | str"


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a look at a result found; true if it is there and holds."""

    outcome: Literal["hit", "miss", "invalidated"]
    """``invalidated``: something has changed, and it is gone now, with all that was built on it."""
    hit: Derived | None = None

    def __bool__(self) -> bool:
        return self.hit is not None


@dataclass(frozen=True, slots=True)
class LiveListed:
    """A result as `Live.list` found it, without its bytes."""

    key: LiveKey
    kind: str
    size: int
    inputs: list[Input]
    upstreams: list[LiveKey]
    computed_at: datetime
    used_at: datetime
    """When it was last used, as far as that is recorded."""


@dataclass(frozen=True, slots=True)
class LiveWhy:
    """Whether a result holds, and what decides that."""

    holds: bool
    text: str
    """In a sentence."""
    input: Input | None
    """The input that decided."""
    upstream: LiveKey | None
    """The result that decided."""

    def __str__(self) -> str:
        return self.text


Rows: TypeAlias = list[LiveListed]


class LiveTicket:
    """A computation whose inputs were looked at before it began. Dropped or closed, it stores nothing.

    >>> live = cache.live()
    >>> with live.begin(forebay.live_key("doc ticket"), ["tag:doc"]) as ticket:
    ...     ticket.commit(b"made", kind="doc").how
    'ran'
    """

    __slots__ = ("_native", "key")

    key: LiveKey
    """Which result."""

    def __init__(self, native: _forebay.LiveTicket, key: LiveKey) -> None:
        self._native = native
        self.key = key

    def __enter__(self) -> LiveTicket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def commit(self, data: Data, kind: str = "") -> Derived:
        """Store the result, once. ``Superseded``: an input or upstream has changed meanwhile, nothing was stored."""
        return self._native.commit(encoded(data), kind)

    async def commit_async(self, data: Data, kind: str = "") -> Derived:
        """`commit`, without blocking the event loop."""
        from . import _aio

        raw = encoded(data)
        return await _aio.call(lambda: self._native.commit(raw, kind))

    def close(self) -> None:
        """Give it up, if it was not committed. May be called any number of times."""
        self._native.close()


class Live:
    """The derived results of a cache. Made by `Cache.live`; usable from any thread, and after a fork.

    >>> live = cache.live()
    >>> key = forebay.live_key(["words", "notes"])
    >>> made = live.get_or_compute(key, lambda job: "one two".split(), inputs=["notes", "env:LANG"])
    >>> made.json(), made.how
    (['one', 'two'], 'ran')
    >>> live.get_or_compute(key, lambda job: [], inputs=["notes", "env:LANG"]).how
    'fresh'
    """

    __slots__ = ("_native", "workspace")

    workspace: str
    """The folder that paths are relative to."""

    def __init__(self, native: _forebay.Live, workspace: str) -> None:
        self._native = native
        self.workspace = workspace

    def __repr__(self) -> str:
        return f"<forebay.Live {self.workspace}>"

    def memo(
        self,
        *,
        inputs: Iterable[Given] | Callable[..., Iterable[Given]] = (),
        upstream: Iterable[Upstream] | Callable[..., Iterable[Upstream]] = (),
        kind: str | None = None,
        key: Callable[..., object] | None = None,
        version: str | int | None = None,
    ) -> MemoDecorator:
        """Decorate a function or coroutine function: it runs again when, and only when, an input has changed.

        ``inputs`` and ``upstream``, or what they return for the same arguments, are what the result is computed
        from; both are asked before the function runs. What ``upstream`` has of other functions' ``call(...)`` is
        computed first, where it does not hold. ``kind`` is the function's name, unless given.

        The key is made of the function's module and name and of its arguments as JSON; ``key`` makes something
        else of them, where they are not JSON or do not all matter. The function's code is not part of it: change
        ``version`` with what the function does. The result is bytes, or JSON: a tuple comes back as a list.

        The decorated function has ``key(...)``, ``invalidate(...)`` and ``call(...)``, which take the same
        arguments.

        >>> live = cache.live()
        >>> @live.memo(inputs=lambda path: [path])
        ... def lines(path: str) -> int:
        ...     print("counting", path)
        ...     return 3
        >>> @live.memo(upstream=lambda path: [lines.call(path)])
        ... def report(path: str) -> dict:
        ...     return {"lines": lines(path)}
        >>> report("notes"), report("notes")
        counting notes
        ({'lines': 3}, {'lines': 3})
        >>> lines.invalidate("notes"), report("notes")
        counting notes
        (True, {'lines': 3})
        """
        return MemoDecorator(self._native, inputs, upstream, kind, key, version)

    def get_or_compute(
        self,
        key: str,
        compute: Callable[[LiveJob], object],
        *,
        inputs: Iterable[Given] = (),
        upstream: Iterable[Upstream] = (),
        kind: str = "",
    ) -> Derived:
        """Return the result if it holds; else one process of all computes it, and the others get what it computed.

        ``compute`` runs in this thread, and returns bytes, text, or something JSON can hold; what it raises is
        raised here as itself, and whoever waited computes it anew. If an input changes meanwhile the result is
        returned, ``uncoordinated`` and with an ``error``, and not kept. ``Superseded``: an upstream does not hold.
        ``Invalid``: ``compute`` asks, in its thread, for its own result.

        >>> live = cache.live()
        >>> key = forebay.live_key("doc get")
        >>> live.get_or_compute(key, lambda job: b"made", inputs=["tag:doc"], kind="doc")
        <forebay.Derived ran, "doc", 4 bytes>
        """
        return derive(self._plan(key, compute, inputs, upstream, kind))

    async def get_or_compute_async(
        self,
        key: str,
        compute: Callable[[LiveJob], Awaitable[object] | object],
        *,
        inputs: Iterable[Given] = (),
        upstream: Iterable[Upstream] = (),
        kind: str = "",
    ) -> Derived:
        """`get_or_compute` for event loops: ``compute`` may be a coroutine function; another runs on a thread.

        Cancelling the call ends a coroutine that it runs, and its lease: the next caller takes over at once. A
        coroutine over the deadline is cancelled, and has failed with ``TimedOut``.

        >>> async def compute(job):
        ...     return [1]
        >>> import asyncio
        >>> asyncio.run(cache.live().get_or_compute_async(forebay.live_key("doc async"), compute)).json()
        [1]
        """
        from . import _aio_compute

        return await _aio_compute.derive_async(self._plan(key, compute, inputs, upstream, kind))

    def _plan(
        self,
        key: str,
        compute: Callable[[LiveJob], object],
        inputs: Iterable[Given],
        upstream: Iterable[Upstream],
        kind: str,
    ) -> Plan:
        return Plan(self._native, key, kind, lambda: inputs, lambda: upstream, compute, result_of)

    # Looking.

    def lookup(self, key: str, *, revalidate: bool = False) -> Lookup:
        """Look at what is recorded; with ``revalidate``, also at every input, those of upstreams too.

        What has changed is ``invalidated`` once, and gone for every process, with all that was built on it.

        >>> live = cache.live()
        >>> live.lookup(forebay.live_key("doc nothing")).outcome
        'miss'
        """
        return Lookup(*self._native.lookup(key, revalidate))

    async def lookup_async(self, key: str, *, revalidate: bool = False) -> Lookup:
        """`lookup`, without blocking the event loop."""
        from . import _aio

        return await _aio.call(lambda: self.lookup(key, revalidate=revalidate))

    def why(self, key: str) -> LiveWhy:
        """Say whether `lookup` with ``revalidate`` would find it, and what decides that. Removes nothing.

        >>> str(cache.live().why(forebay.live_key("doc nothing")))
        'there is no such result'
        """
        return LiveWhy(*self._native.why(key))

    def list(self) -> Rows:
        """List all results, in the order of their keys.

        >>> live = cache.live()
        >>> _ = live.persist(forebay.live_key("doc list"), b"12345", kind="listed")
        >>> [row.size for row in live.list() if row.kind == "listed"]
        [5]
        """
        listed = self._native.list()
        return [LiveListed(*row[:5], instant(row[5]), instant(row[6])) for row in listed]

    async def list_async(self) -> Rows:
        """`list`, without blocking the event loop."""
        from . import _aio

        return await _aio.call(self.list)

    def known_kinds(self) -> dict[str, int]:
        """Tell how many results there are of each kind.

        >>> live = cache.live()
        >>> _ = live.persist(forebay.live_key("doc kinds"), b"x", kind="doc kinds")
        >>> live.known_kinds()["doc kinds"]
        1
        """
        return dict(self._native.known_kinds())

    def entry_count(self) -> int:
        """Tell how many results there are.

        >>> cache.live().entry_count() >= 0
        True
        """
        return self._native.entry_count()

    def total_bytes(self) -> int:
        """Tell how many bytes they have.

        >>> cache.live().total_bytes() >= 0
        True
        """
        return self._native.total_bytes()

    # Storing.

    def begin(
        self, key: str, inputs: Iterable[Given] = (), upstream: Iterable[str | Derived] = ()
    ) -> LiveTicket:
        """Look at the inputs, before anything is computed from them; then `LiveTicket.commit`.

        ``Superseded``: an upstream does not hold.

        >>> ticket = cache.live().begin(forebay.live_key("doc begin"), ["tag:doc"])
        >>> ticket.commit("made").text()
        'made'
        """
        above = keys(upstream)
        return LiveTicket(self._native.begin(key, rows(inputs), above), LiveKey(key))

    async def begin_async(
        self, key: str, inputs: Iterable[Given] = (), upstream: Iterable[str | Derived] = ()
    ) -> LiveTicket:
        """`begin`, without blocking the event loop."""
        from . import _aio

        packed, above = rows(inputs), keys(upstream)
        ticket = await _aio.call(lambda: self._native.begin(key, packed, above))
        return LiveTicket(ticket, LiveKey(key))

    def persist(
        self,
        key: str,
        data: Data,
        kind: str = "",
        inputs: Iterable[Given] = (),
        upstream: Iterable[str | Derived] = (),
    ) -> Derived:
        """Store a result whose inputs are looked at only now: a change since it was computed is not noticed.

        >>> cache.live().persist(forebay.live_key("doc persist"), b"x", inputs=["tag:doc"]).inputs
        [Input.tag('doc')]
        """
        return self._native.persist(key, encoded(data), kind, rows(inputs), keys(upstream))

    async def persist_async(
        self,
        key: str,
        data: Data,
        kind: str = "",
        inputs: Iterable[Given] = (),
        upstream: Iterable[str | Derived] = (),
    ) -> Derived:
        """`persist`, without blocking the event loop."""
        from . import _aio

        raw, packed, above = encoded(data), rows(inputs), keys(upstream)
        return await _aio.call(lambda: self._native.persist(key, raw, kind, packed, above))

    # Removing.

    def mark_dirty(self, key: str) -> bool:
        """Remove the result and all that is built on it; return whether it was there.

        >>> live = cache.live()
        >>> _ = live.persist(forebay.live_key("doc dirty"), b"x")
        >>> live.mark_dirty(forebay.live_key("doc dirty")), live.mark_dirty(forebay.live_key("doc dirty"))
        (True, False)
        """
        return self._native.mark_dirty(key)

    async def mark_dirty_async(self, key: str) -> bool:
        """`mark_dirty`, without blocking the event loop."""
        from . import _aio

        return await _aio.call(lambda: self._native.mark_dirty(key))

    def invalidate_upstream(self, key: str) -> int:
        """Remove all that is built on the result, directly and not; return how many. The result itself stays.

        >>> live = cache.live()
        >>> base = live.persist(forebay.live_key("doc base"), b"x")
        >>> _ = live.persist(forebay.live_key("doc built"), b"y", upstream=[base])
        >>> live.invalidate_upstream(base.key)
        1
        """
        return self._native.invalidate_upstream(key)

    async def invalidate_upstream_async(self, key: str) -> int:
        """`invalidate_upstream`, without blocking the event loop."""
        from . import _aio

        return await _aio.call(lambda: self._native.invalidate_upstream(key))

    def invalidate_path(self, path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> int:
        """Remove what was computed from the file, or from anything in the folder, and all that is built on those.

        Returns how many were computed from it directly. The file may be gone.

        >>> live = cache.live()
        >>> _ = live.persist(forebay.live_key("doc path"), b"x", inputs=["doc/path"])
        >>> live.invalidate_path("doc")
        1
        """
        return self._native.invalidate_path(os.fsdecode(path))

    async def invalidate_path_async(self, path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> int:
        """`invalidate_path`, without blocking the event loop."""
        from . import _aio

        return await _aio.call(lambda: self._native.invalidate_path(os.fsdecode(path)))

    def invalidate_tag(self, name: str) -> int:
        """Remove every result that has the tag as an input, and all built on those; return how many have it.

        >>> live = cache.live()
        >>> _ = live.persist(forebay.live_key("doc tag"), b"x", inputs=[forebay.Input.tag("doc tag")])
        >>> live.invalidate_tag("doc tag")
        1
        """
        return self._native.invalidate_tag(name)

    async def invalidate_tag_async(self, name: str) -> int:
        """`invalidate_tag`, without blocking the event loop."""
        from . import _aio

        return await _aio.call(lambda: self._native.invalidate_tag(name))

    def evict_to_cap(self, cap: int) -> int:
        """Remove the least recently used until they have at most that many bytes; return how many went.

        >>> live = cache.live()
        >>> live.evict_to_cap(live.total_bytes())
        0
        """
        return self._native.evict_to_cap(cap)

    async def evict_to_cap_async(self, cap: int) -> int:
        """`evict_to_cap`, without blocking the event loop."""
        from . import _aio

        return await _aio.call(lambda: self._native.evict_to_cap(cap))

    def gc(self) -> tuple[int, int]:
        """Remove results that do not hold any more, and files that nothing names; return how many of each.

        >>> removed, files = cache.live().gc()
        """
        return self._native.gc()

    async def gc_async(self) -> tuple[int, int]:
        """`gc`, without blocking the event loop."""
        from . import _aio

        return await _aio.call(self._native.gc)
