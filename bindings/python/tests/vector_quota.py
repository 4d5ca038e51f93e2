"""The ops of tests/vectors on quotas and on credentials. Each public method is an op."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime, timedelta
from typing import Any

import forebay
from vector_callees import Callees, Calls, age_ms, ms
from vector_stage import Found, data_of

DURATIONS = ("ttl", "error_ttl", "rate_limited", "unauthorized", "timeout", "max_stale", "wait")


class QuotaOps(Callees):
    """A stage with quotas and credentials."""

    _loop = False
    """Whether calls are made by their forms for event loops."""
    _caches: dict[str, forebay.Cache]
    _quota_defaults: dict[str, Any]
    _credentials: dict[str, forebay.Credentials]

    def _until(self, at: datetime | None) -> int | None:
        raise NotImplementedError

    def _since(self, at: datetime | None) -> int | None:
        until = self._until(at)
        return None if until is None else -until

    def _quota_of(self, fields: dict[str, Any]) -> forebay.Quota:
        """Take the quota fields out of a step's."""
        for name, value in self._quota_defaults.items():
            fields.setdefault(name, value)
        options: Any = {name: ms(fields.pop(f"{name}_ms", None)) for name in DURATIONS}
        pauses = fields.pop("backoff_ms", None)
        options["backoff"] = pauses and tuple(timedelta(milliseconds=number) for number in pauses)
        options["identity"] = fields.pop("identity", None)
        return self._caches[fields.pop("cache", "a")].quota(fields.pop("name", "usage"), **options)

    def _creds(self, name: str) -> forebay.Credentials:
        if name not in self._credentials:
            clock = self._folder / "clock"
            self._credentials[name] = forebay.Credentials(self._folder / "state", test_clock=clock)
        return self._credentials[name]

    def _of_answer(self, answer: forebay.Answer) -> Found:
        error = answer.error
        return {
            "data": answer.raw,
            "json": answer.data,
            "state": answer.state,
            "how": answer.how,
            "age_ms": age_ms(answer.age),
            "cached_in_ms": self._until(answer.cached_at),
            "retry_in_ms": self._until(answer.retry_at),
            "error": error and error.code,
            "says": error and str(error),
        }

    def _of_credential(self, credential: forebay.Credential) -> Found:
        error = credential.error
        assert credential.data not in repr(credential).encode()
        return {
            "data": credential.data,
            "how": credential.how,
            "age_ms": self._since(credential.stored_at),
            "error": error and error.code,
            "says": error and str(error),
            "version": credential.version,
        }

    # The ops of a quota.

    def quota_resolve(
        self,
        quota: forebay.Quota,
        *,
        place: str,
        calls: Calls,
        fetch: Any,
        credentials: Any = None,
        fallback: Any = None,
    ) -> Any:
        ask = self._callee("fetch", place, calls, fetch)
        secret = credentials and self._callee("credentials", place, calls, credentials)
        instead = fallback and self._callee("fallback", place, calls, fallback)
        if self._loop:
            return self._of_answer(asyncio.run(quota.resolve_async(ask, secret, instead)))
        return self._of_answer(quota.resolve(ask, secret, instead))

    def quota_read(self, quota: forebay.Quota) -> Any:
        state = quota.read()
        found: Found = {"json": None, "data": None} if state.answer is None else self._of_answer(state.answer)
        gate, failed = state.blocked, state.recorded_error
        found |= {
            "recorded_error": failed and failed.code,
            "phase": state.phase,
            "holder": state.holder and ("self" if state.holder == os.getpid() else "other"),
            "retry_in_ms": self._until(gate.until) if gate else None,
            "error": gate and gate.error,
            "says": gate and gate.message,
        }
        return found if gate is None else found | {"declared": gate.declared, "attempts": gate.attempts}

    def quota_block(self, quota: forebay.Quota, *, for_ms: int, code: str, message: str) -> Any:
        until = quota.block(timedelta(milliseconds=for_ms), code, message)
        return {"retry_in_ms": self._until(until)}

    def quota_clear(self, quota: forebay.Quota) -> Any:
        return {"cleared": quota.clear()}

    def quotas(self, *, cache: str = "a") -> Any:
        return {"keys": [str(key) for key in self._caches[cache].quotas()]}

    # The ops of credentials.

    def rotate(
        self,
        *,
        place: str,
        calls: Calls,
        key: str,
        exchange: Any,
        seen: str | None = None,
        creds: str = "a",
    ) -> Any:
        version = None if seen is None else self._saved[seen]
        fn, handle = self._callee("exchange", place, calls, exchange), self._creds(creds)
        try:
            if self._loop:
                return self._of_credential(asyncio.run(handle.rotate_async(key, version, exchange=fn)))
            return self._of_credential(handle.rotate(key, version, exchange=fn))
        except forebay.Ambiguous as error:
            calls.hears(error)
            raise

    def rotate_current(self, *, key: str, creds: str = "a") -> Any:
        found = self._creds(creds).current(key)
        return {"data": None} if found is None else self._of_credential(found)

    def rotate_reset(self, *, key: str, data: Any = None, creds: str = "a") -> Any:
        return {"version": self._creds(creds).reset(key, None if data is None else data_of(data))}

    def rotate_state(self, *, key: str, creds: str = "a") -> Any:
        state = self._creds(creds).state(key)
        error = state.last_error
        return {
            "phase": state.phase,
            "ambiguous_for_ms": self._since(state.ambiguous_since),
            "retry_in_ms": self._until(state.retry_at),
            "error": error and error.code,
            "says": error and str(error),
            "version": state.version,
        }
