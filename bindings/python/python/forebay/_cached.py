"""`Cache.cached`: a function whose results are kept, with its arguments as the key and JSON as the format.

Never pickle: what is read from a shared directory must not be able to run. Knows nothing of how sources work.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import CodeType
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast, overload

from ._durations import Duration
from ._errors import Invalid
from ._types import Durability

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._cache import Cache
    from ._forebay import Reader
    from ._job import Job
    from ._source import Source

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")

_KEPT = 1024
"""Sources with their readers that a decorated function keeps at hand."""


class Cached(Protocol[P, R_co]):
    """A decorated function: called as before, and these with the same arguments."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Return the kept result, or run the function."""
        ...

    @overload
    def __get__(self, instance: None, owner: type[object]) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[object] | None = None) -> Callable[..., R_co]: ...
    def __get__(self, instance: object, owner: type[object] | None = None) -> object:
        """Bind it to an object, as methods are."""
        ...

    def cache_key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key under which the result is kept."""
        ...

    def source(self, *args: P.args, **kwargs: P.kwargs) -> Source:
        """Return the source under which the result is kept, to read it, mark it stale, or look at its state."""
        ...

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Remove the result, so that the next call runs the function; return whether there was one."""
        ...


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """The options of the sources of a decorated function."""

    ttl: Duration
    max_stale: Duration | None
    stale_if_error: Duration | None
    deadline: Duration | None
    identity: str | None
    durability: Durability | None
    backoff: tuple[Duration, Duration] | None
    wait_ns: int | None

    def source(self, cache: Cache, key: str) -> Source:
        """Return the source of that key."""
        return cache.source(
            key,
            ttl=self.ttl,
            max_stale=self.max_stale,
            stale_if_error=self.stale_if_error,
            deadline=self.deadline,
            identity=self.identity,
            durability=self.durability,
            backoff=self.backoff,
        )

    @property
    def wait(self) -> float | None:
        """The wait in seconds."""
        return None if self.wait_ns is None else self.wait_ns / 1e9


class Keys:
    """How the arguments of one function become keys."""

    def __init__(
        self,
        fn: Callable[..., object],
        key: Callable[..., object] | None,
        tier: str | None,
        name: str | None,
    ) -> None:
        module: str = getattr(fn, "__module__", None) or "__main__"
        self._tier: str = tier or module
        if "/" in self._tier:
            raise Invalid(f"the tier {self._tier!r} has a '/'", hint="put it into the name")
        self._name: str = name or str(getattr(fn, "__qualname__", type(fn).__qualname__))
        # Every script is __main__: what tells them apart is the file.
        self._script = script_of(fn) if module == "__main__" and tier is None else None
        self._signature = inspect.signature(fn)
        self._key = key
        self._plain = self._script is None and not self._signature.parameters and key is None

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """Return the key of these arguments, however they were passed."""
        bound = self._signature.bind(*args, **kwargs)
        if self._plain:
            return f"{self._tier}/{self._name}"
        bound.apply_defaults()
        facts = self._key(*args, **kwargs) if self._key is not None else bound.arguments
        try:
            text = json.dumps([self._script, facts], sort_keys=True, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise Invalid(
                f"the arguments of {self._name} are not JSON: {error}",
                hint="pass key=, which makes something that is",
            ) from error
        return f"{self._tier}/{self._name}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def script_of(fn: Callable[..., object]) -> str:
    """Return what tells a script's functions from another script's: its file, or the code itself."""
    code = getattr(fn, "__code__", None)
    if not isinstance(code, CodeType):
        return ""
    if code.co_filename.startswith("<"):
        # Typed in: the text itself, as far as it is known.
        return hashlib.sha256(code.co_code + repr(code.co_names).encode()).hexdigest()
    return os.path.abspath(str(code.co_filename))


def _dump(fn: Callable[..., object], result: object) -> str:
    try:
        return json.dumps(result, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        name = getattr(fn, "__qualname__", repr(fn))
        raise Invalid(
            f"the result of {name} is not JSON: {error}", hint="return what json.dumps takes"
        ) from error


class Decorator:
    """What `Cache.cached` returns."""

    def __init__(
        self,
        cache: Cache,
        lifetimes: Lifetimes,
        key: Callable[..., object] | None,
        tier: str | None,
        name: str | None,
    ) -> None:
        self._cache = cache
        self._lifetimes = lifetimes
        self._naming = (key, tier, name)

    def __call__(self, fn: Callable[P, R]) -> Cached[P, R]:
        """Decorate that function."""
        keys = Keys(fn, *self._naming)
        known: dict[str, tuple[Source, Reader[bytes]]] = {}
        lifetimes, cache = self._lifetimes, self._cache

        def find(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Source, Reader[bytes]]:
            key = keys.key(args, kwargs)
            found = known.get(key)
            if found is None:
                source = lifetimes.source(cache, key)
                found = source, source.reader()
                while len(known) >= _KEPT:
                    known.pop(next(iter(known)), None)
                known[key] = found
            return found

        @functools.wraps(fn)
        def call(*args: P.args, **kwargs: P.kwargs) -> Any:
            source, reader = find(args, kwargs)
            data = reader()
            if data is None:

                def run(_job: Job) -> str:
                    return _dump(fn, fn(*args, **kwargs))

                return source.get(run, lifetimes.wait).json()
            return json.loads(data)

        @functools.wraps(fn)
        async def call_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            source, reader = find(args, kwargs)
            data = reader()
            if data is None:

                async def run(_job: Job) -> str:
                    return _dump(fn, await cast("Awaitable[object]", fn(*args, **kwargs)))

                return (await source.get_async(run, lifetimes.wait)).json()
            return json.loads(data)

        wrapper: Any = call_async if inspect.iscoroutinefunction(fn) else call
        wrapper.cache_key = lambda *args, **kwargs: keys.key(args, kwargs)
        wrapper.source = lambda *args, **kwargs: find(args, kwargs)[0]
        wrapper.invalidate = lambda *args, **kwargs: find(args, kwargs)[0].remove()
        return cast("Cached[P, R]", wrapper)
