"""What calls report: plain, frozen records. Durations are seconds, instants are ``datetime`` in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

from ._durations import maybe_instant
from ._errors import Error

if TYPE_CHECKING:
    from ._forebay import Value
    from ._job import Ticket
    from ._rows import StateRow

State: TypeAlias = Literal["fresh", "stale", "expired", "absent"]
How: TypeAlias = Literal["fresh", "ran", "unchanged", "coalesced", "stale", "fallback", "uncoordinated"]
Phase: TypeAlias = Literal["idle", "running", "cooling"]
Started: TypeAlias = Literal["started", "fresh", "in_flight", "gated"]
Durability: TypeAlias = Literal["none", "data", "full"]


@dataclass(frozen=True, slots=True)
class RefreshState:
    """Who refreshes a source, and when anyone may again."""

    phase: Phase
    """``running`` while a lease is in force, ``cooling`` while a gate is, else ``idle``."""
    in_flight: bool
    """Running, or cooling down after a failure."""
    failed: bool
    """The last attempt failed."""
    last_error: Error | None
    started_at: datetime | None
    deadline: datetime | None
    """Until when the running refresh should be done."""
    retry_at: datetime | None
    """When the gate ends."""
    attempts: int
    """Failed attempts in a row."""
    declared: bool
    """The server gave ``retry_at``; else it is a guess."""
    holder: int | None
    """Process id of who runs it, where it is known."""


def refresh_state(row: StateRow) -> RefreshState:
    """Make the record of a native row."""
    phase, in_flight, failed, error, started, deadline, retry, attempts, declared, holder = row
    return RefreshState(
        phase,
        in_flight,
        failed,
        error,
        maybe_instant(started),
        maybe_instant(deadline),
        maybe_instant(retry),
        attempts,
        declared,
        holder,
    )


@dataclass(frozen=True, slots=True)
class Listed:
    """One source of a root, as `Cache.list` found it."""

    key: str
    state: State
    """By the lifetimes recorded beside the value."""
    age: float | None
    size: int
    stored_at: datetime | None
    phase: Phase
    validator: str | None
    extra: str | None
    version: str
    error: Error | None
    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class Pruned:
    """What `Cache.prune` did."""

    removed: list[str]
    """Keys that were removed."""
    skipped: dict[str, str]
    """Keys that were not, with the reason."""
    swept: int
    """Other files that were removed: orphaned temporary files, markers and gates."""


@dataclass(frozen=True, slots=True)
class Why:
    """Which fact decides about a source."""

    text: str
    """In a sentence."""
    cache_status: str
    """As a Cache-Status header (RFC 9211)."""
    state: State
    phase: Phase

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Acquired:
    """What `Source.acquire` came to; true if it is a ticket."""

    outcome: Literal["ticket", "in_flight", "fresh", "gated"]
    ticket: Ticket | None = None
    state: RefreshState | None = None
    """For ``in_flight`` and ``gated``: whose turn it is."""
    value: Value | None = None
    """For ``fresh``: what is there."""

    def __bool__(self) -> bool:
        return self.ticket is not None


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of `Cache.refresh_many`."""

    done: int
    total: int
    key: str
    result: Value | Exception


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened in this process."""

    kind: str
    """hit, stale_served, miss, refresh_started, refresh_succeeded, refresh_failed, coalesced, gated, …"""
    key: str
    code: str | None
    """The failure, where it is one."""
