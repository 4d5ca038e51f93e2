"""Warm hits in Python: forebay by handle, by key and decoded, against caches in memory and on disk."""

from __future__ import annotations

import argparse
import dbm
import functools
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cachetools
import diskcache
import forebay
import joblib
from dogpile.cache import make_region
from series import Calls, Contest

TTL = 24 * 3600
DUMB_KEYS = 16


def called(items: Sequence[Callable[[], Any]]) -> Any:
    """Calls each item: a handle is a callable."""
    value = None
    for item in items:
        value = item()
    return value


def each(function: Callable[[Any], Any]) -> Calls:
    """Calls the function with each item."""

    def calls(items: Sequence[Any]) -> Any:
        value = None
        for item in items:
            value = function(item)
        return value

    return calls


def subscripted(mapping: Any) -> Calls:
    """Looks each item up."""

    def calls(items: Sequence[Any]) -> Any:
        value = None
        for item in items:
            value = mapping[item]
        return value

    return calls


def read_and_decode(path: str) -> Any:
    with open(path, "rb") as file:
        return json.loads(file.read())


class Fixture:
    """The values that `forebay-bench fixture` left in the folder."""

    def __init__(self, root: Path) -> None:
        self.cache_root = root / "cache"
        self.paths = sorted((root / "plain" / "bench").glob("*.json"))
        self.keys = [f"bench/{path.stem}" for path in self.paths]
        self.values = [path.read_bytes() for path in self.paths]
        self.decoded = [json.loads(value) for value in self.values]
        self.order = list(range(len(self.keys)))
        random.Random(7).shuffle(self.order)

    def by_key(self) -> dict[str, bytes]:
        return dict(zip(self.keys, self.values, strict=True))


def add_forebay(contest: Contest, fixture: Fixture) -> None:
    cache = forebay.Cache(fixture.cache_root)
    handles = [cache.source(key, ttl=TTL).reader() for key in fixture.keys]
    contest.add("handle", handles, fixture.values, called)
    contest.add("by key", fixture.keys, fixture.values, subscripted(cache.readers(ttl=TTL)))
    decoded = cache.readers(ttl=TTL, decode=json.loads)
    contest.add("decoded JSON", fixture.keys, fixture.decoded, subscripted(decoded))


def add_memory(contest: Contest, fixture: Fixture) -> None:
    values = fixture.by_key()
    bounded = functools.lru_cache(maxsize=10_000)(values.__getitem__)
    contest.add("functools.lru_cache", fixture.keys, fixture.values, each(bounded))
    unbounded = functools.cache(values.__getitem__)
    contest.add("functools.cache", fixture.keys, fixture.values, each(unbounded))
    timed: cachetools.TTLCache[str, bytes] = cachetools.TTLCache(10_000, TTL)
    timed.update(values)
    contest.add("cachetools", fixture.keys, fixture.values, subscripted(timed))


def add_disk(contest: Contest, fixture: Fixture, folder: Path) -> None:
    values = fixture.by_key()
    disk = diskcache.Cache(str(folder / "diskcache"))
    region = make_region().configure(
        "dogpile.cache.dbm", expiration_time=TTL, arguments={"filename": str(folder / "dogpile.dbm")}
    )
    for key, value in values.items():
        disk.set(key, value, expire=TTL)
    contest.add("diskcache", fixture.keys, fixture.values, each(disk.get))

    # Where Python was built without gdbm and ndbm there is only dbm.dumb, which reads its whole index at each get.
    # It gets few keys then, so that it is not made to look worse than it must.
    region.set(fixture.keys[0], fixture.values[0])
    kind = dbm.whichdb(str(folder / "dogpile.dbm"))
    keys = fixture.keys[: DUMB_KEYS if kind == "dbm.dumb" else None]
    for key in keys:
        region.set(key, values[key])
    contest.add("dogpile dbm", keys, fixture.values[: len(keys)], each(region.get))
    print(json.dumps({"kind": "fact", "name": "python: dogpile dbm", "value": f"{kind}, {len(keys)} keys"}))

    # A function of a name, since joblib looks a function up by it.
    def fetch(key: str) -> bytes:
        return values[key]

    remembered = joblib.Memory(str(folder / "joblib"), verbose=0).cache(fetch)
    contest.add("joblib", fixture.keys, fixture.values, each(remembered))
    paths = [str(path) for path in fixture.paths]
    contest.add("read file + json.loads", paths, fixture.decoded, each(read_and_decode))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=float, default=4, help="milliseconds")
    arguments = parser.parse_args()
    fixture = Fixture(arguments.root)
    contest = Contest("python", arguments.rounds, arguments.batch, fixture.order)
    add_forebay(contest, fixture)
    add_memory(contest, fixture)
    folder = arguments.root / "python-peers"
    folder.mkdir(exist_ok=True)
    add_disk(contest, fixture, folder)
    contest.run()


if __name__ == "__main__":
    main()
