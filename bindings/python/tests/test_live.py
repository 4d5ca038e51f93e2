"""Derived results: keys, inputs of every kind, looking, storing and removing."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import forebay
import pytest
from forebay import Input, live_key


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def live(cache: forebay.Cache, work: Path) -> forebay.Live:
    return cache.live(workspace=work)


def look(live: forebay.Live, name: str) -> str:
    """What a look at the inputs finds."""
    return live.lookup(live_key(name), revalidate=True).outcome


def keep(live: forebay.Live, name: str, *inputs: str, upstream: tuple[str, ...] = ()) -> forebay.Derived:
    above = [live_key(key) for key in upstream]
    return live.persist(live_key(name), f"result of {name}", "test", inputs, above)


def test_keys_have_one_spelling() -> None:
    key = live_key("x")
    assert key == forebay.LiveKey.from_bytes(b"x") == forebay.LiveKey(str(key))
    assert (len(key), repr(key)) == (64, f"LiveKey('{key}')")
    assert pickle.loads(pickle.dumps(key)) == key
    for wrong in ("", key.upper(), key[1:], key + "0", "g" * 64):
        with pytest.raises(forebay.Invalid, match="64 lower-case"):
            forebay.LiveKey(wrong)


def test_a_key_that_is_none_is_refused_everywhere(live: forebay.Live) -> None:
    calls: list[Callable[[], object]] = [
        lambda: live.lookup("x"),
        lambda: live.begin("x"),
        lambda: live.persist("x", b""),
        lambda: live.get_or_compute("x", lambda job: b""),
        lambda: live.mark_dirty("x"),
        lambda: live.invalidate_upstream("x"),
        lambda: live.why("x"),
        lambda: live.begin(live_key("x"), upstream=["y"]),
    ]
    for call in calls:
        with pytest.raises(forebay.Invalid):
            call()


def test_equal_objects_have_equal_keys() -> None:
    assert live_key({"a": 1, "b": [2]}) == live_key({"b": (2,), "a": 1})
    assert live_key([Path("a/b")]) == live_key(["a/b"])
    # As json.dumps(..., sort_keys=True, separators=(",", ":"), ensure_ascii=False): what Node hashes too.
    assert live_key({"b": 1, "ä": "ü"}) == forebay.LiveKey.from_bytes('{"b":1,"ä":"ü"}'.encode())
    different = [
        1,
        True,
        "1",
        None,
        [1],
        ["1"],
        [b"1"],
        {"1": 1},
        1.5,
        os.fsdecode(b"\xff"),
        [os.fsdecode(b"\xff")],
    ]
    assert len({live_key(each) for each in different}) == len(different) - 1, (
        "only text and its JSON are the same"
    )
    for wrong in ({1: 2}, {"a": {1}}, [object()], [float("nan")], [lambda: 0]):
        with pytest.raises(forebay.Invalid, match="more than JSON"):
            live_key(wrong)


def test_inputs_say_what_they_are() -> None:
    for text, made in {
        "src/a.rs": Input.file("src/a.rs"),
        "file:a*": Input.file("a*"),
        "src/": Input.dir("src/"),
        "dir:src": Input.dir("src"),
        "src/**/*.rs": Input.glob("src/**/*.rs"),
        "glob:src": Input.glob("src"),
        "absent:x": Input.absent("x"),
        "stat:x": Input.stat("x"),
        "env:HOME": Input.env("HOME"),
        "source:api/models": Input.source("api/models"),
        "tag:schema": Input.tag("schema"),
        "odd:name": Input.file("odd:name"),
        os.fsdecode(b"caf\xe9/"): Input.dir(b"caf\xe9/"),
        os.fsdecode(b"absent:caf\xe9"): Input.absent(b"caf\xe9"),
    }.items():
        assert Input.parse(text) == made
    assert Input.parse(Path("a[b]*")) == Input.parse(b"a[b]*") == Input.file("a[b]*")
    assert {str(Input.file("a")), repr(Input.env("A"))} == {"file:a", "Input.env('A')"}


def test_one_input_is_no_list_of_inputs(live: forebay.Live, work: Path) -> None:
    for wrong in ("src", b"src", work, Input.tag("x")):
        with pytest.raises(forebay.Invalid, match="one input"):
            live.begin(live_key("x"), wrong)  # type: ignore[arg-type]
    with pytest.raises(forebay.Invalid, match="one upstream"):
        live.begin(live_key("x"), (), live_key("y"))
    with pytest.raises(TypeError):
        live.begin(live_key("x"), [1])  # type: ignore[list-item]
    with pytest.raises(forebay.Invalid):
        live.begin(live_key("x"), [Input("what", "x")])


# An input, and what changes it in a folder d that holds a.py.
CHANGES: dict[str, Callable[[Path], object]] = {
    "d/a.py": lambda d: (d / "a.py").write_text("2"),
    "d/b.py": lambda d: (d / "b.py").write_text("new"),
    "d/": lambda d: (d / "b.py").write_text("new"),
    "d/**/*.py": lambda d: (d / "a.py").unlink(),
    "absent:d/b": lambda d: (d / "b").mkdir(),
    "stat:d/a.py": lambda d: (d / "a.py").write_text("longer"),
    "env:FOREBAY_TEST_INPUT": lambda d: os.environ.__setitem__("FOREBAY_TEST_INPUT", "2"),
}


@pytest.mark.parametrize("text", CHANGES)
def test_each_kind_of_input_shows_its_change(
    live: forebay.Live, work: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("FOREBAY_TEST_INPUT", "1")
    (work / "d").mkdir()
    (work / "d" / "a.py").write_text("1")
    made = keep(live, "x", text)
    assert made.inputs == ([Input.dir("d")] if text == "d/" else [Input.parse(text)])
    assert look(live, "x") == "hit"
    CHANGES[text](work / "d")
    assert live.lookup(live_key("x")).outcome == "hit", "what is recorded has not changed"
    assert [look(live, "x"), look(live, "x")] == ["invalidated", "miss"]


def test_sources_and_tags_are_inputs(cache: forebay.Cache, live: forebay.Live) -> None:
    for source in (cache.source("api/models"), cache.source("api/models", identity="me@example.org")):
        live.persist(live_key("x"), b"", inputs=[Input.source(source), Input.tag("t")])
        assert look(live, "x") == "hit"
        source.put(b"new")
        assert look(live, "x") == "invalidated"
    keep(live, "x", "tag:t")
    assert (live.invalidate_tag("u"), live.invalidate_tag("t"), look(live, "x")) == (0, 1, "miss")


def test_paths_of_any_type_and_any_bytes(live: forebay.Live, work: Path) -> None:
    odd = b"caf\xe9 %41 [x]*"
    path = os.path.join(os.fsencode(work), odd)
    Path(os.fsdecode(path)).write_bytes(b"1")
    for given in (odd, path, Path(os.fsdecode(odd)), Path(os.fsdecode(path)), Input.file(odd)):
        made = live.persist(live_key("x"), b"x", inputs=[given])
        assert made.inputs == [Input.file(odd)], "relative to the workspace"
        assert look(live, "x") == "hit"
        assert live.invalidate_path(path) == 1
    live.persist(live_key("x"), b"x", inputs=[odd])
    Path(os.fsdecode(path)).write_bytes(b"2")
    assert look(live, "x") == "invalidated"
    keep(live, "x", "d/a")
    assert live.invalidate_path(work / "d") == 1


def test_a_result_tells_all_about_itself(live: forebay.Live) -> None:
    base = keep(live, "base")
    made = live.persist(live_key("x"), "ümläut", "text", ["tag:t"], [base])
    assert (made.key, made.how, made.kind, made.error) == (live_key("x"), "ran", "text", None)
    assert made.text() == "ümläut"
    assert made.hash == forebay.LiveKey.from_bytes(made.data)
    assert (made.inputs, made.upstreams) == ([Input.tag("t")], [live_key("base")])
    assert isinstance(made.upstreams[0], forebay.LiveKey)
    found = live.lookup(made.key)
    assert found
    assert found.hit is not None
    assert found.hit.data is found.hit.data == made.data
    assert found.hit.computed_at == made.computed_at
    assert repr(found.hit) == '<forebay.Derived fresh, "text", 8 bytes>'
    [row] = [row for row in live.list() if row.key == made.key]
    assert (row.kind, row.size, row.inputs, row.upstreams) == ("text", 8, made.inputs, made.upstreams)
    assert row.computed_at == made.computed_at <= row.used_at
    assert live.known_kinds() == {"test": 1, "text": 1}
    assert (live.entry_count(), live.total_bytes()) == (2, 8 + len("result of base"))
    missing = live.lookup(live_key("y"))
    assert not missing
    assert (missing.outcome, missing.hit) == ("miss", None)


def test_what_is_built_on_a_changed_result_goes_with_it(live: forebay.Live, work: Path) -> None:
    (work / "a").write_text("1")
    keep(live, "read", "a")
    keep(live, "grep", "tag:t", upstream=("read",))
    keep(live, "answer", upstream=("grep",))
    assert str(live.why(live_key("answer"))) == "nothing that it was computed from has changed"
    (work / "a").write_text("2")
    why = live.why(live_key("answer"))
    assert (why.holds, why.input, why.upstream) == (False, Input.file("a"), live_key("read"))
    assert look(live, "answer") == "invalidated"
    assert live.entry_count() == 0
    for name, above in {"read": (), "grep": ("read",), "answer": ("grep",)}.items():
        keep(live, name, upstream=above)
    assert live.invalidate_upstream(live_key("read")) == 2
    assert [look(live, name) for name in ("read", "grep")] == ["hit", "miss"]
    keep(live, "grep", upstream=("read",))
    assert live.mark_dirty(live_key("read"))
    assert live.entry_count() == 0


def test_a_ticket_blesses_no_change(live: forebay.Live, work: Path) -> None:
    (work / "a").write_text("1")
    with live.begin(live_key("x"), ["a"]) as ticket:
        assert ticket.key == live_key("x")
        (work / "a").write_text("2")
        with pytest.raises(forebay.Superseded, match="file:a has changed"):
            ticket.commit(b"of the old")
    assert not live.lookup(live_key("x"))
    ticket = live.begin(live_key("x"), ["a"])
    assert ticket.commit("of the new", kind="test").how == "ran"
    with pytest.raises(forebay.AlreadyUsed):
        ticket.commit(b"again")
    ticket = live.begin(live_key("y"))
    ticket.close()
    with pytest.raises(forebay.AlreadyUsed):
        ticket.commit(b"closed")
    with pytest.raises(forebay.Superseded):
        live.begin(live_key("z"), upstream=[live_key("nothing")])


def test_room_is_made_by_last_use(cache: forebay.Cache, live: forebay.Live) -> None:
    for name in "abcd":
        live.persist(live_key(name), b"x" * 100)
    assert live.lookup(live_key("a"))
    assert live.evict_to_cap(250) == 2
    assert [bool(live.lookup(live_key(name))) for name in "abcd"] == [True, False, False, True]
    capped = cache.live(size_cap=150)
    capped.persist(live_key("e"), b"x" * 100)
    assert capped.entry_count() == 1
    capped.persist(live_key("tagged"), b"x" * 10, inputs=["tag:t"])
    capped.invalidate_tag("t")
    removed, files = live.gc()
    assert (removed, files, live.entry_count()) == (0, 0, 1)


def test_a_cache_without_a_disk_says_that_it_cannot(cache: forebay.Cache, live: forebay.Live) -> None:
    with forebay.Cache(memory=True) as memory, pytest.raises(forebay.Unsupported, match="in memory"):
        memory.live().lookup(live_key("x"))
    cache.close()
    with pytest.raises(forebay.Closed):
        live.lookup(live_key("x"))


def test_odd_options_are_refused(cache: forebay.Cache, work: Path) -> None:
    assert cache.live(work).workspace == str(work)
    assert repr(cache.live(work)) == f"<forebay.Live {work}>"
    with pytest.raises(forebay.Invalid):
        cache.live(deadline=-1)
    with pytest.raises(OverflowError):
        cache.live(size_cap=-1)
    with pytest.raises(forebay.Invalid):
        cache.live(deadline=0).get_or_compute(live_key("x"), lambda job: b"")
