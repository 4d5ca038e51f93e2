"""JSON as quotas and credentials take it from functions: bytes and text as they are, anything else encoded.

Knows nothing of who asked for it. Its errors never show what was to be encoded: it may be a secret.
"""

from __future__ import annotations

import json
from typing import Any

from ._errors import Invalid


def encode(given: object, what: str, *, ordered: bool = False) -> bytes:
    """Return the bytes of what a function returned; ``ordered``: equal objects give equal bytes.

    >>> encode({"b": 1, "a": "ü"}, "fetch", ordered=True).decode()
    '{"a":"ü","b":1}'
    >>> encode('{"already": "JSON"}', "fetch")
    b'{"already": "JSON"}'
    >>> encode(object(), "fetch")
    Traceback (most recent call last):
    forebay.Invalid: ...
    """
    if isinstance(given, bytes):
        return given
    if isinstance(given, bytearray | memoryview):
        return bytes(given)
    try:
        text = given if isinstance(given, str) else _dump(given, ordered)
        return text.encode()
    except (TypeError, ValueError, RecursionError):
        # Not chained: the encoder's own error may quote what it was given.
        pass
    raise _refused(given, what)


def parsable(data: bytes, what: str) -> bytes:
    """Return those bytes, if they are JSON.

    >>> parsable(b"[1]", "fallback")
    b'[1]'
    >>> parsable(b"about 40 %", "fallback")
    Traceback (most recent call last):
    forebay.Invalid: ...
    """
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        pass
    else:
        return data
    raise _refused(data, what)


def _refused(given: object, what: str) -> Invalid:
    return Invalid(
        f"{what} returned {type(given).__name__}, which is not JSON",
        hint="return JSON as bytes or text, or what json.dumps takes; a coroutine function needs the _async form",
    )


def _dump(given: object, ordered: bool) -> str:
    plain: dict[str, Any] = {"ensure_ascii": False, "allow_nan": False, "separators": (",", ":")}
    return json.dumps(given, sort_keys=ordered, **plain)
