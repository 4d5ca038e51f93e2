"""`LiveKey` and `Input`: the names of derived results, and what these are computed from.

What crosses to the native half are texts of 64 digits, and pairs of a kind and the bytes of a name. Knows nothing of
what is kept under a key, and looks at no input.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from . import _forebay
from ._errors import Invalid

if TYPE_CHECKING:
    from ._rows import InputRow
    from ._source import Source

Path: TypeAlias = "str | bytes | os.PathLike[str] | os.PathLike[bytes]"


class LiveKey(str):
    """The key of a derived result: 64 lower-case hexadecimal digits. Anything else is ``Invalid``.

    >>> key = forebay.LiveKey.from_bytes(b"grep needle src/")
    >>> forebay.LiveKey(str(key)) == key
    True
    >>> forebay.LiveKey(key.upper())
    Traceback (most recent call last):
    forebay.Invalid: ...
    """

    __slots__ = ()

    def __new__(cls, text: str) -> LiveKey:
        """Take the digits."""
        _forebay.check_live_key(text)
        return super().__new__(cls, text)

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> LiveKey:
        """Return the key of those bytes, their BLAKE3 hash: the same in every language."""
        return cls(_forebay.live_key(bytes(data)))

    def __repr__(self) -> str:
        return f"LiveKey({str(self)!r})"


def live_key(of: object) -> LiveKey:
    """Return the key of bytes, of a text's UTF-8, or of anything else's canonical JSON.

    Equal objects have equal keys: the order of a ``dict`` does not matter, a tuple is a list, a path is its text.

    >>> forebay.live_key(["grep", {"in": "src", "for": "x"}]) == forebay.live_key(("grep", {"for": "x", "in": "src"}))
    True
    >>> forebay.live_key("abc") == forebay.LiveKey.from_bytes(b"abc")
    True
    """
    if isinstance(of, bytes | bytearray | memoryview):
        return LiveKey.from_bytes(of)
    if isinstance(of, str):
        return LiveKey.from_bytes(of.encode("utf-8", "surrogatepass"))
    return LiveKey.from_bytes(canonical(of, "a key"))


def canonical(value: object, what: str) -> bytes:
    """Return that as JSON that is the same for equal values, as in Node; what JSON cannot tell apart is ``Invalid``.

    >>> canonical({"b": (1, None), "a": b"x"}, "it")
    b'{"a":{"\\\\u0000bytes":"78"},"b":[1,null]}'
    >>> canonical({1: "a"}, "it")
    Traceback (most recent call last):
    forebay.Invalid: ...
    """
    try:
        # Names of files that are no text have halves of surrogates, which no text has.
        return _text(value).encode("utf-8", "surrogatepass")
    except (TypeError, ValueError, RecursionError) as error:
        hint = "use text, numbers, paths, bytes, lists and dicts of those; for a function, pass key="
        raise Invalid(f"{what} is made of more than JSON has: {error}", hint=hint) from error


def _text(value: Any) -> str:
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"a dict has the key {key!r}, which is no text")
        return "{" + ",".join(f"{_text(key)}:{_text(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, bytes):
        # No text of a caller's looks like this.
        return _text({"\0bytes": value.hex()})
    if isinstance(value, os.PathLike):
        return _text(os.fsdecode(value))
    if isinstance(value, float):
        return _number(value)
    return json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    """Return a float as JavaScript writes it, so that its programs have the same keys.

    >>> [_number(each) for each in (1.0, -0.0, 0.1, 1e-06, 1.5e-07, 1e20, 1e21)]
    ['1', '0', '0.1', '0.000001', '1.5e-7', '100000000000000000000', '1e+21']
    """
    if value in (math.inf, -math.inf) or value != value:
        raise ValueError(f"{value} is no number that JSON has")
    if value == 0:
        return "0"
    mantissa, _, exponent = float.__repr__(abs(value)).partition("e")
    whole, _, rest = mantissa.partition(".")
    digits = (whole + rest).lstrip("0")
    # Where the point stands, counted from the first digit.
    point = len(digits) - len(rest) + int(exponent or 0)
    digits = digits.rstrip("0")
    sign, count = "-" if value < 0 else "", len(digits)
    if count <= point <= 21:
        return sign + digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    return f"{sign}{digits[0]}{'.' * (count > 1)}{digits[1:]}e{point - 1:+d}"


@dataclass(frozen=True, slots=True)
class Input:
    """Something that a derived result is computed from: it holds while all of these are as they were.

    Made by the methods named after the kinds. Paths are relative to the workspace of the `Live`, or absolute.

    >>> str(forebay.Input.parse("src/**/*.rs")), str(forebay.Input.env("LANG"))
    ('glob:src/**/*.rs', 'env:LANG')
    """

    kind: str
    """``file``, ``dir``, ``glob``, ``absent``, ``stat``, ``env``, ``source`` or ``tag``."""
    name: str
    """The path, the pattern, the variable, the source's key or the tag's name; a path as ``os.fsdecode`` has it."""

    @classmethod
    def parse(cls, text: Path) -> Input:
        """Return what a text means: a kind, a colon and a name, or a pattern, a folder (ends in ``/``), a file.

        Bytes and path objects are files, whatever characters they are made of.

        >>> import pathlib
        >>> forebay.Input.parse("src/"), forebay.Input.parse(pathlib.Path("app/[id]/page.tsx"))
        (Input.dir('src/'), Input.file('app/[id]/page.tsx'))
        """
        if not isinstance(text, str):
            return cls.file(text)
        kind, start = _forebay.parse_input(os.fsencode(text))
        return cls(kind, text[start:])

    @classmethod
    def file(cls, path: Path) -> Input:
        """The content of a file; that there is none, where there is none.

        >>> forebay.Input.file(b"caf\\xe9").name
        'caf\\udce9'
        """
        return cls("file", os.fsdecode(path))

    @classmethod
    def dir(cls, path: Path) -> Input:
        """The names and kinds of what a folder holds, not of what is below those.

        >>> forebay.Input.dir("src")
        Input.dir('src')
        """
        return cls("dir", os.fsdecode(path))

    @classmethod
    def glob(cls, pattern: str) -> Input:
        """Which files match, and their contents: ``*``, ``?``, ``[ab]``, ``{a,b}``, and ``**`` for any depth.

        Hidden files only where the pattern names them; links to folders are not followed.

        >>> forebay.Input.glob("src/**/*.{h,c}")
        Input.glob('src/**/*.{h,c}')
        """
        return cls("glob", pattern)

    @classmethod
    def absent(cls, path: Path) -> Input:
        """That nothing is there.

        >>> forebay.Input.absent(".skip")
        Input.absent('.skip')
        """
        return cls("absent", os.fsdecode(path))

    @classmethod
    def stat(cls, path: Path) -> Input:
        """Size and time of change of a file, not its content: for large ones.

        >>> forebay.Input.stat("model.bin")
        Input.stat('model.bin')
        """
        return cls("stat", os.fsdecode(path))

    @classmethod
    def env(cls, name: str) -> Input:
        """The value of an environment variable; only its hash is kept.

        >>> forebay.Input.env("LANG")
        Input.env('LANG')
        """
        return cls("env", name)

    @classmethod
    def source(cls, source: Source | str) -> Input:
        """The version of a source of the same cache.

        >>> forebay.Input.source(cache.source("api/models"))
        Input.source('api/models')
        """
        return cls("source", source if isinstance(source, str) else source.key)

    @classmethod
    def tag(cls, name: str) -> Input:
        """A name of your own, which `Live.invalidate_tag` moves.

        >>> forebay.Input.tag("prompt v2")
        Input.tag('prompt v2')
        """
        return cls("tag", name)

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"

    def __repr__(self) -> str:
        return f"Input.{self.kind}({self.name!r})"


Given: TypeAlias = "Path | Input"
"""An input as calls take it: an `Input`, or what `Input.parse` makes one of."""


def rows(inputs: Iterable[Given]) -> list[InputRow]:
    """Pack inputs for the native half.

    >>> rows(["src/", b"a"])
    [('dir', b'src/'), ('file', b'a')]
    >>> rows("src/")
    Traceback (most recent call last):
    forebay.Invalid: ...
    """
    if isinstance(inputs, str | bytes | os.PathLike | Input):
        raise Invalid(f"{inputs!r} is one input, not several", hint="give a list of inputs")
    found = (given if isinstance(given, Input) else Input.parse(given) for given in inputs)
    return [(each.kind, os.fsencode(each.name)) for each in found]


def shown(kind: str, name: bytes) -> Input:
    """Unpack an input of the native half, which calls this."""
    return Input(kind, os.fsdecode(name))
