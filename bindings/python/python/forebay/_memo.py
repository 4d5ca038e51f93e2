"""`Live.memo`: a function whose results hold while what they were computed from is as it was.

Its arguments are the key, by their canonical JSON; a result is kept as JSON, or as bytes where it is bytes. Never
pickle: what is read from a shared directory must not be able to run. Knows nothing of how results are computed.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast, overload

from ._cached import script_of
from ._compute import Call, LiveJob, Plan, Upstream, derive
from ._errors import Invalid
from ._forebay import Derived
from ._inputs import Given, LiveKey, canonical

if TYPE_CHECKING:
    from typing_extensions import Self

    from . import _forebay

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

_BYTES = b"\0"
"""What bytes are kept behind, in Node too: no JSON begins with it."""


class Memo(Protocol[P, R_co]):
    """A function decorated by `Live.memo`: called as before, and these with the same arguments."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Return the kept result if it holds, or run the function."""
        ...

    @overload
    def __get__(self, instance: None, owner: type[object]) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[object] | None = None) -> Callable[..., R_co]: ...
    def __get__(self, instance: object, owner: type[object] | None = None) -> object:
        """Bind it to an object, as methods are."""
        ...

    def key(self, *args: P.args, **kwargs: P.kwargs) -> LiveKey:
        """Return the key under which the result is kept."""
        ...

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Remove the result and all that is built on it; return whether there was one."""
        ...

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Call:
        """Return the call without making it, for the ``upstream`` of a result that is built on it.

        Its ``derive()``, for a coroutine function ``await derive_async()``, makes it, and returns the `Derived`.
        """
        ...


class Naming:
    """How the arguments of one function become keys."""

    def __init__(
        self, fn: Callable[..., object], key: Callable[..., object] | None, version: str | int | None
    ) -> None:
        module: str = getattr(fn, "__module__", None) or "__main__"
        self.name: str = str(getattr(fn, "__qualname__", type(fn).__qualname__))
        # Every script is __main__: what tells them apart is the file.
        script = script_of(fn) if module == "__main__" else None
        self._function = [module, script, self.name, version]
        self._signature = inspect.signature(fn)
        self._key = key

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveKey:
        """Return the key of these arguments, however they were passed."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        facts = self._key(*args, **kwargs) if self._key is not None else bound.arguments
        given = ["python", *self._function, facts]
        return LiveKey.from_bytes(canonical(given, f"the key of a call of {self.name}"))


def pack(name: str, result: object) -> bytes:
    """Return a result as it is kept.

    >>> pack("f", {"a": (1, "ü")}), pack("f", b"raw"), unpack(pack("f", b"raw"))
    (b'{"a":[1,"\\xc3\\xbc"]}', b'\\x00raw', b'raw')
    >>> pack("f", object())
    Traceback (most recent call last):
    forebay.Invalid: ...
    """
    if isinstance(result, bytes | bytearray | memoryview):
        return _BYTES + bytes(result)
    try:
        try:
            text = json.dumps(result, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
            return text.encode()
        except UnicodeEncodeError:
            # Names of files that are no text, as os.fsdecode has them.
            return json.dumps(result, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        hint = "return bytes, or what json.dumps takes"
        raise Invalid(f"the result of {name} is not JSON: {error}", hint=hint) from error


def unpack(data: bytes) -> Any:
    """Return what was kept: bytes as bytes, JSON decoded."""
    if data[:1] == _BYTES:
        return data[1:]
    return json.loads(data) if data else None


class Bound:
    """One call of a decorated function: `Call`."""

    __slots__ = ("_plan", "key")

    def __init__(self, key: LiveKey, plan: Callable[[LiveKey], Plan]) -> None:
        self.key = key
        self._plan = plan

    def __repr__(self) -> str:
        return f"<forebay call {self.key}>"

    def derive(self) -> Derived:
        """Make it in this thread, unless its result holds."""
        plan = self._plan(self.key)
        if not inspect.iscoroutinefunction(plan.fn):
            return derive(plan)
        found = plan.look()
        if found is None:
            raise Invalid(
                "a result of a plain function is built on one of a coroutine function, which does not hold",
                hint="make both coroutine functions, or use get_or_compute_async",
            )
        return found

    async def derive_async(self) -> Derived:
        """Make it as part of this task, or on a thread of its own."""
        from . import _aio_compute

        plan = self._plan(self.key)
        if inspect.iscoroutinefunction(plan.fn):
            return await _aio_compute.derive_async(plan)
        return await _aio_compute.in_thread(plan)


class MemoDecorator:
    """What `Live.memo` returns."""

    def __init__(
        self,
        native: _forebay.Live,
        inputs: Iterable[Given] | Callable[..., Iterable[Given]],
        upstream: Iterable[Upstream] | Callable[..., Iterable[Upstream]],
        kind: str | None,
        key: Callable[..., object] | None,
        version: str | int | None,
    ) -> None:
        self._native = native
        self._inputs = inputs if callable(inputs) else _constant(inputs)
        self._upstream = upstream if callable(upstream) else _constant(upstream)
        self._kind = kind
        self._naming = (key, version)

    def __call__(self, fn: Callable[P, R]) -> Memo[P, R]:
        """Decorate that function."""
        naming = Naming(fn, *self._naming)
        kind = getattr(fn, "__name__", naming.name) if self._kind is None else self._kind
        is_async = inspect.iscoroutinefunction(fn)

        def call(*args: Any, **kwargs: Any) -> Bound:
            def run(_job: LiveJob) -> object:
                return fn(*args, **kwargs)

            async def run_async(_job: LiveJob) -> object:
                return await cast("Any", fn(*args, **kwargs))

            def plan(key: LiveKey) -> Plan:
                return Plan(
                    self._native,
                    key,
                    kind,
                    lambda: self._inputs(*args, **kwargs),
                    lambda: self._upstream(*args, **kwargs),
                    run_async if is_async else run,
                    functools.partial(pack, naming.name),
                )

            return Bound(naming.key(args, kwargs), plan)

        @functools.wraps(fn)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> Any:
            return unpack(call(*args, **kwargs).derive().data)

        @functools.wraps(fn)
        async def wrapper_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            return unpack((await call(*args, **kwargs).derive_async()).data)

        decorated: Any = wrapper_async if is_async else wrapper
        decorated.key = lambda *args, **kwargs: naming.key(args, kwargs)
        decorated.invalidate = lambda *args, **kwargs: self._native.mark_dirty(naming.key(args, kwargs))
        decorated.call = call
        return cast("Memo[P, R]", decorated)


def _constant(value: Iterable[Any]) -> Callable[..., Iterable[Any]]:
    kept = value if isinstance(value, str | bytes) else list(value)
    return lambda *_args, **_kwargs: kept
