"""Functions that run again when, and only when, what they read has changed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import forebay
import pytest
from conftest import HANG
from forebay import Input, live_key

T = TypeVar("T")


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    async def bounded() -> T:
        return await asyncio.wait_for(main(), HANG)

    return asyncio.run(bounded())


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def live(cache: forebay.Cache, work: Path) -> forebay.Live:
    return cache.live(workspace=work)


def test_a_function_runs_again_when_its_file_changes(live: forebay.Live, work: Path) -> None:
    runs: list[str] = []

    @live.memo(inputs=lambda path: [path])
    def words(path: str) -> int:
        """Count."""
        runs.append(path)
        return len((work / path).read_text().split())

    for name in "ab":
        (work / name).write_text("one two")
    assert [words("a"), words(path="a"), words("b")] == [2, 2, 2]
    assert runs == ["a", "b"]
    (work / "a").write_text("one two three")
    assert (words("a"), words("b"), runs) == (3, 2, ["a", "b", "a"])
    (work / "a").write_text("one two three")
    assert (words("a"), len(runs)) == (3, 3), "the same content again is no change"
    (work / "a").unlink()
    with pytest.raises(FileNotFoundError):
        words("a")
    assert (words.__name__, words.__doc__) == ("words", "Count.")  # type: ignore[attr-defined]
    assert live.known_kinds() == {"words": 1}


def test_the_arguments_are_the_key(live: forebay.Live) -> None:
    @live.memo(inputs=[])
    def f(a: object, b: object = 2, *rest: object, c: object = None, **more: object) -> object:
        return [str(a), str(b)]

    assert f.key(1) == f.key(1, 2) == f.key(b=2, a=1) == f.key(1, c=None)
    assert f.key(Path("x")) == f.key("x")
    different = [f.key(1), f.key("1"), f.key(1, 3), f.key(1, 2, 3), f.key(1, c=3), f.key(1, d=3), f.key(b"1")]
    assert len(set(different)) == len(different)
    assert f((1, 2)) == f([1, 2]) == ["(1, 2)", "2"]
    with pytest.raises(TypeError):
        f()  # type: ignore[call-arg]
    with pytest.raises(forebay.Invalid, match=r"f is made of more than JSON"):
        f(object())

    @live.memo(key=lambda item: item["id"])
    def g(item: dict[object, object]) -> int:
        return len(item)

    assert g({"id": 1, 2: object()}) == 2
    assert g({"id": 1}) == 2


def test_module_name_and_version_are_part_of_the_key(live: forebay.Live) -> None:
    def make(name: str, version: int | None = None) -> forebay.LiveKey:
        def f() -> str:
            return name

        f.__qualname__ = name
        return live.memo(inputs=[], version=version)(f).key()

    assert make("f") == make("f")
    assert len({make("f"), make("g"), make("f", 1), make("f", 2)}) == 4


def test_results_are_bytes_or_json_and_nothing_that_could_run(live: forebay.Live) -> None:
    results: dict[str, object] = {
        "bytes": b"\0\xff[1]",
        "no bytes": b"",
        "text": "ü\0",
        "a name that is no text": os.fsdecode(b"caf\xe9"),
        "nothing": None,
        "nested": {"a": [1, 2.5, True, None], "b": {}},
    }

    @live.memo(inputs=[], kind="made")
    def make(name: str) -> object:
        return results[name]

    for _ in range(2):
        assert {name: make(name) for name in results} == results
        assert type(make("bytes")) is bytes
    found = live.lookup(make.key("nested")).hit
    assert found is not None
    assert (found.kind, found.json()) == ("made", results["nested"])
    for wrong in ({1, 2}, object(), float("nan"), {"a": object()}):
        results["wrong"] = wrong
        with pytest.raises(forebay.Invalid, match=r"the result of .*make is not JSON"):
            make("wrong")
    results["wrong"] = (1, 2)
    assert make("wrong") == [1, 2], "what JSON keeps, from the first call on"


def test_an_exception_is_the_callers_own_and_is_not_kept(live: forebay.Live) -> None:
    own = ValueError("mine")
    runs: list[int] = []

    @live.memo(inputs=[])
    def fail() -> int:
        runs.append(1)
        if len(runs) < 3:
            raise own
        return len(runs)

    for _ in range(2):
        with pytest.raises(ValueError, match="mine") as caught:
            fail()
        assert caught.value is own
        assert (own.__cause__, own.__context__) == (None, None)
    assert fail() == 3


def test_one_call_is_invalidated_with_all_that_is_built_on_it(live: forebay.Live) -> None:
    runs: list[str] = []

    @live.memo(inputs=[])
    def read(path: str) -> str:
        runs.append(f"read {path}")
        return path

    @live.memo(upstream=lambda *paths: [read.call(path) for path in paths])
    def join(*paths: str) -> str:
        runs.append("join")
        return "+".join(read(path) for path in paths)

    assert join("a", "b") == "a+b"
    assert runs == ["read a", "read b", "join"]
    assert join("a", "b") == "a+b"
    runs.clear()
    assert read.invalidate("a")
    assert not read.invalidate("a")
    assert join("a", "b") == "a+b"
    assert runs == ["read a", "join"]
    found = live.lookup(join.key("a", "b")).hit
    assert found is not None
    assert sorted(found.upstreams) == sorted([read.key("a"), read.key("b")])


def test_an_edit_recomputes_exactly_what_depends_on_it(live: forebay.Live, work: Path) -> None:
    runs: list[str] = []
    for name in ("a.py", "b.py", "c.txt"):
        (work / name).write_text(f"{name} needle")

    @live.memo(inputs=lambda path: [Input.file(path)])
    def read(path: str) -> str:
        runs.append(f"read {path}")
        return (work / path).read_text()

    @live.memo(inputs=["*.py"])
    def grep(pattern: str) -> list[str]:
        runs.append(f"grep {pattern}")
        return sorted(path.name for path in work.glob("*.py") if pattern in path.read_text())

    @live.memo(upstream=lambda question, path: [grep.call("needle"), read.call(path)])
    def answer(question: str, path: str) -> str:
        runs.append(f"answer about {path}")
        return f"{question} {len(grep('needle'))} {read(path)}"

    def all_of_it() -> list[str]:
        runs.clear()
        for path in ("a.py", "c.txt"):
            answer("how many?", path)
        return list(runs)

    assert all_of_it() == [
        "grep needle",
        "read a.py",
        "answer about a.py",
        "read c.txt",
        "answer about c.txt",
    ]
    assert all_of_it() == []
    (work / "c.txt").write_text("other")
    assert all_of_it() == ["read c.txt", "answer about c.txt"]
    (work / "b.py").write_text("other")
    assert all_of_it() == ["grep needle", "answer about a.py", "answer about c.txt"]
    (work / "d.py").write_text("needle")
    assert all_of_it() == ["grep needle", "answer about a.py", "answer about c.txt"]
    (work / "e.txt").write_text("nobody reads it")
    assert all_of_it() == []


def test_a_change_while_it_runs_is_not_blessed(live: forebay.Live, work: Path) -> None:
    (work / "a").write_text("1")
    runs: list[int] = []

    @live.memo(inputs=["a"])
    def read() -> str:
        seen = (work / "a").read_text()
        if not runs:
            (work / "a").write_text("2")
        runs.append(1)
        return seen

    assert [read(), read(), read()] == ["1", "2", "2"]
    assert len(runs) == 2


def test_an_upstream_that_is_only_named_is_not_computed(live: forebay.Live) -> None:
    made = live.get_or_compute(live_key("base"), lambda job: b"base")

    @live.memo(upstream=[made.key])
    def built() -> int:
        return 1

    assert built() == 1
    live.mark_dirty(made.key)
    with pytest.raises(forebay.Superseded, match=made.key):
        built()


def test_coroutine_functions(live: forebay.Live, work: Path) -> None:
    runs: list[str] = []

    @live.memo(inputs=lambda path: [path])
    def size(path: str) -> int:
        runs.append("size")
        return (work / path).stat().st_size

    @live.memo(inputs=lambda path: [path])
    async def read(path: str) -> bytes:
        runs.append("read")
        await asyncio.sleep(0)
        return (work / path).read_bytes()

    @live.memo(upstream=lambda path: [read.call(path), size.call(path)])
    async def both(path: str) -> list[object]:
        """Both."""
        runs.append("both")
        return [(await read(path)).decode(), size(path)]

    (work / "a").write_text("xy")

    async def main() -> None:
        assert await asyncio.gather(*(both("a") for _ in range(8))) == [["xy", 2]] * 8
        assert sorted(runs) == ["both", "read", "size"]
        (work / "a").write_text("xyz")
        assert await both("a") == ["xyz", 3]
        assert sorted(runs) == ["both", "both", "read", "read", "size", "size"]
        assert read.invalidate("a")
        assert await both("a") == ["xyz", 3]
        assert runs.count("size") == 2

    assert asyncio.iscoroutinefunction(both)
    assert both.__doc__ == "Both."
    run(main)

    @live.memo(upstream=lambda: [read.call("a")])
    def plain() -> int:
        return 1

    assert plain() == 1
    read.invalidate("a")
    with pytest.raises(forebay.Invalid, match="coroutine function"):
        plain()


def test_methods(live: forebay.Live) -> None:
    class Tool:
        def __init__(self, name: str) -> None:
            self.name = name

        @live.memo(key=lambda self, word: [self.name, word])
        def ask(self, word: str) -> str:
            return self.name + word

    assert [Tool("a").ask("x"), Tool("b").ask("x"), Tool("a").ask("x")] == ["ax", "bx", "ax"]
